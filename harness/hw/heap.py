"""hw heap [NAME]: is a first-fit heap in pieces, and has somebody written over its headers?"""

from dataclasses import dataclass

import gdb

from .kernel import Command, address_of, at, command, unsigned
from .names import Names
from .statics import variables_of
from .table import table

HEAD = ("HEAP", "SIZE", "BLOCKS", "FREE", "TOTAL_FREE", "LARGEST_FREE", "ALLOCS", "FREES")
HEAD += ("FAILURES", "STATUS")
COUNTS = ("allocs", "frees", "failures")


@command
class Heap(Command):
    """Every first-fit heap that was made (struct heap), by a walk of its records; with NAME: each
    block of one, and who took it last.

    A heap is called by its file and its variable; NAME is either, or both: heap_labs.c:heap.
    TOTAL_FREE and LARGEST_FREE are bytes that can be asked for. What is a block stands in the
    heap's records, out of everybody's reach; a header that differs from its record was overwritten,
    most likely by the owner of the block before it. When, in a recorded machine: hw blame ADDRESS
    of that header.
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
    """heap_labs.c:inner"""
    return f"{symbol.symtab.filename.rpartition('/')[2]}:{symbol.name}"


@dataclass(frozen=True)
class Block:
    """header: its address; size: bytes after it; wrong: what is wrong with the header, or ""."""

    header: int
    size: int
    used: bool
    owner: int
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
    header, names = gdb.lookup_type("struct header").sizeof, Names()
    rows = [
        (
            n,
            f"{b.header + header:#x}",
            b.size,
            "used" if b.used else "free",
            names.code(b.owner, is_return=True) if b.owner else None,
            b.wrong or "ok",
        )
        for n, b in enumerate(blocks)
    ]
    yield from table(("BLOCK", "ADDRESS", "SIZE", "STATE", "OWNER", "HEADER"), rows)
    if end:
        yield end


def walk(heap):
    """(blocks in address order, why the walk stopped before the heap's end, or "")."""
    header = gdb.lookup_type("struct header").sizeof
    base, size = unsigned(heap["base"]), unsigned(heap["size"])
    records, offset = heap["records"], 0
    blocks, before = [], None
    while offset < size:
        record = records[offset // header]  # a header has HEAP_ALIGN bytes
        size_and_used = unsigned(record["size_and_used"])
        bytes_, used = size_and_used & ~1, size_and_used & 1
        if not bytes_ or bytes_ % header or bytes_ > size - offset - header:
            return blocks, f"the records are overwritten: {size_and_used:#x} is no size here"
        wrong = _wrong(at("struct header", base + offset), size_and_used, before)
        blocks.append(Block(base + offset, bytes_, bool(used), _owner(record), wrong))
        offset, before = offset + header + bytes_, bytes_
    return blocks, ""


def _owner(record):
    """Where it was asked for; 0: nobody did."""
    owner = int(record["owner"])
    return address_of("heap_alloc") + owner if owner else 0


FIRST = 1  # what the first header says of the block before it: no size is odd


def _wrong(header, size_and_used, before):
    """In words, how a header differs from the records. USED is its lowest bit."""
    says = unsigned(header["size_and_used"])
    previous = unsigned(header["previous"])
    expected = FIRST if before is None else before
    if says != size_and_used:
        return f"overwritten: says {says:#x}, not {size_and_used:#x}"
    if previous != expected:
        return f"overwritten: says {previous:#x} before it, not {expected:#x}"
    return ""
