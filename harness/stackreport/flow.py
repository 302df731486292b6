"""Can a computed call meet an address that another function has computed?

origin.py answers for one function; here what is computed from addresses of code is followed through
arguments, results, memory, and registers that calls keep. A value is made of

    CODE    somebody's address, whole, as it was taken
    SUM     the result of arithmetic with one, a word of a table of differences, a return address
    MAYBE   what an unknown pointer loads: it may be an address that somebody took
    WEAK    the result of arithmetic with that: a counter most likely
    TABLE   the address of a table of differences

and a call of SUM or WEAK is a call of anything. Places on the stack and in data are known by their
address; behind unknown pointers all is one place for SUM, and for WEAK one for each displacement:
the one thing that is taken for granted is that who moves an address of code through two unknown
pointers reaches it by one displacement. What is indexed stays within its object. Pure.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from harness.stackreport import saved
from harness.stackreport.code import (
    CALLS,
    CONDITIONAL,
    FORMED,
    INDIRECT_CALLS,
    INDIRECT_JUMPS,
    LEAVES,
    RETURNS,
    Calls,
    Code,
    Walk,
)
from harness.stackreport.effects import SIGNS, State, Value, effects
from harness.stackreport.instruction import CALLEE_SAVED, LINK, UNKNOWN, Instruction
from harness.stackreport.memory import Memory

MAYBE, WEAK, CODE, SUM, TABLE = 1, 2, 4, 8, 16
COMPUTED = WEAK | SUM
VECTOR = "v"  # all vector registers are one
GIVEN = tuple(f"x{n}" for n in range(19))
COPIES = frozenset("mov csel fmov umov smov dup ins fcsel".split())
ALTERS = ("movk", "bf", "inc", "dec", "sqinc", "sqdec", "uqinc", "uqdec", "ins", "adds")
WHOLE_TABLE = 4096  # bytes in which a table of differences is looked for, from its address on
ANYWHERE = "*"

_NAME = re.compile(r"\b(?:[wx](?:[12]?[0-9]|30)|fp|lr)\b")
_VECTORS = re.compile(r"\b[vdsqbhz]\d+\b")

Bits = dict[str, int]


class Known(Protocol):
    """What is asked of a Program."""

    walks: dict[str, Walk]

    @property
    def memory(self) -> Memory: ...
    @property
    def places(self) -> Iterable[int]: ...  # that have a name
    @property
    def differences(self) -> Iterable[int]: ...
    def code_of(self, name: str) -> Code: ...
    def calls_of(self, name: str) -> Calls: ...
    def may_be_called(self, name: str) -> bool: ...


class _Op(NamedTuple):
    """One instruction, and what is known where it stands."""

    address: int
    instruction: Instruction
    state: State
    values: Mapping[str, Value | None]
    place: tuple[Hashable, ...] | None
    sources: tuple[str, ...]  # registers that it reads, but for its base
    wide: bool  # it moves at least 32 bits


def computed_calls(program: Known) -> frozenset[tuple[str, int]]:
    """(function, address) of every computed call that may meet such a value."""
    return _Flow(program).run()


class _Flow:
    def __init__(self, program: Known) -> None:
        self._program, self._memory = program, program.memory
        self._differences = sorted(program.differences)
        self._objects = sorted(set(program.places))
        self._env: dict[Hashable, int] = defaultdict(int)
        self._exposed: set[Hashable] = {self._object(a) for a in self._memory.pointers()}
        self._blocks = {name: self._read(name) for name in program.walks}
        self._changed = False

    def run(self) -> frozenset[tuple[str, int]]:
        while True:
            self._changed = False
            found = {(n, at) for n in self._blocks for at in self._function(n)}
            if not self._changed:
                return frozenset(found)

    # --- what is known of memory

    def _raise(self, key: Hashable, bits: int) -> None:
        if bits & ~self._env[key]:
            self._env[key] |= bits
            self._changed = True

    def _expose(self, value: Value | None, name: str) -> None:
        """A pointer to it is handed on."""
        if value is None or value.kind == "entry":
            return
        what: Hashable = self._object(value.number)
        if value.kind in ("sp", "dynamic"):
            what = name
        if what not in self._exposed:
            self._exposed.add(what)
            self._changed = True

    def _object(self, address: int) -> int:
        """By the last symbol before it."""
        index = bisect_right(self._objects, address)
        return self._objects[index - 1] if index else 0

    def _is_table(self, address: int) -> bool:
        """Do differences of addresses of code stand there?"""
        index = bisect_right(self._differences, address - 1)
        after = bisect_right(self._objects, address)
        end = self._objects[after] if after < len(self._objects) else address + WHOLE_TABLE
        found = self._differences[index : index + 1]
        return bool(found) and found[0] < min(end, address + WHOLE_TABLE)

    def _loaded(self, op: _Op, name: str, base: int) -> int:
        place = op.place or ("any", None)
        kind, where = place[0], place[1]
        if kind == "sp":
            if isinstance(where, int) and where >= 0:
                return MAYBE | self._env["stack"]
            frame = self._env["frame", name] if place[1] is None else self._env[name, where]
            return frame | self._env["indexed", name] | self._from_outside(name)
        if kind in ("at", "object") and isinstance(where, int):
            return self._of_data(kind, where, op)
        found = self._env["any"] | self._env["any", where] | self._env["any", None]
        found |= self._env["exposed"] | (MAYBE if op.wide else 0)
        return found | (SUM if base & TABLE and op.wide else 0)

    def _of_data(self, kind: str, where: int, op: _Op) -> int:
        item = self._object(where)
        found = self._env["at", where] | self._env["indexed", item] | self._from_outside(item)
        first = CODE if self._memory.holds_code(where) else 0
        if kind == "object":
            table = bool(self._memory.texts(where)) or self._is_table(where)
            first = CODE | (SUM if table and op.wide else 0)
            found |= self._env["all", item]
        return found | first

    def _from_outside(self, what: Hashable) -> int:
        """What unknown pointers may have put there."""
        return self._env["any"] | self._env["weak"] if what in self._exposed else 0

    def _store(self, op: _Op, name: str, bits: int) -> None:
        place = op.place or ("any", None)
        kind, where = place[0], place[1]
        computed = bits & COMPUTED
        if kind == "any":
            self._raise("any", bits & SUM)
            self._raise(("any", where), computed)
            self._raise("weak", bits & WEAK)
            return
        item: Hashable = name
        if kind == "sp":
            self._raise((name, where) if where is not None else ("indexed", name), bits)
            if LINK not in op.sources:
                self._raise(("frame", name), bits)
                self._raise("stack", computed)
        elif isinstance(where, int):
            item = self._object(where)
            self._raise(("at", where) if kind == "at" else ("indexed", item), bits)
            self._raise(("all", item), bits)
        if item in self._exposed and LINK not in op.sources:
            self._raise("exposed", computed)

    # --- one function

    def _read(self, name: str) -> dict[int, list[_Op]]:
        code = self._program.code_of(name)
        return {
            leader: [self._op(*seen) for seen in block]
            for leader, block in code.trace(self._program.calls_of(name)).items()
        }

    def _op(self, address: int, instruction: Instruction, state: State) -> _Op:
        values = dict(effects(instruction, state, self._memory.fetch)) if instruction.writes else {}
        text = instruction.text
        outside = text.partition("[")[0] if instruction.base else text
        names = [_plain(n) for n in _NAME.findall(outside)]
        narrow = instruction.mnemonic[-1] in "bh" and instruction.mnemonic[:2] in ("ld", "st")
        reads = names
        alters = instruction.mnemonic.startswith(ALTERS) or instruction.spills
        if (
            names
            and not alters
            and instruction.writes
            and text.startswith(_NAME.findall(text)[:1][0])
        ):
            reads = names[1:]
        vectors = (VECTOR,) if _VECTORS.search(text) or "{" in text else ()
        place = self._place(instruction, state)
        return _Op(address, instruction, state, values, place, (*reads, *vectors), not narrow)

    def _place(self, instruction: Instruction, state: State) -> tuple[Hashable, ...] | None:
        """("sp" | "at" | "object" | "any", where)."""
        if instruction.target >= 0 and instruction.mnemonic.startswith("ldr"):
            return ("at", instruction.target)
        if not instruction.base:
            return None
        moved = saved.access(instruction.mnemonic, instruction.text)
        base = state.registers.get(instruction.base)
        if instruction.base == "sp":
            base = Value("dynamic" if state.dynamic else "sp", state.depth)
        if base is None or base.kind in ("entry", "slot"):
            return ("any", moved.offset)
        if base.kind in ("sp", "dynamic"):
            exact = base.kind == "sp" and moved.offset is not None
            return ("sp", (moved.offset or 0) - base.number if exact else None)
        exact = moved.offset is not None
        return ("at" if exact else "object", base.number + (moved.offset or 0))

    def _function(self, name: str) -> Iterator[int]:
        """Walks it with what its callers are known to hand it; computed calls that met a sum."""
        blocks, start = self._blocks[name], self._program.code_of(name).start
        entry = self._arguments(start, self._program.may_be_called(name))
        before: dict[int, Bits] = {start: entry}
        work, found = [start], set()
        while work:
            leader = work.pop()
            bits = dict(before[leader])
            for op in blocks.get(leader, ()):
                if self._step(op, name, bits):
                    found.add(op.address)
            for target in self._ways(name, leader):
                old = before.get(target)
                new = bits if old is None else _join(old, bits)
                if new != old:
                    before[target] = dict(new)
                    work.append(target)
        return iter(found)

    def _arguments(self, start: int, taken: bool) -> Bits:
        found = {LINK: SUM}
        for whose in (start, *((ANYWHERE,) if taken else ())):
            for register in (*GIVEN, *CALLEE_SAVED, VECTOR):
                bits = self._env["argument", whose, register]
                if bits:
                    found[register] = found.get(register, 0) | bits
        return found

    def _ways(self, name: str, leader: int) -> list[int]:
        blocks = self._blocks[name]
        ops = blocks.get(leader)
        if not ops:
            return []
        last = ops[-1]
        kind, after = last.instruction.kind, last.address + 4
        ways = [last.instruction.target] if kind in ("b", *CONDITIONAL) else []
        if kind in INDIRECT_JUMPS or kind in RETURNS:
            ways += self._program.calls_of(name).jumps
            ways += [v.number for v in last.state.registers.values() if v.kind in FORMED]
        elif kind not in ("b", *LEAVES):
            ways.append(after)
        # A conditional branch in the middle of a run.
        ways += [op.instruction.target for op in ops[:-1] if op.instruction.kind in CONDITIONAL]
        return [way for way in ways if way in blocks]

    def _step(self, op: _Op, name: str, bits: Bits) -> bool:
        """True for a computed call of a sum."""
        kind = op.instruction.kind
        if kind in CALLS:
            return self._call(op, name, bits)
        if kind in RETURNS or kind in LEAVES or kind in INDIRECT_JUMPS or kind == "b":
            return self._leave(op, name, bits)
        if kind in CONDITIONAL:
            self._tail(op, name, bits)
        elif op.instruction.base or op.place:
            self._access(op, name, bits)
        elif kind == UNKNOWN:
            bits.update(dict.fromkeys((*GIVEN, VECTOR), SUM))
        else:
            self._make(op, bits)
        return False

    def _access(self, op: _Op, name: str, bits: Bits) -> None:
        read = _union(bits, op.sources)
        loaded = self._loaded(op, name, bits.get(op.instruction.base, 0))
        if op.instruction.spills:
            changes = saved.is_atomic(op.instruction.mnemonic)
            self._store(op, name, read | (_sum(read | loaded) if changes else 0))
            for source in op.sources:
                self._expose(op.state.registers.get(source), name)
        if op.instruction.mnemonic.startswith("st") and op.instruction.spills:
            return
        for register in op.instruction.writes:
            if register == op.instruction.base and op.instruction.moves_base:
                _put(bits, register, _sum(bits.get(register, 0)))
            else:
                _put(bits, register, self._exact(op.values.get(register), loaded))
        if VECTOR in op.sources:
            _put(bits, VECTOR, bits.get(VECTOR, 0) | loaded)

    def _exact(self, value: Value | None, otherwise: int) -> int:
        """What is known of a value that is known."""
        if value is None or value.kind in ("entry", "slot"):
            return otherwise
        if value.kind not in FORMED:
            return 0
        if self._memory.is_code(value):
            return CODE | (TABLE if self._is_table(value.number) else 0)
        return TABLE if self._is_table(value.number) else 0

    def _make(self, op: _Op, bits: Bits) -> None:
        instruction = op.instruction
        read = _union(bits, op.sources)
        copies = instruction.kind in COPIES or instruction.kind.startswith(SIGNS)
        made = read if copies and "#" not in instruction.text else _sum(read)
        if instruction.kind.startswith(SIGNS):
            made = _union(bits, tuple(instruction.writes))
        for register in instruction.writes:
            _put(bits, register, self._exact(op.values.get(register), made))
        if not instruction.writes and VECTOR in op.sources:
            _put(bits, VECTOR, bits.get(VECTOR, 0) | read)

    # --- calls

    def _target(self, op: _Op) -> Hashable:
        if op.instruction.target >= 0:
            return op.instruction.target
        value = op.state.registers.get(op.instruction.text.partition(",")[0])
        return value.number if value and self._memory.is_code(value) else ANYWHERE

    def _hand(self, op: _Op, target: Hashable, name: str, bits: Bits) -> None:
        for register, held in bits.items():
            self._raise(("argument", target, register), held)
        for register in GIVEN[:9]:
            self._expose(op.state.registers.get(register), name)

    def _call(self, op: _Op, name: str, bits: Bits) -> bool:
        target = self._target(op)
        register = op.instruction.text.partition(",")[0]
        met = op.instruction.kind in INDIRECT_CALLS and target == ANYWHERE
        wrong = met and bool(bits.get(register or LINK, 0) & COMPUTED)
        self._hand(op, target, name, bits)
        for register in (*GIVEN, VECTOR):
            _put(bits, register, self._env["result", target, register])
        for register in CALLEE_SAVED:
            _put(bits, register, bits.get(register, 0) | self._env["result", target, register])
        bits[LINK] = SUM
        return wrong

    def _tail(self, op: _Op, name: str, bits: Bits) -> None:
        """To another function: what that gives back, this one does."""
        target = self._target(op)
        if target in self._blocks[name]:
            return
        self._hand(op, target, name, bits)
        given = {r: self._env["result", target, r] for r in (*GIVEN, *CALLEE_SAVED, VECTOR)}
        self._give_back(name, given)

    def _leave(self, op: _Op, name: str, bits: Bits) -> bool:
        register = op.instruction.text.partition(",")[0]
        jumps = op.instruction.kind in INDIRECT_JUMPS
        if jumps or op.instruction.kind == "b":
            self._tail(op, name, bits)
        else:
            self._give_back(name, bits)
            for given in GIVEN[:8]:
                self._expose(op.state.registers.get(given), name)
        return jumps and bool(bits.get(register, 0) & COMPUTED)

    def _give_back(self, name: str, bits: Bits) -> None:
        start = self._program.code_of(name).start
        lost = self._program.walks[name].clobbers
        whose = (start, ANYWHERE) if self._program.may_be_called(name) else (start,)
        for register, held in bits.items():
            if register in CALLEE_SAVED and register not in lost:
                continue
            for one in whose:
                self._raise(("result", one, register), held)


def _plain(name: str) -> str:
    name = {"fp": "x29", "lr": LINK}.get(name, name)
    return f"x{name[1:]}"


def _sum(bits: int) -> int:
    made = SUM if bits & (CODE | SUM) else 0
    return made | (WEAK if bits & (MAYBE | WEAK) else 0) | bits & TABLE


def _union(bits: Bits, names: tuple[str, ...]) -> int:
    found = 0
    for name in names:
        found |= bits.get(name, 0)
    return found


def _put(bits: Bits, register: str, held: int) -> None:
    if held:
        bits[register] = held
    else:
        bits.pop(register, None)


def _join(old: Bits, new: Bits) -> Bits:
    return {name: old.get(name, 0) | new.get(name, 0) for name in old.keys() | new.keys()}
