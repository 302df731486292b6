"""The tables of docs/stack-suite.md, from what is there: rows, the kernel's catalogue, goldens.

One row a scenario of scenarios/test_stack*.py. What the lab does is the kernel's own sentence
(lab=list); stack, class and detector stand in the golden; verdict and controls are the scenario's.
A cell that has nothing to say says why. A module's docstring is the heading of its table, and its
tests beside the table are listed by their names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isfunction, signature
from pathlib import Path
from types import ModuleType

from harness.documents import page
from harness.errors import HarnessError
from harness.paths import GOLDEN, SCENARIOS
from harness.scenario import Scenario
from harness.serial.log import Record
from harness.tools import SIGNING_CPU, signing_cpu

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


@dataclass(frozen=True)
class Fault:
    """One [EXC] of a golden: its class, whose stack it was, and why the backtrace stopped."""

    called: str = ""
    stack: str = ""
    why: str = ENTRY


def count(root: Path) -> str:
    """How much it is."""
    every = [scenario for module in modules(root) for scenario in scenarios(module)]
    labs = len({scenario.lab for scenario in every})
    boots = sum(len(list(scenario.cases())) for scenario in every)
    return page.table([("scenarios", "labs", "boots"), (str(len(every)), str(labs), str(boots))])


def suite(root: Path) -> str:
    """A section for each module: heading, text, table, the tests beside it."""
    sentences = catalogue(root)
    return "\n".join(section(module, root, sentences) for module in modules(root))


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
    """A cell with nothing to say is an error: there is a reason to be told."""
    for line in rows:
        if not all(line):
            raise HarnessError(f"{line[0]}: nothing under {COLUMNS[line.index('')]!r}")
    return page.table([COLUMNS, *rows])


def row(scenario: Scenario, root: Path, sentences: Mapping[str, str]) -> tuple[str, ...]:
    name = f"{scenario.family}/{scenario.title}"
    golden = page.golden(root, name)
    if scenario.lab not in sentences:
        raise HarnessError(f"{scenario.title}: the kernel has no lab {scenario.lab}", hint="make")
    seen = list(faults(golden.records))
    return (
        f"[{scenario.title}](../{GOLDEN}/{name}.log)",
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
    rows = (r for r in page.records(root, "boot/list", "list") if r.words[0] == "lab")
    return {record.words[1]: record.prose for record in rows}


PAGE = page.Page(Path("docs/stack-suite.md"), {"count": count, "suite": suite})
