"""One screen, and two who print on it: GDB and the guest.

GDB prints a stop in pieces, and the serial port between two of them would tear the line. So GDB has
a pty of its own, and one process writes to the person's terminal: whole lines of the serial port
between GDB's, and what the guest had printed before it stopped in front of what GDB says of the
stop.
"""

import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import pexpect

from harness.qemu.machine import Machine

_CHUNK = 1 << 16
_PROMPT = b"(gdb) "
_SUSPEND = b"\x1a"  # Ctrl-Z


class Screen:
    """printed: what the guest has printed since it was called last, as it is to be shown.

    shared: with a GDB, which run() starts.
    """

    def __init__(
        self, output: IO[bytes], printed: Callable[[], bytes], *, shared: bool = False
    ) -> None:
        self._output, self._printed = output, printed
        self._lock = threading.Lock()
        self._line_end = b"\n"
        self._begun = b""  # the line that GDB has begun
        self._rest = b""  # of the guest's line, while GDB runs
        self._shared = shared

    def serial(self) -> None:
        """The guest has printed something."""
        with self._lock:
            self._show()
            self._output.flush()

    def gdb(self, data: bytes) -> None:
        """GDB has printed this. What it says of a stop is said of a guest that stands still, so all
        that the guest had printed is there by now.
        """
        with self._lock:
            self._show()
            self._output.write(data)
            self._begun = (self._begun + data).rpartition(b"\n")[2]
            self._show()
            self._output.flush()

    def typed(self, data: bytes) -> bytes:
        """A person has typed this. After a return GDB ends the prompt's line soon."""
        with self._lock:
            if b"\r" in data and self._begun:
                self._begun = b"\r"
        return data

    def _show(self) -> None:
        """Nothing in the middle of GDB's line; but a person at the prompt may not end it soon. And
        no half of the guest's: what GDB said when it let the guest go may arrive behind it.
        """
        at_prompt = _PROMPT in self._begun
        if self._begun and not at_prompt:
            return
        fresh = self._rest + self._printed()
        end = fresh.rfind(b"\n") + 1 if self._shared else len(fresh)
        self._rest = fresh[end:]
        if end:
            fresh = b"\n" * at_prompt + fresh[:end]
            self._output.write(fresh.replace(b"\n", self._line_end))
            self._begun = b""

    def run(self, argv: list[str]) -> int:
        """GDB on our terminal, or on our input and output if they are none; its exit status, or
        minus the signal that killed it.
        """
        on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        status = self._on_a_pty(argv) if on_terminal else self._on_a_pipe(argv)
        self._shared, self._begun = False, b""
        self.serial()
        return status

    def _on_a_pty(self, argv: list[str]) -> int:
        def show(data: bytes) -> bytes:
            self.gdb(data)
            return b""  # nothing is left to be shown

        # GDB's as well as ours. Whoever started us may have blocked it: `perf record` does.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGWINCH})
        # Of bytes, which the published types do not know of interact().
        gdb: Any = pexpect.spawn(argv[0], argv[1:], dimensions=_dimensions())
        self._line_end = b"\r\n"  # a raw terminal adds no \r
        without_suspend = _suspension(gdb)
        with _resized(gdb):
            gdb.interact(
                None,
                input_filter=lambda data: self.typed(without_suspend(data)),
                output_filter=show,
            )
        with suppress(pexpect.EOF, pexpect.TIMEOUT):  # interact() looks no more when it has ended
            while True:
                self.gdb(gdb.read_nonblocking(_CHUNK, timeout=0))
        self._line_end = b"\n"
        gdb.wait()
        return int(-gdb.signalstatus if gdb.signalstatus else gdb.exitstatus)

    def _on_a_pipe(self, argv: list[str]) -> int:
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as gdb:
            assert gdb.stdout
            try:
                while data := os.read(gdb.stdout.fileno(), _CHUNK):
                    self.gdb(data)
            except BaseException:
                gdb.kill()  # or it is waited for
                raise
        return gdb.returncode


@contextmanager
def _resized(gdb: Any) -> Iterator[None]:
    """While it runs, GDB's pty is as large as our terminal."""
    before = signal.signal(signal.SIGWINCH, lambda *_: gdb.setwinsize(*_dimensions()))
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def _suspension(gdb: Any) -> Callable[[bytes], bytes]:
    """What is typed, without a Ctrl-Z: that stops us, and the shell has its terminal as it was.

    GDB, in a session without a shell, cannot be stopped. Its prompt is drawn again when we go on; a
    Ctrl-Z on its pty would flush that.
    """
    keyboard = sys.stdin.fileno()
    cooked = termios.tcgetattr(keyboard)

    def filtered(typed: bytes) -> bytes:
        if _SUSPEND in typed:
            raw = termios.tcgetattr(keyboard)
            termios.tcsetattr(keyboard, termios.TCSADRAIN, cooked)
            os.killpg(0, signal.SIGTSTP)
            termios.tcsetattr(keyboard, termios.TCSADRAIN, raw)
            gdb.kill(signal.SIGWINCH)
        return typed.replace(_SUSPEND, b"")

    return filtered


def _dimensions() -> tuple[int, int]:
    """Rows and columns of our terminal."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.lines, size.columns


class Printed:
    """Of a machine: what it has printed since the last call.

    again: the machine goes back and prints again what it printed; each line is given once.
    """

    def __init__(self, guest: Machine, again: bool = False) -> None:
        self._guest, self._once = guest, Once() if again else None
        self._taken = 0

    def __call__(self) -> bytes:
        fresh = self._guest.serial_after(self._taken)
        self._taken += len(fresh)
        return self._once.fresh(fresh) if self._once else fresh


class Once:
    """Of a machine that goes back and prints again: each line the first time only.

    Every way back begins at the record's beginning, so its first line tells that all comes again. A
    line that was cut by it comes again as a whole.
    """

    def __init__(self) -> None:
        self._rest, self._first = b"", b""
        self._at = self._shown = 0

    def fresh(self, data: bytes) -> bytes:
        """The whole lines of this that were not there before."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(line + b"\n" for line in lines if self._is_new(line))

    def _is_new(self, line: bytes) -> bool:
        self._first = self._first or line
        if line.endswith(self._first):
            self._at = 0
        new = self._at == self._shown
        self._shown += new
        self._at += 1
        return new
