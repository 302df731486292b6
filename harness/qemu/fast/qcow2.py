"""QEMU's disk format, as far as a disk that only holds snapshots goes: made empty, and the saved
machine inside it read and changed. Every number of a qcow2 is big-endian.

Source: QEMU, docs/interop/qcow2.txt; where in a disk a saved machine lies ("VM state data") is
told with the snapshot table there: behind the disk's own bytes, from the next level-1 entry on.
"""

import struct
from pathlib import Path

from harness.errors import HarnessError

CLUSTER_BITS = 16
_CLUSTER = 1 << CLUSTER_BITS
_VIRTUAL_SIZE = 1 << 20  # of a disk that holds snapshots only
_REFCOUNT_ORDER = 4  # 16 bits a cluster
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_REST_OF_HEADER = struct.Struct(">QQQII")
_SNAPSHOT = struct.Struct(">QIHHIIQII")  # then the extra data: the state's size, in 64 bits
_OFFSET = 0x00FF_FFFF_FFFF_FE00  # of a level-1 or level-2 entry
_ENTRIES = _CLUSTER // 8


class NotOurs(HarnessError):
    """A disk that is not as write_empty and one `savevm` leave it."""


def write_empty(path: Path) -> None:
    """An empty qcow2 (version 3): header, reference counts, an empty table of clusters."""
    table, block, clusters = (n * _CLUSTER for n in (1, 2, 3))
    # fmt: off
    header = _HEADER.pack(
        b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, _VIRTUAL_SIZE, 0, 1, clusters, table, 1, 0, 0,
    ) + _REST_OF_HEADER.pack(0, 0, 0, _REFCOUNT_ORDER, 104)
    # fmt: on
    image = bytearray(4 * _CLUSTER)
    image[: len(header)] = header
    struct.pack_into(">Q", image, table, block)
    struct.pack_into(">4H", image, block, 1, 1, 1, 1)
    path.write_bytes(image)


class SavedMachine:
    """The one snapshot of a disk, as `savevm` wrote it. No QEMU may have the disk open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._disk = path.read_bytes()
        try:
            self._clusters, self._size = self._find()
        except struct.error:
            raise NotOurs(f"{path}: a qcow2 that ends too soon") from None

    def read(self) -> bytes:
        """The saved machine, as QEMU streams it: see vmstate.py."""
        whole = b"".join(self._disk[at : at + _CLUSTER] for at in self._clusters)
        return whole[: self._size]

    def write(self, stream: bytes) -> None:
        """Put another one in its place, no longer than it was; QEMU reads to the stream's end."""
        if len(stream) > self._size:
            raise NotOurs(f"{self._path}: {len(stream)} bytes where {self._size} are")
        with self._path.open("r+b") as disk:
            for place, at in zip(range(0, len(stream), _CLUSTER), self._clusters, strict=False):
                disk.seek(at)
                disk.write(stream[place : place + _CLUSTER])

    def _find(self) -> tuple[list[int], int]:
        """Where each cluster of the saved machine lies in the file; its size in bytes."""
        magic, _, _, _, bits, size, *_, snapshots, table = _HEADER.unpack_from(self._disk)
        if (magic, bits, snapshots) != (b"QFI\xfb", CLUSTER_BITS, 1):
            raise NotOurs(f"{self._path}: not one of our disks with one snapshot")
        level1, entries, *_, extra = _SNAPSHOT.unpack_from(self._disk, table)
        (state,) = struct.unpack_from(">Q", self._disk, table + _SNAPSHOT.size)
        first = -(-size // (_CLUSTER * _ENTRIES))
        found: list[int] = []
        for level2 in self._entries(level1, entries)[first:]:
            found += [at for at in self._entries(level2, _ENTRIES) if at] if level2 else []
        if extra < 8 or len(found) * _CLUSTER < state:
            raise NotOurs(f"{self._path}: {len(found)} clusters for {state} bytes of a machine")
        return found, state

    def _entries(self, table: int, count: int) -> list[int]:
        return [entry & _OFFSET for entry in struct.unpack_from(f">{count}Q", self._disk, table)]
