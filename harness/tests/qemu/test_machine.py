"""QEMU's life: how it ends, how its end is told, and that it never outlives its owner."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from shlex import join

import pytest

from harness.deadline import Deadline
from harness.errors import (
    KernelNotBuilt,
    MachineDied,
    MachineReset,
    MachineSilent,
)
from harness.paths import ROOT
from harness.qemu.channel import Channel
from harness.qemu.child import owned
from harness.qemu.drain import Drain
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels
from harness.tests.gone import is_gone

pytestmark = pytest.mark.usefixtures("no_leaks")


def soon() -> Deadline:
    return Deadline(20)


def test_floor_ends_by_itself(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("floor")), tmp_path) as machine:
        ending = machine.wait_end(soon())
    assert (ending.exit_status, ending.serial) == (0, b"")
    assert 0 < ending.wall_seconds < 20
    assert "handled as PSCI call" in machine.int_log.read_text()


def test_every_byte_is_there_at_the_end(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("prints")), tmp_path) as machine:
        ending = machine.wait_end(soon())
    assert ending.serial == b"[step] n=1\n[step] n=2\n[step] n=3\n"


def test_a_last_line_without_its_end_is_kept(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("truncated")), tmp_path) as machine:
        assert machine.wait_end(soon()).serial == b"[boot] whole\n[end] o"


def test_a_guest_that_resets_the_machine_is_told_as_one(kernels: Kernels, tmp_path: Path) -> None:
    """It would boot again and again, each time into the same log."""
    with (
        Machine(MachineSpec(kernels("reset")), tmp_path) as machine,
        pytest.raises(MachineReset, match=r"reset the machine \(PSCI SYSTEM_RESET\)"),
    ):
        machine.wait_end(soon())
    assert machine.serial == b"[boot] once more\n"


def test_a_machine_that_may_be_reset_boots_again(kernels: Kernels, tmp_path: Path) -> None:
    """The control: without -no-reboot there are two boots, and more, in one log."""
    twice = rb"(\[boot\] once more\n){2}"
    with Machine(MachineSpec(kernels("reset"), resets=True), tmp_path) as machine:
        machine.expect(twice, soon())


def test_the_boot_line_reaches_qemu_as_one_word(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("floor"), append="lab=stack.recurse nonce=4d2a")
    with Machine(spec, tmp_path) as machine:
        machine.wait_end(soon())
    assert "'lab=stack.recurse nonce=4d2a'" in join(machine.command)


def test_command_can_be_pasted(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("prints")), tmp_path) as machine:
        serial = machine.wait_end(soon()).serial
    typed = subprocess.run(
        join(machine.command), shell=True, capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert typed.stdout == serial


def test_nothing_listens_on_tcp(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent"), gdb=True), tmp_path) as machine:
        machine.console.expect_exact(b"sleep")
        sockets = {str(fd.readlink()) for fd in Path(f"/proc/{machine.pid}/fd").iterdir()}
        inodes = {m[1] for s in sockets if (m := re.match(r"socket:\[(\d+)\]", s))}
        unix = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
        assert len(inodes) == 3  # QMP, stderr and the stub's listener
        assert inodes <= unix


def test_the_stub_s_directory_is_private_and_goes(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("floor"), gdb=True, stopped=True), tmp_path) as machine:
        assert machine.gdb_socket is not None
        assert machine.gdb_socket.parent.stat().st_mode & 0o777 == 0o700
    assert not machine.gdb_socket.parent.exists()


def test_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(KernelNotBuilt, match=r"does not exist\n +next: run: make"):
        Machine(MachineSpec(tmp_path / "kernel.elf"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", Path(sys.executable).read_bytes()[:64]])
def test_not_a_kernel(tmp_path: Path, content: bytes) -> None:
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(content)
    with pytest.raises(KernelNotBuilt, match="not an ELF for AArch64"):
        Machine(MachineSpec(kernel), tmp_path)


def test_qemu_cannot_start(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("floor"), cpu="pdp-11")
    with Machine(spec, tmp_path) as machine, pytest.raises(MachineDied) as died:
        machine.wait_end(soon())
    message = str(died.value)
    assert "exited with status 1" in message
    assert "unable to find CPU model 'pdp-11'" in message
    assert f"    {join(machine.command)}" in message


def test_qemu_is_not_a_program(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers --version, then is gone: the words of whoever failed to start it are shown."""
    machine = Machine(MachineSpec(kernels("floor")), tmp_path)
    monkeypatch.setattr(machine, "_base", ("/nonexistent/qemu", *machine.command[1:-2]))
    with machine, pytest.raises(MachineDied, match="/nonexistent/qemu: not found"):
        machine.wait_end(soon())


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGTERM, "told to quit by a signal")],
)
def test_killed_mid_run(
    kernels: Kernels, tmp_path: Path, number: signal.Signals, told: str
) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.console.expect_exact(b"[boot] going to sleep\n")
        os.kill(machine.pid, number)
        with pytest.raises(MachineDied, match=told) as died:
            machine.wait_end(soon())
    assert died.value.serial == b"[boot] going to sleep\n"


