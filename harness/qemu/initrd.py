"""Programs to an initrd, and the kernel to a file that QEMU gives one to.

cpio "newc" is what kernel/proc/cpio.c reads. QEMU passes -initrd on only to a Linux Image (Linux,
Documentation/arm64/booting.rst), not to a bare ELF: image() makes one of kernel.elf, a page of
header in front of the same bytes.

    python -m harness.qemu.initrd OUT FILE…      an archive of these files, by their names
    python -m harness.qemu.initrd --image OUT kernel.elf
"""

import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_MODE = 0o100755
_PAGE = 4096
_PT_LOAD = 1
_RAM = 0x40000000
_IMAGE_MAGIC = b"ARM\x64"


def newc(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive: the same files, the same bytes."""
    entries = [_entry(number, name, data, _MODE) for number, (name, data) in enumerate(files, 1)]
    return b"".join((*entries, _entry(0, "TRAILER!!!", b"", 0)))


def linked(names: Sequence[str], data: bytes) -> bytes:
    """An archive of one file with several names, as GNU cpio writes it: data with the last."""
    most = len(names)
    entries = [
        _entry(1, name, data if n == most else b"", _MODE, links=most)
        for n, name in enumerate(names, 1)
    ]
    return b"".join((*entries, _entry(0, "TRAILER!!!", b"", 0)))


def _entry(number: int, name: str, data: bytes, mode: int, *, links: int = 1) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def image(elf: bytes) -> bytes:
    """The loaded bytes of an ELF whose physical entry is its first byte, as a Linux Image."""
    entry, phoff = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    loads = [
        (physical, elf[offset : offset + filesz], memsz)
        for kind, _, offset, _, physical, filesz, memsz, _ in (
            struct.unpack_from("<IIQQQQQQ", elf, phoff + n * size) for n in range(count)
        )
        if kind == _PT_LOAD
    ]
    base = min(physical for physical, _, _ in loads)
    if base != entry:
        raise ValueError(f"the entry {entry:#x} is not the first byte, {base:#x}")
    body = bytearray(max(physical + len(data) for physical, data, _ in loads) - base)
    for physical, data, _ in loads:
        body[physical - base : physical - base + len(data)] = data
    end = max(physical + memsz for physical, _, memsz in loads)
    branch = 0x14000000 | _PAGE // 4
    header = struct.pack(
        "<IIQQQQQQ4sI",
        *(branch, 0, base - _RAM - _PAGE, end - base + _PAGE, 0, 0, 0, 0, _IMAGE_MAGIC, 0),
    )
    return header.ljust(_PAGE, b"\0") + bytes(body)


def main(arguments: list[str]) -> None:
    if arguments[0] == "--image":
        Path(arguments[1]).write_bytes(image(Path(arguments[2]).read_bytes()))
    else:
        out, *files = map(Path, arguments)
        out.write_bytes(newc((path.name, path.read_bytes()) for path in files))


if __name__ == "__main__":
    main(sys.argv[1:])
