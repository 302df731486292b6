"""Inside tmux: the serial port in a pane of its own, below GDB's. What is typed there is sent.

The pane runs nothing but `cat` on a pipe of ours, opened through /proc. So there is no file to
remove, and the pane closes when we end, whatever ends us: a pipe without a writer is at its end.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO

from harness.errors import HarnessError

_HEIGHT = "35%"
_NO_TMUX = "leave tmux, or: env -u TMUX make debug …"


def in_tmux() -> bool:
    """Is our terminal a tmux pane, which can be split?"""
    return "TMUX" in os.environ and bool(shutil.which("tmux")) and sys.stdin.isatty()


@contextlib.contextmanager
def serial_pane(send: Callable[[bytes], object]) -> Iterator[IO[bytes]]:
    """What is written goes to a new pane; each line that is typed there goes to `send`."""
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb", buffering=0) as output:
            tty = _split(f"exec cat /proc/{os.getpid()}/fd/{reader}")
            threading.Thread(target=_pass_lines, args=(tty, send), daemon=True).start()
            yield output
    finally:
        os.close(reader)


def _split(command: str) -> str:
    """Run a command in a pane below ours; the pane's terminal. The keyboard stays where it is."""
    argv = ["tmux", "split-window", "-d", "-l", _HEIGHT, "-P", "-F", "#{pane_tty}"]
    argv += ["-t", os.environ.get("TMUX_PANE", ""), command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = f"tmux gives no pane for the serial port: {done.stderr.strip()}"
        raise HarnessError(problem, hint=_NO_TMUX)
    return done.stdout.strip()


def _pass_lines(tty: str, send: Callable[[bytes], object]) -> None:
    """Until the pane, or the machine, is gone. Not our controlling terminal: Ctrl-C stays there."""
    with contextlib.suppress(OSError):
        keyboard = os.open(tty, os.O_RDONLY | os.O_NOCTTY)
        with os.fdopen(keyboard, "rb") as lines:
            for line in lines:
                send(line)
