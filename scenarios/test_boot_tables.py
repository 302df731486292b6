"""What the MMU is told at boot, bit by bit: translation tables and the registers that go with them.

QEMU has no caches and orders every access, so shareability, cacheability, the size of a physical
address or a granule's second name change nothing that a log shows. They are read here, from memory,
at the first C function that runs with the MMU on. The numbers are the architecture's (Arm ARM
D8.3, D17.2.97 MAIR, D17.2.131 TCR, D17.2.118 SCTLR), written down a second time.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness.deadline import Deadline
from harness.paths import KERNEL
from harness.qemu.fast.warm import Snapshot
from harness.qemu.machine import MachineSpec

IMAGE = Path(__file__).parents[1] / KERNEL
LINEAR = 0xFFFFFF8000000000  # KVA_BASE, arch/virt.h
MMU_IS_ON = "boot_main"
PAGE = 4096
SECONDS = 60.0
ADDRESS = ((1 << 48) - 1) & ~(PAGE - 1)

WRITE_BACK, DEVICE = 0xFF, 0x00  # of MAIR: nGnRnE, and write-back that allocates
INNER = 3  # shareability

# What each kind of memory must be: attribute, shareability, read-only, executable at EL1.
TEXT = (WRITE_BACK, INNER, True, True)
RODATA = (WRITE_BACK, INNER, True, False)
DATA = (WRITE_BACK, INNER, False, False)
DEVICES = (DEVICE, 0, False, False)
PLACES = {
    "__text_start": TEXT,
    "__text_end-1": TEXT,
    "__rodata_start": RODATA,
    "__rodata_end-1": RODATA,
    "__data_start": DATA,
    "__bss_start": DATA,
    "__bss_end-1": DATA,
    "boot_stack_base": DATA,
    "boot_stack_top-1": DATA,
    "irq_stack_base": DATA,
    "emergency_stack_top-1": DATA,
    "uart": DEVICES,
}
GUARDS = ("__guard_boot_low", "boot_stack_top", "irq_stack_top", "__image_end-1")

TCR = {  # lowest bit, width, value
    "T0SZ": (0, 6, 25),
    "IRGN0": (8, 2, 1),
    "ORGN0": (10, 2, 1),
    "SH0": (12, 2, INNER),
    "TG0": (14, 2, 0),
    "T1SZ": (16, 6, 25),
    "A1": (22, 1, 0),
    "EPD1": (23, 1, 0),
    "IRGN1": (24, 2, 1),
    "ORGN1": (26, 2, 1),
    "SH1": (28, 2, INNER),
    "TG1": (30, 2, 2),
    "IPS": (32, 3, 2),
    "AS": (36, 1, 0),
    "TBI0": (37, 1, 0),
    "TBI1": (38, 1, 0),
}
SCTLR = {
    "M": (0, 1, 1),
    "A": (1, 1, 0),
    "C": (2, 1, 1),
    "SA": (3, 1, 1),
    "SA0": (4, 1, 1),
    "UMA": (9, 1, 0),
    "RES1_11": (11, 1, 1),
    "I": (12, 1, 1),
    "EnDB": (13, 1, 0),
    "WXN": (19, 1, 1),
    "RES1_20": (20, 1, 1),
    "RES1_22": (22, 1, 1),
    "RES1_23": (23, 1, 1),
    "EE": (25, 1, 0),
    "RES1_28": (28, 1, 1),
    "RES1_29": (29, 1, 1),
    "EnIA": (31, 1, 0),
}


class Memory:
    """A machine that stands where the MMU is on, and its image's symbols."""

    def __init__(self, machine: Snapshot, deadline: Deadline) -> None:
        self._stub, self._deadline = machine.stub, deadline
        with IMAGE.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            self._at = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}
        self._stub.physical(True, deadline)
        self.mair, self.tcr, _, self.ttbr1, self.sctlr, self.tcr_high = struct.unpack(
            "<6Q", self._stub.read(self._at["mmu_registers"] - LINEAR, 48, deadline)
        )

    def address(self, name: str) -> int:
        if name == "uart":
            return LINEAR + 0x0900_0000
        symbol, _, less = name.partition("-")
        return int(self._at[symbol]) - int(less or 0)

    def descriptor(self, address: int) -> int:
        """The one that ends the walk; 0: unmapped."""
        table = self.ttbr1 & ADDRESS
        for level in (1, 2, 3):
            index = address >> (39 - 9 * level) & 511
            (entry,) = struct.unpack("<Q", self._stub.read(table + 8 * index, 8, self._deadline))
            if not entry & 1:
                return 0
            if level == 3 or not entry & 2:
                return int(entry)
            table = entry & ADDRESS
        raise AssertionError("a walk ends at level 3")


@pytest.fixture
def memory() -> Iterator[Memory]:
    deadline = Deadline(SECONDS)
    with Snapshot(MachineSpec(IMAGE)) as machine:
        with IMAGE.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            (first,) = table.get_symbol_by_name(MMU_IS_ON)
        machine.run_to(first["st_value"], deadline)
        yield Memory(machine, deadline)


def wrong(register: int, fields: Mapping[str, tuple[int, int, int]]) -> dict[str, int]:
    found = {name: register >> low & (1 << width) - 1 for name, (low, width, _) in fields.items()}
    return {name: value for name, value in found.items() if value != fields[name][2]}


def kind(memory: Memory, descriptor: int) -> tuple[int, int, bool, bool]:
    attribute = memory.mair >> 8 * (descriptor >> 2 & 7) & 0xFF
    return (attribute, descriptor >> 8 & 3, bool(descriptor >> 7 & 1), not descriptor >> 53 & 1)


def test_every_field_of_the_registers_is_as_it_has_to_be(memory: Memory) -> None:
    assert not wrong(memory.tcr, TCR | {"EPD0": (7, 1, 0)})
    assert not wrong(memory.tcr_high, TCR | {"EPD0": (7, 1, 1)})
    assert not wrong(memory.sctlr, SCTLR)


def test_every_kind_of_memory_has_its_bits(memory: Memory) -> None:
    found = {name: memory.descriptor(memory.address(name)) for name in PLACES}
    assert {name: kind(memory, descriptor) for name, descriptor in found.items()} == PLACES
    for name, descriptor in found.items():
        assert descriptor >> 10 & 1, f"{name}: the access flag"
        assert descriptor >> 54 & 1, f"{name}: executable at EL0"
        assert not descriptor >> 6 & 1, f"{name}: EL0 may reach it"


def test_guards_are_not_there(memory: Memory) -> None:
    assert {name: memory.descriptor(memory.address(name)) for name in GUARDS} == dict.fromkeys(
        GUARDS, 0
    )
