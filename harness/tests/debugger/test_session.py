"""A real GDB on a tiny machine: every method once, and every way in which GDB can be lost."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from subprocess import PIPE

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbFrame, GdbSession, KeptGdb
from harness.errors import GdbDied, GdbError, GdbTimeout
from harness.paths import ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels
from harness.tests.gone import is_gone
from harness.tools import find_gdb, find_qemu

pytestmark = pytest.mark.usefixtures("no_leaks")

NOBODY = 65534  # a user that owns nothing


@dataclass
class Pair:
    machine: Machine
    gdb: GdbSession


@pytest.fixture
def pair(kernels: Kernels, tmp_path: Path, no_leaks: None) -> Iterator[Pair]:
    """A machine stopped at its first instruction, and a GDB attached to it."""
    with _machine(kernels("prints"), tmp_path) as machine, _session(machine) as gdb:
        stop = gdb.connect()
        assert (stop.function, stop.address) == ("_start", 0x40200000)
        yield Pair(machine, gdb)


def _machine(kernel: Path, workdir: Path) -> Machine:
    return Machine(MachineSpec(kernel, gdb=True, stopped=True), workdir)


def _session(
    machine: Machine, gdb: Path | None = None, *, kept: KeptGdb | None = None
) -> GdbSession:
    assert machine.gdb_socket is not None
    transcript, kernel = machine.workdir / "gdb.txt", machine.spec.kernel
    return GdbSession(gdb or find_gdb(), machine.gdb_socket, kernel, transcript, kept=kept)


SLOW_QEMU = """#!/bin/sh
[ "$1" = --version ] || sleep 3
exec {qemu} "$@"
"""


def test_a_machine_that_takes_its_time(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDB asks again after 2 s unless it is told to wait, and then takes two answers for wrong."""
    slow = tmp_path / "qemu"
    slow.write_text(SLOW_QEMU.format(qemu=find_qemu()))
    slow.chmod(0o755)
    monkeypatch.setenv("HIGHWATER_QEMU", str(slow))
    with _machine(kernels("prints"), tmp_path) as machine, _session(machine) as gdb:
        assert gdb.connect().function == "_start"


def soon() -> Deadline:
    return Deadline(20)


def test_breakpoint_and_backtrace(pair: Pair) -> None:
    assert pair.gdb.breakpoint("step") == 1
    pair.gdb.cont()
    stop = pair.gdb.wait_stop(soon())
    assert (stop.reason, stop.function, stop.exited) == ("breakpoint-hit", "step", False)
    step, main = pair.gdb.backtrace()
    assert step == GdbFrame(0, stop.address or 0, "step")
    assert (main.level, main.function) == (1, "main")


def test_a_temporary_breakpoint_stops_once(pair: Pair) -> None:
    pair.gdb.breakpoint("step", temporary=True)
    pair.gdb.cont()
    assert pair.gdb.wait_stop(soon()).function == "step"
    pair.gdb.cont()
    assert pair.gdb.wait_stop(soon()).exited
    assert pair.machine.wait_end(soon()).serial.count(b"step") == 3


def test_pokes_change_what_the_guest_does(pair: Pair) -> None:
    pair.gdb.breakpoint("step", temporary=True)
    pair.gdb.cont()
    pair.gdb.wait_stop(soon())
    pair.gdb.set_var("*(long *)&counter", 4)
    assert pair.gdb.read_memory("&counter", 8) == (4).to_bytes(8, "little")
    pair.gdb.set_var("$x19", 1)
    assert pair.gdb.evaluate("$x19") == "1"
    pair.gdb.close()  # detaches: the guest runs on
    assert "\ndetach\n" in pair.gdb.transcript.read_text()
    assert pair.machine.wait_end(soon()).serial == b"[step] n=5\n"


def test_write_memory(pair: Pair) -> None:
    address = int(pair.gdb.evaluate("(long)&counter"))
    pair.gdb.write_memory(address, b"\x06\x00")
    pair.gdb.close()
    assert pair.machine.wait_end(soon()).serial.startswith(b"[step] n=7\n")


