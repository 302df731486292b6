"""Instructions as capstone reads them, and of each no more than is asked for.

Text comes first: it is quick to get, and enough for most. Operands are read only where an
instruction may matter to SP, and once for each word of machine code, however often it stands in the
image. What an instruction writes is read from its text, so that an instruction that nobody here
knows counts as writing every register that it could name. Pure.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import capstone
from capstone import arm64_const as arm

REGISTER, NUMBER, MEMORY = arm.ARM64_OP_REG, arm.ARM64_OP_IMM, arm.ARM64_OP_MEM
UNSHIFTED, LEFT = arm.ARM64_SFT_INVALID, arm.ARM64_SFT_LSL
WHOLE = (arm.ARM64_EXT_INVALID, arm.ARM64_EXT_UXTX)  # not extended, or from all 64 bits

EVERYTHING = frozenset({"sp", *(f"x{n}" for n in range(31))})
CALLEE_SAVED = frozenset(f"x{n}" for n in range(19, 30))
LINK = "x30"
KEPT = CALLEE_SAVED | {LINK}  # what a function gives back as it was
CALLER_SAVED = EVERYTHING - KEPT - {"sp"}
ALWAYS = KEPT | {"sp"}

UNKNOWN = ".byte"  # capstone's word for what it cannot read
STORES = re.compile(r"(st(?!l?xr|l?xp|64bv|[a-z]*(add|clr|eor|set|max|min))|prf)")
CHANGES = re.compile(r"st(?!g$|2g$)|swp|cas|ld(add|clr|eor|set|[su]max|[su]min)")
READS = frozenset(
    "cmp cmn tst ccmp ccmn cmpp msr rmif setf8 setf16 cbz cbnz tbz tbnz ret"
    " br braa brab braaz brabz blr blraa blrab blraaz blrabz dc ic at tlbi sys cfp cpp dvp".split()
)
TARGETED = frozenset({"b", "bl", "b.", "cbz", "cbnz", "tbz", "tbnz", "adr", "adrp", "ldr", "ldrsw"})
LOADS = frozenset({"ldp", "ldr", "ldur", "ldnp"})  # by which a prologue's stores are taken back
USES = frozenset({"add", "sub", "mov", "movk", "ldr", "ldrsw"})  # to make values that are followed
IMPLICIT = {
    UNKNOWN: EVERYTHING,
    "ld64b": EVERYTHING - {"sp"},
    **dict.fromkeys(("svc", "hvc", "smc"), CALLER_SAVED),
    **dict.fromkeys(("autia1716", "autib1716", "pacia1716", "pacib1716"), frozenset({"x17"})),
    "hint": frozenset({"x16", "x17"}),
}


class Operand(NamedTuple):
    """name: the register, or memory's base; number: the immediate, or the displacement."""

    kind: int
    name: str
    number: int
    shift: int
    by: int
    extend: int


class Instruction(NamedTuple):
    word: bytes
    mnemonic: str
    text: str
    kind: str  # the mnemonic, with one name for all conditional branches: `b.`
    target: int  # of a branch or of an address that is formed, -1 when it has none
    writes: frozenset[str]  # registers of 64 bits and SP that it may write
    base: str  # the register that it addresses memory by
    moves_base: bool  # ... and writes back
    matters: bool  # whatever registers are followed
    follows: frozenset[str]  # it matters too while one of these is followed
    spills: bool  # it may change what stands on a stack

    def operands(self) -> tuple[Operand, ...]:
        return _operands(self.word)

    @property
    def loads(self) -> bool:
        """Does it fetch registers of 64 bits, as an epilogue does?"""
        return self.mnemonic in LOADS and self.text[0] == "x"


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
    kind = "b." if mnemonic.startswith(("b.", "bc.")) else mnemonic
    base, moves = _memory(text)
    target, writes = _target(kind, text), _writes(mnemonic, text)
    matters = not writes.isdisjoint(ALWAYS) or (bool(writes) and _makes(mnemonic, text, target))
    follows = writes | frozenset(map(_wide, _NAME.findall(text))) if mnemonic in USES else writes
    spills = bool(base and CHANGES.match(mnemonic))
    if spills:
        matters, follows = matters or base == "sp", follows | {base}
    return Instruction(
        word, mnemonic, text, kind, target, writes, base, moves, matters, follows, spills
    )


