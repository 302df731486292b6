"""One function's stack, from its machine code: how deep SP goes, and how deep it is at each call.

Depth is bytes below SP at the function's entry. A walk follows every path from the entry, keeps SP
and the registers that hold an SP of this function or a constant, and knows:

    sub/add sp, #n · stp/ldp and str/ldr with writeback · mov sp, xN · sub sp, sp, xN
    -fstack-clash-protection's loop: `cmp sp, xN; b.ne` leaves with SP = xN
    calls that never return have nothing behind them, nor has a compiler's trap

What it cannot know it says: `dynamic` (SP moved by an amount that only the running program knows,
alloca and variable-length arrays), `switched` (SP loaded from elsewhere: another stack from here
on, depth 0), `jumps` (computed, to where?). Pure: no files.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from harness.stackreport.effects import State, Value, comparison, effects, interesting, restores
from harness.stackreport.instruction import Instruction, decode

CALLEE_SAVED = frozenset(f"x{n}" for n in range(19, 30))
CONDITIONAL = frozenset({"b.", "cbz", "cbnz", "tbz", "tbnz"})
LEAVES = frozenset({"ret", "retaa", "retab", "eret", "eretaa", "eretab", "drps"})
TRAPS = frozenset({"#0x3e8", "#1"})  # brk in GCC's and in Clang's __builtin_trap: no way on
STOPS = frozenset({"udf", ".byte"})  # what lies behind is data, or never reached
INDIRECT_CALLS = frozenset({"blr", "blraa", "blrab", "blraaz", "blrabz"})
INDIRECT_JUMPS = frozenset({"br", "braa", "brab", "braaz", "brabz"})


class Call(NamedTuple):
    """A call site or tail call: depth when it leaves; target None when it is computed."""

    address: int
    target: int | None
    depth: int
    dynamic: bool = False
    tail: bool = False


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


class Code:
    """The decoded instructions of one function, walked as often as one likes."""

    def __init__(self, start: int, data: bytes) -> None:
        self.start, self.end = start, start + len(data)
        self._instructions = dict(decode(data, start))
        self._leaders = frozenset(self._branch_targets())
        self._walks: dict[tuple[frozenset[int], tuple[int, ...]], Walk] = {}

    def walk(
        self,
        *,
        never_return: Collection[int] = (),
        jumps: Collection[int] = (),
    ) -> Walk:
        """`never_return`: call targets that do not come back; `jumps`: where computed ones go."""
        key = (frozenset(never_return), tuple(jumps))
        if key not in self._walks:
            self._walks[key] = _Walker(self, *key).run()
        return self._walks[key]

    def instruction(self, address: int) -> Instruction | None:
        return self._instructions.get(address)

    def inside(self, address: int) -> bool:
        return self.start <= address < self.end

    def is_leader(self, address: int) -> bool:
        return address in self._leaders

    def _branch_targets(self) -> Iterator[int]:
        for instruction in self._instructions.values():
            if instruction.kind == "b" or instruction.kind in CONDITIONAL:
                yield instruction.target


class _Walker:
    def __init__(self, code: Code, never_return: Collection[int], jumps: Collection[int]) -> None:
        self._code = code
        self._never_return = never_return
        self._known_jumps = [target for target in jumps if code.inside(target)]
        self._states: dict[int, State] = {}
        self._work: list[int] = []
        self._calls: dict[int, Call] = {}
        self._unresolved: set[int] = set()
        self._problems: set[str] = set()
        self._frame = 0
        self._returns = self._switched = self._dynamic = False

    def run(self) -> Walk:
        self._reach(self._code.start, State())
        while self._work:
            address = self._work.pop()
            self._straight(address, self._states[address])
        return Walk(
            self._frame,
            tuple(call for _, call in sorted(self._calls.items())),
            self._returns,
            self._dynamic,
            self._switched,
            tuple(sorted(self._unresolved)),
            tuple(sorted(self._problems)),
        )

    def _reach(self, address: int, state: State) -> None:
        """A leader is reached: walk on from it if that says anything new."""
        before = self._states.get(address)
        after = state if before is None else before.join(state)
        self._dynamic |= after.dynamic
        if after != before:
            self._states[address] = after
            self._work.append(address)

    def _straight(self, address: int, state: State) -> None:
        """From a leader to the next branch or leader."""
        compared: Value | None = None
        first = True
        while True:
            if not first and self._code.is_leader(address):
                self._reach(address, state)
                return
            first = False
            instruction = self._code.instruction(address)
            if instruction is None or instruction.mnemonic in STOPS:
                self._problems.add(f"runs out of its code at {address - self._code.start:#x}")
                return
            flow = _FLOW.get(instruction.kind)
            if flow:
                went = flow(self, address, instruction, state, compared)
                if went is None:
                    return
                state = went
            elif instruction.kind == "cmp":
                compared = comparison(instruction, state)
                if compared and compared.kind == "dynamic":  # a probe loop of unknown length begins
                    state = state._replace(dynamic=True)
                    self._dynamic = True
            elif interesting(instruction, state):
                state = self._step(instruction, state)
            address += 4

    # --- flow: the State to go on with behind it, or None to stop

    def _leave(self, address: int, instruction: Instruction, state: State, _: object) -> None:
        self._returns = True
        unbalanced = state.depth and not state.dynamic and not self._switched
        if unbalanced and instruction.mnemonic.startswith("ret"):
            where = address - self._code.start
            self._problems.add(f"returns at {where:#x} with SP {state.depth} bytes too low")

    def _call(
        self, address: int, instruction: Instruction, state: State, _: object
    ) -> State | None:
        target = instruction.target if instruction.kind == "bl" else None
        self._note_call(address, target, state)
        if target in self._never_return:
            return None
        kept = {n: v for n, v in state.registers.items() if n in CALLEE_SAVED}
        return State(state.depth, state.dynamic, kept)

    def _jump(self, address: int, instruction: Instruction, state: State, _: object) -> None:
        target = instruction.target
        if self._code.inside(target):
            self._reach(target, state)
            return
        self._note_call(address, target, state, tail=True)
        self._returns |= target not in self._never_return

    def _computed(self, address: int, _: Instruction, state: State, __: object) -> None:
        for target in self._known_jumps:
            self._reach(target, state)
        if not self._known_jumps:
            self._unresolved.add(address)
            self._note_call(address, None, state, tail=True)
            self._returns = True

    def _break(self, _: int, instruction: Instruction, state: State, __: object) -> State | None:
        """A handler may step over any brk but a compiler's own."""
        return None if instruction.text in TRAPS else state

    def _branch(
        self, address: int, instruction: Instruction, state: State, compared: Value | None
    ) -> State:
        target = instruction.target
        if not self._code.inside(target):
            self._note_call(address, target, state, tail=True)
        elif compared and instruction.mnemonic == "b.ne" and target <= address:
            # A probe loop ends when SP has come down to what it is compared with.
            self._frame = max(self._frame, compared.number)
            return state._replace(depth=compared.number)
        else:
            self._reach(target, state)
        return state

    def _note_call(
        self, address: int, target: int | None, state: State, tail: bool = False
    ) -> None:
        old = self._calls.get(address)
        deep = max(state.depth, old.depth if old else 0)
        self._calls[address] = Call(address, target, deep, state.dynamic, tail)

    # --- effects on SP and on the registers that are followed

    def _step(self, instruction: Instruction, state: State) -> State:
        registers = dict(state.registers)
        depth, dynamic = state.depth, state.dynamic
        for register, value in effects(instruction, state):
            if register != "sp":
                _set(registers, register, value)
            elif value is None or value.kind != "sp":
                dynamic = self._lost_sp(instruction, value, dynamic)
                depth = depth if dynamic else 0
            else:
                depth = value.number
                dynamic = dynamic and not restores(instruction)
        self._frame = max(self._frame, depth)
        return State(depth, dynamic, registers)

    def _lost_sp(self, instruction: Instruction, value: Value | None, dynamic: bool) -> bool:
        """SP was moved by, or loaded with, what nobody here knows. Dynamic, unless it is loaded."""
        loaded = instruction.mnemonic == "mov" and not (value and value.kind == "dynamic")
        if loaded and not dynamic:
            self._switched = True
            return False
        self._dynamic = True
        return True


# What is in none of these goes on behind itself.
_FLOW = {
    **dict.fromkeys(LEAVES, _Walker._leave),
    **dict.fromkeys(("bl", *INDIRECT_CALLS), _Walker._call),
    **dict.fromkeys(INDIRECT_JUMPS, _Walker._computed),
    **dict.fromkeys(CONDITIONAL, _Walker._branch),
    "b": _Walker._jump,
    "brk": _Walker._break,
}


def _set(registers: dict[str, Value], name: str, value: Value | None) -> None:
    if value is None:
        registers.pop(name, None)
    else:
        registers[name] = value