def test_silence_says_where_the_machine_is(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("silent"))
    with Machine(spec, tmp_path, symbolise=lambda pc: f"asleep+{pc & 4:#x}") as machine:
        machine.console.expect_exact(b"sleep\n")
        with pytest.raises(MachineSilent) as silent:
            machine.wait_end(Deadline(0.05))
    message = str(silent.value)
    assert re.search(r"within 0.05 s; it is running at asleep\+0x[04] \(cpu 0, pc=0x4", message)
    assert "[boot] going to sleep" in message


def test_silence_of_a_paused_machine(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("floor"), stopped=True)
    with Machine(spec, tmp_path) as machine, pytest.raises(MachineSilent, match="prelaunch at 0x4"):
        machine.wait_end(Deadline(0.05))


def test_silence_of_a_wedged_qemu(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.qemu.machine._LAST_WORDS_SECONDS", 0.05)
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.console.expect_exact(b"sleep\n")
        os.kill(machine.pid, signal.SIGSTOP)
        with pytest.raises(MachineSilent, match=r"QEMU does not say .*no answer in 0.05 s"):
            machine.wait_end(Deadline(0.05))


def test_the_machine_is_gone_after_an_exception(kernels: Kernels, tmp_path: Path) -> None:
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
            raise error
        assert not Path(f"/proc/{machine.pid}").exists()


def test_an_interrupted_start_leaves_nothing(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the start of the thread and the end of __enter__."""
    started: list[Drain] = []

    def interrupted(drain: Drain) -> None:
        started.append(drain)
        drain._thread.start()
        raise KeyboardInterrupt

    monkeypatch.setattr(Drain, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Machine(MachineSpec(kernels("silent")), tmp_path):
        pass
    assert started[0].exit_status == -signal.SIGKILL


def test_a_machine_outlives_the_thread_that_asked_for_it(kernels: Kernels, tmp_path: Path) -> None:
    """The signal at the owner's death is sent when the *spawning thread* ends."""
    machine = Machine(MachineSpec(kernels("echo")), tmp_path)
    starter = threading.Thread(target=machine.__enter__)
    starter.start()
    starter.join()
    with machine_left(machine):
        machine.console.expect_exact(b"ready\n")
        machine.console.send(b"q")
        assert machine.wait_end(soon()).serial.endswith(b"q")


class machine_left:  # noqa: N801 (reads as a statement)
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None:
        self.machine.close()


def test_a_late_start_is_refused(tmp_path: Path) -> None:
    """The owner died between fork and prctl: nobody would ever send the signal."""
    someone_else = os.getppid()
    argv = owned(["/bin/echo", "started"], owner=someone_else, file_limit=1 << 20)
    late = subprocess.run(argv, capture_output=True, check=False)
    assert (late.returncode, late.stdout) == (125, b"")


def test_an_inherited_descriptor_does_not_hide_the_end(tmp_path: Path) -> None:
    """Somebody who forked in the wrong moment holds our socket open: EOF never comes."""
    channel = Channel("out", 1000)
    held = channel.theirs.dup()
    null = subprocess.DEVNULL
    drain = Drain(["/bin/echo", "hello"], [channel], stdio=(null, channel.theirs.fileno(), null))
    drain.start()
    assert drain.wait_done(soon())
    assert channel.after(0) == b"hello\n"
    drain.close()
    held.close()


# Owners that die. Each is a Python of its own, which starts a machine and says its pid.

OWNER = """
    import signal, sys
    from pathlib import Path
    from harness.deadline import Deadline
    from harness.qemu.machine import Machine, MachineSpec
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under "pytest &"
    with Machine(MachineSpec(Path(sys.argv[1])), Path(sys.argv[2])) as machine:
        print(machine.pid, flush=True)
        machine.wait_end(Deadline(60))
"""


@pytest.fixture
def owner(kernels: Kernels, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", textwrap.dedent(OWNER), str(kernels("silent")), str(tmp_path)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
    ) as process:
        yield process
        process.kill()


def _its_machine(owner: subprocess.Popen[bytes]) -> int:
    """A pidfd of the machine that the owner has started."""
    assert owner.stdout is not None
    return os.pidfd_open(int(owner.stdout.readline()))


def test_sigkill_of_the_owner(owner: subprocess.Popen[bytes]) -> None:
    machine = _its_machine(owner)
    owner.kill()
    assert is_gone(machine)


def test_ctrl_c_at_the_terminal(owner: subprocess.Popen[bytes]) -> None:
    """The whole foreground group gets SIGINT; QEMU is not in it and is ended by its owner."""
    machine = _its_machine(owner)
    os.killpg(owner.pid, signal.SIGINT)
    assert is_gone(machine)
    assert owner.wait(10) == -signal.SIGINT


def test_qemu_is_in_a_session_of_its_own(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        assert os.getsid(machine.pid) == machine.pid != os.getsid(0)


WORKER_TEST = """
    import os
    from pathlib import Path
    from harness.deadline import Deadline
    from harness.qemu.machine import Machine, MachineSpec

    def test_hangs(tmp_path):
        with Machine(MachineSpec(Path(os.environ["KERNEL"])), tmp_path) as machine:
            fifo = os.open(os.environ["FIFO"], os.O_WRONLY)
            os.write(fifo, f"{os.getpid()} {machine.pid}\\n".encode())
            machine.wait_end(Deadline(60))
"""


def test_sigkill_of_an_xdist_worker(kernels: Kernels, tmp_path: Path) -> None:
    (tmp_path / "test_worker.py").write_text(textwrap.dedent(WORKER_TEST))
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    environment = {**os.environ, "KERNEL": str(kernels("silent")), "FIFO": str(fifo)}
    argv = [sys.executable, "-m", "pytest", "-n1", "--max-worker-restart=0", "-q", str(tmp_path)]
    with subprocess.Popen(argv, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL) as run:
        with fifo.open() as said:
            worker, machine = map(int, said.readline().split())
        pidfd = os.pidfd_open(machine)
        os.kill(worker, signal.SIGKILL)
        assert is_gone(pidfd)
        assert run.wait(20) == 1


def test_a_kill_that_comes_too_late() -> None:
    """The child was reaped, its pidfd not closed yet: there is nobody to signal, and no error."""
    null = subprocess.DEVNULL
    drain = Drain(["/bin/true"], [], stdio=(null, null, null))
    drain.start()
    assert drain.wait_done(soon())
    with subprocess.Popen(["/bin/true"]) as gone:
        drain._pidfd = os.pidfd_open(gone.pid)
    drain.kill()
    os.close(drain._pidfd)
    drain._pidfd = None
    drain.close()


def test_a_failure_in_the_drain_thread_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves no child: here the thread cannot even watch it."""

    def refused(pid: int) -> int:
        raise OSError(f"no pidfd for {pid}")

    null = subprocess.DEVNULL
    drain = Drain(["/bin/sleep", "60"], [], stdio=(null, null, null))
    with monkeypatch.context() as broken:
        broken.setattr(os, "pidfd_open", refused)
        with pytest.raises(OSError, match="no pidfd for"):
            drain.start()
    drain.close()
    assert drain.exit_status == -signal.SIGKILL
