"""A real GDB, driven over its machine interface: breakpoints, pokes, registers, the DWARF
backtrace.

A session is one machine looked at. That the guest powers off while it runs is an ordinary end
(Stop.exited), and only the machine knows whether it was the guest's own. GDB itself (gdbchild.py)
is the session's own, or kept from one session to the next (KeptGdb): to start it and read the
symbols costs three times what a boot costs.

Each command is also written to the transcript, in the form a person would type, its answer as a
comment: the file is a GDB script that replays the session. Knows nothing of the kernel; the
commands in harness/hw are loaded with `source`.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness.deadline import Deadline
from harness.debugger import mi
from harness.debugger.process import (
    LEAVE_SECONDS,
    SECONDS,
    Gdb,
    Stop,
    fields,
    function,
    items,
    text,
)
from harness.errors import GdbError
from harness.owned import Owned

_REPLAY_SOCKET = "gdb.sock"
_CORE_REGISTER = re.compile(r"x\d+|sp|pc|cpsr")
_WATCHES = {"write": ("", "watch"), "read": ("-r ", "rwatch"), "any": ("-a ", "awatch")}
# GDB may be there before QEMU. Unanswered for 2 s it asks again, and then trips over two answers.
PATIENCE = "remotetimeout 30"
_SETTINGS = ("confirm off", "pagination off", "width 0", "height 0", PATIENCE)
# For who only looks. At each frame GDB reads three words of code, and the stack in 64 bytes: 710
# packets for 181 frames, and 17 with these. Not for who wants to see code that was patched.
ONLY_LOOKING = ("trust-readonly-sections on", "dcache line-size 1024")


@dataclass(frozen=True)
class GdbFrame:
    """One line of GDB's backtrace. function is None where GDB has no symbol."""

    level: int
    address: int
    function: str | None


