"""What one instruction does to SP and to the registers that are followed.

A register is followed while it holds an SP of this function, a constant, an address, or what a
register held when the function began (Value). Whatever writes a register ends that, unless it is
one of the few whose result is known (`_MAKERS`) or a write-back by a constant; so an instruction
that this file has never heard of costs precision and never truth. code.py walks a function by
this. Pure.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from harness.stackreport import saved
from harness.stackreport.instruction import (
    KEPT,
    LEFT,
    NUMBER,
    REGISTER,
    UNSHIFTED,
    WHOLE,
    Instruction,
    Operand,
)

ALL = 1 << 64
SHADOW = "x30, [x18, #-8]!"  # what -fsanitize=shadow-call-stack has put beside the stack
Fetch = Callable[[int, str], "Value | None"]  # (address, mnemonic): what a load finds there


class Value(NamedTuple):
    """What a register holds: entry SP - number (`sp`), an SP that is an unknown amount below entry
    SP - number (`dynamic`), a constant (`number`), a place in the image (`address`), what the
    place `number` of the image holds, which another object fills (`slot`), or what register x
    `number` held at the function's entry (`entry`)."""

    kind: str
    number: int


class State(NamedTuple):
    """`lost`: registers that a function must give back, and that do not hold what they held;
    `saved`: which place of its stack holds what one of these held (saved.py), None on a stack that
    is another's."""

    depth: int = 0
    dynamic: bool = False
    registers: Mapping[str, Value] = {}
    lost: frozenset[str] = frozenset()
    saved: Mapping[int, Value] | None = {}

    def join(self, other: "State") -> "State":
        """Two paths meet. Where they do not agree about SP, it depends on the run: dynamic."""
        common, mine, theirs = self.registers, self.registers, other.registers
        if mine != theirs:
            common = dict(mine.items() & theirs.items())
        lost = self.lost | other.lost
        saved = self.saved
        if saved != other.saved:
            known = saved is not None and other.saved is not None
            saved = _common(saved or {}, other.saved or {}) if known else None
        if self.depth == other.depth:
            return State(self.depth, self.dynamic or other.dynamic, common, lost, saved)
        return State(min(self.depth, other.depth), True, common, lost, saved)


def _common(one: Mapping[int, Value], other: Mapping[int, Value]) -> Mapping[int, Value]:
    return dict(one.items() & other.items())


FETCHES = frozenset({"ldr", "ldrsw"})
SIGNS = ("pac", "aut", "xpac")
ARGUMENTS = frozenset(f"x{n}" for n in range(8))
RETURN = Value("entry", 30)  # the address that x30 holds at a function's entry


def comparison(instruction: Instruction, state: State) -> Value | None:
    """What a cmp compares SP with, if that is a known place of this frame."""
    left, _, right = instruction.text.partition(", ")
    known = state.registers.get(right)
    return known if left == "sp" and known and known.kind in ("sp", "dynamic") else None


def restores(instruction: Instruction) -> bool:
    """`mov sp, x29` and its like end what alloca began; an addition to SP does not."""
    operands = instruction.operands()
    return instruction.mnemonic in ("mov", "add", "sub") and (
        len(operands) < 2 or operands[1].name != "sp"
    )


Effect = tuple[str, Value | None]
Operands = tuple[Operand, ...]


def effects(instruction: Instruction, state: State, fetch: Fetch) -> list[Effect]:
    """(register, new value or None for unknown) of everything that it may write."""
    base = instruction.base if instruction.moves_base else ""
    return [
        (
            register,
            _moved_base(instruction, state)
            if register == base
            else _made(instruction, register, state, fetch),
        )
        for register in instruction.writes
    ]


def _made(instruction: Instruction, register: str, state: State, fetch: Fetch) -> Value | None:
    kind = instruction.kind
    if kind in _MAKERS:
        return _MAKERS[kind](instruction, state)
    if kind in FETCHES and not instruction.moves_base:
        return _loaded(instruction, state, fetch)
    if register in KEPT and not instruction.base and kind.startswith(SIGNS):
        return _signed_or_not(register, state)
    return _given_back(instruction, register, state) if register in KEPT else None


def _signed_or_not(register: str, state: State) -> Value | None:
    """Signing and checking leave the address what it is; where they do not match, nothing runs."""
    found = value_of(register, state)
    return found if found and found.kind == "entry" else None


def value_of(name: str, state: State) -> Value | None:
    """What a register of 64 bits holds."""
    if name == "sp":
        return None if state.dynamic else Value("sp", state.depth)
    if name in ("xzr", "wzr"):
        return Value("number", 0)
    found = state.registers.get(name)
    if found is None and name in KEPT and name not in state.lost:
        return Value("entry", int(name[1:]))
    return found


# --- what memory gives --------------------------------------------------------------------------


def _moved_base(instruction: Instruction, state: State) -> Value | None:
    """`[x9, #-512]!`, `[x9], #16`; by a register: unknown."""
    old = value_of(instruction.base, state)
    by = instruction.text.rpartition("#")[2].rstrip("]!")
    by_constant = "#" in instruction.text.rpartition("[")[2]
    if old is None or not by_constant or old.kind == "entry":
        return None
    return _moved(old, _signed(int(by, 0) % ALL))  # capstone writes -112 as 0xff…90 after an index


