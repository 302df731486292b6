"""What `make run`, `list`, `debug`, `replay` and `demo` do: one machine each, for a person.

Nothing is held against goldens here: that is pytest's side. Called by the Makefile as
`python -m harness.cli run|list|debug|replay|demo …`, and by an editor's GDB as `stub LAB`; the
kernel is $BUILD/kernel.elf.

The exit status: 0 for what a lab may come to (run.py; demo: for the verdict that it promises), or
when the reader has seen enough (`make list | head`); 1 for a kernel that hung, panicked or ended
without a word; 2 for a boot line that the kernel refused, and whatever else stands in the way
(HarnessError); 130 after Ctrl-C. make says 2 for each of them.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from shlex import quote

from rich.text import Text

from harness.deadline import Deadline
from harness.errors import HarnessError, while_read
from harness.live import debug, wanted
from harness.live.debug import SERIAL_LIMIT, gdb_command
from harness.live.output import Output
from harness.live.refused import is_refusal, refusal
from harness.live.run import QUICK, run
from harness.paths import BUILD, KERNEL
from harness.qemu.machine import Machine, MachineSpec, check_kernel
from harness.qemu.stub import become_machine
from harness.run.capsule import SNAPSHOT, Capsule
from harness.serial.catalogue import whole
from harness.serial.log import Record, parse_line, seen_verdict

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


def run_command(arguments: list[str]) -> int:
    """`run [--smp N …] (--scenario ID | LAB…)`."""
    options = _parser("run").parse_args(arguments)
    asked, lab = wanted.given(options), " ".join(options.lab)
    if options.scenario:
        capsule = debug.boot_of(debug.find_case(options.scenario), KERNEL)
        spec, go = capsule.spec(KERNEL, gdb=False), capsule.go
        typed = f"make run SCENARIO={quote(options.scenario)}"
    else:
        spec, go = MachineSpec(KERNEL, append=boot_line(lab)), ""
        typed = f"make run LAB={quote(lab)}"
    return run(wanted.apply(spec, asked), BUILD / "run", typed + wanted.words(asked), go)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--scenario", help="what pytest calls a case")
    wanted.add_options(parser)
    parser.add_argument("lab", nargs="*", help="LAB as on the boot line")
    return parser


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
    """`debug [--reverse] [--tui] [--smp N …] (--scenario ID | LAB…)`."""
    options = _debug_parser().parse_args(arguments)
    asked = wanted.given(options)
    if options.scenario:
        subject = debug.of_case(debug.find_case(options.scenario), KERNEL)
        subject = replace(subject, spec=wanted.apply(subject.spec, asked))
    else:
        subject = _of_lab(" ".join(options.lab), asked)
    with debug.recorded(subject) if options.reverse else nullcontext(subject) as opened:
        return debug.open_in_gdb(opened, KERNEL, BUILD / "debug", tui=options.tui)


def _of_lab(lab: str, asked: Mapping[str, str]) -> debug.Subject:
    """Refused before GDB is there, when the kernel would refuse it: GDB would lose the machine."""
    line = boot_line(lab)
    spec = wanted.apply(MachineSpec(KERNEL, append=line), asked)
    end = debug.tried(spec, BUILD / "debug")
    if is_refusal(end):
        command = f"make debug LAB={quote(lab)}{wanted.words(asked)}"
        raise refusal(end, KERNEL, BUILD / "debug/list", line, command)
    return debug.of_lab(replace(spec, gdb=True, stopped=True), entry(line))


def _debug_parser() -> argparse.ArgumentParser:
    parser = _parser("debug")
    parser.add_argument("--reverse", action="store_true", help="record first; GDB can go back")
    parser.add_argument("--tui", action="store_true", help="GDB's own text interface")
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
        "run": lambda: run_command(arguments[1:]),
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
