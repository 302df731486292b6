"""hw pools [NAME]: what runs dry, and who holds the blocks?"""

import gdb

from .kernel import Command, command, read, text, threads, unsigned
from .names import Names
from .statics import variables_of
from .table import table

HEAD = ("POOL", "VARIABLE", "BLOCK", "CAPACITY", "IN_USE", "HIGH_WATER", "ALLOCS", "FREES")
HEAD += ("FAILURES", "REFUSED")
COUNTS = ("block", "capacity", "in_use", "high_water", "allocs", "frees", "failures")


@command
class Pools(Command):
    """Every struct mem_pool of the kernel, with its counts; with NAME: the blocks of one.

    NAME is the pool's own name or its variable's. A block is free or used; one that the free list
    and the pool's own marks do not agree on says so: somebody wrote into a free block. For
    threads, OWNER is the thread that lives in the block. REFUSED is who was refused last.
    """

    word = "pools"
    usage = "[NAME]"

    def run(self, argument):
        names, pools = Names(), find_pools()
        if not argument:
            yield from table(HEAD, [_row(variable, pool, names) for variable, pool in pools])
            return
        chosen = [pool for name, pool in pools if argument in (name, text(pool["name"]))]
        if not chosen:
            raise gdb.GdbError(f'no pool is called "{argument}". Type: hw pools')
        for pool in chosen:
            yield from _blocks(pool)


def _row(variable, pool, names):
    if not int(pool["name"]):
        return ("not made yet", variable, *([None] * (len(HEAD) - 2)))
    caller = unsigned(pool["last_failing_caller"])
    refused = names.code(caller, is_return=True) if caller else None
    return (text(pool["name"]), variable, *(int(pool[key]) for key in COUNTS), refused)


# --- where the pools are -----------------------------------------------------------------------


def find_pools():
    """(variable's name, struct mem_pool)."""
    return variables_of("struct mem_pool")


# --- the blocks of one -------------------------------------------------------------------------


def _blocks(pool):
    size, capacity, base = (unsigned(pool[key]) for key in ("block", "capacity", "base"))
    if not base or not int(pool["used"]):
        yield "this pool is not made yet"
        return
    marks = read(unsigned(pool["used"]), capacity)
    free, broken = _free_list(pool)
    owners = {int(t.address): text(t["name"]) for t in threads()}
    places = [base + n * size for n in range(capacity)]
    rows = [
        (n, f"{place:#x}", _state(marks[n], place in free), owners.get(place) if marks[n] else None)
        for n, place in enumerate(places)
    ]
    yield f"{text(pool['name'])}: {sum(map(bool, marks))} of {capacity} blocks used"
    yield from table(("BLOCK", "ADDRESS", "STATE", "OWNER"), rows)
    yield from broken


def _state(marked, listed):
    return (
        ("used, but on the free list" if listed else "used")
        if marked
        else ("free" if listed else "free, but not on the free list")
    )


def _free_list(pool):
    """The blocks on the free list, and in words what is wrong with it."""
    free, wrong, _ = follow(pool)
    return free, [wrong] if wrong else []


def follow(pool):
    """(blocks on the free list, what is wrong with it or "", the place of the last link read)."""
    size, capacity, base = (unsigned(pool[key]) for key in ("block", "capacity", "base"))
    free, place, link = set(), unsigned(pool["free_list"].address), unsigned(pool["free_list"])
    while link:
        offset = link - base
        if not 0 <= offset < size * capacity or offset % size:
            return free, f"the free list leads to {link:#x}, which is no block of this pool", place
        if link in free:
            return free, f"the free list comes back to block {offset // size}", place
        free.add(link)
        place, link = link, int.from_bytes(read(link, 8), "little")
    return free, "", place


def broken_link(pool):
    """Where the link lies that leads a pool's free list astray, or ends it too early; or None."""
    if not int(pool["used"]):
        return None
    size, capacity, base = (unsigned(pool[key]) for key in ("block", "capacity", "base"))
    marks = read(unsigned(pool["used"]), capacity)
    free, wrong, place = follow(pool)
    listed = {(block - base) // size for block in free}
    lost = any(not mark and n not in listed for n, mark in enumerate(marks))
    return place if wrong or lost else None