def test_registers(pair: Pair) -> None:
    registers = pair.gdb.registers()
    assert list(registers) == [*(f"x{n}" for n in range(31)), "sp", "pc", "cpsr"]
    assert registers["pc"] == 0x40200000
    assert pair.gdb.registers() == registers
    assert pair.gdb.evaluate("$FAR_EL1") == "0"


def test_console_and_source(pair: Pair, tmp_path: Path) -> None:
    script = tmp_path / "commands with blanks.gdb"
    script.write_text('define hw-hello\n  printf "hello %d \\"%c\\"\\n", 42, 33\nend\n')
    assert pair.gdb.source(script) == ""
    assert pair.gdb.console("hw-hello") == 'hello 42 "!"\n'
    assert pair.gdb.console("info symbol &counter") == "counter in section .data\n"


def test_refused(pair: Pair) -> None:
    with pytest.raises(GdbError, match=r"refused: Function .nosuch. not defined") as refused:
        pair.gdb.breakpoint("nosuch")
    assert "break nosuch" in str(refused.value)
    assert str(pair.gdb.transcript) in str(refused.value)
    assert pair.gdb.evaluate("1+1") == "2"  # the session goes on


def test_interrupt(kernels: Kernels, tmp_path: Path) -> None:
    with _machine(kernels("silent"), tmp_path) as machine, _session(machine) as gdb:
        gdb.connect()
        gdb.cont()
        machine.console.expect_exact(b"sleep\n")
        with pytest.raises(GdbTimeout, match=r"the target did not stop within 0.05 s"):
            gdb.wait_stop(Deadline(0.05))
        gdb.interrupt()
        stop = gdb.wait_stop(soon())
        assert (stop.signal, stop.function) == ("SIGINT", "asleep")


def test_leaving_while_the_guest_runs(kernels: Kernels, tmp_path: Path) -> None:
    with _machine(kernels("echo"), tmp_path) as machine:
        with _session(machine) as gdb:
            gdb.connect()
            gdb.breakpoint("leave")  # it must go, too, or the guest would stand there for ever
            gdb.cont()
            machine.console.expect_exact(b"ready\n")
        machine.console.send(b"q")
        assert machine.wait_end(soon()).exit_status == 0


def test_power_off_is_an_end_not_an_error(pair: Pair) -> None:
    pair.gdb.cont()
    stop = pair.gdb.wait_stop(soon())
    assert (stop.exited, stop.address) == (True, None)
    assert pair.gdb.wait_stop(soon()).exited  # still
    assert pair.machine.wait_end(soon()).exit_status == 0
    with pytest.raises(GdbError, match="refused"):
        pair.gdb.registers()


def test_qemu_killed_under_gdb(kernels: Kernels, tmp_path: Path) -> None:
    with _machine(kernels("silent"), tmp_path) as machine, _session(machine) as gdb:
        gdb.connect()
        gdb.cont()
        machine.console.expect_exact(b"sleep\n")
        os.kill(machine.pid, signal.SIGKILL)
        assert gdb.wait_stop(soon()).exited


def test_gdb_killed(pair: Pair) -> None:
    os.kill(pair.gdb.pid, signal.SIGKILL)
    with pytest.raises(GdbDied, match="GDB was killed by signal 9"):
        pair.gdb.wait_stop(soon())
    with pytest.raises(GdbDied) as died:
        pair.gdb.backtrace()
    assert str(pair.gdb.transcript) in str(died.value)


def test_gdb_that_does_not_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.debugger.session.LEAVE_SECONDS", 0.05)
    os.kill(pair.gdb.pid, signal.SIGSTOP)
    with pytest.raises(GdbTimeout, match=r"GDB gave no answer within 0.05 s"):
        pair.gdb.command("-list-features", deadline=Deadline(0.05))
    pair.gdb.close()
    assert not Path(f"/proc/{pair.gdb.pid}").exists()
    with pytest.raises(GdbDied):  # and says so, whoever still holds it
        pair.gdb.backtrace()


