"""The serial port through pexpect: nothing is lost, nothing deadlocks, every wait has an end."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pexpect import EOF, TIMEOUT

from harness.deadline import Deadline
from harness.errors import MachineDied, MachineFlooding, MachineSilent
from harness.qemu.channel import Channel
from harness.qemu.console import Console
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels

Pair = tuple[socket.socket, socket.socket]
pytestmark = pytest.mark.usefixtures("no_leaks")


def test_expect_finds_what_was_printed_before_it(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("prints")), tmp_path) as machine:
        machine.wait_end(Deadline(20))
        assert machine.console.expect([rb"n=9\n", rb"n=(2)\n"]) == 1
        match = machine.console.match
        assert isinstance(match, re.Match)
        assert match[1] == b"2"
        assert machine.console.before == b"[step] n=1\n[step] "
        machine.console.expect_exact(b"[step] n=3\n")
        with pytest.raises(EOF):
            machine.console.expect(b"never")
        assert machine.console.serial.count(b"step") == 3


def test_echo(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("echo")), tmp_path) as machine:
        machine.console.expect_exact(b"[echo] ready\n")
        machine.console.sendline(b"go past=2048")
        machine.console.expect(rb"go past=(\d+)\n")
        machine.console.send(b"q")
        assert machine.wait_end(Deadline(20)).serial == b"[echo] ready\ngo past=2048\nq"


def test_much_is_typed_while_much_is_printed(
    kernels: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than both sockets hold, in both directions at once: either side would block."""
    monkeypatch.setattr(socket, "socketpair", _narrow_socketpair)
    text = bytes(range(ord("A"), ord("Z"))) * 800
    with Machine(MachineSpec(kernels("echo"), icount=None), tmp_path) as machine:
        machine.console.send(text + b"q", timeout=20)
        assert machine.wait_end(Deadline(20)).serial == b"[echo] ready\n" + text + b"q"


def _narrow_socketpair(make: Callable[[], Pair] = socket.socketpair) -> Pair:
    pair = make()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return pair


def test_a_guest_that_does_not_read(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.console.expect_exact(b"sleep\n")
        with pytest.raises(TIMEOUT, match=r"serial was not read within 0.05 s"):
            machine.console.send(b"x" * (1 << 20), timeout=0.05)


def test_nobody_to_type_to(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("floor")), tmp_path) as machine:
        machine.wait_end(Deadline(20))
        with pytest.raises(EOF, match="nobody reads the serial port"):
            machine.console.sendline(b"hello?")


def test_timeout_as_a_pattern(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        machine.console.expect_exact(b"sleep\n")
        assert machine.console.expect([b"awake", TIMEOUT], timeout=0.05) == 1
        with pytest.raises(TIMEOUT):
            machine.console.expect(b"awake", timeout=0.05)


def test_machine_expect_tells_silence(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("silent")), tmp_path) as machine:
        assert machine.expect([b"nothing", b"sleep\n"], Deadline(20)) == 1
        with pytest.raises(MachineSilent, match=r"before it printed b'awake'; it is running at"):
            machine.expect(b"awake", Deadline(0.05))


def test_machine_expect_tells_an_early_end(kernels: Kernels, tmp_path: Path) -> None:
    with (
        Machine(MachineSpec(kernels("prints")), tmp_path) as machine,
        pytest.raises(MachineDied, match=r"ended before it printed b'n=4'"),
    ):
        machine.expect(b"n=4", Deadline(20))


def test_machine_expect_tells_a_flood(kernels: Kernels, tmp_path: Path) -> None:
    spec = MachineSpec(kernels("flood"))
    with (
        Machine(spec, tmp_path, serial_limit=5000) as machine,
        pytest.raises(MachineFlooding, match="serial passed"),
    ):
        machine.expect(b"peace", Deadline(20))


def _console(*chunks: bytes, limit: int = 100) -> Console:
    """A console over bytes that have all arrived, without a machine."""
    channel = Channel("serial", limit)
    for chunk in chunks:
        channel._append(chunk)
    channel.finish()
    channel.close()
    return Console(channel)


def test_chunks_are_joined_and_the_surplus_is_kept() -> None:
    console = _console(b"ab", b"cd", b"ef")
    assert console.read_nonblocking(5) == b"abcde"
    assert console.read_nonblocking(5) == b"f"
    with pytest.raises(EOF):
        console.read_nonblocking(5)
    assert console.flag_eof


def test_what_was_read_goes_to_pexpect_s_logfile(tmp_path: Path) -> None:
    console = _console(b"one\n", b"two\n")
    with (tmp_path / "log").open("w+b") as log:
        console.logfile_read = log
        console.expect_exact(b"two\n")
        log.seek(0)
        assert log.read() == b"one\ntwo\n"


def test_pexpect_never_sleeps() -> None:
    assert _console().delayafterread is None


def test_no_wait_without_an_end() -> None:
    channel = Channel("serial", 100)
    console = Console(channel, timeout=0.05)
    for forever in (None, -1):
        with pytest.raises(TIMEOUT, match=r"within 0.05 s"):
            console.read_nonblocking(1, forever)
    channel.close()