def _makes(mnemonic: str, text: str, target: int) -> bool:
    """Does it make a value that is followed from nothing that was?"""
    source = text.partition(", ")[2]
    copies = mnemonic == "mov" and (source in KEPT or source[:1] == "#")
    of_sp = mnemonic in USES and "sp" in source and "[" not in source
    return copies or of_sp or mnemonic == "movz" or target >= 0


def _target(kind: str, text: str) -> int:
    """A branch's target stands last: `#0x…`, or `#8`."""
    has_one = kind in TARGETED and "[" not in text and "#" in text
    return int(text.rpartition("#")[2], 0) if has_one else -1


# --- what it writes -----------------------------------------------------------------------------

_NAME = re.compile(r"\b(?:[wx](?:[12]?[0-9]|30)|w?sp|fp|lr)\b")
_MEMORY = re.compile(r"\[((?:[wx](?:[12]?[0-9]|30)|sp|fp|lr))\b[^]]*\](!|, )?")


def _memory(text: str) -> tuple[str, bool]:
    """(base register, is it written back?): `[x1], #8` and `[x1, #8]!` are."""
    found = _MEMORY.search(text)
    return (_wide(found[1]), bool(found[2])) if found else ("", False)


def _writes(mnemonic: str, text: str) -> frozenset[str]:
    """Without memory the first operand alone; with it every register outside of the brackets, but
    for a store."""
    implicit = IMPLICIT.get(mnemonic, frozenset())
    if "[" not in text or not _MEMORY.search(text):
        return implicit | _first(mnemonic, text)
    outside = _MEMORY.sub("", text)
    names = frozenset() if STORES.match(mnemonic) else frozenset(_NAME.findall(outside)) - {"sp"}
    moved = frozenset(m[1] for m in _MEMORY.finditer(text) if m[2])
    return implicit | frozenset(map(_wide, names | moved))


def _first(mnemonic: str, text: str) -> frozenset[str]:
    first, _, rest = text.partition(",")
    reads = mnemonic in READS or STORES.match(mnemonic)
    if reads or not _NAME.fullmatch(first.strip("!")):
        return frozenset(_wide(name) for name in _NAME.findall(rest) if f"{name}!" in rest)
    return frozenset({_wide(first.strip("!"))})


@cache
def _wide(name: str) -> str:
    """One name for one register: capstone calls x29 fp, and w3 is the lower half of x3."""
    name = {"fp": "x29", "lr": "x30", "wsp": "sp"}.get(name, name)
    return f"x{name[1:]}" if name[:1] == "w" else name


# --- its operands -------------------------------------------------------------------------------


@cache
def _operands(word: bytes) -> tuple[Operand, ...]:
    """Empty where capstone has no details of what it prints (SVE's `mov z0.s, #1`)."""
    for read in _decoder(detail=True).disasm(word, 0):
        return tuple(_operand(read, operand) for operand in read.operands)
    return ()


def _operand(read: Any, operand: Any) -> Operand:
    in_memory = operand.type == MEMORY
    register = operand.mem.base if in_memory else operand.reg if operand.type == REGISTER else 0
    number = operand.mem.disp if in_memory else operand.imm if operand.type == NUMBER else 0
    shift = operand.shift
    name = read.reg_name(register) if register else ""
    return Operand(operand.type, _plain(name), number, shift.type, shift.value, operand.ext)


def _plain(name: str) -> str:
    """As _wide, but half a register is no register: what it holds is not the whole value."""
    return {"fp": "x29", "lr": "x30"}.get(name, name)
