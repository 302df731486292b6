"""Instructions as capstone reads them, and of each no more than is asked for.

Text comes first: it is quick to get, and enough for most. Operands are read only where an
instruction may matter to SP, and once for each word of machine code, however often it stands in the
image. Nothing here depends on where an instruction stands but the target in a branch's text. Pure.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import capstone
from capstone import arm64_const as arm

REGISTER, NUMBER, MEMORY = arm.ARM64_OP_REG, arm.ARM64_OP_IMM, arm.ARM64_OP_MEM
UNSHIFTED, LEFT = arm.ARM64_SFT_INVALID, arm.ARM64_SFT_LSL
WHOLE = (arm.ARM64_EXT_INVALID, arm.ARM64_EXT_UXTX)  # not extended, or from all 64 bits


class Operand(NamedTuple):
    """name: the register, or memory's base; number: the immediate, or the displacement."""

    kind: int
    name: str
    number: int
    shift: int
    by: int
    extend: int


class Detail(NamedTuple):
    operands: tuple[Operand, ...]
    writeback: bool


class Instruction(NamedTuple):
    word: bytes
    mnemonic: str
    text: str
    kind: str  # the mnemonic, with one name for all conditional branches: `b.`
    registers: tuple[str, ...]  # what its first two operands are, where those are registers

    @property
    def target(self) -> int:
        """A branch's target stands last: `#0x…`."""
        return int(self.text.rpartition("#")[2], 16)

    def detail(self) -> Detail:
        return _detail(self.word)


def decode(data: bytes, start: int) -> Iterator[tuple[int, Instruction]]:
    """(address, instruction) of everything that there is."""
    for address, size, mnemonic, text in _decoder(detail=False).disasm_lite(data, start):
        at = address - start
        yield address, _instruction(data[at : at + size], mnemonic, text)


@cache
def _decoder(*, detail: bool) -> Any:
    decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    decoder.detail = detail
    decoder.skipdata = True
    return decoder


@cache
def _instruction(word: bytes, mnemonic: str, text: str) -> Instruction:
    kind = "b." if mnemonic.startswith("b.") else mnemonic
    return Instruction(word, mnemonic, text, kind, tuple(map(_wide, text.split(", ", 2)[:2])))


@cache
def _detail(word: bytes) -> Detail:
    (read,) = _decoder(detail=True).disasm(word, 0)
    return Detail(tuple(_operand(read, operand) for operand in read.operands), read.writeback)


def _operand(read: Any, operand: Any) -> Operand:
    in_memory = operand.type == MEMORY
    register = operand.mem.base if in_memory else operand.reg if operand.type == REGISTER else 0
    number = operand.mem.disp if in_memory else operand.imm if operand.type == NUMBER else 0
    shift = operand.shift
    name = _wide(read.reg_name(register)) if register else ""
    return Operand(operand.type, name, number, shift.type, shift.value, operand.ext)


@cache
def _wide(name: str) -> str:
    """One name for one register: capstone calls x29 fp, and w3 is the lower half of x3."""
    name = {"fp": "x29", "lr": "x30"}.get(name, name)
    return f"x{name[1:]}" if name[:1] == "w" and name[1:].isdigit() else name
