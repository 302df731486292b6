"""The message of a scenario that failed, in the order in which one reads it:

    which scenario and boot line · expected and seen verdict · the golden diff, with the reason
    in words · the last serial lines · the one command that brings it to its fault again, in GDB

Pure text here; colour is a property of the terminal, so `style` says what each line is and
plugin.py paints.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from textwrap import indent

from harness.errors import tail
from harness.scenario import Case
from harness.verdict.golden import Comparison, pending_path
from harness.verdict.judge import Judgement

GOLDEN_LINES = 40
_MOVED = re.compile(r"(grew|shrank) (\d+) → (\d+)(?: \([^)]*\))?")
_LABEL = 10


@dataclass(frozen=True)
class Failure:
    """What `render` needs beside the judgement. Paths are shown relative to `root`."""

    judgement: Judgement
    append: str
    serial: bytes
    root: Path
    artifacts: Path

    @property
    def case(self) -> Case:
        return self.judgement.case


class ScenarioFailed(AssertionError):
    """A scenario did not end as it should. str() is the whole message, `headline` its one line, and
    `cause` what it may share with others; offered: its golden is pending.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(render(failure))
        self.headline = headline(failure.judgement)
        self.cause = cause(failure.judgement)
        self.offered = failure.judgement.sound and failure.case.records


def render(failure: Failure) -> str:
    parts = (_scenario, _verdict, _golden, _serial, _reopen)
    return "\n".join(line for part in parts for line in part(failure))


def headline(judgement: Judgement) -> str:
    """For pytest's short summary."""
    expected, seen = judgement.case.verdict, judgement.verdict
    if expected != seen:
        return f"expected {expected}, seen {seen}"
    if judgement.objections:
        return judgement.objections[0].splitlines()[0]
    return _golden_headline(judgement)


def cause(judgement: Judgement) -> str:
    """The headline without what is this scenario's own: used grew by 8."""
    if judgement.comparison is None or not judgement.comparison.differences:
        return headline(judgement)
    return headline(judgement) if not judgement.sound else changes(judgement.comparison)


def changes(comparison: Comparison) -> str:
    """How the numbers moved, not where they stood: one bug moves many by the same."""
    reasons = (part for found in comparison.differences for part in found.reason.split("; "))
    return ", ".join(dict.fromkeys(_MOVED.sub(_by_how_much, reason) for reason in reasons))


def _by_how_much(moved: re.Match[str]) -> str:
    return f"{moved[1]} by {abs(int(moved[3]) - int(moved[2]))}"


def reopen(folder: Path) -> str:
    """The one line that brings the machine back, in GDB, at its fault; `folder` has the rest."""
    return f"make replay CAPSULE={quote(str(folder))}"


def accept(case: Case) -> str:
    return f"make golden ONLY={quote(case.scenario.title)}"


def style(line: str) -> dict[str, bool]:
    """How a terminal shows one line of the message."""
    if line[:1].strip():
        return {"bold": True}
    colours = {"-": "red", "+": "green"}
    sign = line.lstrip()[:2]
    return {colours[sign[0]]: True} if sign in ("- ", "+ ") else {}


def _golden_headline(judgement: Judgement) -> str:
    comparison = judgement.comparison
    if comparison is None or comparison.missing:
        return "golden missing"
    reasons = [difference.reason for difference in comparison.differences]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"golden: {reasons[0]}{more}" if reasons else "passed"


def _scenario(failure: Failure) -> Iterator[str]:
    case = failure.case
    how = f"control {case.control.args}" if case.control else f"by {case.trigger}"
    yield _labelled("scenario", f"{case.scenario.lab} ({case.id}), {how}")
    yield _labelled("  boot", failure.append)
    if case.trigger == "serial":
        yield _labelled("  typed", case.go)
    if case.trigger == "gdb":
        pokes = ", ".join(f"{name} = {value}" for name, value in case.pokes())
        yield _labelled("  poked", pokes or f"nothing, at {case.entry}")


def _verdict(failure: Failure) -> Iterator[str]:
    yield _labelled("verdict", f"expected  {failure.case.verdict}")
    yield _labelled("", f"seen      {failure.judgement.verdict}")
    for objection in failure.judgement.objections:
        yield indent(objection, " " * _LABEL)


def _golden(failure: Failure) -> Iterator[str]:
    comparison = failure.judgement.comparison
    if comparison is None or comparison.same:
        return
    heading, *lines = comparison.reasons()
    yield _labelled("golden", f"{_relative(comparison.path, failure.root)}: {heading}")
    yield from (f"  {line}" for line in lines[:GOLDEN_LINES])
    if len(lines) > GOLDEN_LINES:
        yield f"  … {len(lines) - GOLDEN_LINES} more lines in golden.diff"
    yield f"  {_next_for_golden(failure, comparison.path)}"


def _next_for_golden(failure: Failure, path: Path) -> str:
    if not failure.judgement.sound:
        return "not offered for acceptance: the run itself is not what the scenario states"
    if not failure.case.records:
        return f"another trigger of this scenario records it; to accept: {accept(failure.case)}"
    pending = _relative(pending_path(path), failure.root)
    return f"pending in {pending}; if it is right: {accept(failure.case)}"


def _serial(failure: Failure) -> Iterator[str]:
    yield _labelled("serial", "the last lines")
    yield indent(tail(failure.serial) or "(nothing was printed)", "  ")


def _reopen(failure: Failure) -> Iterator[str]:
    yield _labelled("reopen", reopen(_relative(failure.artifacts, failure.root)))


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
