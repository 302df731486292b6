"""Every error the harness raises on purpose, and what each one tells the reader.

docs/harness.md has the whole tree, made from the classes.

str(error) is the whole message: what was wrong, the evidence (commands are ready to paste), and
what to type next. A test that *fails* is not one of these: they say that no verdict could be
reached. This module imports nothing of the harness, so that everything may import it.
"""

import os
import select
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LAST_LINES = 12


def tail(text: bytes, lines: int = LAST_LINES, width: int = 256) -> str:
    """The last lines of a channel, safe to print: no control characters, no endless line."""
    end = text[-(lines + 1) * width :].decode("utf-8", "replace").splitlines()[-lines:]
    return "\n".join(_printable(line[-width:]) for line in end)


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in line)


class HarnessError(Exception):
    """What was wrong, then labelled evidence, then what to type next."""

    def __init__(
        self, problem: str, *, evidence: Sequence[tuple[str, str]] = (), hint: str = ""
    ) -> None:
        self.problem = problem
        self.hint = hint
        shown = [f"  {label}:\n{textwrap.indent(text, '    ')}" for label, text in evidence if text]
        super().__init__("\n".join([problem, *shown, *([f"  next: {hint}"] if hint else [])]))


@contextmanager
def while_read() -> Iterator[None]:
    """For whatever prints much: a reader who has seen enough (`| head`) is no error, and the rest
    is for nobody. A pipe that broke elsewhere is as wrong as ever."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream.fileno())]
        if not unread:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _is_unread(pipe: int) -> bool:
    polled = select.poll()
    polled.register(pipe, 0)
    return any(event & select.POLLERR for _, event in polled.poll(0))


def status_of(work: Callable[[], object]) -> int:
    """Of a front end that only does this: 0; or 2, and what stood in the way is said."""
    try:
        with while_read():
            work()
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


class ToolMissing(HarnessError):
    """A program the harness needs is not installed. `install` is what to type."""

    def __init__(self, tool: str, *, install: str, tried: Sequence[str] = ()) -> None:
        looked = f" (looked for: {', '.join(tried)})" if tried else ""
        super().__init__(f"{tool} is not installed{looked}", hint=install)
        self.tool = tool


class WrongVersion(ToolMissing):
    """The program is there and too old, or does not say which version it is."""

    def __init__(self, tool: str, *, found: str, wanted: str, install: str) -> None:
        HarnessError.__init__(self, f"{tool} is {found}, but {wanted} is needed", hint=install)
        self.tool, self.found, self.wanted = tool, found, wanted


class KernelNotBuilt(HarnessError):
    """There is no kernel image at `kernel`, or `why` it is not one."""

    def __init__(self, kernel: Path, why: str = "does not exist") -> None:
        super().__init__(f"kernel {kernel} {why}", hint="run: make")
        self.kernel = kernel


class MachineError(HarnessError):
    """Something about one QEMU. `command` is the command line as a person would paste it."""

    def __init__(
        self, problem: str, *, command: str, serial: bytes = b"", stderr: bytes = b""
    ) -> None:
        evidence = [
            ("last serial lines", tail(serial) or "(nothing was printed)"),
            ("QEMU said", tail(stderr)),
            ("command", command),
        ]
        super().__init__(problem, evidence=evidence)
        self.command, self.serial, self.stderr = command, serial, stderr


class MachineDied(MachineError):
    """QEMU ended in a way that no guest can ask for, or before the guest did what was waited
    for."""


class MachineReset(MachineDied):
    """The guest did not power off but asked for a reset, and QEMU (-no-reboot) ended."""


class MachineSilent(MachineError):
    """The deadline passed. The problem names the program counter where QEMU still told it."""


class MachineEndless(MachineSilent):
    """It executed as many instructions as it was given, and did not end: on any host."""


class MachineFlooding(MachineError):
    """A channel passed its bound, so QEMU was killed; the log holds what came before."""


class DeadlinePassed(HarnessError, TimeoutError):
    """No wait begins after its deadline. Who waits says what for; nobody has to, this is whole."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no time is left of {seconds:g} s")
        self.seconds = seconds


class QmpError(HarnessError):
    """QEMU refused a QMP command: `error_class` and `desc` are QEMU's own words."""

    def __init__(self, command: str, *, error_class: str, desc: str) -> None:
        super().__init__(f"QMP {command}: {error_class}: {desc}")
        self.command, self.error_class, self.desc = command, error_class, desc


class RspError(HarnessError):
    """QEMU's GDB stub refused a packet of ours, or is gone."""

    def __init__(self, packet: str, problem: str) -> None:
        super().__init__(f"GDB stub, {packet[:40]}: {problem}")


class GdbError(HarnessError):
    """GDB refused a command, or its session broke. `transcript` holds all commands so far."""

    def __init__(
        self,
        problem: str,
        *,
        command: str = "",
        transcript: Path | None = None,
        output: bytes = b"",
    ) -> None:
        evidence = [
            ("command", command),
            ("GDB said", tail(output)),
            ("transcript", str(transcript or "")),
        ]
        super().__init__(problem, evidence=evidence)
        self.command, self.transcript, self.output = command, transcript, output


class GdbDied(GdbError):
    """The GDB process is gone, by itself or killed."""


class GdbTimeout(GdbError):
    """GDB did not answer, or the target did not stop, before the deadline."""


class LogError(HarnessError):
    """The serial log breaks the grammar. `line` counts from 1; `text` is the offending line."""

    def __init__(
        self, problem: str, *, line: int | None = None, text: bytes | str = b"", hint: str = ""
    ) -> None:
        raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
        where = f"serial line {line}: " if line is not None else ""
        super().__init__(f"{where}{problem}", evidence=[("line", tail(raw))], hint=hint)
        self.line, self.text = line, raw


class WrongBuild(LogError):
    """The log comes from another build (`what` is "build") or from another run ("nonce")."""

    def __init__(self, what: str, *, expected: str, seen: str, hint: str = "run: make") -> None:
        super().__init__(
            f"the log is from another {what}: expected {expected}, saw {seen}", hint=hint
        )
        self.what, self.expected, self.seen = what, expected, seen


class IntLogError(HarnessError):
    """QEMU's log of exceptions breaks its own form: a number from it would be a guess."""

    def __init__(
        self, problem: str, *, line: int, text: bytes = b"", hint: str = "look at qemu-int.log"
    ) -> None:
        evidence = [("line", tail(text))]
        super().__init__(f"qemu-int.log, line {line}: {problem}", evidence=evidence, hint=hint)
        self.line, self.text = line, text


class GoldenError(HarnessError):
    """A golden is missing, orphaned or malformed. `diff` is shown as it is."""

    def __init__(self, problem: str, *, path: Path, diff: str = "", hint: str = "") -> None:
        super().__init__(problem, evidence=[("golden", str(path)), ("diff", diff)], hint=hint)
        self.path, self.diff = path, diff
