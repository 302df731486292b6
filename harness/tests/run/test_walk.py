"""Running a case on machines that do one thing each: the triggers, GDB's look, what breaks."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import GdbError, KernelNotBuilt, MachineDied, MachineSilent
from harness.run.walk import Run
from harness.scenario import Case, Scenario, Trigger
from harness.tests.conftest import Kernels
from harness.verdict.judge import Evidence

SCENARIO = Scenario(
    "test.poked",
    "caught by=x",
    poke={"past": 7},
    gdb_view="looked at where it says so",
    uncontrolled="it is the harness that is under test",
)


class AssemblerCase(Case):
    """The machines are written in assembler, so GDB has to be told the type of what it writes."""

    def pokes(self) -> Iterator[tuple[str, int]]:
        yield "*(unsigned long *)&test_poked_args", 7


class Bench:
    """Boots one of the test machines as if it were the kernel."""

    def __init__(self, kernels: Kernels, folder: Path) -> None:
        self.kernels, self.folder = kernels, folder

    def boot(self, machine: str, trigger: Trigger = "boot", **changes: object) -> Evidence:
        scenario = replace(SCENARIO, triggers=(trigger,), **changes)  # type: ignore[arg-type]
        run = Run(AssemblerCase(scenario, trigger), self.kernels(machine), self.folder)
        run.clear()
        return run.boot()

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def bench(kernels: Kernels, tmp_path: Path) -> Bench:
    return Bench(kernels, tmp_path / "artifacts")


def test_the_boot_trigger_only_boots(bench: Bench) -> None:
    evidence = bench.boot("poked")
    assert evidence.error is None
    assert evidence.looks is None
    assert evidence.serial == b"[lab] enter past=1\n"
    assert "-append" in shlex.split(bench.text("command"))


def test_the_serial_trigger_waits_and_types(bench: Bench) -> None:
    evidence = bench.boot("holding", "serial")
    assert evidence.error is None
    assert evidence.serial.splitlines()[-1] == b"go past=7"


def test_the_gdb_trigger_pokes(bench: Bench) -> None:
    evidence = bench.boot("poked", "gdb")
    assert evidence.error is None
    assert evidence.looks is None
    assert evidence.serial == b"[lab] enter past=7\n"
    assert "set var *(unsigned long *)&test_poked_args = 7" in bench.text("gdb-transcript")


@pytest.mark.parametrize(("trigger", "past"), [("boot", b"1"), ("gdb", b"7")])
def test_gdb_looks_at_the_hook(bench: Bench, trigger: Trigger, past: bytes) -> None:
    evidence = bench.boot("poked", trigger, gdb_view=True)
    assert evidence.error is None
    assert evidence.looks is not None
    assert [look[0].function for look in evidence.looks] == ["debugger_fault_hook"]
    assert evidence.serial == b"[lab] enter past=%b\n" % past
    assert bench.text("registers").startswith("x0 ")
    assert "backtrace" in bench.text("gdb-transcript")


def test_a_kernel_without_the_hook_is_evidence(bench: Bench) -> None:
    evidence = bench.boot("holding", "serial", gdb_view=True)
    assert isinstance(evidence.error, GdbError)
    assert "debugger_fault_hook" in str(evidence.error)


def test_a_silent_machine_is_evidence(bench: Bench) -> None:
    evidence = bench.boot("silent", budget=0.3)
    assert isinstance(evidence.error, MachineSilent)
    assert "asleep+" in evidence.error.problem
    assert evidence.serial == b"[boot] going to sleep\n"


def test_a_machine_that_never_holds_is_evidence(bench: Bench) -> None:
    assert isinstance(bench.boot("poked", "serial").error, MachineDied)
    assert isinstance(bench.boot("silent", "serial", budget=0.3).error, MachineSilent)


def test_a_lab_that_gdb_does_not_find_is_evidence(bench: Bench) -> None:
    evidence = bench.boot("floor", "gdb")
    assert isinstance(evidence.error, GdbError)
    assert "lab_test_poked" in str(evidence.error)


def test_a_missing_kernel_is_raised(tmp_path: Path) -> None:
    with pytest.raises(KernelNotBuilt):
        Run(Case(SCENARIO), tmp_path / "kernel.elf", tmp_path).boot()
