"""GDB as a process that speaks MI: commands go in with a token, records come out and are filed.

gdb.py is the only caller: a session (GdbSession) has one of these, of its own or kept from the
session before. Every command waits for its own result record, so nothing waits for GDB to fall
quiet (see mi.py). What GDB tells unasked, above all *stopped, is queued until somebody waits.
"""

import itertools
import shlex
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.deadline import Deadline
from harness.debugger import mi
from harness.errors import GdbDied, GdbError, GdbTimeout
from harness.owned import Owned
from harness.qemu.channel import MIB, Channel, Lines
from harness.qemu.drain import Drain

SECONDS = 20.0  # for one command; GDB answers in 0.1 ms, so this is only the backstop
LEAVE_SECONDS = 3.0
_OUTPUT_LIMIT = 64 * MIB
_STDERR_LIMIT = MIB
_T = TypeVar("_T")
_E = TypeVar("_E", bound=GdbError)


@dataclass(frozen=True)
class Stop:
    """Why and where the target stands. exited: there is no target any more."""

    reason: str
    function: str | None = None
    address: int | None = None
    signal: str | None = None
    exited: bool = False

    def __str__(self) -> str:
        words = [self.reason, self.signal, self.function and f"in {self.function}"]
        words += [f"at {self.address:#x}" if self.address is not None else None]
        return " ".join(word for word in words if word)


GONE = Stop("exited", exited=True)


class Gdb(Owned):
    """Entering starts it and returns at once: its own start (60 ms) runs beside QEMU's.

    transcript: the file that an error's message names. told: what it has been given for good
    (settings, symbols), so that a session knows what is left to say.
    """

    def __init__(self, gdb: Path, transcript: Path) -> None:
        super().__init__()
        self.argv = (str(gdb), "--nx", "-q", "--interpreter=mi2")
        self.transcript = transcript
        self.told: tuple[object, ...] = ()
        self.text: list[str] = []
        self.stops: deque[Stop] = deque()
        self.connected = self.running = False
        self._tokens = itertools.count(1)
        self._results: dict[int, mi.Result] = {}

    @property
    def pid(self) -> int:
        return self._drain.pid

    @property
    def alive(self) -> bool:
        return not self._output.ended

    def post(self, command: str) -> int:
        """Send a command; the token its result will carry."""
        token = next(self._tokens)
        try:
            self._output.send(f"{token}{command}\n".encode(), Deadline(SECONDS))
        except TimeoutError:
            raise self._error(GdbTimeout, "GDB does not read its commands", command) from None
        except OSError:
            raise self._died(command) from None
        return token

    def finish(self, token: int, typed: str, deadline: Deadline) -> dict[str, mi.Value]:
        """Wait for the result of a posted command; GdbError, with GDB's words, when it refused."""
        result = self.wait(
            lambda: self._results.pop(token, None), deadline, "GDB gave no answer", typed
        )
        if result.kind == "error":
            raise self._error(GdbError, f"GDB refused: {result.results.get('msg')}", typed)
        return result.results

    def has_result(self, token: int) -> bool:
        """Has another result for this token arrived? hw blame may end with a second one."""
        return token in self._results

    def wait(
        self, look: Callable[[], _T | None], deadline: Deadline, problem: str, command: str = ""
    ) -> _T:
        """What `look` finds, looked for again after each line of GDB's."""
        while not deadline.expired:
            ended = self._output.ended
            self.pull()
            if (found := look()) is not None:
                return found
            if ended:
                raise self._died(command)
            self._lines.wait_more(deadline)
        raise self._error(GdbTimeout, f"{problem} within {deadline.seconds:g} s", command)

    def wait_stop(self, deadline: Deadline) -> Stop:
        """The next stop of the target, in order; GdbTimeout when it runs on."""
        return self.wait(self._next_stop, deadline, "the target did not stop")

    def pull(self) -> None:
        """File every whole line that has arrived."""
        for line in self._lines.take():
            try:
                record = mi.parse(line.decode("utf-8", "surrogateescape"))
            except mi.MiError:  # a library inside GDB that prints on its own
                record = mi.Text("@", line.decode("utf-8", "replace") + "\n")
            self._file(record)

    def quit(self, deadline: Deadline) -> None:
        """Ask it to end, and wait until it has."""
        self.post("-gdb-exit")
        self._drain.wait_done(deadline)

    def _start(self) -> None:
        self._output, self._stderr = Channel("gdb", _OUTPUT_LIMIT), Channel("stderr", _STDERR_LIMIT)
        self._lines = Lines(self._output)
        both, stderr = self._output.theirs.fileno(), self._stderr.theirs.fileno()
        channels = [self._output, self._stderr]
        self._drain = Drain(self.argv, channels, stdio=(both, both, stderr))
        self._owned.callback(self._drain.close)
        self._drain.start()

    def _next_stop(self) -> Stop | None:
        if self.stops:
            return self.stops.popleft()
        return None if self.connected else GONE

    def _file(self, record: mi.Record | None) -> None:
        if isinstance(record, mi.Result) and record.token is not None:
            self._results[record.token] = record
        elif isinstance(record, mi.Text) and record.sign == "~":
            self.text.append(record.text)
        elif isinstance(record, mi.Async):
            self._happened(record)

    def _happened(self, event: mi.Async) -> None:
        if event.kind == "running":
            self.running = True
        elif event.kind == "stopped":
            self.running = False
            self.stops.append(_stop(event.results))
        elif event.kind == "thread-group-exited":
            self.running = self.connected = False

    def _died(self, command: str) -> GdbDied:
        self._drain.wait_done(Deadline(LEAVE_SECONDS))  # its pipe may be gone before it is
        status = self._drain.exit_status
        how = (
            f"was killed by signal {-status}" if status and status < 0 else f"exited with {status}"
        )
        flood = " for flooding its output" if self._drain.flooded else ""
        return self._error(GdbDied, f"GDB {how}{flood}", command or shlex.join(self.argv))

    def _error(self, kind: type[_E], problem: str, command: str) -> _E:
        said = self._stderr.after(0) or self._output.after(0)
        return kind(problem, command=command, transcript=self.transcript, output=said)


def text(value: mi.Value) -> str:
    assert isinstance(value, str), value
    return value


def fields(value: mi.Value) -> dict[str, mi.Value]:
    assert isinstance(value, dict), value
    return value


def items(value: mi.Value) -> list[mi.Value]:
    assert isinstance(value, list), value
    return value


def function(frame: dict[str, mi.Value]) -> str | None:
    name = text(frame.get("func", "??"))
    return None if name == "??" else name


def _stop(results: dict[str, mi.Value]) -> Stop:
    reason = text(results.get("reason", "connected"))
    if reason.startswith("exited"):  # or -normally: whether its answer or its socket came first
        return GONE
    frame = fields(results.get("frame", {}))
    address = int(text(frame["addr"]), 0) if "addr" in frame else None
    name = results.get("signal-name")
    return Stop(reason, function(frame), address, text(name) if name else None)
