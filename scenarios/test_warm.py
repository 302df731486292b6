"""Warm is cold: every case that can boot from a snapshot prints the same records, and takes the
same exceptions, as on a machine of its own.

QEMU's RAM is zero, and no other is. So each boots a third time, on a warm machine that was full of
rubbish before its first instruction: a kernel that relies on zeros shows, too.

Compared is the canonical log, of controls too, which have no golden. So whatever one boot could
leave to the next (paint, .bss, counters, a page-table entry, a device's state) would show in one of
some hundred pairs, each on a machine that all the labs before have broken.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.paths import KERNEL
from harness.qemu.fast.warm import Warm, WarmPool
from harness.qemu.machine import Machine, MachineSpec
from harness.run.capsule import Capsule, image_of
from harness.scenario import Case
from harness.serial import canon, intlog, log
from harness.serial.symbols import build_id, unfilled

HERE = Path(__file__).parent
IMAGE = HERE.parent / KERNEL
NONCE = "77617266"
RUBBISH = bytes.fromhex("a55ac33c9966f00f")
PAGES = 1 << 18  # bytes behind the image: what the page allocator gives out first


def cases() -> list[Case]:
    modules = (import_module(f"{HERE.name}.{path.stem}") for path in sorted(HERE.glob("test_*.py")))
    rows = (row for module in modules for row in getattr(module, "SCENARIOS", ()))
    return [case for row in rows for case in row.cases() if case.can_be_warm]


def told(serial: bytes, int_log: bytes) -> list[str]:
    """The canonical log, and what QEMU counted."""
    parsed = log.parse(serial, build_id=build_id(IMAGE), nonce=NONCE)
    return canon.lines((*canon.canonical(parsed.records), intlog.count(int_log).record()))


def cold_boot(spec: MachineSpec, folder: Path, deadline: Deadline) -> list[str]:
    with Machine(spec, folder) as machine:
        serial = machine.wait_end(deadline).serial
    return told(serial, machine.int_log.read_bytes())


class Soiled(Warm):
    """Its RAM holds something where the image does not fill it: .bss, stacks, early heap, pages."""

    def _before_the_first_instruction(self, deadline: Deadline) -> None:
        start, size = unfilled(self.spec.kernel)
        rubbish = RUBBISH * ((size + PAGES) // len(RUBBISH))
        self._poke({start: rubbish}, deadline, physical=True)


@pytest.fixture(scope="module")
def soiled() -> Iterator[WarmPool]:
    with WarmPool(Soiled) as pool:
        yield pool


@pytest.mark.parametrize("twin", [pytest.param(case, id=case.full_id) for case in cases()])
def test_a_warm_boot_is_a_cold_one(
    twin: Case, warm: WarmPool, soiled: WarmPool, tmp_path: Path
) -> None:
    spec = Capsule.of_case(twin, twin.append(NONCE), image_of(IMAGE)).spec(IMAGE, gdb=False)
    boot, other = (pool.boot(spec, Deadline(twin.scenario.budget)) for pool in (warm, soiled))
    cold = cold_boot(spec, tmp_path, Deadline(twin.scenario.budget))
    assert told(boot.serial, boot.int_log) == cold
    assert told(other.serial, other.int_log) == cold
