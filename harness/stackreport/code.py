"""One function's stack, from its machine code: how deep SP goes, and how deep it is at each call.

Depth is bytes below SP at the function's entry. A walk follows every path from the entry, keeps SP
and the registers that hold an SP of this function, a constant or an address, and knows:

    sub/add sp, #n · stp/ldp and str/ldr with writeback · mov sp, xN · sub sp, sp, xN
    -fstack-clash-protection's loop: `cmp sp, xN; b.ne` leaves with SP = xN
    calls that never return have nothing after them, nor has a compiler's trap

A jump to the start of another function, with all of the frame given back, is a tail call. Any other
jump goes on in the same walk, wherever it leads: cold parts, veneers, labels of assembly, the next
function when this one has no end.

What it cannot know it says: `dynamic` (SP moved by an amount that only the running program knows,
alloca and variable-length arrays), `switched` (SP loaded from elsewhere: another stack from here
on, depth 0), `jumps` (computed, to where?), `problems` (an instruction that is not known, a `ret`
that does not return, a path that leaves the code). Pure: no files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.stackreport.effects import (
    RETURN,
    State,
    Value,
    comparison,
    effects,
    hands_out_link,
    restores,
    stored,
    value_of,
)
from harness.stackreport.instruction import CALLEE_SAVED, KEPT, LINK, UNKNOWN, Instruction
from harness.stackreport.memory import Memory, Text
from harness.stackreport.saved import WORD, overlaps

CONDITIONAL = frozenset({"b.", "cbz", "cbnz", "tbz", "tbnz"})
RETURNS = frozenset({"ret", "retaa", "retab"})
LEAVES = frozenset({"eret", "eretaa", "eretab", "drps"})
TRAPS = frozenset({"#0x3e8", "#1"})  # brk in GCC's and in Clang's __builtin_trap: no way on
STOPS = "udf"  # what follows is data, or never reached
INDIRECT_CALLS = frozenset({"blr", "blraa", "blrab", "blraaz", "blrabz"})
CALLS = frozenset({"bl", *INDIRECT_CALLS})
INDIRECT_JUMPS = frozenset({"br", "braa", "brab", "braaz", "brabz"})
FORMED = ("address", "number")
ABOVE = "+"  # `+16`, among what a function clobbers: the word 16 bytes above its SP at the entry
FAR_ABOVE = 4096  # no function has more arguments on its caller's stack


class Call(NamedTuple):
    """A call site or tail call: depth when it leaves; target None when it is computed.

    `outside`: it goes to another object, to what has this name; `run`: where the straight run
    began that led here; `links`: where this function's return address then stands, as what may
    overwrite it says (`+16`)."""

    address: int
    target: int | None
    depth: int
    dynamic: bool = False
    tail: bool = False
    outside: str = ""
    run: int = 0
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Walk:
    """frame: the deepest SP ever, without what is dynamic; returns: does any path come back?"""

    frame: int
    calls: tuple[Call, ...]
    returns: bool
    dynamic: bool = False
    switched: bool = False
    jumps: tuple[int, ...] = ()  # addresses of computed jumps that stay unresolved
    problems: tuple[str, ...] = ()
    clobbers: frozenset[str] = frozenset()  # what it should give back and does not
    addresses: frozenset[int] = frozenset()  # of code, that it forms
    away: bool = False  # it goes on in code that is not its own


class Calls(NamedTuple):
    """What is known of the functions that a walk may call, by their address. `never`: they do not
    return; `clobbers`: what they should give back and do not; `wild`: the same of whatever a
    computed call may reach."""

    never: frozenset[int] = frozenset()
    clobbers: Mapping[int, frozenset[str]] = {}
    jumps: tuple[int, ...] = ()  # where this function's computed jumps go
    wild: frozenset[str] = frozenset()

    def seen_by(self, walk: Walk | None) -> "Calls":
        """No more than what the calls of a walk can ask about."""
        targets = {call.target for call in walk.calls} if walk else set()
        clobbers = {t: c for t, c in self.clobbers.items() if t in targets}
        wild = self.wild if None in targets else frozenset()
        return Calls(self.never & targets, clobbers, self.jumps, wild)


Seen = tuple[int, Instruction, State]


class Code:
    """One function, walked as often as one likes."""

    def __init__(self, start: int, size: int, text: Text, memory: Memory) -> None:
        self.start, self.end = start, start + size
        self.text, self.memory = text, memory
        self._walks: list[tuple[Calls, Walk]] = []

    def walk(self, calls: Calls | None = None) -> Walk:
        """Walks that asked the same of others end the same."""
        asked = calls or Calls()
        for known, walk in self._walks:
            if known == asked.seen_by(walk):
                return walk
        walk = _Walker(self, asked).run()
        self._walks.append((asked.seen_by(walk), walk))
        return walk

    def trace(self, calls: Calls) -> dict[int, list[Seen]]:
        """Every straight run by where it begins, with what is known at each instruction."""
        walker = _Walker(self, calls)
        walker.run()
        return walker.trace()

    def inside(self, address: int) -> bool:
        return self.start <= address < self.end


class _Walker:
    def __init__(self, code: Code, calls: Calls) -> None:
        self._code, self._text, self._memory = code, code.text, code.memory
        self._known = calls
        self._states: dict[int, State] = {}
        self._work: list[int] = []
        self._calls: dict[tuple[int, int], Call] = {}
        self._unresolved: set[int] = set()
        self._problems: set[str] = set()
        self._clobbers: frozenset[str] = frozenset()
        self._addresses: set[int] = set()
        self._run = code.start  # where the straight run began that is walked
        self._frame = 0
        self._seen: list[Seen] | None = None
        self._returns = self._switched = self._dynamic = False

    def run(self) -> Walk:
        self._reach(self._code.start, State())
        while self._work:
            self._run = self._work.pop()
            self._straight(self._run, self._states[self._run])
        return Walk(
            self._frame,
            tuple(call for _, call in sorted(self._calls.items())),
            self._returns,
            self._dynamic,
            self._switched,
            tuple(sorted(self._unresolved)),
            tuple(sorted(self._problems)),
            self._clobbers,
            frozenset(self._addresses),
            self._went_away(),
        )

    def trace(self) -> dict[int, list[Seen]]:
        """Once more, now that nothing changes."""
        found: dict[int, list[Seen]] = {}
        for leader, state in list(self._states.items()):
            self._seen = found[leader] = []
            self._straight(leader, state)
        return found

    def _reach(self, address: int, state: State) -> None:
        """A leader is reached: walk on from it if that says anything new."""
        before = self._states.get(address)
        after = state if before is None else before.join(state)
        self._dynamic |= after.dynamic
        if after != before:
            self._states[address] = after
            self._work.append(address)

    def _go(self, address: int, target: int, state: State) -> None:
        """To a place that another function may own."""
        code = self._code
        away = target in self._memory.starts and not code.start <= target < code.end
        if away and not state.depth and not state.dynamic:
            self._tail_call(address, target, state)
        else:
            self._reach(target, state)

    def _tail_call(self, address: int, target: int, state: State) -> None:
        self._note_call(address, target, state, tail=True)
        if target not in self._known.never:
            self._returns = True
            clobbered = self._clobbered(target)
            above = frozenset(name for name in clobbered if name.startswith(ABOVE))
            self._clobbers |= above | (state.lost | clobbered) & CALLEE_SAVED

    def _straight(self, address: int, state: State) -> None:
        """From a leader to the next branch or leader."""
        compared: Value | None = None
        text, states, starts = self._text, self._states, self._memory.starts
        first, start, end = address, self._code.start, self._code.end
        while True:
            met = address in states or (address in starts and not start <= address < end)
            if met and address != first:
                self._go(address - 4, address, state)
                return
            instruction = text[address]
            if instruction is None or instruction.kind == STOPS:
                self._problem("runs out of its code", address)
                self._returns = True
                return
            if self._seen is not None:
                self._seen.append((address, instruction, state))
            if instruction.kind in _FLOW:
                flow = _FLOW[instruction.kind]
                went = flow(self, address, instruction, state, compared)
                if went is None:
                    return
                state = went
            elif instruction.kind == "cmp":
                compared = comparison(instruction, state)
                if compared and compared.kind == "dynamic":  # a probe loop of unknown length begins
                    state = state._replace(dynamic=True)
                    self._dynamic = True
            elif instruction.matters or not instruction.follows.isdisjoint(state.registers):
                state = self._step(instruction, state)
            address += 4

    def _problem(self, text: str, address: int) -> None:
        self._problems.add(f"{text} at {self._place(address)}")

    def _place(self, address: int) -> str:
        """As an offset where it is the function's own."""
        inside = self._code.start <= address <= self._code.end
        return hex(address - self._code.start if inside else address)

    # --- flow: the State to go on with after it, or None to stop

    def _leave(self, _: int, __: Instruction, state: State, ___: object) -> None:
        self._returns = True
        self._clobbers |= state.lost & CALLEE_SAVED

    def _return(self, address: int, instruction: Instruction, state: State, _: object) -> None:
        """Through x30 as the caller left it, or a copy of that; else it is a computed jump."""
        if self._value(instruction, state) != RETURN:
            self._computed(address, instruction, state, _)
            return
        self._leave(address, instruction, state, _)
        if state.depth and not state.dynamic and not self._switched:
            where = self._place(address)
            far = f"{abs(state.depth)} bytes too {'low' if state.depth > 0 else 'high'}"
            self._problems.add(f"returns at {where} with SP {far}")

    def _went_away(self) -> bool:
        return any(not self._code.inside(address) for address in self._states)

    def _call(
        self, address: int, instruction: Instruction, state: State, _: object
    ) -> State | None:
        target: int | None = instruction.target
        if instruction.kind != "bl":
            target = self._computed_call(address, instruction, state)
        else:
            self._note_call(address, target, state)
        if target in self._known.never:
            return None
        if hands_out_link(state):
            self._problem("hands out the place of its return address", address)
        clobbers = self._clobbered(target)
        kept = {n: v for n, v in state.registers.items() if n in CALLEE_SAVED and n not in clobbers}
        saved = self._left_by(clobbers, state) if clobbers else state.saved
        lost = state.lost | {LINK} | (clobbers & CALLEE_SAVED)
        return State(state.depth, state.dynamic, kept, lost, saved)

    def _left_by(self, clobbers: frozenset[str], state: State) -> Mapping[int, Value] | None:
        """What is still saved after a call that may overwrite its caller's stack."""
        places = [int(name) - state.depth for name in clobbers if name.startswith(ABOVE)]
        for place in places:
            if place >= 0 and state.depth > 0:
                self._overwrite(place, WORD)
        if state.saved is None or not places:
            return state.saved
        return {
            p: v for p, v in state.saved.items() if not any(overlaps(p, q, WORD) for q in places)
        }

    def _clobbered(self, target: int | None) -> frozenset[str]:
        if target is None:
            return self._known.wild
        return self._known.clobbers.get(target, frozenset())

    def _computed_call(self, address: int, instruction: Instruction, state: State) -> int | None:
        value = self._value(instruction, state)
        if value and value.kind == "slot":
            self._note_call(address, None, state, outside=str(self._memory.slots[value.number]))
            return None
        if value and self._memory.is_code(value):
            self._note_call(address, value.number, state)
            return value.number
        self._note_call(address, None, state)
        return None

    def _value(self, instruction: Instruction, state: State) -> Value | None:
        return value_of(instruction.text.partition(",")[0] or LINK, state)

    def _jump(self, address: int, instruction: Instruction, state: State, _: object) -> None:
        self._go(address, instruction.target, state)

    def _computed(self, address: int, instruction: Instruction, state: State, _: object) -> None:
        value = self._value(instruction, state)
        if value == RETURN:
            self._return(address, instruction, state, _)
        elif value and value.kind == "slot":
            outside = str(self._memory.slots[value.number])
            self._note_call(address, None, state, tail=True, outside=outside)
            self._leave(address, instruction, state, _)
        elif value and self._memory.is_code(value):
            self._go(address, value.number, state)
        elif self._known.jumps:
            for target in self._known.jumps:
                self._reach(target, state)
        else:
            self._unresolved.add(address)
            self._note_call(address, None, state, tail=True)
            self._clobbers |= self._known.wild
            self._leave(address, instruction, state, _)

    def _break(self, _: int, instruction: Instruction, state: State, __: object) -> State | None:
        """A handler may step over any brk but a compiler's own."""
        return None if instruction.text in TRAPS else state

    def _unknown(self, address: int, _: Instruction, state: State, __: object) -> State:
        """It may do anything, so the number is worth less; most likely it computes something."""
        self._problem("has an instruction that is not known", address)
        self._returns = True
        return State(state.depth, state.dynamic, {}, CALLEE_SAVED, state.saved)

    def _branch(
        self, address: int, instruction: Instruction, state: State, compared: Value | None
    ) -> State:
        target = instruction.target
        closes = instruction.mnemonic == "b.ne" and compared is not None
        if compared and closes and self._is_probe_loop(target, address, compared, state):
            # A probe loop ends when SP has come down to what it is compared with.
            self._frame = max(self._frame, compared.number)
            return state._replace(depth=compared.number)
        self._go(address, target, state)
        return state

    def _is_probe_loop(self, target: int, address: int, compared: Value, state: State) -> bool:
        """Back over nothing but one step of SP, stores and, last, the comparison; and SP comes down
        to what it is compared with."""
        body = [self._text[at] for at in range(target, address, 4)]
        steps = [i for i in body if i and i.kind == "sub" and i.text.startswith("sp, sp, #")]
        others = [i for i in body if i is None or i.kind in _FLOW or i.writes]
        if len(steps) != 1 or others != steps or body[-1] is None or body[-1].kind != "cmp":
            return False
        stepped = {v.number for r, v in effects(steps[0], state, self._memory.fetch) if v}
        step = min(stepped, default=0) - state.depth
        rest = compared.number - state.depth
        return step > 0 and rest >= 0 and rest % step == 0

    def _note_call(
        self,
        address: int,
        target: int | None,
        state: State,
        *,
        tail: bool = False,
        outside: str = "",
    ) -> None:
        key = (address, -1 if target is None else target)
        old = self._calls.get(key)
        deep, dynamic = state.depth, state.dynamic
        if old:
            deep, dynamic = max(deep, old.depth), dynamic or old.dynamic
            outside = outside or old.outside
        links = () if target is not None else _links(state)
        if old:
            links = tuple({*links, *old.links})
        self._calls[key] = Call(address, target, deep, dynamic, tail, outside, self._run, links)

    # --- effects on SP and on the registers that are followed

    def _step(self, instruction: Instruction, state: State) -> State:
        registers = dict(state.registers)
        depth, dynamic, lost, saved = state.depth, state.dynamic, state.lost, state.saved
        if instruction.spills and saved is not None:
            saved = self._spill(instruction, state, saved)
            if not instruction.writes:
                return state if saved is state.saved else state._replace(saved=saved)
        for register, value in effects(instruction, state, self._memory.fetch):
            if register != "sp":
                if value is not None and value.kind in FORMED and instruction.kind != "adrp":
                    self._form(value)
                lost = _follow(registers, register, value, lost)
            elif value is None or value.kind != "sp":
                dynamic = self._lost_sp(instruction, value, dynamic)
                if not dynamic:  # another stack, where it stands whatever its note says
                    depth, saved = 0, None
            else:
                depth = value.number
                dynamic = dynamic and not restores(instruction)
        if depth > self._frame:
            self._frame = depth
        return State(depth, dynamic, registers, lost, saved)

    def _spill(
        self, instruction: Instruction, state: State, saved: Mapping[int, Value]
    ) -> Mapping[int, Value]:
        put = stored(instruction, state)
        if put is None:
            return saved
        first, size, new = put
        if first + size > 0:
            self._overwrite(first, size)
        over = [p for p in saved if first - WORD < p < first + size]
        if not over and not new:
            return saved
        return {**{p: v for p, v in saved.items() if p not in over}, **new}

    def _overwrite(self, first: int, size: int) -> None:
        """Its caller's stack."""
        for place in range(max(first, 0) & -WORD, min(first + size, FAR_ABOVE), WORD):
            self._clobbers |= {f"{ABOVE}{place}"}

    def _form(self, value: Value) -> None:
        """Whoever forms the address of an instruction may hand it to anybody. adrp alone forms the
        address of a page, which is one only by chance."""
        if self._memory.is_code(value):
            self._addresses.add(value.number)

    def _lost_sp(self, instruction: Instruction, value: Value | None, dynamic: bool) -> bool:
        """SP was moved by, or loaded with, what nobody here knows. Dynamic, unless it is loaded."""
        loaded = instruction.mnemonic == "mov" and not (value and value.kind == "dynamic")
        if loaded and not dynamic:
            self._switched = True
            return False
        self._dynamic = True
        return True


def _links(state: State) -> tuple[str, ...]:
    places = (place for place, value in (state.saved or {}).items() if value == RETURN)
    return tuple(f"{ABOVE}{place + state.depth}" for place in places)


# What is in none of these goes on after itself.
_FLOW = {
    **dict.fromkeys(LEAVES, _Walker._leave),
    **dict.fromkeys(RETURNS, _Walker._return),
    **dict.fromkeys(CALLS, _Walker._call),
    **dict.fromkeys(INDIRECT_JUMPS, _Walker._computed),
    **dict.fromkeys(CONDITIONAL, _Walker._branch),
    "b": _Walker._jump,
    "brk": _Walker._break,
    UNKNOWN: _Walker._unknown,
}


def _follow(
    registers: dict[str, Value], name: str, value: Value | None, lost: frozenset[str]
) -> frozenset[str]:
    """Keeps what a register holds now; gives what the function has lost."""
    if value is None:
        registers.pop(name, None)
    else:
        registers[name] = value
    if name not in KEPT:
        return lost
    own = value is not None and value == ("entry", int(name[1:]))
    if own:
        del registers[name]
    return lost - {name} if own else lost | {name}