class KeptGdb(Owned):
    """Lends one GDB to one session after another, as long as they read the same files.

    A session that ended in an error does not give it back, so whatever state it was in is gone
    with it. Leaving ends the one that is kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._idle: Gdb | None = None

    def lend(self, gdb: Path, told: tuple[object, ...], transcript: Path) -> Gdb:
        """The kept one, if it was told the same and lives; else a new one."""
        kept, self._idle = self._idle, None
        if kept and kept.argv[0] == str(gdb) and kept.told == told and kept.alive:
            kept.transcript = transcript
            return kept
        if kept:
            kept.close()
        return Gdb(gdb, transcript).__enter__()

    def take_back(self, gdb: Gdb) -> None:
        self._idle = gdb

    def _start(self) -> None:
        self._owned.callback(self._end)

    def _end(self) -> None:
        if self._idle:
            self._idle.close()


class GdbSession(Owned):
    """`with GdbSession(find_gdb(), machine.gdb_socket, elf, path) as gdb: gdb.connect()`.

    Entering starts GDB and returns at once. `connect` waits for it and for QEMU. Leaving detaches
    (the guest runs on) and ends GDB, or gives it back to `kept`; should that fail, GDB is killed.
    more: files whose symbols are read beside those of `elf`. settings: more of GDB's own.
    """

    def __init__(
        self,
        gdb: Path,
        socket: Path,
        elf: Path,
        transcript: Path,
        *,
        more: Sequence[Path] = (),
        settings: Sequence[str] = (),
        kept: KeptGdb | None = None,
    ) -> None:
        super().__init__()
        self.elf, self.socket, self.transcript = elf, socket, transcript
        self._path, self._more, self._kept = gdb, tuple(more), kept
        self._settings = (*_SETTINGS, *settings)
        self._setup: list[tuple[int, str]] = []
        self._core_registers: dict[str, str] = {}
        self._left = False

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
        return self._gdb.pid

    def connect(self, deadline: Deadline | None = None) -> Stop:
        """Load the symbols and attach to the machine, which stops it; where it stands."""
        deadline = deadline or Deadline(SECONDS)
        for token, typed in self._setup:
            self._finish(token, typed, deadline)
        self._gdb.told = self._to_tell
        self._note(f"# {self.socket} at the time")
        # The rest of the line is the name, quotes and all.
        target = f"-target-select remote {self.socket}"
        self.command(target, f"target remote {_REPLAY_SOCKET}", deadline)
        self._gdb.connected = True
        return self.wait_stop(deadline)

    def source(self, file: Path) -> str:
        """Load a file of GDB commands or GDB's Python; what it printed."""
        return self.console(f"source {file}")

    def console(self, command: str, deadline: Deadline | None = None) -> str:
        """Any command as a person types it, and what it prints."""
        before = len(self._gdb.text)
        self.command(f"-interpreter-exec console {mi.quote(command)}", command, deadline)
        said = "".join(self._gdb.text[before:])
        self._answer(said.splitlines())
        return said

    def console_moving(self, command: str, deadline: Deadline | None = None) -> str:
        """The same for a command that lets the target run and stops it again by itself (hw blame).

        Its first result comes when the target starts (GDB 18 has none), so the next command's is
        waited for; if it fails after that, there is a second result.
        """
        deadline = deadline or Deadline(SECONDS)
        before = len(self._gdb.text)
        token = self._post(f"-interpreter-exec console {mi.quote(command)}")
        self._note(command)
        self._finish(self._post("-gdb-show confirm"), command, deadline)
        self._gdb.stops.clear()
        while self._gdb.has_result(token):
            self._finish(token, command, deadline)
        said = "".join(self._gdb.text[before:])
        self._answer(said.splitlines())
        return said

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
        point = fields(self.command(command, f"{word} {location}{typed_when}")["bkpt"])
        number = int(text(point["number"]))
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
        return int(text(fields(point)["number"]))

    def delete(self, number: int) -> None:
        """Take a breakpoint or watchpoint away."""
        self.command(f"-break-delete {number}", f"delete {number}")

    def stepi(self, deadline: Deadline) -> Stop:
        """One instruction."""
        self._gdb.stops.clear()
        self.command("-exec-step-instruction", "stepi", deadline)
        return self.wait_stop(deadline)

    def cont(self) -> None:
        """Let the guest run; returns at once. wait_stop says when it stands again."""
        self._gdb.stops.clear()
        self.command("-exec-continue", "continue")

    def interrupt(self) -> None:
        """Ask a running guest to stop; wait_stop says when it does."""
        self.command("-exec-interrupt --all", "interrupt")

    def wait_stop(self, deadline: Deadline) -> Stop:
        """The next stop of the target, in order; GdbTimeout when it runs on."""
        stop = self._gdb.wait_stop(deadline)
        self._note(f"# stopped: {stop}")
        return stop

    def evaluate(self, expression: str) -> str:
        """The value of an expression in the selected frame, as GDB prints it."""
        quoted = mi.quote(expression)
        results = self.command(f"-data-evaluate-expression {quoted}", f"print {expression}")
        value = text(results["value"])
        self._answer([value])
        return value

    def set_var(self, target: str, value: int | str) -> None:
        """Assign to a variable, a member, a register ($x0) or a cast address."""
        assignment = f"var {target} = {value}"
        self.command(f"-gdb-set {assignment}", f"set {assignment}")

    def backtrace(self) -> list[GdbFrame]:
        """The stack as DWARF unwinds it, innermost first."""
        results = self.command("-stack-list-frames", "backtrace")
        frames = [_frame(fields(frame)) for frame in items(results["stack"])]
        self._answer(f"#{f.level} {f.address:#x} {f.function or '??'}" for f in frames)
        return frames

    def registers(self) -> dict[str, int]:
        """x0 to x30, sp, pc and cpsr of the selected frame. Others: evaluate("$FAR_EL1")."""
        if not self._core_registers:
            names = items(self.command("-data-list-register-names")["register-names"])
            numbered = ((str(n), text(name)) for n, name in enumerate(names))
            self._core_registers = {n: s for n, s in numbered if _CORE_REGISTER.fullmatch(s)}
        wanted = " ".join(self._core_registers)
        results = self.command(f"-data-list-register-values x {wanted}", "info registers")
        pairs = [fields(value) for value in items(results["register-values"])]
        registers = {
            self._core_registers[text(p["number"])]: int(text(p["value"]), 0) for p in pairs
        }
        self._answer(f"{name} {value:#x}" for name, value in registers.items())
        return registers

    def read_memory(self, address: int | str, size: int) -> bytes:
        """`size` bytes at an address or at an expression ("&counter")."""
        at = mi.quote(str(address))
        results = self.command(f"-data-read-memory-bytes {at} {size}", f"x/{size}xb {address}")
        data = b"".join(
            bytes.fromhex(text(fields(block)["contents"])) for block in items(results["memory"])
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
        """Detach, so that the guest runs on, and quit. GDB is kept, or gone and reaped."""
        try:
            with suppress(GdbError):  # it is killed instead
                self._leave(Deadline(LEAVE_SECONDS))
        finally:
            self._owned.close()

    def _start(self) -> None:
        self.transcript.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._owned.enter_context(self.transcript.open("w", buffering=1))
        files = ((file, _stamp(file)) for file in (self.elf, *self._more))
        self._to_tell = (*self._settings, *files)
        if self._kept:
            self._gdb = self._kept.lend(self._path, self._to_tell, self.transcript)
        else:
            self._gdb = Gdb(self._path, self.transcript).__enter__()
        self._owned.callback(self._part)
        self._set_up()

    def _set_up(self) -> None:
        """Give GDB its first commands while it still starts; connect() looks at the answers."""
        self._note(_TRANSCRIPT_HEAD.format(gdb=self._path, file=self.transcript.name))
        loads = {f"file {mi.typed(self.elf)}": f"-file-exec-and-symbols {mi.quote(str(self.elf))}"}
        for file in self._more:
            add = f"add-symbol-file {mi.typed(file)}"
            loads[add] = f"-interpreter-exec console {mi.quote(add)}"
        commands = {f"set {setting}": f"-gdb-set {setting}" for setting in self._settings} | loads
        for typed in commands:
            self._note(typed)
        if self._gdb.told == self._to_tell:
            return
        self._post("-gdb-set mi-async on")
        self._setup = [(self._post(command), typed) for typed, command in commands.items()]

    def _leave(self, deadline: Deadline) -> None:
        if self._left:
            return
        self._gdb.pull()
        if self._gdb.connected and self._gdb.running:
            self._finish(self._gdb.post("-exec-interrupt --all"), "interrupt", deadline)
            self._gdb.wait_stop(deadline)
        if self._gdb.connected:
            self.command("-target-detach", "detach", deadline)
        if self._kept and self._gdb.told:
            self._give_back(self._kept, deadline)
        else:
            self._gdb.quit(deadline)

    def _give_back(self, kept: KeptGdb, deadline: Deadline) -> None:
        """As the next session wants it: no target, no breakpoint, nothing left to read."""
        self._gdb.finish(self._gdb.post("-break-delete"), "delete", deadline)
        self._gdb.connected = self._gdb.running = False
        self._gdb.stops.clear()
        self._gdb.text.clear()
        kept.take_back(self._gdb)
        self._left = True

    def _part(self) -> None:
        if not self._left:
            self._gdb.close()
        self._left = True

    def _post(self, command: str) -> int:
        if self._left and self._kept:
            raise GdbError("this session is over: its GDB may be another session's by now")
        return self._gdb.post(command)

    def _finish(self, token: int, typed: str, deadline: Deadline) -> dict[str, mi.Value]:
        try:
            return self._gdb.finish(token, typed, deadline)
        except GdbError as error:
            self._answer([f"error: {error.problem}"])
            raise

    def _note(self, line: str) -> None:
        if not self._log.closed:
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


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _frame(frame: dict[str, mi.Value]) -> GdbFrame:
    level, address = int(text(frame["level"])), int(text(frame["addr"]), 0)
    return GdbFrame(level, address, function(frame))