@pytest.mark.parametrize(
    ("script", "told"),
    [("exit 3", "GDB exited with 3"), ("echo no python >&2; kill -9 $$", "no python")],
)
def test_gdb_that_does_not_start(kernels: Kernels, tmp_path: Path, script: str, told: str) -> None:
    broken = tmp_path / "gdb"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    with _machine(kernels("floor"), tmp_path) as machine:  # noqa: SIM117
        with pytest.raises(GdbDied, match=told), _session(machine, broken) as gdb:
            gdb.connect()


def test_no_machine_at_the_other_end(kernels: Kernels, tmp_path: Path) -> None:
    with _machine(kernels("floor"), tmp_path) as machine, _session(machine) as gdb:
        machine.close()
        with pytest.raises(GdbError, match="No such file or directory"):
            gdb.connect()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_gdb_is_gone_after_an_exception(
    kernels: Kernels, tmp_path: Path, error: type[BaseException]
) -> None:
    with _machine(kernels("silent"), tmp_path) as machine:
        with pytest.raises(error), _session(machine) as gdb:
            gdb.connect()
            raise error
        assert not Path(f"/proc/{gdb.pid}").exists()


def test_the_transcript_replays_the_session(pair: Pair, tmp_path: Path) -> None:
    """By hand, as the transcript's head says: the same stops, the same answers, the same serial."""
    pair.gdb.breakpoint("step", temporary=True)
    pair.gdb.cont()
    pair.gdb.wait_stop(soon())
    pair.gdb.backtrace()
    pair.gdb.write_memory("&counter", b"\x04")
    assert pair.gdb.evaluate("*(char *)&counter") == r"4 '\004'"
    pair.gdb.cont()
    pair.gdb.wait_stop(soon())
    serial = pair.machine.wait_end(soon()).serial
    pair.gdb.close()
    assert serial.startswith(b"[step] n=5")
    qemu = join([*pair.machine.command, "-S", "-gdb", "unix:gdb.sock,server=on"])
    replay = ["-batch", "-x", pair.gdb.transcript.name]
    with subprocess.Popen(qemu, shell=True, cwd=tmp_path, stdout=PIPE, stderr=PIPE) as by_hand:
        assert by_hand.stdout is not None
        assert by_hand.stderr is not None
        assert b"waiting for connection" in by_hand.stderr.readline()
        gdb = subprocess.run([find_gdb(), "--nx", *replay], cwd=tmp_path, stdout=PIPE, check=False)
        assert by_hand.stdout.read() == serial
    assert b"Temporary breakpoint 1, step ()" in gdb.stdout
    assert rb"$1 = 4 '\004'" in gdb.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused(kernels: Kernels, tmp_path: Path) -> None:
    """Whoever can connect has the host: nobody else may come as far as the socket."""
    connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    with _machine(kernels("prints"), tmp_path) as machine:
        argv = ["python3", "-I", "-c", connect, str(machine.gdb_socket)]
        ours = subprocess.run(argv, cwd="/", stderr=PIPE, text=True, check=False)
        theirs = subprocess.run(argv, cwd="/", stderr=PIPE, text=True, check=False, user=NOBODY)
    assert ours.returncode == 0, ours.stderr
    assert "PermissionError" in theirs.stderr


