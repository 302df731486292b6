"""A person in GDB: on a lab, on exactly what a test ran, on a capsule; forward, or in a record.

Each is a Subject: a machine, what GDB is told before the person types, and what is typed into the
serial port when the lab asks for it. Opened on one terminal, so it works over ssh: GDB owns the
keyboard, the serial port prints beside it. Inside tmux the serial port has a pane of its own
(pane.py); elsewhere, with the TUI, it goes to a file.
When GDB ends the machine is gone, with its socket and its record.
"""

import contextlib
import io
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pexpect import EOF

from harness import scratch
from harness.deadline import Deadline
from harness.debugger.session import PATIENCE
from harness.errors import HarnessError, MachineError
from harness.live.pane import in_tmux, serial_pane
from harness.live.refused import end_of
from harness.live.screen import Printed, Screen
from harness.paths import HW, ROOT
from harness.qemu.channel import MIB
from harness.qemu.machine import Machine, MachineSpec
from harness.qemu.rewind import POWER_OFF, frozen, record
from harness.run.capsule import Capsule
from harness.scenario import Case
from harness.serial.log import Record
from harness.serial.symbols import FAULT_HOOK, build_id
from harness.similar import similar
from harness.tools import find_gdb

COMMANDS = HW.relative_to(ROOT)
SERIAL_LIMIT = 256 * MIB  # a person is watching, and can stop it
RECORD_SECONDS = 60.0
HOLDING = b"[lab] holding "
STOPS = (f"break {FAULT_HOOK}", f"break {POWER_OFF}")
TRIED_SECONDS = 10.0


@dataclass(frozen=True)
class Subject:
    """commands: for GDB, once it is attached, at reset, with the `hw` commands loaded.

    again: the machine can go back, and prints again what it printed.
    """

    title: str
    spec: MachineSpec
    commands: tuple[str, ...]
    go: str = ""
    again: bool = False


def tried(spec: MachineSpec, folder: Path) -> Record | None:
    """What the kernel says of a boot line: its [end] if it refuses it, else None, and the lab has
    not run. A kernel that says nothing in time is none that refuses: it is what GDB is for.
    """
    line = spec.append if "hold=" in spec.append else f"{spec.append} hold=serial"
    try:
        with Machine(replace(spec, append=line), folder / "tried") as guest:
            guest.expect([rb"\n\[lab\] ", rb"\n\[end\] [^\n]*\n"], Deadline(TRIED_SECONDS))
            return end_of(guest.serial)
    except MachineError:
        return None


def of_lab(spec: MachineSpec, entry: str) -> Subject:
    """A boot line: GDB waits for a `continue`, which runs to the lab; the next to its fault."""
    title = (
        f"{spec.append}: stopped before the first instruction; `continue` runs to {entry}, then to"
        " its fault, then to the power-off"
    )
    return Subject(title, spec, (f"break {entry}", *STOPS))


def boot_of(case: Case, kernel: Path) -> Capsule:
    """What the test ran, for nobody but the serial port: what GDB would poke stands in its line."""
    nonce = secrets.token_hex(4)
    append = f"{case.boot_line} nonce={nonce}" if case.trigger == "gdb" else case.append(nonce)
    return Capsule.of_case(case, append, build_id(kernel))


def of_case(case: Case, kernel: Path) -> Subject:
    """What the test ran, at its lab's entry, with what the test poked there."""
    capsule = Capsule.of_case(case, case.append(secrets.token_hex(4)), build_id(kernel))
    title = f"{capsule.title}: {capsule.append}: at {capsule.entry}"
    commands = (*STOPS, f"tbreak {capsule.entry}", "continue", *_pokes(capsule))
    return Subject(title, capsule.spec(kernel, gdb=True), commands, capsule.go)


def of_capsule(capsule: Capsule, kernel: Path, snapshot: Path | None = None) -> Subject:
    """What failed, at its fault; at the power-off if it never came to one.

    snapshot: where it begins, if not at reset; a copy, since QEMU writes to it.
    """
    capsule.check(kernel)
    to_entry = (f"tbreak {capsule.entry}", "continue", *_pokes(capsule)) if capsule.pokes else ()
    title = f"{capsule.title}: {capsule.append}: to its fault"
    commands = (*to_entry, *STOPS, "continue", "backtrace")
    spec = capsule.spec(kernel, gdb=True)
    if snapshot:
        title = f"{title}, from its snapshot"
        spec = replace(spec, extra=(*spec.extra, *frozen(snapshot)))
    return Subject(title, spec, commands, capsule.go)


def _pokes(capsule: Capsule) -> Iterator[str]:
    return (f"set var {target} = {value}" for target, value in capsule.pokes)


