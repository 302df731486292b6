"""What a machine may use at most: bytes it prints, the log of its exceptions, instructions."""

import time
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError, MachineDied, MachineEndless, MachineFlooding
from harness.paths import KERNEL, ROOT
from harness.qemu import machine, rewind
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels
from harness.tools import plugin_file

pytestmark = pytest.mark.usefixtures("no_leaks")


def soon() -> Deadline:
    return Deadline(20)


def test_a_flood_is_stopped(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("flood"))
    with Machine(spec, tmp_path, serial_limit=10_000) as machine:
        with pytest.raises(MachineFlooding, match="serial passed its bound of 10000 bytes"):
            machine.wait_end(soon())
        assert len(machine.serial) == 10_000


def test_time_stamps_are_bounded_too(kernels: Kernels, tmp_path: Path) -> None:
    """QEMU writes each character by itself; a stamp for each would be the real flood."""
    with Machine(MachineSpec(kernels("flood")), tmp_path, serial_limit=50_000) as machine:
        with pytest.raises(MachineFlooding) as flooding:
            machine.wait_end(soon())
        stamps = machine._serial._marks
        assert len(stamps) <= 1 + 1000 * machine._drain.wall_seconds
        assert machine._serial.when(0) <= machine._serial.when(49_999)
    assert len(str(flooding.value)) < 5000


def test_the_exception_log_is_bounded(kernels: Kernels, tmp_path: Path) -> None:
    limit = 100_000  # no multiple of the block that such limits are counted in
    with Machine(MachineSpec(kernels("cascade")), tmp_path, int_log_limit=limit) as machine:
        # QEMU goes on without a word, so nothing tells when; how long it takes is the host's.
        patience = soon()
        while not machine._int_log_is_full() and not patience.expired:
            time.sleep(0.01)
        with pytest.raises(MachineFlooding, match=r"qemu-int\.log passed its bound"):
            machine.wait_end(Deadline(0.05))
    assert machine.int_log.stat().st_size <= limit


ENDLESS = MachineSpec(ROOT / KERNEL, "lab=crash.hang protect=-watchdog")


def test_instructions_that_are_used_up(tmp_path: Path) -> None:
    """They are the guest's: the same on a busy host. That it was too short a time, or where the
    guest spins, is told."""
    with Machine(ENDLESS, tmp_path, instructions=2_000_000, symbolise=hex) as machine:
        with pytest.raises(MachineEndless, match=r"not end within 2000000 .* at 0x[0-9a-f]+"):
            machine.wait_end(soon())
        assert machine.serial.endswith(b" : spin for ever\n")
        assert machine.argv[-1].endswith(f"/{plugin_file('limit')},instructions=2000000")


def test_the_bound_is_in_instructions(tmp_path: Path) -> None:
    """QEMU's recording counts them, too: no block that was left or begun again is counted twice."""
    spec = MachineSpec(ROOT / KERNEL, "lab=stack.recurse")
    executed = rewind.record(spec, tmp_path, soon()).instructions
    with Machine(spec, tmp_path, instructions=executed) as machine, pytest.raises(MachineEndless):
        machine.wait_end(soon())
    with Machine(spec, tmp_path, instructions=executed * 105 // 100) as machine:
        machine.wait_end(soon())


def test_a_bound_that_is_not_reached_changes_nothing(tmp_path: Path) -> None:
    spec = MachineSpec(ROOT / KERNEL, "lab=stack.recurse")
    with Machine(spec, tmp_path / "without") as machine:
        without = machine.wait_end(soon())
    with Machine(spec, tmp_path / "with", instructions=75_000_000) as machine:
        assert machine.wait_end(soon()).serial == without.serial
        assert b"limit" not in machine.stderr


def test_a_bound_that_was_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD", "elsewhere")
    with pytest.raises(HarnessError, match=r"elsewhere/limit(-7)?\.so does not") as problem:
        Machine(ENDLESS, tmp_path, instructions=1).__enter__()
    assert "make" in str(problem.value)


def test_a_qemu_with_another_plugin_interface_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one for the other QEMUs; one that is newer than all that are known says the same."""
    others = "limit.so" if plugin_file("limit") == "limit-7.so" else "limit-7.so"
    monkeypatch.setattr(machine, "plugin_file", lambda _: others)
    with Machine(ENDLESS, tmp_path, instructions=1) as made, pytest.raises(MachineDied) as died:
        made.wait_end(soon())
    assert "its plugin interface is none of those that Highwater knows" in str(died.value)
    assert "plugin requires API version" in str(died.value)
