"""The serial port's channel: read by whoever waits, by the drain thread when nobody does."""

import os
import selectors
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.qemu.channel import ByteChannel, Channel
from harness.qemu.drain import Drain
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels

pytestmark = pytest.mark.usefixtures("no_leaks")


def soon() -> Deadline:
    return Deadline(20)


@pytest.fixture
def channel(no_leaks: None) -> Iterator[ByteChannel]:
    channel = ByteChannel("serial", 1 << 21)
    yield channel
    channel.close()


def child(channel: ByteChannel, script: str) -> Drain:
    return Drain(["/bin/sh", "-c", script], [channel], stdio=(*channel.stdio, subprocess.DEVNULL))


ANSWERS = "while read line; do printf x; done"


def asked_and_answered(channel: ByteChannel, times: int) -> None:
    """Each answer is one byte, and none comes unasked: one that is missed is missed for good."""
    for said in range(times):
        channel.send(b"\n", soon())
        assert channel.wait_beyond(said, soon())


def test_who_waits_reads(channel: ByteChannel) -> None:
    """No drain thread is there at all."""
    os.write(channel.stdio[1], b"hello")
    assert channel.wait_beyond(0, soon())
    assert channel.after(0) == b"hello"
    assert not channel.wait_beyond(5, Deadline(0.01))


def test_two_who_wait_are_both_told(channel: ByteChannel) -> None:
    """One reads, and the other has to hear of it."""
    told: list[bool] = []

    def wait() -> None:
        told.append(channel.wait_beyond(0, soon()))

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    os.write(channel.stdio[1], b"x")
    for thread in waiting:
        thread.join()
    assert told == [True, True]


def test_who_only_looks_does_not_take_it_from_who_waits(channel: ByteChannel) -> None:
    """Machine.serial in one thread, expect in another."""
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            channel.settle()

    looking = threading.Thread(target=look)
    looking.start()
    drain = child(channel, ANSWERS)
    drain.start()
    asked_and_answered(channel, 300)
    done.set()
    looking.join()
    drain.close()


def test_nothing_to_read_is_no_end(no_leaks: None) -> None:
    """Somebody else was quicker (Channel.settle): the drain thread goes on, until the end."""
    channel = Channel("answers", 100)
    drain = Drain(["/bin/true"], [channel], stdio=(0, 1, 2))
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        drain._serve(channel, selector)
        assert [key.fileobj for key in selector.get_map().values()] == [channel]
        channel.theirs.close()
        drain._serve(channel, selector)
        assert not selector.get_map()
    channel.close()


def test_a_child_that_nobody_reads_is_drained(channel: ByteChannel) -> None:
    """A MiB does not fit into a pipe: undrained, the child would stand still for ever."""
    drain = child(channel, "head -c 1048576 /dev/zero")
    drain.start()
    assert drain.wait_done(soon())
    drain.close()
    assert len(channel.after(0)) == 1 << 20


def test_the_last_bytes_are_not_lost(channel: ByteChannel) -> None:
    drain = child(channel, "printf one; read line; printf two")
    drain.start()
    assert channel.wait_beyond(2, soon())
    channel.send(b"\n", soon())
    assert channel.wait_beyond(5, soon())
    assert drain.wait_done(soon())
    drain.close()
    assert channel.after(0) == b"onetwo"


def test_the_drain_thread_keeps_off_while_somebody_waits(
    channel: ByteChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that says one thing and then waits: taken by the other thread, it is never heard."""
    monkeypatch.setattr("harness.qemu.drain.TICK", 0.0001)
    drain = child(channel, ANSWERS)
    drain.start()
    asked_and_answered(channel, 500)
    drain.close()


def test_the_end_is_told_though_somebody_holds_the_pipe(channel: ByteChannel) -> None:
    """A descriptor that was inherited in the wrong moment: no end of file ever comes."""
    held = os.dup(channel.stdio[1])
    drain = child(channel, "read line")
    drain.start()
    threading.Timer(0.05, channel.send, (b"\n", soon())).start()
    assert channel.wait_beyond(0, soon())  # it ended
    assert (channel.ended, channel.after(0)) == (True, b"")
    drain.close()
    os.close(held)


def test_a_flood_that_is_read_by_who_waits_ends_the_child(no_leaks: None) -> None:
    channel = ByteChannel("serial", 1000)
    drain = child(channel, "yes")
    drain.start()
    while channel.wait_beyond(len(channel.after(0)), Deadline(0.2)) and not channel.ended:
        pass
    assert drain.wait_done(soon())
    assert drain.flooded is channel
    assert len(channel.after(0)) == 1000
    drain.close()


def test_every_byte_of_a_guest_in_order(kernels: Kernels, tmp_path: Path) -> None:
    """While one thread waits again and again, so that both threads read."""
    with Machine(MachineSpec(kernels("prints")), tmp_path) as machine:
        assert b"".join(machine.console.follow()) == machine.wait_end(soon()).serial
    assert machine.serial == b"".join(b"[step] n=%d\n" % n for n in (1, 2, 3))
