"""What `make run`, `list`, `debug`, `replay` and `demo` do: one machine each, for a person.

Nothing is held against goldens here: that is pytest's side. Called by the Makefile as
`python -m harness.cli run|list|debug|replay|demo …`, and by an editor's GDB as `stub LAB`; the
kernel is $BUILD/kernel.elf.

The exit status: 0 when the machine ended by itself with an [end] line (demo: with the verdict that
it promises), or its reader has seen enough (`make list | head`); 1 when not, 2 for what stands in
the way (HarnessError), 130 after Ctrl-C.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from pexpect import EOF
from rich.console import Console as Terminal
from rich.text import Text

from harness import debug
from harness.capsule import SNAPSHOT, Capsule
from harness.catalogue import whole
from harness.deadline import Deadline
from harness.debug import SERIAL_LIMIT, gdb_command, show_serial
from harness.errors import HarnessError, while_read
from harness.log import NO_END, Record, parse_line, seen_verdict
from harness.machine import Machine, MachineSpec, check_kernel
from harness.screen import Printed, Screen
from harness.stub import become_machine

BUILD = Path(os.environ.get("BUILD") or "build")
KERNEL = BUILD / "kernel.elf"
QUICK = 30.0  # seconds for what ends within one
INTERRUPTED = 128 + signal.SIGINT

DEMO_LAB = "stack.recurse"
DEMO_VERDICT = "caught by=guard-page"
# GDB stands where every fault passes, and shows both ends of a backtrace of hundreds of frames.
DEMO_LOOK = (
    "break debugger_fault_hook",
    "continue",
    "backtrace 12",
    "echo ...\\n",
    "backtrace -3",
    "detach",
)


class Output(Terminal):
    def on_broken_pipe(self) -> None:
        """Rich would leave with status 1; while_read() has one answer, whoever was printing."""
        raise BrokenPipeError


terminal = Output(highlight=False, soft_wrap=True)


def boot_line(lab: str) -> str:
    """LAB as a boot line; `lab=` in front may be left out."""
    words = lab.split()
    if not words:
        raise HarnessError("no lab was named", hint="make list, then make run LAB=stack.recurse")
    return " ".join(words if words[0].startswith("lab=") else [f"lab={words[0]}", *words[1:]])


def entry(line: str) -> str:
    """The function where GDB waits for a boot line's lab: lab_stack_recurse."""
    lab = next(word for word in line.split() if word.startswith("lab="))
    return "lab_" + lab.removeprefix("lab=").replace(".", "_")


def machine(line: str, name: str, *, gdb: bool = False) -> Machine:
    """A machine on this boot line; for GDB, stopped before its first instruction."""
    spec = MachineSpec(KERNEL, append=line, gdb=gdb, stopped=gdb)
    return Machine(spec, BUILD / name, serial_limit=SERIAL_LIMIT)


# --- run --------------------------------------------------------------------------------------


def run(lab: str) -> int:
    with machine(boot_line(lab), "run") as guest:
        threading.Thread(target=type_lines, args=(guest,), daemon=True).start()
        show_serial(guest, Screen(sys.stdout.buffer, Printed(guest)))
        ending = guest.wait_end(Deadline(QUICK))
    if seen_verdict(ending.serial) == NO_END:
        print("run: the machine powered off without an [end] line", file=sys.stderr)
        return 1
    return 0


def type_lines(guest: Machine) -> None:
    """Send our input to the serial port, by lines: the terminal stays as it is, Ctrl-C included."""
    for line in sys.stdin.buffer:
        try:
            guest.console.send(line)
        except EOF:
            return


# --- list -------------------------------------------------------------------------------------


def catalogue() -> int:
    with machine("lab=list", "list") as guest:
        serial = guest.wait_end(Deadline(QUICK)).serial
    for text in catalogue_lines(serial):
        terminal.print(text)
    return 0


def catalogue_lines(serial: bytes) -> Iterator[Text]:
    """The [list] records as lines: a lab, its parameters under it; then the protections."""
    listed = (parse_line(line) for line in serial.splitlines() if line.startswith(b"[list] "))
    for record in whole(listed):
        yield LIST_LINE[record.words[0]](record)


def _lab_line(record: Record) -> Text:
    return Text.assemble((f"{record.words[1]:<27} ", "bold cyan"), record.prose)


def _parameter_line(record: Record) -> Text:
    default, least, most = (record.fields.get(key, "") for key in ("default", "min", "max"))
    allowed = record.fields.get("names", f"{least}..{most}")
    if "names" in record.fields:
        default = allowed.split(",")[int(default) - int(least)]
    setting = f"    {record.words[2]}={default}"
    return Text.assemble((f"{setting:<27} ", "green"), (f"{allowed} ", "dim"), record.prose)


def _site_line(record: Record) -> Text:
    return Text.assemble((f"{f'fault={record.words[1]}':<27} ", "bold red"), record.prose)


