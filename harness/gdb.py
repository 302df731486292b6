"""A real GDB, driven over its machine interface: breakpoints, pokes, registers, the DWARF
backtrace.

Every command carries a token and waits for its own result record, so nothing waits for GDB to fall
quiet (see mi.py). What GDB tells unasked, above all *stopped, is queued until somebody waits for
it. That the guest powers off while it runs is an ordinary end (Stop.exited), and only the machine
knows whether it was the guest's own.

Each command is also written to the transcript, in the form a person would type, its answer as a
comment: the file is a GDB script that replays the session. Knows nothing of the kernel; the
commands in harness/gdb are loaded with `source`.
"""

import itertools
import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from harness import mi
from harness.deadline import Deadline
from harness.drain import MIB, Channel, Drain, Lines
from harness.errors import GdbDied, GdbError, GdbTimeout

SECONDS = 20.0  # for one command; GDB answers in 0.1 ms, so this is only the backstop
_LEAVE_SECONDS = 3.0
_OUTPUT_LIMIT = 64 * MIB
_STDERR_LIMIT = MIB
_REPLAY_SOCKET = "gdb.sock"
_CORE_REGISTER = re.compile(r"x\d+|sp|pc|cpsr")
_WATCHES = {"write": ("", "watch"), "read": ("-r ", "rwatch"), "any": ("-a ", "awatch")}
# GDB may be there before QEMU. Unanswered for 2 s it asks again, and then trips over two answers.
PATIENCE = "remotetimeout 30"
_SETTINGS = ("confirm off", "pagination off", "width 0", "height 0", PATIENCE)
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


@dataclass(frozen=True)
class GdbFrame:
    """One line of GDB's backtrace. function is None where GDB has no symbol."""

    level: int
    address: int
    function: str | None


