"""One thread a child process: it starts the child, drains every channel all the time, and reaps it.

An undrained socket wedges QEMU, QMP included, so nobody else ever reads from a channel. What was
read stays in the channel's append-only log; readers keep an offset of their own and wait on the
log, so nothing is lost between two waits. Logs are bounded: a channel that passes its limit gets
the child killed and is marked `flooded`. machine.py and gdb.py own a Drain each; console.py, qmp.py
and gdb.py read channels.
"""

import os
import select
import selectors
import signal
import socket
import subprocess
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress

from harness.child import spawn
from harness.deadline import Deadline

MIB = 1 << 20
_CHUNK = 1 << 16
_MARK_SECONDS = 0.001  # time stamps closer than this are merged: bounds their number


class Channel:
    """A socketpair to the child and the log of all that came out of it."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._log = bytearray()
        self._marks: list[tuple[float, int]] = []
        self._changed = threading.Condition()
        self._reading = threading.Lock()
        self.flooded = False
        self.ended = False

    def after(self, offset: int, size: int | None = None) -> bytes:
        """What was logged from `offset` on, at most `size` bytes of it; does not wait."""
        with self._changed:
            return bytes(self._log[offset : None if size is None else offset + size])

    def wait_beyond(self, offset: int, deadline: Deadline | None) -> bool:
        """Wait until the log is longer than `offset`, or ended; False when the deadline passed."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._log) > offset or self.ended,
                deadline.remaining() if deadline else None,
            )

    def when(self, offset: int) -> float:
        """The monotonic time (to a millisecond) at which the byte at `offset` arrived."""
        with self._changed:
            mark = bisect_right(self._marks, offset, key=lambda m: m[1]) - 1
            return self._marks[mark][0]

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write all of data. TimeoutError when the child does not read, OSError when it is gone."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._ours.send(rest, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                self._wait_writable(deadline)

    def _wait_writable(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._ours, select.POLLOUT)
        if not poll.poll(deadline.remaining() * 1000):
            raise TimeoutError(f"{self.name} was not read within {deadline.seconds:g} s")

    def fileno(self) -> int:
        return self._ours.fileno()

    def fill(self) -> bool:
        """Log what is there to read; False when there is nothing (any more)."""
        with self._reading:  # so that what is read first is logged first
            try:
                chunk = self._ours.recv(_CHUNK)
            except (BlockingIOError, ConnectionResetError):
                return False
            if chunk:
                self._append(chunk)
            return bool(chunk)

    def settle(self) -> None:
        """Log all that the child has written so far: for a child that is known to stand still."""
        while not self.flooded and self.fill():
            pass

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

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()


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


class Drain:
    """The life of one child: `start`, then it ends by itself (`wait_done`) or `close` ends it."""

    def __init__(
        self,
        argv: Sequence[str],
        channels: Sequence[Channel],
        *,
        stdio: tuple[int, int, int],
        pass_fds: Sequence[int] = (),
        file_limit: int = 64 * MIB,
        cpu_limit: int | None = None,
    ) -> None:
        self.argv, self.channels = tuple(argv), tuple(channels)
        self._stdio, self._pass_fds = stdio, tuple(pass_fds)
        self._file_limit, self._cpu_limit = file_limit, cpu_limit
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._doomed = False
        self._lock = threading.Lock()
        self._spawned, self._done = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._began = self._ended = 0.0
        # A daemon: a child that still runs must not keep a dying interpreter alive; it dies with
        # the process anyway.
        self._thread = threading.Thread(target=self._run, name=f"drain-{argv[0]}", daemon=True)

    def start(self) -> None:
        """Start the child and return as soon as it is on its way."""
        self._thread.start()
        self._spawned.wait()
        self._raise_failure()

    @property
    def pid(self) -> int:
        assert self._child is not None, "start() comes first"
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self._child.returncode if self._child else None

    @property
    def wall_seconds(self) -> float:
        """From the start to the end (so far: to now)."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def flooded(self) -> Channel | None:
        return next((c for c in self.channels if c.flooded), None)

    def wait_done(self, deadline: Deadline) -> bool:
        """Wait until the child is reaped and every byte of every channel is logged."""
        done = self._done.wait(deadline.remaining())
        self._raise_failure()
        return done

    def kill(self) -> None:
        """SIGKILL, without a chance of hitting another process; harmless when it is gone."""
        with self._lock:
            self._doomed = True
            if self._pidfd is not None:
                self._signal(self._pidfd)

    def close(self) -> None:
        """On return the child is gone and reaped, the thread ended and the channels closed."""
        self.kill()
        if self._thread.ident is not None:
            self._thread.join()
        for channel in self.channels:
            channel.close()

    @staticmethod
    def _signal(pidfd: int) -> None:
        with suppress(ProcessLookupError):  # reaped a moment ago
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # Everything below runs in the drain thread.

    def _run(self) -> None:
        try:
            self._spawn()
            self._drain_until_exit()
        except BaseException as failure:  # handed over to whoever waits, never lost
            self._failure = failure
            if self._child is not None:
                self._child.kill()
        finally:
            self._reap()

    def _spawn(self) -> None:
        stdin, stdout, stderr = self._stdio
        self._began = time.monotonic()
        self._child = spawn(
            self.argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=self._pass_fds,
            file_limit=self._file_limit,
            cpu_limit=self._cpu_limit,
        )
        for channel in self.channels:
            channel.theirs.close()
        self._open_pidfd(self._child.pid)
        self._spawned.set()

    def _open_pidfd(self, pid: int) -> None:
        with self._lock:
            self._pidfd = os.pidfd_open(pid)
            if self._doomed:  # close() was called while the child was being started
                self._signal(self._pidfd)

    def _drain_until_exit(self) -> None:
        assert self._pidfd is not None
        with selectors.DefaultSelector() as selector:
            for channel in self.channels:
                selector.register(channel, selectors.EVENT_READ)
            selector.register(self._pidfd, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._pidfd in ready:
                    return
                for source in ready:
                    self._serve(source, selector)

    def _serve(self, channel: object, selector: selectors.BaseSelector) -> None:
        assert isinstance(channel, Channel)
        if not channel.fill():
            selector.unregister(channel)
        elif channel.flooded:
            self.kill()

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
        self._ended = time.monotonic()
        with self._lock:
            if self._pidfd is not None:
                os.close(self._pidfd)
            self._pidfd = None
        for channel in self.channels:
            self._finish(channel)
        self._done.set()
        self._spawned.set()

    def _finish(self, channel: Channel) -> None:
        """The child is dead, so all it wrote is in the socket: take it, even without an EOF."""
        channel.settle()
        channel.finish()
