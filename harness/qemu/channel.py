"""Our end of a channel: an append-only, bounded, time-stamped log of all that a child said.

A Channel is a socketpair and is filled by the drain thread (drain.py). Readers keep an offset of
their own and wait on the log, so nothing is lost between two waits.

The serial port is a ByteChannel. QEMU writes it byte by byte, and to wake a reader for each costs
more than the guest itself: 4 ms of a boot that prints a thousand bytes. So it is two pipes, which
merge small writes, and is read when somebody waits for it, by whoever waits; and every TICK of
drain.py.
"""

import os
import select
import socket
import threading
import time
from bisect import bisect_right
from contextlib import suppress

from harness.deadline import Deadline
from harness.errors import DeadlinePassed

MIB = 1 << 20
_CHUNK = 1 << 16
_MARK_SECONDS = 0.001  # time stamps closer than this are merged: bounds their number


class Channel:
    """A socketpair to the child and the log of all that came out of it."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self._log = bytearray()
        self._marks: list[tuple[float, int]] = []
        self._changed = threading.Condition()
        self._reading = threading.Lock()
        self.at_eof = False
        self.flooded = False
        self.ended = False
        self._connect()

    def _connect(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)

    def after(self, offset: int, size: int | None = None) -> bytes:
        """What was logged from `offset` on, at most `size` bytes of it; does not wait."""
        with self._changed:
            return bytes(self._log[offset : None if size is None else offset + size])

    @property
    def size(self) -> int:
        """Bytes logged so far."""
        with self._changed:
            return len(self._log)

    def wait_beyond(self, offset: int, deadline: Deadline | None) -> bool:
        """Wait until the log is longer than `offset`, or ended; False when the deadline passed."""
        with suppress(DeadlinePassed), self._changed:
            return self._changed.wait_for(
                lambda: self._is_beyond(offset), deadline.remaining() if deadline else None
            )
        return False

    def _is_beyond(self, offset: int) -> bool:
        return len(self._log) > offset or self.ended

    def when(self, offset: int) -> float:
        """The monotonic time (to a millisecond) at which the byte at `offset` arrived."""
        with self._changed:
            mark = bisect_right(self._marks, offset, key=lambda m: m[1]) - 1
            return self._marks[mark][0]

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write all of data. TimeoutError when the child does not read, OSError when it is gone."""
        deadline.remaining()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._send(rest) :]
            except BlockingIOError:
                self._wait_writable(deadline)

    def _wait_writable(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._writable(), select.POLLOUT)
        if not poll.poll(deadline.remaining() * 1000):
            raise TimeoutError(f"{self.name} was not read within {deadline.seconds:g} s")

    def fileno(self) -> int:
        return self._ours.fileno()

    def fill(self) -> bool:
        """Log what is there to read; False when there is nothing (any more)."""
        with self._reading:  # so that what is read first is logged first
            return self._fill()

    def settle(self) -> None:
        """Log all that the child has written so far."""
        with self._reading:
            self._settle()

    def _settle(self) -> None:
        while not self.flooded and self._fill():
            pass

    def _fill(self) -> bool:
        try:
            chunk = self._recv()
        except BlockingIOError:  # somebody else has read it
            return False
        except ConnectionResetError:
            chunk = b""
        if chunk:
            self._append(chunk)
        self.at_eof = not chunk
        return bool(chunk)

    def _recv(self) -> bytes:
        return self._ours.recv(_CHUNK)

    def _send(self, data: memoryview) -> int:
        return self._ours.send(data, socket.MSG_NOSIGNAL)

    def _writable(self) -> int:
        return self._ours.fileno()

    def _append(self, chunk: bytes) -> None:
        now = time.monotonic()
        with self._changed:
            room = self.limit - len(self._log)
            self.flooded |= len(chunk) > room
            if not self._marks or now - self._marks[-1][0] >= _MARK_SECONDS:
                self._marks.append((now, len(self._log)))
            self._log += chunk[:room]
            self._changed.notify_all()

    def finish(self) -> None:
        """Nothing will come any more: wake everybody who waits."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def let_go(self) -> None:
        """The child has its end: an end of file is then its."""
        self.theirs.close()

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()


class ByteChannel(Channel):
    """Two pipes, for a child that writes byte by byte; `stdio` is the child's end of them.

    Who waits reads by itself, without the drain thread in between: one at a time (_watching), and
    while one does (_watched) the drain thread keeps off, or it would take what is waited for.
    """

    def _connect(self) -> None:
        self._pipe, output = os.pipe()
        input_, self._input = os.pipe()
        self.stdio = (input_, output)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open = {self._pipe, self._input, input_, output, self._wake}
        self._watching = threading.Lock()
        self._watched = False
        for ours in (self._pipe, self._input):
            os.set_blocking(ours, False)

    def wait_beyond(self, offset: int, deadline: Deadline | None) -> bool:
        with suppress(DeadlinePassed):
            return self._wait_beyond(offset, deadline)
        return False

    def _wait_beyond(self, offset: int, deadline: Deadline | None) -> bool:
        if not self._watching.acquire(timeout=deadline.remaining() if deadline else -1):
            return False
        try:
            self._watch(True)
            while not self._is_beyond(offset):
                if not self._wait_readable(deadline):
                    return False
                self._watch(True)
            return True
        finally:
            self._watch(False)
            self._watching.release()

    def settle(self) -> None:
        """Whoever reads what another waits for tells it so."""
        with self._reading:
            if not self._open:  # closed: all that came is in the log
                return
            self._settle()
            if self._watched:
                os.eventfd_write(self._wake, 1)

    def tick(self) -> None:
        """The drain thread's look, in case that nobody else looks."""
        with self._reading:
            if not self._watched:
                self._settle()

    def _watch(self, watched: bool) -> None:
        with self._reading:
            self._watched = watched
            self._settle()

    def _wait_readable(self, deadline: Deadline | None) -> bool:
        """Until there is something to read, or was; False when the deadline passed."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if not self.at_eof:
            poll.register(self._pipe, select.POLLIN)
        ready = poll.poll(deadline.remaining() * 1000 if deadline else None)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        return bool(ready)

    def _recv(self) -> bytes:
        return os.read(self._pipe, _CHUNK)

    def _send(self, data: memoryview) -> int:
        return os.write(self._input, data)

    def _writable(self) -> int:
        return self._input

    def finish(self) -> None:
        super().finish()
        os.eventfd_write(self._wake, 1)  # somebody may have inherited the pipe: then no EOF comes

    def let_go(self) -> None:
        for end in self.stdio:
            self._open.discard(end)
            os.close(end)

    def close(self) -> None:
        with self._reading:
            while self._open:
                os.close(self._open.pop())


class Lines:
    """Whole lines of a channel, in order, each once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._taken = self._seen = 0

    def take(self) -> list[bytes]:
        """The lines that have arrived since the last call, without their ends; does not wait."""
        fresh = self._channel.after(self._taken)
        self._seen = self._taken + len(fresh)
        *whole, rest = fresh.split(b"\n")
        self._taken = self._seen - len(rest)
        return whole

    def wait_more(self, deadline: Deadline) -> bool:
        """Wait for bytes that `take` has not seen, or the end; False when the deadline passed."""
        return self._channel.wait_beyond(self._seen, deadline)