def _protection_line(record: Record) -> Text:
    return Text.assemble((f"{f'protect=-{record.words[1]}':<27} ", "bold yellow"), record.prose)


LIST_LINE: dict[str, Callable[[Record], Text]] = {
    "lab": _lab_line,
    "param": _parameter_line,
    "protect": _protection_line,
    "site": _site_line,
}


# --- debug, replay ----------------------------------------------------------------------------


def debug_command(arguments: list[str]) -> int:
    """`debug [--reverse] [--tui] (--scenario ID | LAB…)`."""
    options = _debug_parser().parse_args(arguments)
    if options.scenario:
        subject = debug.of_case(debug.find_case(options.scenario), KERNEL)
    else:
        line = boot_line(" ".join(options.lab))
        subject = debug.of_lab(
            MachineSpec(KERNEL, append=line, gdb=True, stopped=True), entry(line)
        )
    with debug.recorded(subject) if options.reverse else nullcontext(subject) as opened:
        return debug.open_in_gdb(opened, KERNEL, BUILD / "debug", tui=options.tui)


def _debug_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="debug")
    parser.add_argument("--reverse", action="store_true", help="record first; GDB can go back")
    parser.add_argument("--tui", action="store_true", help="GDB's own text interface")
    parser.add_argument("--scenario", help="what pytest calls a case")
    parser.add_argument("lab", nargs="*", help="LAB as on the boot line")
    return parser


def replay(folder: str) -> int:
    """A failed case's folder: GDB at its fault."""
    if not folder:
        raise HarnessError(
            "no capsule was named", hint="make replay CAPSULE=build/artifacts/FAMILY.CASE"
        )
    subject = debug.of_capsule(Capsule.load(Path(folder)), KERNEL, _copied_snapshot(Path(folder)))
    return debug.open_in_gdb(subject, KERNEL, BUILD / "debug")


def _copied_snapshot(folder: Path) -> Path | None:
    """The capsule keeps its own as it is."""
    if not (folder / SNAPSHOT).is_file():
        return None
    (BUILD / "debug").mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(folder / SNAPSHOT, BUILD / "debug" / SNAPSHOT))


# --- stub -------------------------------------------------------------------------------------


def stub(lab: str) -> int:
    """QEMU in this process's place, its stub on our input and output: for `target remote | …`."""
    check_kernel(KERNEL)
    become_machine(MachineSpec(KERNEL, append=boot_line(lab)))


# --- demo -------------------------------------------------------------------------------------


def demo() -> int:
    with machine(f"lab={DEMO_LAB}", "demo", gdb=True) as guest:
        heading(f"A kernel thread overflows its stack: lab={DEMO_LAB}")
        terminal.print(Text("$ " + " ".join(guest.command), "dim"))
        seen = gdb_look(guest)
        serial = guest.wait_end(Deadline(QUICK)).serial
    heading("What the kernel reported over its serial port")
    for line in serial.decode(errors="replace").splitlines():
        terminal.print(Text(line, AREA_STYLES.get(line[1:].partition("]")[0], "")))
    heading("What GDB sees of the same fault, from the debug information alone")
    terminal.print(Text(seen))
    return show_verdict(seen_verdict(serial))


AREA_STYLES = {
    "EXC": "bold red",
    "bt": "cyan",
    "stack": "yellow",
    "end": "bold green",
    "boot": "dim",
}


def gdb_look(guest: Machine) -> str:
    """GDB's words at the fault. It detaches, so that the machine goes on to its [end]."""
    command = [*gdb_command(guest, KERNEL, *DEMO_LOOK), "-batch", "-nx"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=QUICK,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout[done.stdout.find("#0 ") :].partition("[Inferior")[0].strip() or done.stderr


def show_verdict(verdict: str) -> int:
    heading("Verdict")
    right = verdict == DEMO_VERDICT
    terminal.print(Text(verdict, "bold green" if right else "bold red"))
    if not right:
        print(f"demo: expected {DEMO_VERDICT!r}", file=sys.stderr)
        return 1
    terminal.print(
        f"\nNext: make list, make run LAB={DEMO_LAB}, make debug LAB={DEMO_LAB}, make test"
    )
    return 0


def heading(text: str) -> None:
    terminal.print(Text(f"\n{text}", "bold"))


# ----------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: run(" ".join(arguments[1:])),
        "list": catalogue,
        "debug": lambda: debug_command(arguments[1:]),
        "replay": lambda: replay(" ".join(arguments[1:])),
        "stub": lambda: stub(" ".join(arguments[1:])),
        "demo": demo,
    }
    command = commands.get(arguments[0] if arguments else "")
    if command is None:
        print(f"usage: python -m harness.cli {'|'.join(commands)} [LAB]", file=sys.stderr)
        return 2
    status = 0  # what it stays when the reader has seen enough
    try:
        with while_read():
            status = command()
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the machine did not end by itself", file=sys.stderr)
        return INTERRUPTED
    return status


if __name__ == "__main__":
    # A closed terminal and a polite kill leave through the same door as everything else.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
