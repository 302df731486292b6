"""What a person is told while a machine says nothing: that it is waited for, for what, how long.

One line under the serial log, on a terminal only; it is wiped before anything else is printed.
"""

import shutil
import time
from typing import IO

AFTER = 1.0  # seconds of silence before anything is said, and between two changes of it


class Waiting:
    """`tick` when nothing came for AFTER seconds, `seen` with what came, `wipe` before printing."""

    def __init__(self, output: IO[bytes], *, shown: bool) -> None:
        self._output, self._shown = output, shown
        self._line = b""  # the last that was begun
        self._last = "the machine to start"
        self._width = 0
        self._since = time.monotonic()

    def seen(self, data: bytes) -> None:
        self._since = time.monotonic()
        *whole, self._line = (self._line + data).split(b"\n")
        if whole:
            self._last = f"what comes after {whole[-1].decode('ascii', 'replace').strip()}"

    def tick(self) -> None:
        """Nothing in the middle of a line that the guest has begun."""
        if not self._shown or self._line:
            return
        seconds = time.monotonic() - self._since
        room = shutil.get_terminal_size().columns - 1
        text = f"[waiting {seconds:.0f} s, Ctrl-C stops it] for {self._last}"[:room]
        self._write(f"\r{text:<{self._width}}")
        self._width = len(text)

    def wipe(self) -> None:
        if self._width:
            self._write(f"\r{'':<{self._width}}\r")
        self._width = 0

    def _write(self, text: str) -> None:
        self._output.write(text.encode("ascii", "replace"))
        self._output.flush()
