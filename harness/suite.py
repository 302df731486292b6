"""docs/stack-suite.md, written from what is there: rows, the kernel's catalogue, goldens.

    .venv/bin/python -m harness.suite > docs/stack-suite.md

One row a scenario of scenarios/test_stack*.py. What the lab does is the kernel's own sentence
(lab=list); stack, class and detector stand in the golden; verdict and controls are the scenario's.
A cell that has nothing to say says why. A module's docstring is the heading of its table, and its
tests beside the table are listed by their names. tests/test_suite.py holds the committed document
against this. The last section is written by hand, here.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isfunction, signature
from pathlib import Path
from types import ModuleType

from harness import scratch
from harness.boot import boot
from harness.errors import GoldenError, HarnessError, status_of
from harness.golden import load
from harness.log import Record
from harness.scenario import Scenario
from harness.tools import SIGNING_CPU, signing_cpu
from harness.walk import GOLDEN, KERNEL

SCENARIOS = Path("scenarios")
COMMAND = ".venv/bin/python -m harness.suite > docs/stack-suite.md"

# Who, how, broken, noticed, measured. A module that is not named comes last.
ORDER = (
    "test_stack",
    "test_stack_frames",
    "test_stack_sp",
    "test_stack_chain",
    "test_stack_process",
    "test_stack_detect",
    "test_stack_measure",
)

COLUMNS = (
    "scenario",
    "what is done",
    "stack",
    "called",
    "detector",
    "verdict",
    "control → verdict",
)

ENTRY = "entry"  # the backtrace came to where the thread began
LAST = "last"  # the report of a fault on the emergency stack, from registers alone
EMERGENCY = "emergency"
NOT_CLASSES = ("killed", "unkillable")

NO_STACK = "none named: no fault"
NO_CLASS = "no fault"
NO_DETECTOR = {
    "ok": "the lab's own check",
    "survived": "none: nothing notices",
    "bad-args": "the boot line's own check",
    "panic": "the kernel's own check",
    "no-end": "none: only the harness ends it",
}

TOP = f"""\
# The stack suite

Every way in which a stack is broken here: {{scenarios}} scenarios of {{labs}} labs; with triggers
and controls, {{boots}} boots. Written from the rows of `scenarios/`, the kernel's catalogue and the
goldens, by

    {COMMAND}

A test fails when this is not what that prints. The columns:

- **scenario** links the golden, what it printed when somebody last read it; `pytest -k` runs it.
- **what is done**: the lab's own sentence, then the words added to the boot line and to QEMU's.
- **stack**: whose it was when the fault came.
- **called**: the class in `[EXC]`; where the backtrace ended early, why.
- **detector**: `by=` in the verdict.
- **verdict**, with the aborts that QEMU counted, exactly.
- **control → verdict**: the same boot with that change, and what it must end in instead.
"""

BOTTOM = """\
## Where QEMU differs from hardware

Measured on QEMU 7.2. On a board these are not the same:

- **A misaligned SP is not noticed.** With SCTLR_EL1.SA a load or store through an SP that is no
  multiple of 16 raises an exception of its own (EC 0x26). QEMU never raises it: the push goes
  through, and `sp-check` finds SP at the next tick or switch. On hardware `stack.sp_misaligned` is
  caught at the push. The kernel has the class, `misaligned-sp by=sp-alignment`, and no test of it.
- **A bad signature faults a step later.** `-cpu max` has FEAT_PAuth but no FEAT_FPAC: a failed
  authentication leaves a broken pointer, and the branch to it takes the abort, so ELR is no code.
  With FPAC the authentication itself faults (EC 0x1c), and ELR names the function.
- **There are no caches.** TCG keeps memory coherent whatever the kernel forgets. That maintenance
  for the MMU, for new page tables and for other CPUs is right is not shown by any test here.
- **Devices take any push.** `stack.sp_device` stores two registers into a clock, which takes them
  without a word. A board may answer with an SError, later and elsewhere.
- **Time jumps under a debugger.** With `-icount` guest time runs on to the timer's next deadline
  whenever GDB stops the machine, and a step with a masked interrupt pending never comes back. So
  the kernel stops its timers while it reports a fault, and what GDB steps runs without icount. A
  hardware debugger stops the CPU, and the timers run on.
- **An instruction takes a nanosecond.** Under `-icount shift=0` interrupts land on exact
  instructions, again and again: that is what the sweeps live on. A board gives no such promise.
"""


@dataclass(frozen=True)
class Fault:
    """One [EXC] of a golden: its class, whose stack it was, and why the backtrace stopped."""

    called: str = ""
    stack: str = ""
    why: str = ENTRY


def document(root: Path, sentences: Mapping[str, str]) -> str:
    """The whole text. sentences: what the kernel says of each lab."""
    found = modules(root)
    every = [scenario for module in found for scenario in scenarios(module)]
    top = TOP.format(
        scenarios=len(every),
        labs=len({scenario.lab for scenario in every}),
        boots=sum(len(list(scenario.cases())) for scenario in every),
    )
    return "\n".join([top, *(section(module, root, sentences) for module in found), BOTTOM])


def modules(root: Path) -> list[ModuleType]:
    """scenarios/test_stack*.py, in the order of reading. By name: they are nobody's to import."""
    stems = {path.stem for path in (root / SCENARIOS).glob("test_stack*.py")}
    known = [stem for stem in ORDER if stem in stems]
    return [import_module(f"scenarios.{stem}") for stem in (*known, *sorted(stems - {*known}))]


