"""Warm is cold: every case that can boot from a snapshot prints the same records, and takes the
same exceptions, as on a machine of its own.

Compared is the canonical log, of controls too, which have no golden. So whatever one boot could
leave to the next (paint, .bss, counters, a page-table entry, a device's state) would show in one of
some hundred pairs, each on a machine that all the labs before have broken.
"""

from importlib import import_module
from pathlib import Path

import pytest

from harness import canon, intlog, log
from harness.capsule import Capsule, image_of
from harness.deadline import Deadline
from harness.machine import Machine, MachineSpec
from harness.scenario import Case
from harness.symbols import build_id
from harness.walk import KERNEL
from harness.warm import WarmPool

HERE = Path(__file__).parent
IMAGE = HERE.parent / KERNEL
NONCE = "77617266"


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


@pytest.mark.parametrize("twin", [pytest.param(case, id=case.full_id) for case in cases()])
def test_a_warm_boot_is_a_cold_one(twin: Case, warm: WarmPool, tmp_path: Path) -> None:
    spec = Capsule.of_case(twin, twin.append(NONCE), image_of(IMAGE)).spec(IMAGE, gdb=False)
    boot = warm.boot(spec, Deadline(twin.scenario.budget))
    cold = cold_boot(spec, tmp_path, Deadline(twin.scenario.budget))
    assert told(boot.serial, boot.int_log) == cold
