"""hw pools [NAME]: what runs dry, who holds the blocks, and what is wrong with them?"""

from dataclasses import dataclass

import gdb
import gdb.types

from .kernel import U64, Command, command, text, threads, unsigned, value, words
from .names import Names
from .statics import variables_of
from .table import table

HEAD = ("POOL", "VARIABLE", "BLOCK", "CAPACITY", "IN_USE", "HIGH_WATER", "ALLOCS", "FREES")
HEAD += ("FAILURES", "ERRORS", "REFUSED")
COUNTS = ("block", "capacity", "in_use", "high_water", "allocs", "frees", "failures", "errors")
BLOCK_HEAD = ("BLOCK", "ADDRESS", "STATE", "OWNER", "ALLOCATED BY", "FREED BY")


@command
class Pools(Command):
    """Every pool that was made (struct mem_pool), with its counts; with NAME: the blocks of one.

    NAME is the pool's own name or its variable's. A block is free, used, or bad: somebody wrote
    into it, and it is not given out again. One that the free list and the pool's own records do not
    agree on says so. For threads, OWNER is the thread that lives in the block. ALLOCATED BY and
    FREED BY are the last calls that did; REFUSED is who was refused last. What the pool itself
    found last stands below the blocks.
    """

    word = "pools"
    usage = "[NAME]"

    def names(self, before):
        made = [(name, text(pool["name"])) for name, pool in find_pools() if is_made(pool)]
        return () if before else [name for both in made for name in both]

    def run(self, argument):
        names, pools = Names(), find_pools()
        if not argument:
            made = [_row(variable, pool, names) for variable, pool in pools if is_made(pool)]
            yield from table(HEAD, made) if made else ("no pool is made yet",)
            return
        chosen = [pool for name, pool in pools if argument in (name, text(pool["name"]))]
        if not chosen:
            raise gdb.GdbError(f'no pool is called "{argument}". Type: hw pools')
        # Labs that did not run have pools of the same name.
        for pool in list(filter(is_made, chosen)) or chosen:
            yield from _blocks(pool, names)


def _row(variable, pool, names):
    caller = unsigned(pool["last_failing_caller"])
    refused = names.code(caller, is_return=True) if caller else None
    return (text(pool["name"]), variable, *(int(pool[key]) for key in COUNTS), refused)


# --- where the pools are -----------------------------------------------------------------------


def find_pools():
    """(variable's name, struct mem_pool)."""
    return [(symbol.name, pool) for symbol, pool in variables_of("struct mem_pool")]


# --- the blocks of one -------------------------------------------------------------------------


def _blocks(pool, names):
    if not is_made(pool):
        yield "this pool is not made yet"
        return
    seen = Blocks.of(pool)
    free, broken, _ = seen.follow()
    owners = {int(t.address): text(t["name"]) for t in threads()}
    rows = [
        (
            n,
            f"{seen.place(n):#x}",
            _state(record["state"], seen.place(n) in free),
            owners.get(seen.place(n)) if record["state"] == seen.used else None,
            *(_site(unsigned(record[key]), names) for key in ("allocated_by", "freed_by")),
        )
        for n, record in enumerate(seen.records)
    ]
    used = sum(record["state"] == seen.used for record in seen.records)
    yield f"{text(pool['name'])}: {used} of {seen.capacity} blocks used"
    yield from table(BLOCK_HEAD, rows)
    if broken:
        yield broken
    if int(pool["errors"]):
        yield _finding(pool["last"], names)


def _finding(last, names):
    """In words: what the pool itself found last (struct pool_finding)."""
    error = str(last["error"]).removeprefix("POOL_").lower().replace("_", "-")
    number = Blocks.of(last["owner"].dereference()).number(unsigned(last["address"]))
    where = "" if number is None else f" in block {number}, offset {int(last['offset'])}"
    return f"found last: {error}{where}, by {_site(unsigned(last['caller']), names)}"


def _site(address, names):
    return names.code(address, is_return=True) if address else None


def _state(state, listed):
    word = str(state).removeprefix("BLOCK_").lower()
    if listed and word != "free":
        return f"{word}, but on the free list"
    return word if listed or word != "free" else "free, but not on the free list"


def is_made(pool):
    return bool(int(pool["blocks"]))


@dataclass(frozen=True)
class Blocks:
    """The blocks of one pool, as they are now; pool_guard.c's way with links, read backwards."""

    pool: gdb.Value
    base: int
    stride: int
    capacity: int
    key: int
    copy_key: int
    sealed: bool  # protect=-pool-link: they are not
    records: list[gdb.Value]
    free: gdb.Value
    used: gdb.Value

    @classmethod
    def of(cls, pool):
        base, stride, capacity, key, copy_key = (
            unsigned(pool[name]) for name in ("base", "stride", "capacity", "key", "copy_key")
        )
        off = value("protect_off")
        states = gdb.types.make_enum_dict(gdb.lookup_type("enum pool_state"))
        return cls(
            pool,
            base,
            stride,
            capacity,
            key,
            copy_key,
            not int(off[gdb.parse_and_eval("PROTECT_POOL_LINK")]),
            [pool["blocks"][n] for n in range(capacity)],
            states["BLOCK_FREE"],
            states["BLOCK_USED"],
        )

    @property
    def head(self):
        return unsigned(self.pool["free_list"].address)

    def place(self, n):
        return self.base + n * self.stride

    def number(self, block):
        """Which block begins here, or None."""
        n, rest = divmod(block - self.base, self.stride)
        return n if 0 <= n < self.capacity and not rest else None

    def shadow(self, n):
        """Where the pool itself reaches a block."""
        pages = self.pool["pages"]
        return unsigned(pages[n]) if int(pages) else self.place(n)

    def opened(self, n=None):
        """(next, copy) of a block's link, or of the head: equal, unless somebody wrote there."""
        sealed, copy = words(self.head if n is None else self.shadow(n), 16)
        of = self.head if n is None else self.place(n)
        if not self.sealed:
            return sealed, sealed
        copy ^= self.copy_key
        return sealed ^ self.key ^ of, (copy >> 29 | copy << 35) & U64 ^ of

    def follow(self):
        """(blocks on the free list, what is wrong with it or "", place of the last link read)."""
        free, at, place = set(), None, self.head
        while True:
            link, copy = self.opened(at)
            if link != copy:
                whose = "the free list's head" if at is None else f"the link in block {at}"
                return free, f"{whose} was written into", place
            if not link:
                return free, "", place
            n = self.number(link)
            if n is None:
                wrong = f"the free list leads to {link:#x}, which is no block of this pool"
                return free, wrong, place
            if link in free:
                return free, f"the free list comes back to block {n}", place
            free.add(link)
            at, place = n, self.shadow(n)


def broken_link(pool):
    """Where the link lies that leads a pool's free list astray, or ends it too early; or None."""
    if not is_made(pool):
        return None
    seen = Blocks.of(pool)
    free, wrong, place = seen.follow()
    lost = any(
        record["state"] == seen.free and seen.place(n) not in free
        for n, record in enumerate(seen.records)
    )
    return place if wrong or lost else None
