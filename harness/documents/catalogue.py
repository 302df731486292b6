"""The tables of docs/kernel.md and docs/harness.md that list what there is: classes of faults,
protections, areas of the serial log, errors of the harness. Each is read from the one place where
the thing itself stands.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import harness
from harness import errors
from harness.documents.page import Page, golden, records, table
from harness.documents.stack_suite import scenarios
from harness.errors import HarnessError
from harness.paths import GOLDEN, SCENARIOS
from harness.scenario import Control, Scenario
from harness.serial.log import Record

CLASSES = Path("kernel/report/classify.c")
_CLASS = re.compile(r'\[CLASS_\w+\] = \{\s*"([^"]+)",\s*"([^"]+)",\s*"([^"]+)"\s*\}')


# --- classes ------------------------------------------------------------------------------------


def classes(root: Path) -> str:
    """The rows of fault_classes[], and a golden in which each is told."""
    told = dict(_told(root))
    rows = _CLASS.findall((root / CLASSES).read_text("utf-8"))
    head = ("class", "what it means", "detector", "for instance")
    return table([head, *((f"`{n}`", says, f"`{by}`", told.get(n, "-")) for n, by, says in rows)])


def _told(root: Path) -> Iterator[tuple[str, str]]:
    """Class → link to a golden; the plainest name comes last, and wins."""
    files = (root / GOLDEN).rglob("*.log")
    for path in sorted(files, key=lambda file: (file.name.count("-"), file), reverse=True):
        name = path.relative_to(root / GOLDEN).with_suffix("").as_posix()
        for record in golden(root, name).records:
            if record.area == ("EXC",) and record.words:
                yield record.words[0], f"[{name}](../{GOLDEN}/{name}.log)"


# --- protections --------------------------------------------------------------------------------


def protections(root: Path) -> str:
    """Every switch of `protect=`, and the control that shows that something hangs on it."""
    shown = dict(_controls(_every_scenario(root)))
    rows = [r for r in records(root, "boot/list", "list") if r.words[0] == "protect"]
    missing = [r.words[1] for r in rows if r.words[1] not in shown]
    if missing:
        raise HarnessError(
            f"no control switches off: {', '.join(missing)}",
            hint="give a row of scenarios/ a Control('protect=-NAME', …)",
        )
    head = ("protection", "what it does", "shown by", "with it", "without it")
    return table([head, *((f"`{r.words[1]}`", r.prose, *shown[r.words[1]]) for r in rows)])


def _every_scenario(root: Path) -> Iterator[Scenario]:
    for path in sorted((root / SCENARIOS).glob("test_*.py")):
        yield from scenarios(import_module(f"scenarios.{path.stem}"))


def _controls(every: Iterable[Scenario]) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Protection → scenario, verdict with it, verdict of the control without it.

    A control that switches off this one alone comes last, and so wins.
    """
    pairs = [(s, c, name) for s in every for c in s.controls for name in switched_off(c)]
    for scenario, control, name in sorted(pairs, key=_plainest_last):
        yield name, (f"`{scenario.family}.{scenario.title}`", scenario.verdict, control.verdict)


def _plainest_last(pair: tuple[Scenario, Control, str]) -> tuple[int, int]:
    scenario, control, _ = pair
    return -len(switched_off(control)), -scenario.title.count("-")


def switched_off(control: Control) -> list[str]:
    """`protect=-guard,-watermark` → guard, watermark."""
    found = re.search(r"(?:^| )protect=(\S+)", control.args)
    return [word.removeprefix("-") for word in found[1].split(",")] if found else []


# --- areas --------------------------------------------------------------------------------------


def areas(root: Path) -> str:
    """What a record may begin with, from the goldens: the first words seen there."""
    seen: dict[str, dict[str, None]] = {}
    for path in sorted((root / GOLDEN).rglob("*.log")):
        name = path.relative_to(root / GOLDEN).with_suffix("").as_posix()
        for record in golden(root, name).records:
            seen.setdefault(record.area[0], {})[_first(record)] = None
    head = ("area", "its records begin with")
    return table([head, *((f"`[{area}]`", _listed(words)) for area, words in sorted(seen.items()))])


def _first(record: Record) -> str:
    return record.words[0] if record.words else next(iter(record.fields), "")


def _listed(words: Mapping[str, None], most: int = 8) -> str:
    named = [f"`{word}`" for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(sorted(named)[:most]) + more or "a name or a number"


# --- errors -------------------------------------------------------------------------------------


def error_tree(root: Path) -> str:
    """Every HarnessError of the harness, below what it is a kind of."""
    for path in sorted(Path(harness.__file__).parent.rglob("*.py")):
        module = ".".join(path.relative_to(Path(harness.__file__).parents[1]).with_suffix("").parts)
        if not module.startswith(("harness.tests", "harness.hw")) and "__main__" not in module:
            import_module(module.removesuffix(".__init__"))
    return "```\n" + "\n".join(_branch(errors.HarnessError, "")) + "\n```"


def _branch(kind: type[Exception], indent: str) -> Iterator[str]:
    said = " ".join((kind.__doc__ or "").split())
    if not said:
        raise HarnessError(f"{kind.__module__}.{kind.__name__} says nothing", hint="a docstring")
    sentence = re.split(r"(?<=[^.]\.) ", said)[0]
    yield f"{indent}{kind.__name__}: {sentence}"
    below = sorted(kind.__subclasses__(), key=lambda one: one.__name__)
    for one in below:
        if one.__module__.startswith("harness."):
            yield from _branch(one, indent + "    ")


PAGES = (
    Page(Path("docs/kernel.md"), {"classes": classes, "protections": protections, "areas": areas}),
    Page(Path("docs/harness.md"), {"errors": error_tree}),
)