@contextlib.contextmanager
def recorded(subject: Subject) -> Iterator[Subject]:
    """The same, recorded to its end, as a machine that can go back. The record lives as long."""
    if any(command.startswith("set var") for command in subject.commands):
        raise HarnessError(
            "what GDB writes into the machine cannot be recorded",
            hint="give the parameters on the boot line: make debug LAB='…' REVERSE=1",
        )
    with scratch.folder() as folder:
        go = None if not subject.go else lambda machine, limit: type_go(machine, subject.go, limit)
        done = record(subject.spec, folder, Deadline(RECORD_SECONDS), go)
        title = (
            f"{subject.title}\nrecorded, {done.instructions} instructions: reverse-continue,"
            " reverse-stepi and `hw blame` work; the last stop is the power-off"
        )
        commands = (*STOPS, *(each for each in subject.commands if each not in STOPS))
        yield replace(subject, title=title, spec=done.replay, commands=commands, go="", again=True)


def type_go(machine: Machine, go: str, deadline: Deadline) -> None:
    """Wait until the lab holds, and let it go."""
    machine.console.expect_exact(HOLDING, timeout=deadline.remaining())
    machine.console.sendline(go.encode(), timeout=deadline.remaining())


def open_in_gdb(subject: Subject, kernel: Path, folder: Path, *, tui: bool = False) -> int:
    """GDB's exit status, once the person has left it."""
    with (
        Machine(subject.spec, folder, serial_limit=SERIAL_LIMIT) as guest,
        _screen(guest, subject.again, folder / "serial.log", tui) as (screen, run),
    ):
        threading.Thread(target=_show_beside, args=(guest, screen, subject.go), daemon=True).start()
        # Ctrl-C is GDB's, which stops the guest with it. A handler: SIG_IGN would be inherited.
        signal.signal(signal.SIGINT, lambda *_: None)
        sys.stdout.write(f"{subject.title}\n")
        sys.stdout.flush()
        commands = ("set confirm off", f"source {COMMANDS}", *subject.commands)
        options = ("-tui",) if tui else ()
        return run(gdb_command(guest, kernel, *commands, options=options))


@contextlib.contextmanager
def _screen(
    guest: Machine, again: bool, log: Path, tui: bool
) -> Iterator[tuple[Screen, Callable[[list[str]], int]]]:
    """Where the serial port prints, and what runs GDB: a tmux pane, a file where the TUI has the
    screen, or both on one screen.
    """
    printed = Printed(guest, again)
    if in_tmux():
        with serial_pane(guest.console.send) as pane:
            yield Screen(pane, printed), subprocess.call
    elif tui:
        with log.open("wb") as file:
            sys.stdout.write(f"the serial port is in {log}\n")
            yield Screen(file, printed), subprocess.call
    else:
        screen = Screen(sys.stdout.buffer, printed, shared=True)
        yield screen, screen.run


def gdb_command(
    guest: Machine, kernel: Path, *commands: str, options: tuple[str, ...] = ()
) -> list[str]:
    """GDB on this machine, with the kernel's symbols, after these commands."""
    attach = (f"set {PATIENCE}", f"target remote {guest.gdb_socket}")
    words = [word for command in (*attach, *commands) for word in ("-ex", command)]
    return [str(find_gdb()), "-q", *options, str(kernel), *words]


def show_serial(guest: Machine, screen: Screen, go: str = "") -> None:
    """Show the serial port as it comes, until the machine has ended; type `go` when asked."""
    seen = b""
    with contextlib.suppress(EOF):  # it may end before it is typed to
        for chunk in guest.console.follow():
            screen.serial()
            seen = seen[-len(HOLDING) :] + chunk
            if go and HOLDING in seen:
                guest.console.sendline(go.encode())
                go = ""


def _show_beside(guest: Machine, screen: Screen, go: str) -> None:
    """show_serial beside a GDB, which may be left, or a pane closed, before the machine ends."""
    with contextlib.suppress(OSError, ValueError):
        show_serial(guest, screen, go)


# --- which case is meant ------------------------------------------------------------------------


def find_case(wanted: str) -> Case:
    """By what pytest calls it: scenarios/test_stack.py::test_stack[recurse-gdb], or recurse-gdb, or
    its folder's name, stack.recurse-gdb.
    """
    known = _collected()
    found = [case for node, case in known if wanted in (node, case.id, case.full_id)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(case.full_id for case in found)
        raise HarnessError(f"{wanted!r} is the name of several: {names}")
    all_names = [name for _, case in known for name in (case.full_id, case.id)]
    hint = similar(wanted, all_names) or "pytest scenarios --collect-only -q"
    raise HarnessError(f"no scenario's case is called {wanted!r}", hint=hint)


class _Collector:
    """A pytest plugin that keeps what was collected."""

    def __init__(self) -> None:
        self.cases: list[tuple[str, Case]] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            callspec = getattr(item, "callspec", None)
            case = callspec.params.get("case") if callspec else None
            if isinstance(case, Case):
                self.cases.append((item.nodeid, case))


def _collected() -> list[tuple[str, Case]]:
    collector = _Collector()
    options = ["-qq", "--collect-only", "-p", "no:cacheprovider"]
    with contextlib.redirect_stdout(io.StringIO()):
        status = pytest.main(["scenarios", *options], plugins=[collector])
    if status != pytest.ExitCode.OK:
        raise HarnessError(
            "the scenarios cannot be collected", hint="pytest scenarios --collect-only -q"
        )
    return collector.cases
