"""Same inputs, same bytes: and the same records when no harness is there at all."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import tools
from harness.paths import GOLDEN, KERNEL, ROOT
from harness.run.boot import UNHURRIED, boot
from harness.serial import canon, intlog, log
from harness.verdict import golden

TIMES = 5

LINES = [
    "lab=stack.recurse",
    "lab=stack.recurse on-fault=kill",
    "lab=stack.irq",
    "lab=pool.exhaust",
    "lab=grow.demand",
    "lab=grow.copy",
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.replace("lab=", ""))
def test_two_runs_print_the_same_bytes(line: str, tmp_path: Path) -> None:
    first, *others = (boot(ROOT / KERNEL, line, tmp_path, nonce="same") for _ in range(TIMES))
    assert len(first.serial) > 200
    for other in others:
        assert other.serial == first.serial
        assert other.int_log == first.int_log, "the same log, but other exceptions on the way"


def test_by_hand_without_the_harness(tmp_path: Path) -> None:
    """The command of the README and of docs/kernel.md: no icount, no sockets, no nonce."""
    int_log = tmp_path / "int.log"
    command = (
        f"{tools.find_qemu()} -M virt,gic-version=3 -cpu cortex-a72 -m 128M -display none"
        f" -nic none -no-reboot -serial stdio -kernel {ROOT / KERNEL} -d int -D {int_log}"
    )
    run = subprocess.run(
        [*shlex.split(command), "-append", f"lab=stack.guard_touch {UNHURRIED}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    parsed = log.parse(run.stdout)
    assert parsed.verdict == "caught by=guard-page"
    seen = canon.lines(canon.canonical(parsed.records))
    accepted = golden.load(ROOT / GOLDEN / "stack" / "guard_touch.log")
    assert accepted is not None
    assert seen == [str(r) for r in accepted.records if r.area not in {("gdb",), ("qemu",)}]
    assert intlog.count(int_log.read_bytes()).total == 1


MACHINES: dict[str, dict[str, Any]] = {
    "el2": {"machine": "virt,acpi=off,gic-version=3,virtualization=on"},
    "max": {"cpu": "max,pauth-impdef=on"},
    "4G": {"memory_mib": 4096},
    "four-cpus": {"cpus": 4},
    "no-icount": {"icount": None},
}


@pytest.mark.parametrize("spec", MACHINES.values(), ids=MACHINES)
def test_other_machines_end_alike(spec: dict[str, Any], tmp_path: Path) -> None:
    """Started at EL2, another CPU, more of everything: the report does not notice."""
    here = boot(ROOT / KERNEL, "lab=stack.recurse", tmp_path).log
    there = boot(ROOT / KERNEL, f"lab=stack.recurse {UNHURRIED}", tmp_path, **spec).log
    assert there.verdict == here.verdict == "caught by=guard-page"
    assert canon.lines(canon.canonical(there.records)) == canon.lines(canon.canonical(here.records))
