"""The stream in which QEMU saves a machine, as far as memory goes: what nobody has to load.

A board has memory that our kernels never touch: `virt` has two flash banks of 64 MiB, zero from the
first day on. QEMU saves them page by page, "this page is zero", and at each load looks at every one
of those 32768 pages whether it still is: 2 ms, half of what loading costs. Pages that are not in
the stream stay as they are, so `without_untouched` takes them out. Pure.

    stream = without_untouched(stream, FLASH)

Source: QEMU 7.2, migration/ram.c (RAM_SAVE_FLAG_*) and migration/savevm.c; numbers are big-endian.
A section begins with its kind, an id, a name, an instance and a version; that of "ram" goes on with
the size of all blocks and, for each, its name and size, up to an EOS flag. A page is its address
and flags; the first of a block brings the block's name, the others say "the same block"; of a page
that is all one byte, that byte follows.
"""

import struct
from collections.abc import Iterator, Sequence

FLASH = ("virt.flash0", "virt.flash1")
PAGE = 4096
_ZERO, _MEM_SIZE, _EOS, _SAME_BLOCK = 0x02, 0x04, 0x10, 0x20
_RAM_SECTION = b"\x03ram" + struct.pack(">II", 0, 4)  # its name, instance and version


def without_untouched(stream: bytes, blocks: Sequence[str]) -> bytes:
    """The stream without the pages of these blocks: of each that is all zero and in one piece; the
    rest stays as it is.
    """
    sizes = dict(_blocks(stream))
    for name in blocks:
        pages = _zero_pages(name, sizes.get(name, 0))
        if pages and stream.count(pages) == 1:
            stream = stream.replace(pages, b"")
    return stream


def _blocks(stream: bytes) -> Iterator[tuple[str, int]]:
    """Name and size in bytes of each block of memory; nothing when that is not found."""
    at = stream.find(_RAM_SECTION) + len(_RAM_SECTION)
    try:
        (total,) = struct.unpack_from(">Q", stream, at)
        at += 8
        left = total - _MEM_SIZE if at > 8 + len(_RAM_SECTION) and total & _MEM_SIZE else 0
        while left > 0:
            end = at + 1 + stream[at]
            (size,) = struct.unpack_from(">Q", stream, end)
            yield stream[at + 1 : end].decode("ascii", "replace"), size
            at, left = end + 8, left - size
    except (struct.error, IndexError):
        return


def _zero_pages(name: str, size: int) -> bytes:
    """How a block that is all zero is saved."""
    if not size:
        return b""
    first = struct.pack(">QB", _ZERO, len(name)) + name.encode() + b"\0"
    others = (struct.pack(">QB", at | _ZERO | _SAME_BLOCK, 0) for at in range(PAGE, size, PAGE))
    return first + b"".join(others)
