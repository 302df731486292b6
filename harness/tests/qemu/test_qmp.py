"""QMP: handshake, answers by id, events, refusals, and waits that end."""

import os
import signal
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import QmpError
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_a_stopped_machine_is_let_go(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("floor"), stopped=True), tmp_path) as machine:
        assert machine.qmp.greeting()["version"]["qemu"]["major"] >= 7
        assert machine.qmp.execute("query-status")["running"] is False
        machine.qmp.execute("cont")
        machine.wait_end(Deadline(20))
        events = [event["event"] for event in machine.qmp.events]
    assert events == ["RESUME", "SHUTDOWN"]


def test_refused(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        with pytest.raises(QmpError, match="QMP make-tea: CommandNotFound: The command") as refused:
            machine.qmp.execute("make-tea", sugar=2)
        assert refused.value.error_class == "CommandNotFound"
        assert machine.qmp.execute("query-name") == {}  # the session goes on


def test_arguments_and_the_human_monitor(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.console.expect_exact(b"sleep\n")
        assert " PC=0000000040" in machine.qmp.hmp("info registers")


def test_no_answer(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.qmp.greeting()
        os.kill(machine.pid, signal.SIGSTOP)
        with pytest.raises(QmpError, match=r"Timeout: no answer in 0.05 s"):
            machine.qmp.execute("query-status", Deadline(0.05))


def test_nobody_to_answer(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.qmp.greeting()
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(QmpError, match=r"Disconnected|NotSent"):
            machine.qmp.execute("query-status")


def test_nothing_is_said_unasked(kernels: Kernels, tmp_path: Path) -> None:
    """A QMP command in flight while the guest powers off hangs QEMU 7.2, so there is none."""
    with Machine(MachineSpec(kernels("floor")), tmp_path) as machine:
        machine.wait_end(Deadline(20))
        assert machine.qmp.events == ()
        assert machine._qmp.after(0).count(b"\n") == 1  # the greeting alone, no answer
