"""The translation tables as the MMU sees them (Arm ARM D5): from the CPU's own TTBRs, TCR and MAIR,
level by level. Tables lie in RAM and are read through the linear map, KVA_BASE + pa.
"""

from copy import copy
from dataclasses import dataclass

import gdb

from .kernel import U64, address_of, system_register, words

VALID, TABLE = 1 << 0, 1 << 1
ADDRESS = 0x0000FFFFFFFFF000
AF = 1 << 10
READ_ONLY, EL0 = 1 << 7, 1 << 6
PXN, UXN = 1 << 53, 1 << 54
TABLE_PXN, TABLE_UXN, TABLE_NO_EL0, TABLE_READ_ONLY = 1 << 59, 1 << 60, 1 << 61, 1 << 62
SCTLR_WXN = 1 << 19
PAGE, PAGE_BITS, INDEX_BITS, LAST_LEVEL = 4096, 12, 9, 3
# TCR_EL1's fields for the lower and the upper half: size, disabled, granule, and 4 KiB's code.
HALVES = ((0, 7, 14, 0), (16, 23, 30, 2))
NORMAL_WRITE_BACK, DEVICE_STRICT, TAGGED = 0xFF, 0x00, 0xF0
MEMORY = {
    NORMAL_WRITE_BACK: "normal memory, write-back",
    DEVICE_STRICT: "device nGnRnE",
    TAGGED: "normal memory, write-back, tags checked",
}


@dataclass(frozen=True)
class Step:
    """One descriptor of a walk."""

    level: int
    table: int  # physical
    index: int
    descriptor: int

    @property
    def size(self):
        """Bytes that one entry of this level covers."""
        return 1 << (PAGE_BITS + INDEX_BITS * (LAST_LEVEL - self.level))

    @property
    def is_leaf(self):
        """Valid, and not pointing to another table."""
        is_table = bool(self.descriptor & TABLE)
        return bool(self.descriptor & VALID) and is_table == (self.level == LAST_LEVEL)


@dataclass(frozen=True)
class Walk:
    """The walk for one address. why: what stops it before any table, or ""."""

    va: int
    steps: tuple = ()
    why: str = ""

    @property
    def leaf(self):
        return self.steps[-1] if self.steps and self.steps[-1].is_leaf else None

    @property
    def mapped(self):
        """Can EL1 read here? Every valid leaf with its access flag is readable at EL1."""
        return self.leaf is not None and bool(self.leaf.descriptor & AF)

    @property
    def pa(self):
        return self.leaf.descriptor & ADDRESS & -self.leaf.size | self.va & (self.leaf.size - 1)

    def allows(self, leaf_bit, table_bit):
        """Is a forbidding bit clear in the leaf and in every table on the way?"""
        tables = self.steps[:-1]
        return not self.leaf.descriptor & leaf_bit and not any(
            step.descriptor & table_bit for step in tables
        )


class Tables:
    """A snapshot of the registers that govern translation."""

    def __init__(self):
        self.roots = [system_register(f"TTBR{n}_EL1") & ADDRESS for n in (0, 1)]
        self.tcr, self.mair = system_register("TCR_EL1"), system_register("MAIR_EL1")
        self.wxn = bool(system_register("SCTLR", "SCTLR_EL1") & SCTLR_WXN)
        self.kva_base = address_of("_start") - address_of("_start_physical")

    def with_lower_half(self, ttbr0):
        """The same CPU with another process's tables."""
        other = copy(self)
        other.roots = [ttbr0 & ADDRESS, self.roots[1]]
        return other

    def walk(self, va):
        va &= U64
        half = va >> 55 & 1
        size, disabled, granule, four_kib = HALVES[half]
        bits = 64 - (self.tcr >> size & 0x3F)
        if self.tcr >> granule & 3 != four_kib:
            raise gdb.GdbError("these tables have no 4 KiB granule: hw pt knows no other")
        if va >> bits != (U64 >> bits if half else 0):
            return Walk(va, why=f"no address of TTBR{half}'s {bits} bits")
        if self.tcr >> disabled & 1:
            return Walk(va, why=f"TTBR{half} is switched off (TCR_EL1.EPD{half})")
        first = LAST_LEVEL - (bits - PAGE_BITS - 1) // INDEX_BITS
        return Walk(va, tuple(self._steps(va, self.roots[half], first, bits)))

    def _steps(self, va, table, level, bits):
        va &= (1 << bits) - 1
        while True:
            shift = PAGE_BITS + INDEX_BITS * (LAST_LEVEL - level)
            index = va >> shift & ((1 << INDEX_BITS) - 1)
            (descriptor,) = words(self.kva_base + table + index * 8, 8)
            step = Step(level, table, index, descriptor)
            yield step
            if step.is_leaf or not descriptor & VALID or level == LAST_LEVEL:
                return
            table, level = descriptor & ADDRESS, level + 1

    def mapped(self, va):
        return self.walk(va).mapped

    def permissions(self, walk):
        """In words: what EL1 and EL0 may do there, and what memory it is."""
        write = walk.allows(READ_ONLY, TABLE_READ_ONLY)
        user = bool(walk.leaf.descriptor & EL0) and walk.allows(0, TABLE_NO_EL0)
        execute = walk.allows(PXN, TABLE_PXN) and not (write and self.wxn)
        user_execute = walk.allows(UXN, TABLE_UXN) and not (user and write and self.wxn)
        kernel = "read, write" if write else "read"
        return "; ".join(
            (
                f"EL1: {kernel}{', execute' if execute else ''}",
                f"EL0: {kernel if user else 'no access'}{', execute' if user_execute else ''}",
                self._memory(walk.leaf.descriptor),
                *(() if walk.leaf.descriptor & AF else ("access flag clear: faults",)),
            )
        )

    def _memory(self, descriptor):
        kind = self.mair >> 8 * (descriptor >> 2 & 7) & 0xFF
        return MEMORY.get(kind, f"memory attribute {kind:#04x}")
