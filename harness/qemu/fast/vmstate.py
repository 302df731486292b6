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

import re
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence

FLASH = ("virt.flash0", "virt.flash1")
PAGE = 4096
_ZERO, _MEM_SIZE, _SAME_BLOCK = 0x02, 0x04, 0x20
_PAGE_BYTES = 9  # of one that is all one byte, in the same block
# EOS, the section's footer with its id, and the next part of the same section.
_BETWEEN = re.compile(rb"\0{7}\x10\x7e(.{4})\x02\1", re.DOTALL)
_RAM_SECTION = b"\x03ram" + struct.pack(">II", 0, 4)  # its name, instance and version


def without_untouched(stream: bytes, blocks: Sequence[str]) -> bytes:
    """The stream without the pages of these blocks: of each that is all zero and there once; the
    rest stays as it is.
    """
    sizes = dict(_blocks(stream))
    for name in blocks:
        if size := sizes.get(name):
            stream = _without(stream, *_zero_pages(name, size))
    return stream


def _without(stream: bytes, first: bytes, others: bytes) -> bytes:
    """All of them out, or none. QEMU ends a section when it has written for 50 ms, and goes on in
    another: what lies between stays.
    """
    if stream.count(first) != 1:
        return stream
    at = stream.index(first)
    kept, at = [stream[:at]], at + len(first)
    while others:
        same = _same_pages(stream, at, others)
        at, others = at + same, others[same:]
        between = _BETWEEN.match(stream, at)
        if others and not between:
            return stream
        if others and between:
            kept.append(between[0])
            at = between.end()
    return b"".join([*kept, stream[at:]])


def _same_pages(stream: bytes, at: int, pages: bytes) -> int:
    """Bytes of those pages, from the first on, that stand there."""
    if stream.startswith(pages, at):
        return len(pages)
    counts = range(1, len(pages) // _PAGE_BYTES + 1)
    missing = bisect_left(
        counts, True, key=lambda n: not stream.startswith(pages[: n * _PAGE_BYTES], at)
    )
    return missing * _PAGE_BYTES


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


def _zero_pages(name: str, size: int) -> tuple[bytes, bytes]:
    """How a block that is all zero is saved: its first page, and the others."""
    first = struct.pack(">QB", _ZERO, len(name)) + name.encode() + b"\0"
    others = (struct.pack(">QB", at | _ZERO | _SAME_BLOCK, 0) for at in range(PAGE, size, PAGE))
    return first, b"".join(others)
