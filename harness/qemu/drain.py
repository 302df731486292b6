"""One thread a child process: it starts the child, drains every channel all the time, and reaps it.

An undrained socket wedges QEMU, QMP included, so it is read whether anybody waits or not. Logs are
bounded: a channel that passes its limit gets the child killed and is marked `flooded`. machine.py
and gdbchild.py own a Drain each; console.py, qmp.py and gdbchild.py read channels (channel.py).
"""

import os
import selectors
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from harness.deadline import Deadline
from harness.qemu.channel import MIB, ByteChannel, Channel
from harness.qemu.child import Child, spawn

TICK = 0.02  # seconds: a guest prints some 4 KiB in that time, and a pipe holds 64


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
        often: bool = False,
    ) -> None:
        self.argv, self.channels = tuple(argv), tuple(channels)
        self._stdio, self._pass_fds = stdio, tuple(pass_fds)
        self._file_limit, self._often = file_limit, often
        self._child: Child | None = None
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
        """Wait until the child is reaped and every byte of every channel is logged; False when the
        deadline passed.
        """
        done = not deadline.expired and self._done.wait(deadline.remaining())
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
        self._began = time.monotonic()
        self._child = spawn(
            self.argv,
            stdio=self._stdio,
            pass_fds=self._pass_fds,
            file_limit=self._file_limit,
            often=self._often,
        )
        for channel in self.channels:
            channel.let_go()
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
            ticking = [c for c in self.channels if isinstance(c, ByteChannel)]
            for channel in self.channels:
                if channel not in ticking:
                    selector.register(channel, selectors.EVENT_READ)
            selector.register(self._pidfd, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(TICK if ticking else None)]
                if self._pidfd in ready:
                    return
                for source in ready:
                    self._serve(source, selector)
                self._tick(ticking)

    def _tick(self, channels: Sequence[ByteChannel]) -> None:
        for channel in channels:
            channel.tick()
            if channel.flooded:  # whoever has read it
                self.kill()

    def _serve(self, channel: object, selector: selectors.BaseSelector) -> None:
        assert isinstance(channel, Channel)
        channel.fill()
        if channel.at_eof:
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
