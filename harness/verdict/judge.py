"""From what a boot left behind to what is wrong with it: parse, count, compare, object.

walk.py brings the evidence and files the result; nothing here runs, waits or writes, so that
every objection can be provoked in a test without QEMU. What is right is written in the scenario
and its golden; what is wrong ends up in Judgement.objections, in the golden comparison, or in a
verdict that is not the expected one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from harness.errors import (
    HarnessError,
    IntLogError,
    LogError,
    MachineDied,
    MachineEndless,
    MachineError,
    MachineSilent,
    tail,
)
from harness.scenario import Case
from harness.serial import canon, intlog, log
from harness.serial.log import HARNESS_ERROR, NO_END, Log, Record
from harness.verdict import golden, views

Look = Sequence[views.Frame]
OF_A_LAB = frozenset(("caught", "contained", "survived"))


@dataclass(frozen=True)
class Build:
    """Which kernel, compiler and QEMU made the evidence."""

    build_id: str
    toolchain: str
    qemu: str


@dataclass(frozen=True)
class Evidence:
    """All that one boot left behind. `looks` is None when GDB did not look."""

    serial: bytes
    int_log: bytes
    nonce: str
    looks: tuple[Look, ...] | None = None
    error: HarnessError | None = None


@dataclass(frozen=True)
class Judgement:
    """`verdict` is the one that was seen; `records` the canonical log, as far as there is one."""

    case: Case
    verdict: str
    records: tuple[Record, ...] = ()
    objections: tuple[str, ...] = ()
    comparison: golden.Comparison | None = None

    @property
    def sound(self) -> bool:
        """Everything but the golden is as the scenario says: then a new golden may be offered."""
        return self.verdict == self.case.verdict and not self.objections

    @property
    def passed(self) -> bool:
        return self.sound and (self.comparison is None or self.comparison.same)


def judge(
    case: Case,
    evidence: Evidence,
    build: Build,
    golden_root: Path,
    *,
    names: views.Names | None = None,
    exact: bool = False,
) -> Judgement:
    """`names` are needed when GDB looked; `exact` compares byte for byte under any toolchain."""
    if evidence.error:
        return _broken(case, evidence, build, evidence.error)
    try:
        parsed = log.parse(evidence.serial, build_id=build.build_id, nonce=evidence.nonce)
        aborts = intlog.count(evidence.int_log)
    except (LogError, IntLogError) as error:
        return _broken(case, evidence, build, error)
    seen = _view(parsed, evidence.looks, names)
    records = _canonical(parsed, seen, aborts)
    objections = (
        *_abort_objections(case, aborts),
        *_place_objections(case, parsed),
        *_killing_objections(parsed),
        *_entry_objections(parsed),
        *(seen.problems if seen else ()),
    )
    comparison = _compare(case, records, build, golden_root, exact) if case.golden else None
    return Judgement(case, parsed.verdict, records, objections, comparison)


def _view(
    parsed: Log, looks: tuple[Look, ...] | None, names: views.Names | None
) -> views.Agreement | None:
    if looks is None:
        return None
    assert names is not None
    return views.agree(parsed, looks, names)


def _broken(case: Case, evidence: Evidence, build: Build, error: HarnessError) -> Judgement:
    """No log to judge. A control may expect just that: the machine that runs and never ends, which
    the clock cannot tell from one on a busy host.
    """
    verdict = _broken_verdict(evidence, error)
    if verdict == case.verdict == NO_END and isinstance(error, MachineEndless):
        return Judgement(case, verdict, objections=tuple(_not_in_its_lab(evidence, build)))
    return Judgement(case, verdict, objections=(_told(error),))


def _not_in_its_lab(evidence: Evidence, build: Build) -> Iterator[str]:
    """A machine that hangs before it has done anything shows nothing of what is switched off."""
    try:
        log.check_unfinished(evidence.serial, build_id=build.build_id, nonce=evidence.nonce)
    except LogError as error:
        yield f"no end is expected, but of the lab: {error}"


def _told(error: HarnessError) -> str:
    """Without what the failure message shows anyway: the last serial lines, and how to reopen."""
    if not isinstance(error, MachineError):
        return str(error)
    stderr = tail(error.stderr)
    return f"{error.problem}\nQEMU said:\n{indent(stderr, '  ')}" if stderr else error.problem


def _broken_verdict(evidence: Evidence, error: HarnessError) -> str:
    ended_early = evidence.error is None or isinstance(error, MachineDied | MachineSilent)
    silent = log.seen_verdict(evidence.serial) == NO_END
    return NO_END if silent and ended_early else HARNESS_ERROR


def _canonical(
    parsed: Log, seen: views.Agreement | None, aborts: intlog.Aborts
) -> tuple[Record, ...]:
    gdb = seen.records if seen else ()
    return tuple(canon.canonical((*parsed.records, *gdb, aborts.record())))


def _abort_objections(case: Case, aborts: intlog.Aborts) -> Iterator[str]:
    if case.aborts is not None and aborts.total != case.aborts:
        yield f"aborts: expected {case.aborts}, QEMU counted {aborts.total}: {aborts.record()}"


def _place_objections(case: Case, parsed: Log) -> Iterator[str]:
    if not case.control or not case.control.at:
        return
    seen = [r.fields["elr"].partition("+")[0] for r in parsed.select("EXC") if "elr" in r.fields]
    if not seen or seen[-1] not in case.control.at.split("|"):
        yield f"at: expected {case.control.at}, the report says {', '.join(seen) or 'nothing'}"


def _killing_objections(parsed: Log) -> Iterator[str]:
    """Contained: the fault killed what made it, and the machine went on. Caught: it ended the
    machine. A golden would show which; a row without one has the log's word for it.
    """
    verdict, by = parsed.records[-1].words[0], parsed.records[-1].fields.get("by")
    faults = tuple(parsed.select("EXC"))
    killed = {r.fields.get("by") for r in faults if r.words[:1] == ("killed",)}
    if verdict == "contained" and by not in killed:
        yield f"contained by={by}, but no [EXC] killed … by={by} says that it killed anything"
    if verdict == "caught" and faults[-1:] and faults[-1].words[:1] == ("killed",):
        yield f"caught by={by}, but the last fault only killed: {faults[-1]}"


def _entry_objections(parsed: Log) -> Iterator[str]:
    """What is caught is what a lab does: before it there is nothing to catch."""
    word = parsed.records[-1].words[0]
    if word not in OF_A_LAB:
        return
    if not any(r.area == ("lab",) and r.words == ("enter",) for r in parsed.records):
        yield f"{word}, but the log has no [lab] enter record: the lab was never entered"


def _compare(
    case: Case, records: tuple[Record, ...], build: Build, root: Path, exact: bool
) -> golden.Comparison:
    assert case.golden is not None
    seen = golden.Golden(case.scenario.lab, case.boot_line, build.toolchain, build.qemu, records)
    return golden.compare(root / case.golden, seen, looked=case.looks, exact=exact)