def test_sigkill_of_the_owner(kernels: Kernels, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(OWNER), str(kernels("silent")), str(tmp_path)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # nobody is left to remove its socket
    with subprocess.Popen(argv, stdout=PIPE, cwd=ROOT, env=environment) as owner:
        assert owner.stdout is not None
        pidfds = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
        owner.kill()
        assert [is_gone(pidfd) for pidfd in pidfds] == [True, True]


OWNER = """
    import sys
    from pathlib import Path
    from harness.deadline import Deadline
    from harness.debugger.session import GdbSession
    from harness.qemu.machine import Machine, MachineSpec
    from harness.tools import find_gdb, find_qemu
    kernel, workdir = Path(sys.argv[1]), Path(sys.argv[2])
    with Machine(MachineSpec(kernel, gdb=True), workdir) as machine:
        with GdbSession(find_gdb(), machine.gdb_socket, kernel, workdir / "gdb.txt") as gdb:
            gdb.connect()
            gdb.cont()
            print(gdb.pid, machine.pid, flush=True)
            gdb.wait_stop(Deadline(60))
"""


# --- one GDB for several sessions ---------------------------------------------------------------


def _hunt(kernel: Path, folder: Path, kept: KeptGdb | None) -> tuple[int, str]:
    """A session with everything that could outlive it; which GDB it had, and its transcript."""
    with _machine(kernel, folder) as machine:
        with _session(machine, kept=kept) as gdb:
            gdb.connect()
            gdb.breakpoint("step", hit=2)
            gdb.watch("*(long *)&counter")
            gdb.cont()
            while not gdb.wait_stop(soon()).exited:
                gdb.backtrace()
                gdb.registers()
                gdb.cont()
        assert machine.wait_end(soon()).serial.count(b"step") == 3
        text = gdb.transcript.read_text().replace(str(machine.gdb_socket), "SOCKET")
    return gdb.pid, re.sub(r"#   \d+ at |watch \d+|^ignore \d+", "N", text, flags=re.MULTILINE)


def test_a_kept_gdb_is_like_a_new_one(kernels: Kernels, tmp_path: Path) -> None:
    kernel = kernels("prints")
    _, alone = _hunt(kernel, tmp_path / "alone", None)
    with KeptGdb() as kept:
        first, one = _hunt(kernel, tmp_path / "one", kept)
        second, two = _hunt(kernel, tmp_path / "two", kept)
    assert first == second
    assert alone == one == two
    assert not Path(f"/proc/{first}").exists()


def test_a_kept_gdb_is_not_lent_for_another_image(kernels: Kernels, tmp_path: Path) -> None:
    """The same path with other contents is another image, too."""
    kernel = tmp_path / "kernel.elf"
    with KeptGdb() as kept:
        kernel.write_bytes(kernels("prints").read_bytes())
        first, _ = _hunt(kernel, tmp_path / "one", kept)
        kernel.write_bytes(kernels("prints").read_bytes() + b"\0")
        second, _ = _hunt(kernel, tmp_path / "two", kept)
        assert first != second
        assert not Path(f"/proc/{first}").exists()


def test_a_kept_gdb_that_was_killed_is_replaced(kernels: Kernels, tmp_path: Path) -> None:
    kernel = kernels("prints")
    with KeptGdb() as kept:
        first, _ = _hunt(kernel, tmp_path / "one", kept)
        pidfd = os.pidfd_open(first)
        os.kill(first, signal.SIGKILL)
        assert is_gone(pidfd)
        second, _ = _hunt(kernel, tmp_path / "two", kept)
    assert first != second


def test_a_session_that_failed_does_not_give_its_gdb_back(kernels: Kernels, tmp_path: Path) -> None:
    with KeptGdb() as kept, _machine(kernels("silent"), tmp_path) as machine:
        with pytest.raises(KeyboardInterrupt), _session(machine, kept=kept) as gdb:
            gdb.connect()
            raise KeyboardInterrupt
        assert not Path(f"/proc/{gdb.pid}").exists()


def test_a_session_that_is_over_does_not_talk_to_the_next_ones_gdb(
    kernels: Kernels, tmp_path: Path
) -> None:
    with KeptGdb() as kept, _machine(kernels("prints"), tmp_path) as machine:
        with _session(machine, kept=kept) as gdb:
            gdb.connect()
        with pytest.raises(GdbError, match="this session is over"):
            gdb.registers()
        gdb.close()  # once more: nothing