def _loaded(instruction: Instruction, state: State, fetch: Fetch) -> Value | None:
    """A constant of the image; else what was saved on this stack, as compilers save it."""
    if not instruction.text.startswith("x"):
        return None
    if instruction.target >= 0:
        return fetch(instruction.target, instruction.mnemonic)
    base = state.registers.get(instruction.base)
    if base and base.kind == "address" and not instruction.moves_base:
        operands = instruction.operands()
        if len(operands) == 2 and "," not in instruction.text.partition("[")[2].replace(", #", ""):
            return fetch(base.number + operands[1].number, instruction.mnemonic)
    (register,) = instruction.writes
    return _given_back(instruction, register, state) if register in KEPT else None


def _given_back(instruction: Instruction, register: str, state: State) -> Value | None:
    """What an epilogue takes back is what stands there. Where SP has moved by what only a run
    knows, a note says how far, and that it comes back to what was saved."""
    own = Value("entry", int(register[1:]))
    if instruction.text == SHADOW:
        return own
    base = _place_of_base(instruction, state)
    if not instruction.loads or base is None:
        return None
    if state.saved is None:
        return own
    if state.dynamic and instruction.base == "sp":
        return own if own in state.saved.values() else None
    found = saved.access(instruction.mnemonic, instruction.text)
    first = saved.first_place(found, base, _index(found, state))
    if first is None or register not in found.names:
        return None
    return state.saved.get(first + saved.WORD * found.names.index(register))


def _place_of_base(instruction: Instruction, state: State) -> int | None:
    """How far below SP at the entry it points, if it points there."""
    if instruction.base == "sp":
        return state.depth
    base = state.registers.get(instruction.base)
    return base.number if base and base.kind == "sp" else None


def _index(found: saved.Access, state: State) -> int | None:
    index = value_of(found.by, state) if found.by else None
    return _signed(index.number) if index and index.kind == "number" else None


def stored(instruction: Instruction, state: State) -> tuple[int, int, Mapping[int, Value]] | None:
    """(first place, bytes, what of its function's entry it puts there), if it is on this stack."""
    base = _place_of_base(instruction, state)
    if base is None or (state.dynamic and instruction.base == "sp"):
        return None
    found = saved.access(instruction.mnemonic, instruction.text)
    first = saved.first_place(found, base, _index(found, state))
    if first is None:
        return None
    put = {}
    for number, name in enumerate(found.names):
        value = value_of(name, state) if name[0] == "x" and found.size == saved.WORD else None
        if value and value.kind == "entry":
            put[first + saved.WORD * number] = value
    return first, found.bytes, put


def hands_out_link(state: State) -> bool:
    """Does an argument point to the place of the return address?"""
    saved_at = state.saved
    for name in state.registers.keys() & ARGUMENTS if saved_at else ():
        value = state.registers[name]
        if value.kind == "sp" and saved_at and saved_at.get(-value.number) == RETURN:
            return True
    return False


# --- arithmetic ---------------------------------------------------------------------------------


def _moved(value: Value, by: int) -> Value | None:
    if value.kind in ("sp", "dynamic"):
        return Value(value.kind, value.number - by)
    if value.kind in ("number", "address"):
        return Value(value.kind, (value.number + by) % ALL)
    return None


def _signed(number: int) -> int:
    return number - ALL if number >= ALL // 2 else number


def _operand(operand: Operand, state: State) -> Value | None:
    if operand.kind == NUMBER:
        by = operand.by if operand.shift == LEFT else 0
        return Value("number", (operand.number << by) % ALL)
    if operand.kind == REGISTER and operand.shift == UNSHIFTED and operand.extend in WHOLE:
        return value_of(operand.name, state)
    return None


def _add(instruction: Instruction, state: State) -> Value | None:
    return _sum(instruction.operands(), state, 1)


def _sub(instruction: Instruction, state: State) -> Value | None:
    return _sum(instruction.operands(), state, -1)


def _sum(operands: Operands, state: State, sign: int) -> Value | None:
    if len(operands) != 3 or operands[0].name[:1] == "w":
        return None
    left, right = _operand(operands[1], state), _operand(operands[2], state)
    if state.dynamic and operands[0].name == operands[1].name == "sp":
        return Value("sp", state.depth)  # part of what is dynamic: its note bounds both
    if left and right and right.kind == "address" and left.kind == "number" and sign > 0:
        left, right = right, left
    if left and right and right.kind == "number":
        return _moved(left, sign * _signed(right.number))
    if left and left.kind in ("sp", "dynamic") and not right:
        return Value("dynamic", left.number)
    return None


def _mov(instruction: Instruction, state: State) -> Value | None:
    operands = instruction.operands()
    if len(operands) != 2 or operands[0].name[:1] not in ("x", "w", "s"):
        return None
    made = _operand(operands[1], state)
    if operands[0].name[:1] == "w":
        return Value("number", made.number % (1 << 32)) if made and made.kind == "number" else None
    return made


def _movk(instruction: Instruction, state: State) -> Value | None:
    operands = instruction.operands()
    if len(operands) != 2:
        return None
    old = value_of(operands[0].name.replace("w", "x"), state)
    part = operands[1]
    if old is None or old.kind != "number":
        return None
    return Value("number", old.number & ~(0xFFFF << part.by) | part.number << part.by)


def _address(instruction: Instruction, _: State) -> Value | None:
    return Value("address", instruction.target)


_MAKERS = {
    "add": _add,
    "sub": _sub,
    "mov": _mov,
    "movz": _mov,
    "movk": _movk,
    "adr": _address,
    "adrp": _address,
}
