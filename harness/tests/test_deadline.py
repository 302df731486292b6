"""One rule, wherever something is waited for: after its deadline nothing is taken that is there.

Each case has its answer ready. With a deadline that has passed it raises (or says False, where the
caller raises); with one that has not, the same answer is still there.
"""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pexpect import TIMEOUT

from harness.deadline import Deadline
from harness.debugger.process import Gdb
from harness.errors import (
    DeadlinePassed,
    GdbTimeout,
    HarnessError,
    MachineSilent,
    QmpError,
    RspError,
)
from harness.qemu.channel import ByteChannel, Channel, Lines
from harness.qemu.console import Console
from harness.qemu.drain import Drain
from harness.qemu.machine import Machine, MachineSpec
from harness.qemu.qmp import Qmp
from harness.qemu.rsp import Rsp
from harness.tests.conftest import Kernels
from harness.tools import find_gdb

pytestmark = pytest.mark.usefixtures("no_leaks")
LINE = b'{"return": {}, "id": 0}\n'
EVENT = b'{"event": "STOP"}\n'


def passed() -> Deadline:
    return Deadline(0)


def soon() -> Deadline:
    return Deadline(20)


@pytest.fixture
def owned(no_leaks: None) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _channel(owned: ExitStack, text: bytes) -> Channel:
    """With an answer in its log."""
    channel = Channel("channel", 1 << 16)
    owned.callback(channel.close)
    channel._append(text)
    return channel


def _bytes(owned: ExitStack) -> ByteChannel:
    """With an answer in its pipe, which nobody has read."""
    channel = ByteChannel("serial", 1 << 16)
    owned.callback(channel.close)
    os.write(channel.stdio[1], b"x")
    return channel


def test_no_time_is_left_of_it() -> None:
    with pytest.raises(DeadlinePassed, match="no time is left of 0 s") as told:
        passed().remaining()
    assert isinstance(told.value, HarnessError)
    assert isinstance(told.value, TimeoutError)


Wait = Callable[[Deadline], bool]


def _logged(owned: ExitStack) -> Wait:
    channel = _channel(owned, b"x\n")
    return lambda deadline: channel.wait_beyond(0, deadline)


def _unread(owned: ExitStack) -> Wait:
    channel = _bytes(owned)
    return lambda deadline: channel.wait_beyond(0, deadline)


def _line(owned: ExitStack) -> Wait:
    lines = Lines(_channel(owned, b"x\n"))
    return lambda deadline: lines.wait_more(deadline)


def _ended(owned: ExitStack) -> Wait:
    nowhere = subprocess.DEVNULL
    drain = Drain(["/bin/true"], [], stdio=(nowhere, nowhere, nowhere))
    owned.callback(drain.close)
    drain.start()
    drain.wait_done(soon())
    return drain.wait_done


@pytest.mark.parametrize("ready", [_logged, _unread, _line, _ended])
def test_a_wait_says_that_it_has_passed(
    owned: ExitStack, ready: Callable[[ExitStack], Wait]
) -> None:
    wait = ready(owned)
    assert not wait(passed())
    assert wait(soon())


@pytest.mark.parametrize("make", [lambda owned: _channel(owned, b""), _bytes])
def test_nothing_is_sent(owned: ExitStack, make: Callable[[ExitStack], Channel]) -> None:
    channel = make(owned)
    with pytest.raises(TimeoutError, match="no time is left"):
        channel.send(b"x", passed())
    channel.send(b"x", soon())


def test_the_console(owned: ExitStack) -> None:
    console = Console(_channel(owned, b"x"))
    with pytest.raises(TIMEOUT, match="within 0 s"):
        console.read_nonblocking(1, timeout=0)
    with pytest.raises(TIMEOUT, match="no time is left"):
        console.send(b"x", timeout=0)
    assert console.read_nonblocking(1, timeout=20) == b"x"


def test_the_machine(kernels: Kernels, tmp_path: Path) -> None:
    with Machine(MachineSpec(kernels("prints")), tmp_path) as machine:
        machine.wait_end(soon())
        machine.expect(b"n=1", soon())  # the rest is in pexpect's own buffer
        with pytest.raises(MachineSilent, match="0 s passed before it printed"):
            machine.expect(b"n=2", passed())
        with pytest.raises(MachineSilent, match="did not end within 0 s"):
            machine.wait_end(passed())
        machine.expect(b"n=2", soon())


def test_qmp(owned: ExitStack) -> None:
    channel = _channel(owned, LINE + EVENT)
    channel.finish()
    with pytest.raises(QmpError, match="NotSent: no time is left"):
        Qmp(channel).execute("query-name", passed())
    qmp = Qmp(channel)
    qmp._greeted = True
    with pytest.raises(QmpError, match="Timeout: no answer in 0 s"):
        qmp.greeting(passed())
    with pytest.raises(QmpError, match="Timeout"):
        qmp.wait_event("STOP", passed())
    assert qmp.greeting(soon()) == {}
    assert qmp.wait_event("STOP", soon())["event"] == "STOP"


def test_the_stub(owned: ExitStack, tmp_path: Path) -> None:
    listener = owned.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(tmp_path / "gdb"))
    listener.listen(1)
    with Rsp(tmp_path / "gdb") as stub:
        owned.enter_context(listener.accept()[0]).sendall(b"$OK#9a")
        for _ in range(50):  # non-blocking it was: the answer was taken, or not yet
            with pytest.raises(RspError, match="no answer within 0 s"):
                stub.stop_at(0, passed())
        stub.stop_at(0, soon())


def test_gdb(owned: ExitStack, tmp_path: Path) -> None:
    gdb = owned.enter_context(Gdb(find_gdb(), tmp_path / "transcript"))
    first, second = gdb.post("-list-features"), gdb.post("-list-features")
    gdb.finish(second, "the second", soon())
    assert gdb.has_result(first)
    with pytest.raises(GdbTimeout, match="GDB gave no answer within 0 s"):
        gdb.finish(first, "the first", passed())
    assert "features" in gdb.finish(first, "the first", soon())
