"""What one instruction does to SP and to the registers that are followed.

A register is followed while it holds an SP of this function or a constant (Value); what an
instruction makes of the rest is unknown, and then it is followed no more. code.py walks a function
by this. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from capstone import arm64_const as arm


class Value(NamedTuple):
    """What a register holds: entry SP - number (`sp`), the number itself (`number`), or an SP that
    is an unknown amount below entry SP - number (`dynamic`)."""

    kind: str
    number: int


@dataclass(frozen=True)
class State:
    depth: int = 0
    dynamic: bool = False
    registers: Mapping[str, Value] = field(default_factory=dict)

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


def interesting(instruction: Any, state: State) -> bool:
    """Does it write a register that is followed, or make a constant that may be subtracted
    later?"""
    if instruction.mnemonic in ("mov", "movz", "movk"):
        return True
    text = instruction.op_str
    return any(_wide(part) in state.registers for part in text.split(", ", 2)[:2])


def _wide(name: str) -> str:
    """One name for one register: capstone calls x29 fp, and w3 is the lower half of x3."""
    name = {"fp": "x29", "lr": "x30"}.get(name, name)
    return f"x{name[1:]}" if name[:1] == "w" and name[1:].isdigit() else name


def comparison(instruction: Any, state: State, before: Value | None) -> Value | None:
    """What SP was last compared with, if that is a known place of this frame."""
    if instruction.mnemonic == "cmp":
        left, _, right = instruction.op_str.partition(", ")
        known = state.registers.get(right)
        return known if left == "sp" and known and known.kind != "number" else None
    return before


def restores(instruction: Any) -> bool:
    """`mov sp, x29` and its like end what alloca began; an addition to SP does not."""
    operands = instruction.operands
    return instruction.mnemonic in ("mov", "add", "sub") and (
        len(operands) < 2 or operands[1].reg != arm.ARM64_REG_SP
    )


Effect = tuple[str, Value | None]


def effects(instruction: Any, operands: Any, state: State) -> Iterator[Effect]:
    """(register, new value or None for unknown) of everything it writes that may matter."""
    if instruction.mnemonic in _ARITHMETIC:
        destination = _wide(instruction.reg_name(operands[0].reg))
        value = _ARITHMETIC[instruction.mnemonic](instruction, operands, state)
        yield destination, value
        return
    memory = next((o for o in operands if o.type == arm.ARM64_OP_MEM), None)
    if memory is None:
        if operands and operands[0].type == arm.ARM64_OP_REG and _writes_first(instruction):
            yield _wide(instruction.reg_name(operands[0].reg)), None
        return
    if instruction.mnemonic.startswith("ld"):
        for operand in operands:
            if operand.type == arm.ARM64_OP_REG:
                yield _wide(instruction.reg_name(operand.reg)), None
    if instruction.writeback:
        yield from _writeback(instruction, operands, memory, state)


def _writes_first(instruction: Any) -> bool:
    return instruction.mnemonic not in ("cmp", "cmn", "tst", "msr", "ccmp", "ccmn")


def _writeback(instruction: Any, operands: Any, memory: Any, state: State) -> Iterator[Effect]:
    base = _wide(instruction.reg_name(memory.mem.base))
    last = operands[-1]
    by = last.imm if last.type == arm.ARM64_OP_IMM else memory.mem.disp
    if last.type == arm.ARM64_OP_REG:  # st1 {…}, [sp], x9
        yield base, None
        return
    old = _value(base, state)
    yield base, _moved(old, by) if old else None


def _value(name: str, state: State) -> Value | None:
    if name == "sp":
        return None if state.dynamic else Value("sp", state.depth)
    if name in ("xzr", "wzr"):
        return Value("number", 0)
    return state.registers.get(_wide(name))


def _moved(value: Value, by: int) -> Value:
    return Value(value.kind, value.number + by if value.kind == "number" else value.number - by)


def _operand(instruction: Any, operand: Any, state: State) -> Value | None:
    if operand.type == arm.ARM64_OP_IMM:
        shift = operand.shift.value if operand.shift.type == arm.ARM64_SFT_LSL else 0
        return Value("number", operand.imm << shift)
    plain = not operand.shift.type and operand.ext in (0, arm.ARM64_EXT_UXTX)
    if operand.type == arm.ARM64_OP_REG and plain:
        return _value(instruction.reg_name(operand.reg), state)
    return None


def _add(instruction: Any, operands: Any, state: State) -> Value | None:
    return _sum(instruction, operands, state, 1)


def _sub(instruction: Any, operands: Any, state: State) -> Value | None:
    return _sum(instruction, operands, state, -1)


def _sum(instruction: Any, operands: Any, state: State, sign: int) -> Value | None:
    left = _operand(instruction, operands[1], state)
    right = _operand(instruction, operands[2], state)
    if state.dynamic and operands[0].reg == operands[1].reg == arm.ARM64_REG_SP:
        return Value("sp", state.depth)  # part of what is dynamic: its note bounds both
    if left and right and right.kind == "number":
        return _moved(left, sign * right.number)
    if left and left.kind != "number" and not right:
        return Value("dynamic", left.number)
    return None


def _mov(instruction: Any, operands: Any, state: State) -> Value | None:
    return _operand(instruction, operands[1], state)


def _movk(instruction: Any, operands: Any, state: State) -> Value | None:
    old = _value(instruction.reg_name(operands[0].reg), state)
    part = operands[1]
    if old is None or old.kind != "number":
        return None
    shift = part.shift.value
    return Value("number", old.number & ~(0xFFFF << shift) | part.imm << shift)


_ARITHMETIC = {"add": _add, "sub": _sub, "mov": _mov, "movz": _mov, "movk": _movk}