class GdbSession:
    """`with GdbSession(find_gdb(), machine.gdb_socket, elf, path) as gdb: gdb.connect()`.

    Entering starts GDB and returns at once; GDB's own start (60 ms) runs beside QEMU's. `connect`
    waits for both. Leaving detaches (the guest runs on) and ends GDB; should that fail, GDB is
    killed.
    """

    def __init__(self, gdb: Path, socket: Path, elf: Path, transcript: Path) -> None:
        self.elf, self.socket, self.transcript = elf, socket, transcript
        self.argv = (str(gdb), "--nx", "-q", "--interpreter=mi2")
        self._tokens = itertools.count(1)
        self._results: dict[int, mi.Result] = {}
        self._stops: deque[Stop] = deque()
        self._text: list[str] = []
        self._core_registers: dict[str, str] = {}
        self._connected = self._running = False
        self._owned = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # an interrupted start must not leave a GDB behind
            self._owned.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            self.close()
        else:  # Ctrl-C: nobody wants to wait for a polite good-bye
            self._owned.close()

    @property
    def pid(self) -> int:
        return self._drain.pid

    def connect(self, deadline: Deadline | None = None) -> Stop:
        """Load the symbols and attach to the machine, which stops it; where it stands."""
        deadline = deadline or Deadline(SECONDS)
        for token, cli in self._setup:
            self._finish(token, cli, deadline)
        self._note(f"# {self.socket} at the time")
        # The rest of the line is the name, quotes and all.
        target = f"-target-select remote {self.socket}"
        self.command(target, f"target remote {_REPLAY_SOCKET}", deadline)
        self._connected = True
        return self.wait_stop(deadline)

    def source(self, file: Path) -> str:
        """Load a file of GDB commands or GDB's Python; what it printed."""
        return self.console(f"source {file}")

    def console(self, command: str, deadline: Deadline | None = None) -> str:
        """Any command as a person types it, and what it prints."""
        before = len(self._text)
        self.command(f"-interpreter-exec console {mi.quote(command)}", command, deadline)
        text = "".join(self._text[before:])
        self._answer(text.splitlines())
        return text

    def console_moving(self, command: str, deadline: Deadline | None = None) -> str:
        """The same for a command that lets the target run and stops it again by itself (hw blame).

        Its first result comes when the target starts, so the next command's is waited for; if it
        fails after that, there is a second result.
        """
        deadline = deadline or Deadline(SECONDS)
        before = len(self._text)
        token = self._post(f"-interpreter-exec console {mi.quote(command)}")
        self._note(command)
        self._finish(token, command, deadline)
        self._finish(self._post("-gdb-show confirm"), command, deadline)
        self._stops.clear()
        if token in self._results:
            self._finish(token, command, deadline)
        text = "".join(self._text[before:])
        self._answer(text.splitlines())
        return text

    def breakpoint(
        self, location: str, temporary: bool = False, *, hit: int = 1, condition: str = ""
    ) -> int:
        """Stop at a symbol, file:line or *address; the breakpoint's number.

        hit: the n-th time (of those when the condition holds) is the first that stops.
        """
        once, word = ("-t ", "tbreak") if temporary else ("", "break")
        when, typed_when = (
            (f"-c {mi.quote(condition)} ", f" if {condition}") if condition else ("", "")
        )
        skip = f"-i {hit - 1} " if hit > 1 else ""
        command = f"-break-insert {once}{when}{skip}{mi.quote(location)}"
        point = _tuple(self.command(command, f"{word} {location}{typed_when}")["bkpt"])
        number = int(_text(point["number"]))
        self._answer([f"{number} at {point.get('addr', '?')}"])
        if skip:
            self._note(f"ignore {number} {hit - 1}")
        return number

    def watch(self, expression: str, access: str = "write") -> int:
        """Stop when the guest writes (read: reads; any: touches) what an expression names."""
        option, word = _WATCHES[access]
        results = self.command(
            f"-break-watch {option}{mi.quote(expression)}", f"{word} {expression}"
        )
        (point,) = results.values()
        return int(_text(_tuple(point)["number"]))

    def delete(self, number: int) -> None:
        """Take a breakpoint or watchpoint away."""
        self.command(f"-break-delete {number}", f"delete {number}")

    def stepi(self, deadline: Deadline) -> Stop:
        """One instruction."""
        self._stops.clear()
        self.command("-exec-step-instruction", "stepi", deadline)
        return self.wait_stop(deadline)

    def cont(self) -> None:
        """Let the guest run; returns at once. wait_stop says when it stands again."""
        self._stops.clear()
        self.command("-exec-continue", "continue")

    def interrupt(self) -> None:
        """Ask a running guest to stop; wait_stop says when it does."""
        self.command("-exec-interrupt --all", "interrupt")

    def wait_stop(self, deadline: Deadline) -> Stop:
        """The next stop of the target, in order; GdbTimeout when it runs on."""
        stop = self._wait(self._next_stop, deadline, "the target did not stop")
        self._note(f"# stopped: {stop}")
        return stop

    def evaluate(self, expression: str) -> str:
        """The value of an expression in the selected frame, as GDB prints it."""
        quoted = mi.quote(expression)
        results = self.command(f"-data-evaluate-expression {quoted}", f"print {expression}")
        value = _text(results["value"])
        self._answer([value])
        return value

    def set_var(self, target: str, value: int | str) -> None:
        """Assign to a variable, a member, a register ($x0) or a cast address."""
        assignment = f"var {target} = {value}"
        self.command(f"-gdb-set {assignment}", f"set {assignment}")

    def backtrace(self) -> list[GdbFrame]:
        """The stack as DWARF unwinds it, innermost first."""
        results = self.command("-stack-list-frames", "backtrace")
        frames = [_frame(_tuple(frame)) for frame in _list(results["stack"])]
        self._answer(f"#{f.level} {f.address:#x} {f.function or '??'}" for f in frames)
        return frames

    def registers(self) -> dict[str, int]:
        """x0 to x30, sp, pc and cpsr of the selected frame. Others: evaluate("$FAR_EL1")."""
        if not self._core_registers:
            names = _list(self.command("-data-list-register-names")["register-names"])
            numbered = ((str(n), _text(name)) for n, name in enumerate(names))
            self._core_registers = {n: s for n, s in numbered if _CORE_REGISTER.fullmatch(s)}
        wanted = " ".join(self._core_registers)
        results = self.command(f"-data-list-register-values x {wanted}", "info registers")
        pairs = [_tuple(value) for value in _list(results["register-values"])]
        registers = {
            self._core_registers[_text(p["number"])]: int(_text(p["value"]), 0) for p in pairs
        }
        self._answer(f"{name} {value:#x}" for name, value in registers.items())
        return registers

    def read_memory(self, address: int | str, size: int) -> bytes:
        """`size` bytes at an address or at an expression ("&counter")."""
        at = mi.quote(str(address))
        results = self.command(f"-data-read-memory-bytes {at} {size}", f"x/{size}xb {address}")
        data = b"".join(
            bytes.fromhex(_text(_tuple(block)["contents"])) for block in _list(results["memory"])
        )
        self._answer([data.hex(" ")])
        return data

    def write_memory(self, address: int | str, data: bytes) -> None:
        """Poke bytes at an address or at an expression."""
        at = mi.quote(str(address))
        typed = f"set {{unsigned char[{len(data)}]}}({address}) = {{{', '.join(map(str, data))}}}"
        self.command(f"-data-write-memory-bytes {at} {data.hex()}", typed)

    def command(
        self, command: str, typed: str = "", deadline: Deadline | None = None
    ) -> dict[str, mi.Value]:
        """Run one MI command and return its results; `typed` is what a person would type for it."""
        token = self._post(command)
        self._note(typed or f"# mi: {command}")
        return self._finish(token, typed or command, deadline or Deadline(SECONDS))

    def close(self) -> None:
        """Detach, so that the guest runs on, and quit. In any case GDB is gone and reaped."""
        try:
            with suppress(GdbError):  # it is killed instead
                self._leave(Deadline(_LEAVE_SECONDS))
        finally:
            self._owned.close()

    def _start(self) -> None:
        self.transcript.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._owned.enter_context(self.transcript.open("w", buffering=1))
        self._output, self._stderr = Channel("gdb", _OUTPUT_LIMIT), Channel("stderr", _STDERR_LIMIT)
        self._lines = Lines(self._output)
        both, stderr = self._output.theirs.fileno(), self._stderr.theirs.fileno()
        channels = [self._output, self._stderr]
        self._drain = Drain(self.argv, channels, stdio=(both, both, stderr))
        self._owned.callback(self._drain.close)
        self._drain.start()
        self._set_up()

    def _set_up(self) -> None:
        """Give GDB its first commands while it still starts; connect() looks at the answers."""
        self._note(_TRANSCRIPT_HEAD.format(gdb=self.argv[0], file=self.transcript.name))
        typed = [*(f"set {setting}" for setting in _SETTINGS), f"file {self.elf}"]
        for line in typed:
            self._note(line)
        load = f"-file-exec-and-symbols {mi.quote(str(self.elf))}"
        commands = [*(f"-gdb-set {setting}" for setting in _SETTINGS), load]
        self._post("-gdb-set mi-async on")
        self._setup = [(self._post(c), t) for c, t in zip(commands, typed, strict=True)]

    def _leave(self, deadline: Deadline) -> None:
        if self._log.closed:  # left already
            return
        self._pull()
        if self._connected and self._running:
            self._finish(self._post("-exec-interrupt --all"), "interrupt", deadline)
            self._wait(self._next_stop, deadline, "the target did not stop")
        if self._connected:
            self.command("-target-detach", "detach", deadline)
        self._post("-gdb-exit")
        self._drain.wait_done(deadline)

    def _post(self, command: str) -> int:
        """Send a command; the token its result will carry."""
        token = next(self._tokens)
        try:
            self._output.send(f"{token}{command}\n".encode(), Deadline(SECONDS))
        except TimeoutError:
            raise self._error(GdbTimeout, "GDB does not read its commands", command) from None
        except OSError:
            raise self._died(command) from None
        return token

    def _finish(self, token: int, typed: str, deadline: Deadline) -> dict[str, mi.Value]:
        """Wait for the result of a posted command."""
        result = self._wait(
            lambda: self._results.pop(token, None), deadline, "GDB gave no answer", typed
        )
        if result.kind == "error":
            message = _text(result.results.get("msg", "(no message)"))
            self._answer([f"error: {message}"])
            raise self._error(GdbError, f"GDB refused: {message}", typed)
        return result.results

    def _wait(
        self, look: Callable[[], _T | None], deadline: Deadline, problem: str, command: str = ""
    ) -> _T:
        """What `look` finds, looked for again after each line of GDB's."""
        while True:
            ended = self._output.ended
            self._pull()
            if (found := look()) is not None:
                return found
            if ended:
                raise self._died(command)
            if not self._lines.wait_more(deadline):
                raise self._error(GdbTimeout, f"{problem} within {deadline.seconds:g} s", command)

    def _next_stop(self) -> Stop | None:
        if self._stops:
            return self._stops.popleft()
        return None if self._connected else Stop("exited", exited=True)

    def _pull(self) -> None:
        for line in self._lines.take():
            try:
                record = mi.parse(line.decode("utf-8", "surrogateescape"))
            except mi.MiError:  # a library inside GDB that prints on its own
                record = mi.Text("@", line.decode("utf-8", "replace") + "\n")
            self._file(record)

    def _file(self, record: mi.Record | None) -> None:
        if isinstance(record, mi.Result) and record.token is not None:
            self._results[record.token] = record
        elif isinstance(record, mi.Text) and record.sign == "~":
            self._text.append(record.text)
        elif isinstance(record, mi.Async):
            self._happened(record)

    def _happened(self, event: mi.Async) -> None:
        if event.kind == "running":
            self._running = True
        elif event.kind == "stopped":
            self._running = False
            self._stops.append(_stop(event.results))
        elif event.kind == "thread-group-exited":
            self._running = self._connected = False

    def _died(self, command: str) -> GdbDied:
        self._drain.wait_done(Deadline(_LEAVE_SECONDS))  # its pipe may be gone before it is
        status = self._drain.exit_status
        how = (
            f"was killed by signal {-status}" if status and status < 0 else f"exited with {status}"
        )
        flood = " for flooding its output" if self._drain.flooded else ""
        return self._error(GdbDied, f"GDB {how}{flood}", command or shlex.join(self.argv))

    def _error(self, kind: type[_E], problem: str, command: str) -> _E:
        said = self._stderr.after(0) or self._output.after(0)
        return kind(problem, command=command, transcript=self.transcript, output=said)

    def _note(self, line: str) -> None:
        self._log.write(f"{line}\n")

    def _answer(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._note(f"#   {line}")


_TRANSCRIPT_HEAD = f"""\
# What GDB was told, and what it answered. To replay it, in this directory:
#   start QEMU (its command is in the failure's message) with these arguments added:
#     -S -gdb unix:{_REPLAY_SOCKET},server=on,wait=off
#   and beside it:
#     {{gdb}} --nx -x {{file}}"""


def _text(value: mi.Value) -> str:
    assert isinstance(value, str), value
    return value


def _tuple(value: mi.Value) -> dict[str, mi.Value]:
    assert isinstance(value, dict), value
    return value


def _list(value: mi.Value) -> list[mi.Value]:
    assert isinstance(value, list), value
    return value


def _function(frame: dict[str, mi.Value]) -> str | None:
    name = _text(frame.get("func", "??"))
    return None if name == "??" else name


def _frame(frame: dict[str, mi.Value]) -> GdbFrame:
    level, address = int(_text(frame["level"])), int(_text(frame["addr"]), 0)
    return GdbFrame(level, address, _function(frame))


def _stop(results: dict[str, mi.Value]) -> Stop:
    reason = _text(results.get("reason", "connected"))
    if reason.startswith("exited"):
        return Stop(reason, exited=True)
    frame = _tuple(results.get("frame", {}))
    address = int(_text(frame["addr"]), 0) if "addr" in frame else None
    name = results.get("signal-name")
    return Stop(reason, _function(frame), address, _text(name) if name else None)
