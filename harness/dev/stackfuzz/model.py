"""Random programs as data: what shrink.py takes apart, and c.py and assembly.py write down. Pure.

A function calls later ones only, so that every program ends; cost is kept small, as loops multiply.
Its argument x decides: a statement with a bit runs where that bit of x is set, `pick` is the first
of three bits that choose among several. x - STEP is one level of recursion less.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from harness.dev.stackfuzz import flags
from harness.dev.stackfuzz.flags import Flags

BITS = 54  # of x; above them bits that are never set, and three that count recursion
LEVELS = 8
STEP = 60
MOST_ROUNDS = 4  # of a loop
MOST_COST = 3000  # statements that one call of an entry may execute

SIZES = (1, 8, 17, 40, 96, 200, 416, 900, 2200, 4100)
FORMS = 64  # a statement's form chooses among variants of its kind, modulo how many there are


@dataclass(frozen=True)
class Statement:
    kind: str
    bit: int | None = None
    callees: tuple[int, ...] = ()
    size: int = 16
    form: int = 0
    pick: int = 0
    body: tuple["Statement", ...] = ()


@dataclass(frozen=True)
class Function:
    """`shape` says how it is called: plain, many, record, apply, never; asm is called as plain."""

    shape: str
    unit: int
    attributes: int
    body: tuple[Statement, ...]
    form: int = 0


@dataclass(frozen=True)
class Program:
    """functions[0] is the entry. A function that shrinking has dropped is None."""

    name: str
    functions: tuple[Function | None, ...]

    def there(self) -> Iterator[tuple[int, Function]]:
        return ((i, f) for i, f in enumerate(self.functions) if f is not None)

    def function(self, index: int) -> Function:
        found = self.functions[index]
        assert found is not None
        return found


@dataclass(frozen=True)
class Batch:
    seed: int
    flags: Flags
    programs: tuple[Program, ...]
    noted: frozenset[str]  # which kinds of notes it has: indirect, recursion, dynamic
    about: str = ""


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    for statement in body:
        yield statement
        yield from statements(statement.body)


def every(program: Program) -> list[Statement]:
    return [s for _, f in program.there() for s in statements(f.body)]


def kinds(program: Program) -> Iterator[str]:
    for _, function in program.there():
        yield function.shape
        for statement in statements(function.body):
            yield statement.kind


def bits(program: Program) -> set[int]:
    """Those that decide anything."""
    there = every(program)
    picked = {(s.pick + k) % BITS for s in there for k in range(3) if s.kind in PICKING}
    return picked | {s.bit for s in there if s.bit is not None}


# What may stand in C, and how often; the second number: how many callees, and 0 in a leaf.
C_KINDS: dict[str, tuple[int, int]] = {
    "touch": (9, 0),
    "call": (16, 1),
    "early": (4, 0),
    "tail": (4, 1),
    "loop": (3, 0),
    "switch": (3, 5),
    "goto": (2, 3),
    "pointer": (3, 1),
    "table": (3, 3),
    "global": (3, 2),
    "record_of": (1, 2),
    "relative": (2, 3),
    "difference": (1, 2),
    "conditional": (2, 2),
    "alloca": (2, 0),
    "vla": (2, 0),
    "aligned": (1, 0),
    "atomic": (2, 0),
    "push": (2, 0),
    "copied": (1, 0),
    "below": (1, 1),
    "pressure": (3, 1),
    "doubles": (2, 1),
    "frame": (1, 0),
    "recurse": (1, 0),
    "weak": (1, 0),
    "vector": (1, 0),
    "trap": (1, 0),
    "setjmp": (1, 1),
}
ASM_KINDS: dict[str, tuple[int, int]] = {
    "a_call": (10, 1),
    "a_sub": (5, 1),
    "a_big": (2, 1),
    "a_push": (4, 1),
    "a_write_back": (8, 1),
    "a_stale": (8, 1),
    "a_number": (5, 1),
    "a_stale_sve": (1, 1),
    "a_inside": (3, 1),
    "a_outside": (2, 1),
    "a_pointer": (6, 1),
    "a_table": (4, 3),
    "a_by_hand": (3, 1),
    "a_jump_table": (2, 3),
    "a_label": (2, 1),
    "a_align": (1, 1),
    "a_dynamic": (1, 1),
    "a_push_loop": (1, 1),
    "a_probe": (2, 1),
    "a_helper": (1, 1),
    "a_vector": (1, 1),
    "a_memory": (2, 1),
    "a_select": (2, 1),
    "a_atomic": (1, 0),
    "a_sve": (2, 0),
    "a_spin": (2, 0),
    "a_odd": (2, 0),
    "a_tail": (3, 1),
    "a_clobber": (2, 1),
    "a_slot": (2, 1),
    "a_diverge": (2, 1),
    "a_recurse": (1, 0),
    "a_return": (2, 1),
    "a_distance": (2, 1),
}
COMPUTED = frozenset(
    "pointer table global record_of relative difference a_pointer a_table a_distance"
    " a_by_hand".split()
)
PICKING = frozenset(
    "switch goto table record_of relative loop alloca vla a_table a_jump_table a_dynamic "
    "a_push_loop".split()
)
# What no linker accepts between two objects: distances.
APART = frozenset({"relative", "a_pointer", "a_table", "a_by_hand"})
# What no report can know: where a program has none of these, it may have a bound.
UNKNOWN = frozenset(
    "switch goto alloca vla below difference a_stale a_number a_stale_sve a_by_hand a_jump_table "
    "a_dynamic a_push_loop a_helper a_vector a_memory a_select a_sve relative a_label "
    "a_clobber a_slot a_diverge a_return a_distance setjmp".split()
)
# What a program may be about: what is rare elsewhere, and has many forms, more often.
LOOKED_AT = dict.fromkeys((*C_KINDS, *ASM_KINDS), 2) | dict.fromkeys(
    "a_stale a_number a_write_back a_tail tail a_table a_pointer a_clobber a_return"
    " a_distance".split(),
    10,
)
ENDS = ("tail", "a_tail")  # what follows one of these is not reached
RECURSING = ("recurse", "a_recurse")
AROUND = (*RECURSING, "back")
PLAIN = ("touch", "call", "a_call", "a_sub")
SHAPES = {"plain": 14, "asm": 10, "many": 2, "record": 1, "apply": 2, "never": 2}


NOTED = (
    (),
    ("recursion", "dynamic"),
    ("recursion", "dynamic"),
    ("recursion", "dynamic", "indirect"),
)


def batch(seed: int, about: str = "") -> Batch:
    """`about`: one kind of statement that every program is about, else each has its own way."""
    rng = Random(f"stackreport {seed} {about}".rstrip())
    chosen = flags.choose(rng)
    count = rng.choice((1, 3, 8, 12, 12, 16))
    without = APART if "so" in chosen.link else frozenset()
    makers = (_Maker(rng, f"p{i}", without, about) for i in range(count))
    programs = tuple(maker.program() for maker in makers)
    return Batch(seed, chosen, programs, frozenset(rng.choice(NOTED)), about)


def arguments(seed: int, program: Program, count: int) -> list[int]:
    """What an entry is called with: no bit, every bit, every bit but one, and some at random."""
    rng = Random(f"arguments {seed} {program.name}")
    low = (1 << BITS) - 1
    deep = (LEVELS - 1) << STEP
    first = [0, low, deep, low | deep]
    without = [(low | deep) & ~(1 << bit) for bit in sorted(bits(program))]
    rng.shuffle(without)
    mixed = [_mixed(rng) for _ in range(count)]
    return [*first, *without[: count // 2], *mixed][:count]


def _mixed(rng: Random) -> int:
    dense = rng.choice((0.3, 0.6, 0.85, 0.95))
    value = sum(1 << bit for bit in range(BITS) if rng.random() < dense)
    return value | rng.randrange(LEVELS) << STEP


class _Maker:
    """One program, from its last function to its first: what a function calls is there already."""

    def __init__(self, rng: Random, name: str, without: frozenset[str], about: str) -> None:
        self._rng, self._name, self._without = rng, name, without
        self._shapes = SHAPES
        self._weights = {name: weight for name, (weight, _) in (C_KINDS | ASM_KINDS).items()}
        way = rng.random()
        if about:
            self._look_at(about)
        elif way < 0.4:  # else too few have a bound at all
            self._without |= UNKNOWN
        elif way < 0.8:  # nothing but one kind, and what leads to it
            self._look_at(rng.choices(*zip(*LOOKED_AT.items(), strict=True))[0])
        self._made: dict[int, Function] = {}
        self._cost: dict[int, int] = {}
        self._computes: dict[int, bool] = {}

    def _look_at(self, kind: str) -> None:
        self._weights = {name: self._weights[name] for name in PLAIN}
        self._weights[kind] = 6 if kind in ENDS else 20
        if kind in ASM_KINDS:
            self._shapes = self._shapes | {"asm": 40}

    def program(self) -> Program:
        count = self._rng.choice((2, 3, 4, 5, 6, 7, 8))
        for index in reversed(range(count)):
            self._make(index, count)
        ordered = tuple(self._made[i] for i in range(count))
        return _without_unused(Program(self._name, ordered))

    def _make(self, index: int, count: int) -> None:
        shape = self._weighted(self._shapes)
        if not index and shape not in ("plain", "asm"):
            shape = "plain"
        later = list(range(index + 1, count))
        self._current, self._recursing = index, False
        self._cost[index], self._computes[index] = 1, shape == "apply"
        body = tuple(self._statements(shape, later, self._rng.choice((1, 2, 2, 3, 4)), 0))
        unit = self._rng.randrange(2) if index else 0
        form = self._rng.randrange(1 << 30)
        attributes = self._rng.randrange(FORMS)
        self._made[index] = Function(shape, unit, attributes, body, form)
        if shape == "plain" and self._rng.random() < 0.08:
            self._call_back(index, later)

    def _call_back(self, index: int, later: list[int]) -> None:
        """A later function that calls this one, with one level of recursion less. It runs once for
        each time that this one does, or time would grow by powers."""
        found = [i for i in later if self._made[i].shape == "plain" and self._times(index, i) == 1]
        cost = LEVELS * sum(self._cost.values())
        everything = (s for f in self._made.values() for s in statements(f.body))
        if not found or cost > MOST_COST or any(s.kind in AROUND for s in everything):
            return
        caller = self._rng.choice(found)
        back = Statement("back", None, (index,))
        there = self._made[caller]
        self._made[caller] = replace(there, body=(*there.body, back))
        self._cost.update(dict.fromkeys(self._cost, cost))

    def _times(self, index: int, wanted: int) -> int:
        """How often it runs, at most, while one other runs once."""
        if index == wanted:
            return 1
        return sum(
            times * self._times(callee, wanted)
            for callee, times in _calls(self._made[index].body)
            if callee > index
        )

    def _statements(
        self, shape: str, later: list[int], count: int, level: int
    ) -> Iterator[Statement]:
        table = ASM_KINDS if shape == "asm" else C_KINDS
        for _ in range(count):
            known = {k: self._weights.get(k, 0) for k in table if k not in self._without}
            kind = self._weighted(known)
            made = self._statement(kind, table[kind][1], shape, later, level)
            if made:
                yield made

    def _statement(
        self, kind: str, wanted: int, shape: str, later: list[int], level: int
    ) -> Statement | None:
        rng = self._rng
        plain = [i for i in later if self._made[i].shape in ("plain", "asm")]
        if kind in COMPUTED and rng.random() < 0.95:  # else: calls in circles, refused
            plain = [i for i in plain if not self._computes[i]]
        # Only C's plain calls know the other shapes.
        found = later if kind in ("call", "pressure", "doubles") else plain
        if wanted and not found:
            return None
        callees = tuple(rng.choice(found) for _ in range(wanted))
        if callees and self._made[callees[0]].shape == "apply":
            handed = [i for i in plain if not self._computes[i] or rng.random() < 0.05]
            if not handed:
                return None
            callees = (callees[0], rng.choice(handed))
        if not self._pay(callees):
            return None
        if kind in RECURSING and not self._may_recurse(shape, level):
            return None
        self._computes[self._current] |= kind in COMPUTED or any(self._computes[i] for i in callees)
        nested = kind == "loop" and level < 1
        body = tuple(self._statements(shape, later, 2, level + 1)) if nested else ()
        return Statement(
            kind,
            rng.randrange(BITS) if rng.random() < 0.6 else None,
            callees,
            rng.choice(SIZES),
            rng.randrange(1 << 20),
            rng.randrange(BITS - 3),
            body,
        )

    def _may_recurse(self, shape: str, level: int) -> bool:
        """Once a function, and in no loop: else time would grow by powers."""
        cost = LEVELS * self._cost[self._current]
        if shape not in ("plain", "asm") or level or self._recursing or cost > MOST_COST:
            return False
        self._cost[self._current], self._recursing = cost, True
        return True

    def _pay(self, callees: tuple[int, ...]) -> bool:
        """Loops and recursion may repeat what stands in them: each call is counted for that."""
        times = LEVELS if self._recursing else 1
        cost = self._cost[self._current] + times * (sum(4 * self._cost[i] for i in callees) + 4)
        if cost > MOST_COST:
            return False
        self._cost[self._current] = cost
        return True

    def _weighted(self, weights: dict[str, int]) -> str:
        return self._rng.choices(list(weights), list(weights.values()))[0]


def _calls(body: tuple[Statement, ...], times: int = 1) -> Iterator[tuple[int, int]]:
    """(callee, how often at most)."""
    for statement in body:
        yield from ((callee, times) for callee in statement.callees)
        yield from _calls(statement.body, MOST_ROUNDS * times)


def called(program: Program) -> dict[int, set[int]]:
    """Who is called or named by whom: callers by callee."""
    found: dict[int, set[int]] = {index: set() for index, _ in program.there()}
    for index, function in program.there():
        for callee in (c for s in statements(function.body) for c in s.callees):
            found[callee].add(index)
    return found


def _without_unused(program: Program) -> Program:
    """Functions that nobody names cost time, and show nothing."""
    while True:
        callers = called(program)
        unused = {i for i, by in callers.items() if i and not by}
        if not unused:
            return program
        kept = tuple(None if i in unused else f for i, f in enumerate(program.functions))
        program = replace(program, functions=kept)


without_unused = _without_unused
