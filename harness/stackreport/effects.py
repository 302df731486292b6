"""What one instruction does to SP and to the registers that are followed.

A register is followed while it holds an SP of this function or a constant (Value); what an
instruction makes of the rest is unknown, and then it is followed no more. code.py walks a function
by this. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.stackreport.instruction import (
    LEFT,
    MEMORY,
    NUMBER,
    REGISTER,
    UNSHIFTED,
    WHOLE,
    Instruction,
    Operand,
)

MOVES = frozenset({"mov", "movz", "movk"})
READS = frozenset({"cmp", "cmn", "tst", "msr", "ccmp", "ccmn"})  # no register is their result


class Value(NamedTuple):
    """What a register holds: entry SP - number (`sp`), the number itself (`number`), or an SP that
    is an unknown amount below entry SP - number (`dynamic`)."""

    kind: str
    number: int


class State(NamedTuple):
    depth: int = 0
    dynamic: bool = False
    registers: Mapping[str, Value] = {}

    def join(self, other: "State") -> "State":
        """Two paths meet. Where they do not agree about SP, it depends on the run: dynamic."""
        common = {
            name: value
            for name, value in self.registers.items()
            if other.registers.get(name) == value
        }
        if self.depth == other.depth:
            return State(self.depth, self.dynamic or other.dynamic, common)
        return State(min(self.depth, other.depth), True, common)


def interesting(instruction: Instruction, state: State) -> bool:
    """Does it name SP, write a register that is followed, or make a constant that may be subtracted
    later?"""
    return (
        instruction.mnemonic in MOVES
        or "sp" in instruction.text
        or any(name in state.registers for name in instruction.registers)
    )


def comparison(instruction: Instruction, state: State) -> Value | None:
    """What a cmp compares SP with, if that is a known place of this frame."""
    left, _, right = instruction.text.partition(", ")
    known = state.registers.get(right)
    return known if left == "sp" and known and known.kind != "number" else None


def restores(instruction: Instruction) -> bool:
    """`mov sp, x29` and its like end what alloca began; an addition to SP does not."""
    operands = instruction.detail().operands
    return instruction.mnemonic in ("mov", "add", "sub") and (
        len(operands) < 2 or operands[1].name != "sp"
    )


Effect = tuple[str, Value | None]
Operands = tuple[Operand, ...]


def effects(instruction: Instruction, state: State) -> Iterator[Effect]:
    """(register, new value or None for unknown) of everything it writes that may matter."""
    operands, writeback = instruction.detail()
    if instruction.mnemonic in _ARITHMETIC:
        yield operands[0].name, _ARITHMETIC[instruction.mnemonic](operands, state)
        return
    memory = next((o for o in operands if o.kind == MEMORY), None)
    if memory is None:
        writes = instruction.mnemonic not in READS
        if operands and operands[0].kind == REGISTER and writes:
            yield operands[0].name, None
        return
    if instruction.mnemonic.startswith("ld"):
        for operand in operands:
            if operand.kind == REGISTER:
                yield operand.name, None
    if writeback:
        yield from _writeback(operands, memory, state)


def _writeback(operands: Operands, memory: Operand, state: State) -> Iterator[Effect]:
    last = operands[-1]
    if last.kind == REGISTER:  # st1 {…}, [sp], x9
        yield memory.name, None
        return
    old = _value(memory.name, state)
    yield memory.name, _moved(old, last.number) if old else None


def _value(name: str, state: State) -> Value | None:
    if name == "sp":
        return None if state.dynamic else Value("sp", state.depth)
    if name in ("xzr", "wzr"):
        return Value("number", 0)
    return state.registers.get(name)


def _moved(value: Value, by: int) -> Value:
    return Value(value.kind, value.number + by if value.kind == "number" else value.number - by)


def _operand(operand: Operand, state: State) -> Value | None:
    if operand.kind == NUMBER:
        return Value("number", operand.number << (operand.by if operand.shift == LEFT else 0))
    if operand.kind == REGISTER and operand.shift == UNSHIFTED and operand.extend in WHOLE:
        return _value(operand.name, state)
    return None


def _add(operands: Operands, state: State) -> Value | None:
    return _sum(operands, state, 1)


def _sub(operands: Operands, state: State) -> Value | None:
    return _sum(operands, state, -1)


def _sum(operands: Operands, state: State, sign: int) -> Value | None:
    left = _operand(operands[1], state)
    right = _operand(operands[2], state)
    if state.dynamic and operands[0].name == operands[1].name == "sp":
        return Value("sp", state.depth)  # part of what is dynamic: its note bounds both
    if left and right and right.kind == "number":
        return _moved(left, sign * right.number)
    if left and left.kind != "number" and not right:
        return Value("dynamic", left.number)
    return None


def _mov(operands: Operands, state: State) -> Value | None:
    return _operand(operands[1], state)


def _movk(operands: Operands, state: State) -> Value | None:
    old = _value(operands[0].name, state)
    part = operands[1]
    if old is None or old.kind != "number":
        return None
    return Value("number", old.number & ~(0xFFFF << part.by) | part.number << part.by)


_ARITHMETIC = {"add": _add, "sub": _sub, "mov": _mov, "movz": _mov, "movk": _movk}
