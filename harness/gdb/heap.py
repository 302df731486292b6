"""hw heap [NAME]: is a first-fit heap in pieces, and has somebody written over its headers?"""

from dataclasses import dataclass

import gdb

from .kernel import Command, at, command, unsigned
from .statics import variables_of
from .table import table

HEAD = ("HEAP", "SIZE", "BLOCKS", "FREE", "TOTAL_FREE", "LARGEST_FREE", "ALLOCS", "FREES")
HEAD += ("FAILURES", "STATUS")
COUNTS = ("allocs", "frees", "failures")


@command
class Heap(Command):
    """Every first-fit heap that was made (struct heap), by a walk of its headers; with NAME: each
    block of one.

    A heap is called by its file and its variable; NAME is either, or both: heap.c:heap. TOTAL_FREE
    and LARGEST_FREE are bytes that can be asked for. A block is believed when its header leads to
    the next one, or exactly to the heap's end, and that one's header says the same size. Where the
    walk cannot go on it says why: a header was overwritten. Who did it, in a recorded machine:
    hw blame ADDRESS of that header.
    """

    word = "heap"
    usage = "[NAME]"

    def names(self, before):
        return () if before else [name for name, heap in _heaps() if _is_made(heap)]

    def run(self, argument):
        heaps = _heaps()
        if not argument:
            made = [_row(name, heap) for name, heap in heaps if _is_made(heap)]
            yield from table(HEAD, made) if made else ("no heap is made yet",)
            return
        chosen = [(name, heap) for name, heap in heaps if argument in (name, *name.split(":", 1))]
        if not chosen:
            raise gdb.GdbError(f'no heap is called "{argument}". Type: hw heap')
        # As with pools: labs that did not run have heaps of the same name.
        for name, heap in [(name, heap) for name, heap in chosen if _is_made(heap)] or chosen:
            yield f"{name}:"
            yield from _listing(heap)


def _heaps():
    return [(_name(symbol), heap) for symbol, heap in variables_of("struct heap")]


def _is_made(heap):
    return bool(int(heap["base"]))


def _name(symbol):
    """heap.c:inner"""
    return f"{symbol.symtab.filename.rpartition('/')[2]}:{symbol.name}"


@dataclass(frozen=True)
class Block:
    """header: its address; size: bytes behind it; wrong: what is wrong with the header, or ""."""

    header: int
    size: int
    used: bool
    wrong: str = ""


def _row(name, heap):
    blocks, end = walk(heap)
    free = [block.size for block in blocks if not block.used]
    wrong = end or next((f"block {n}: {b.wrong}" for n, b in enumerate(blocks) if b.wrong), "")
    counts = (int(heap[key]) for key in COUNTS)
    sums = (len(blocks), len(free), sum(free), max(free, default=0))
    return (name, unsigned(heap["size"]), *sums, *counts, wrong or "ok")


def _listing(heap):
    if not _is_made(heap):
        yield "this heap is not made yet"
        return
    blocks, end = walk(heap)
    header = gdb.lookup_type("struct header").sizeof
    rows = [
        (n, f"{b.header + header:#x}", b.size, "used" if b.used else "free", b.wrong or "ok")
        for n, b in enumerate(blocks)
    ]
    yield from table(("BLOCK", "ADDRESS", "SIZE", "STATE", "HEADER"), rows)
    if end:
        yield end


def walk(heap):
    """(blocks in address order, why the walk stopped before the heap's end, or "")."""
    header = gdb.lookup_type("struct header").sizeof
    place, end = unsigned(heap["base"]), unsigned(heap["base"]) + unsigned(heap["size"])
    blocks, before = [], None
    while place < end:
        found = at("struct header", place)
        # Sizes are multiples of the header's; what is left over are the marks beside them.
        size, mark = _split(unsigned(found["size_and_used"]), header)
        if mark > 1 or size > end - place - header:
            raw = unsigned(found["size_and_used"])
            return blocks, f"the header at {place:#x} is overwritten: {raw:#x} is no size here"
        wrong = _back_link(unsigned(found["previous"]), before, header)
        blocks.append(Block(place, size, bool(mark), wrong))
        place, before = place + header + size, size
    return blocks, ""


def _back_link(previous, before, header):
    """In words, when a header does not know the block before it. The first one's is no size."""
    if before is None:
        return "" if previous % header else f"overwritten: first, but says {previous:#x} before it"
    return (
        "" if previous == before else f"overwritten: says {previous:#x} before it, not {before:#x}"
    )


def _split(number, unit):
    return number - number % unit, number % unit