def scenarios(module: ModuleType) -> list[Scenario]:
    return list(getattr(module, "SCENARIOS", ()))


def section(module: ModuleType, root: Path, sentences: Mapping[str, str]) -> str:
    """The docstring's first line as heading and text, the table, the tests beside it."""
    line = (module.__doc__ or module.__name__).splitlines()[0].removeprefix("Stack labs: ")
    heading, _, text = line.rstrip(".").partition(". ")
    parts = [f"## {heading[0].upper()}{heading[1:]}\n", f"{text}.\n" if text else ""]
    if rows := [row(scenario, root, sentences) for scenario in scenarios(module)]:
        parts.append(table(rows))
    if others := list(other_tests(module)):
        parts.append("Tests beside the rows: " + "; ".join(others) + ".\n")
    return "\n".join(part for part in parts if part)


def other_tests(module: ModuleType) -> Iterator[str]:
    """Tests that run no row, by their names: `test_canaries_differ` reads as it stands."""
    for name, function in vars(module).items():
        is_test = name.startswith("test_") and isfunction(function)
        if is_test and "case" not in signature(function).parameters:
            yield name.removeprefix("test_").replace("_", " ")


def table(rows: Sequence[Sequence[str]]) -> str:
    """In Markdown. A cell with nothing to say is an error: there is a reason to be told."""
    for line in rows:
        if not all(line):
            raise HarnessError(f"{line[0]}: nothing under {COLUMNS[line.index('')]!r}")
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def row(scenario: Scenario, root: Path, sentences: Mapping[str, str]) -> tuple[str, ...]:
    path = GOLDEN / scenario.family / f"{scenario.title}.log"
    golden = load(root / path)
    if golden is None:
        raise GoldenError("golden missing", path=path, hint=f"make golden ONLY={scenario.title}")
    if scenario.lab not in sentences:
        raise HarnessError(f"{scenario.title}: the kernel has no lab {scenario.lab}", hint="make")
    seen = list(faults(golden.records))
    return (
        f"[{scenario.title}](../{path})",
        "; ".join((sentences[scenario.lab], *changes(scenario))),
        listed(fault.stack for fault in seen) or NO_STACK,
        listed(called(fault) for fault in seen) or NO_CLASS,
        *judged(scenario),
        controls(scenario),
    )


def faults(records: Iterable[Record]) -> Iterator[Fault]:
    """What each [EXC] came to, as far as the golden follows it."""
    open_fault: Fault | None = None
    for record in records:
        if begins_fault(record):
            if open_fault:
                yield open_fault
            open_fault = Fault(called=record.words[0], stack=stack_of_sp(record))
        elif open_fault:
            open_fault = told(open_fault, record)
    if open_fault:
        yield open_fault


def begins_fault(record: Record) -> bool:
    """The line that says what the CPU saw; the class is on the next."""
    return record.area == ("EXC",) and ("elr" in record.fields or record.words[0] == LAST)


def stack_of_sp(record: Record) -> str:
    """sp=irq:cpu0+0x3ed0 → irq:cpu0. The last report has only numbers."""
    return re.split(r"[+-]0x", record.fields.get("sp", EMERGENCY))[0]


def told(fault: Fault, record: Record) -> Fault:
    """The same fault, one record later. The [stack] behind a fault is the culprit's own."""
    if record.area == ("EXC",) and record.words[0] not in NOT_CLASSES:
        return replace(fault, called=record.words[0])
    if record.area == ("bt",) and record.words == ("end",):
        return replace(fault, why=record.fields["why"])
    if record.area == ("stack",) and "margin" not in record.fields:  # of stacks=all
        return replace(fault, stack=record.words[0])
    return fault


def changes(scenario: Scenario) -> Iterator[str]:
    """What the scenario adds to the lab: words of the boot line, then of QEMU's."""
    words = scenario.boot_line().split()[1:]
    words += [f"-smp {scenario.cpus}"] if scenario.cpus > 1 else []
    cpu = SIGNING_CPU if scenario.cpu == signing_cpu() else scenario.cpu
    words += [f"-cpu {cpu}"] if cpu != Scenario.cpu else []
    words += ["-M virt,mte=on"] if scenario.mte else []
    if words:
        yield f"`{' '.join(words)}`"


def called(fault: Fault) -> str:
    return fault.called if fault.why == ENTRY else f"{fault.called}, backtrace ends: {fault.why}"


def judged(scenario: Scenario) -> tuple[str, str]:
    """Detector and verdict."""
    word, _, detector = scenario.verdict.partition(" by=")
    aborts = f", {scenario.aborts} abort{'s' if scenario.aborts > 1 else ''}"
    return detector or NO_DETECTOR[word], word + (aborts if scenario.aborts else "")


def controls(scenario: Scenario) -> str:
    said = [f"`{control.args}` → {control.verdict}" for control in scenario.controls]
    return "; ".join(said) or f"none: {scenario.uncontrolled}"


def listed(words: Iterable[str]) -> str:
    """Each once, in order."""
    return ", ".join(dict.fromkeys(words))


def catalogue(root: Path) -> dict[str, str]:
    """What the kernel says of each of its labs."""
    with scratch.folder() as folder:
        log = boot(root / KERNEL, "lab=list", folder).log
    rows = (record for record in log.select("list") if record.words[0] == "lab")
    return {record.words[1]: record.prose for record in rows}


def main() -> int:
    root = Path.cwd()
    return status_of(lambda: sys.stdout.write(document(root, catalogue(root))))


if __name__ == "__main__":
    sys.exit(main())
