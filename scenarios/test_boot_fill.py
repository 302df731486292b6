"""What is filled before the first line of C: .bss with zeros, the boot stack with its paint.

QEMU's RAM is zero, so nothing that relies on .bss shows when a part of it is left as it was. Here
all of the memory that the image does not fill holds rubbish when the machine starts, and it is read
back at the first C function: each byte inside is filled, each byte outside is still rubbish.
"""

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness.deadline import Deadline
from harness.paths import KERNEL
from harness.qemu.fast.warm import Snapshot
from harness.qemu.machine import MachineSpec
from harness.serial.symbols import unfilled

IMAGE = Path(__file__).parents[1] / KERNEL
FIRST_C = "mmu_build"
LINEAR = 0xFFFFFF8000000000  # KVA_BASE, arch/virt.h
RUBBISH = bytes.fromhex("a55ac33c9966f00f")
WRITTEN = {"boot_marks": 64, "psci_conduit": 4}  # by start.S itself, after it has zeroed them
SECONDS = 60.0


class Memory:
    """What the image leaves to start.S: as it was, and at the first C function."""

    def __init__(self) -> None:
        with IMAGE.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            self.at: dict[str, int] = {
                symbol.name: symbol["st_value"] - LINEAR for symbol in table.iter_symbols()
            }
        self._start, size = unfilled(IMAGE)
        self.before = (RUBBISH * (size // len(RUBBISH) + 1))[:size]
        deadline = Deadline(SECONDS)
        with Snapshot(MachineSpec(IMAGE)) as machine:
            machine.stub.physical(True, deadline)
            machine.stub.write(self._start, self.before, deadline)
            machine.stub.physical(False, deadline)
            machine.stub.run_to(self.at[FIRST_C], deadline)
            machine.stub.physical(True, deadline)
            self.now = machine.stub.read(self._start, size, deadline)

    def between(self, first: str, last: str) -> bytearray:
        return bytearray(self.now[self._offset(first) : self._offset(last)])

    def is_untouched(self, first: str, last: str) -> bool:
        start, end = self._offset(first), self._offset(last)
        return start < end and self.now[start:end] == self.before[start:end]

    def _offset(self, name: str) -> int:
        return self.at[name] - self._start


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_bss_is_zero_from_its_first_byte_to_its_last(memory: Memory) -> None:
    bss = memory.between("__bss_start", "__bss_end")
    for name, size in WRITTEN.items():
        start = memory.at[name] - memory.at["__bss_start"]
        bss[start : start + size] = bytes(size)
    assert bss
    dirty = len(bss) - bss.count(0)
    first = next((n for n, byte in enumerate(bss) if byte), 0) + memory.at["__bss_start"]
    assert dirty == 0, f"{dirty} bytes of .bss are not zero, the first at {first:#x}"


def test_the_boot_stack_is_painted_from_its_base_to_its_top(memory: Memory) -> None:
    stack = memory.between("boot_stack_base", "boot_stack_top")
    words = [bytes(stack[n : n + 8]) for n in range(0, len(stack), 8)]
    assert words
    assert set(words) == {words[0]}
    assert words[0] not in (bytes(8), RUBBISH)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("__bss_end", "boot_stack_base"),
        ("boot_stack_top", "__image_end"),
    ],
)
def test_what_lies_beside_is_left_alone(memory: Memory, first: str, last: str) -> None:
    assert memory.is_untouched(first, last)
