"""Judging evidence without QEMU: a good run passes, and everything wrong is objected to."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import (
    GdbError,
    HarnessError,
    MachineDied,
    MachineEndless,
    MachineFlooding,
    MachineReset,
    MachineSilent,
)
from harness.scenario import Case, Control, Scenario
from harness.tests.samples import (
    BUILD,
    GOLDEN_TEXT,
    INT_LOG,
    NAMES,
    OTHER_BUILD,
    SCENARIO,
    SERIAL,
    evidence,
    look,
    write_golden,
)
from harness.verdict.failure import Failure, cause, headline, render, style
from harness.verdict.judge import Build, Evidence, Judgement, judge

LOOKING = Case(SCENARIO, "gdb")
BOOT = Case(SCENARIO)
CONTROL = Case(SCENARIO, "boot", SCENARIO.controls[0])
NOT_GUARDED = SERIAL.replace(b"by=guard-page", b"by=sentinel")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_golden(tmp_path)
    return tmp_path


def _judge(root: Path, case: Case, found: Evidence, build: Build = BUILD) -> Judgement:
    return judge(case, found, build, root, names=NAMES)


def test_a_good_run_passes_whoever_looks(root: Path) -> None:
    assert _judge(root, LOOKING, evidence()).passed
    assert _judge(root, BOOT, evidence(looked=False)).passed
    assert _judge(root, BOOT, evidence(looked=False), OTHER_BUILD).passed


def test_the_canonical_log_is_the_golden(root: Path) -> None:
    judgement = _judge(root, LOOKING, evidence())
    assert judgement.comparison is not None
    assert judgement.comparison.candidate.text() == GOLDEN_TEXT


def test_a_control_is_held_to_its_verdict_alone(root: Path) -> None:
    assert _judge(root, CONTROL, evidence(NOT_GUARDED, INT_LOG * 9, looked=False)).passed
    assert not _judge(root, CONTROL, evidence(looked=False)).passed


def test_a_wrong_verdict_fails(root: Path) -> None:
    judgement = _judge(root, BOOT, evidence(NOT_GUARDED, looked=False))
    assert not judgement.sound
    assert headline(judgement) == "expected caught by=guard-page, seen caught by=sentinel"


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (b"caught by=guard-page", "caught, but the log has no [lab] enter record"),
        (b"contained by=guard-page", "contained before [lab] enter"),
        (b"survived", "survived before [lab] enter"),
    ],
)
def test_nothing_is_caught_before_the_lab_is_entered(root: Path, verdict: bytes, told: str) -> None:
    lines = [line for line in SERIAL.splitlines(True) if not line.startswith(b"[lab] enter")]
    early = b"".join(lines).replace(b"[end] caught by=guard-page", b"[end] " + verdict)
    judgement = _judge(root, CONTROL, evidence(early, looked=False))
    assert told in judgement.objections[0]
    assert not judgement.sound


@pytest.mark.parametrize(("times", "seen"), [(0, 0), (38, 38)])
def test_the_aborts_are_counted(root: Path, times: int, seen: int) -> None:
    judgement = _judge(root, BOOT, evidence(int_log=INT_LOG * times, looked=False))
    assert f"aborts: expected 1, QEMU counted {seen}" in judgement.objections[0]
    assert not judgement.sound


def test_gdb_has_to_agree(root: Path) -> None:
    lame = replace(evidence(), looks=(tuple(look()[:-1]),))
    judgement = _judge(root, LOOKING, lame)
    assert "frame #341" in judgement.objections[0]
    assert not judgement.sound


def test_a_looking_case_in_which_gdb_never_stopped_fails(root: Path) -> None:
    judgement = _judge(root, LOOKING, replace(evidence(), looks=()))
    assert "GDB stopped at 0 faults" in judgement.objections[0]


def test_a_changed_log_fails_but_may_be_accepted(root: Path) -> None:
    judgement = _judge(root, LOOKING, evidence(SERIAL.replace(b"frame=32", b"frame=64")))
    assert judgement.sound
    assert not judgement.passed
    assert headline(judgement) == "golden: frame grew 32 → 64 (recurse_thread)"


KILLED = b"[EXC] killed thread=victim by=sentinel\n"
CONTAINED = Case(
    (KILL := Scenario("stack.x", "ok", controls=(Control("protect=-x", "contained by=sentinel"),))),
    "boot",
    KILL.controls[0],
)


@pytest.mark.parametrize(
    ("verdict", "before", "told"),
    [
        (b"contained by=sentinel", KILLED, ""),
        (b"contained by=sentinel", b"", "contained by=sentinel, but no [EXC] killed"),
        (b"contained by=sentinel", KILLED.replace(b"sentinel", b"mmu"), "but no [EXC] killed"),
        (b"caught by=sentinel", b"", ""),
        (b"caught by=sentinel", KILLED + b"[EXC] sync ec=0x25\n", ""),
        (b"caught by=sentinel", KILLED, "caught by=sentinel, but the last fault only killed"),
    ],
)
def test_caught_and_contained_are_told_apart_without_a_golden(
    root: Path, verdict: bytes, before: bytes, told: str
) -> None:
    serial = SERIAL.replace(b"[end] caught by=guard-page", before + b"[end] " + verdict)
    case = CONTAINED if verdict.startswith(b"contained") else CONTROL
    judgement = _judge(root, case, evidence(serial, looked=False))
    assert judgement.verdict == case.verdict
    assert [told in objection for objection in judgement.objections] == [True] * bool(told)
    assert judgement.passed == (not told)


def test_a_number_that_failed_exactly_has_no_band(root: Path) -> None:
    """It forgave nothing. Under another toolchain it is not compared."""
    far = SERIAL.replace(b"frame=32", b"frame=64")
    comparison = _judge(root, BOOT, evidence(far, looked=False), BUILD).comparison
    assert comparison is not None
    _, _, old, new = comparison.reasons()
    assert ("frame=32 " in old, "~25%" in new) == (True, False)
    elsewhere = _judge(root, BOOT, evidence(far, looked=False), OTHER_BUILD).comparison
    assert elsewhere is not None
    assert elsewhere.same


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((b"frame=32", b"frame=64"), "frame grew by 32"),
        ((b"frame=32", b"frame=24"), "frame shrank by 8"),
        ((b"used=16384 size=16384", b"used=16392 size=16388"), "used grew by 8, size grew by 4"),
        ((b"caught by=guard", b"caught by=no"), "expected caught by=guard-page, seen caught by=no"),
    ],
)
def test_a_cause_is_what_scenarios_share(
    root: Path, change: tuple[bytes, bytes], told: str
) -> None:
    assert cause(_judge(root, BOOT, evidence(SERIAL.replace(*change), looked=False))).startswith(
        told
    )


def test_a_missing_golden_fails(tmp_path: Path) -> None:
    judgement = _judge(tmp_path, BOOT, evidence(looked=False))
    assert judgement.sound
    assert not judgement.passed
    assert headline(judgement) == "golden missing"


@pytest.mark.parametrize(
    ("serial", "verdict", "problem"),
    [
        (SERIAL.replace(b"nonce=4d2a el", b"nonce=ffff el"), "harness-error", "from another nonce"),
        (SERIAL.replace(b"9f3c", b"0000"), "harness-error", "from another build"),
        (SERIAL[: SERIAL.index(b"[end]")], "no-end", "no [end] record"),
        (SERIAL[:-9], "harness-error", "cut off"),
        (SERIAL + b"[end] ok\n", "harness-error", "2 [end] records"),
        (SERIAL.replace(b"[stack]", b"stack"), "harness-error", "not a record"),
    ],
)
def test_a_broken_log_is_no_verdict(root: Path, serial: bytes, verdict: str, problem: str) -> None:
    judgement = _judge(root, BOOT, evidence(serial, looked=False))
    assert judgement.verdict == verdict
    assert problem in judgement.objections[0]
    assert not judgement.passed


def test_a_log_of_exceptions_that_cannot_be_read_is_no_verdict(root: Path) -> None:
    judgement = _judge(root, BOOT, evidence(int_log=INT_LOG.replace(b"\n", b"\r\n"), looked=False))
    assert judgement.verdict == "harness-error"
    assert "qemu-int.log, line 1: it ends in CR LF" in judgement.objections[0]
    assert not judgement.sound


SILENT = MachineSilent("silent for 1 s", command="qemu …", serial=b"[boot]", stderr=b"qemu: oops")


@pytest.mark.parametrize(
    ("error", "serial", "verdict"),
    [
        (SILENT, b"[boot] x\n", "no-end"),
        (MachineDied("killed", command="qemu"), b"", "no-end"),
        (MachineDied("killed", command="qemu"), SERIAL, "harness-error"),
        (MachineReset("the guest reset", command="qemu"), b"[boot] x\n", "no-end"),
        (MachineReset("the guest reset", command="qemu"), SERIAL, "harness-error"),
        (MachineFlooding("flood", command="qemu"), b"", "harness-error"),
        (GdbError("gdb said no"), b"", "harness-error"),
    ],
)
def test_a_broken_machine_is_no_verdict(
    root: Path, error: HarnessError, serial: bytes, verdict: str
) -> None:
    judgement = _judge(root, BOOT, replace(evidence(serial), error=error))
    assert judgement.verdict == verdict
    assert error.problem in judgement.objections[0]


ENDLESS = Case(
    (HANG := Scenario("stack.hang", "hang", controls=(Control("protect=-watchdog", "no-end"),))),
    "boot",
    HANG.controls[0],
)
USED_UP = MachineEndless("did not end", command="qemu …")
ENTERED = SERIAL[: SERIAL.index(b"[stack-lab]")] + b"[stack-lab] rec"


@pytest.mark.parametrize(
    ("error", "serial", "problem"),
    [
        (USED_UP, ENTERED, ""),
        (SILENT, ENTERED, "silent for 1 s"),
        (MachineDied("killed", command="qemu"), ENTERED, "killed"),
        (None, ENTERED + b"\n", "ended without a verdict"),
        (USED_UP, b"", r"no \[boot\] highwater record"),
        (USED_UP, ENTERED.replace(b"[lab]", b"[labs]"), "hung before its lab"),
        (USED_UP, ENTERED.replace(b"nonce=4d2a", b"nonce=4d2b"), "another nonce|nonce is"),
        (USED_UP, ENTERED.replace(b"[lab] enter", b"[lab]  enter"), "two blanks"),
    ],
)
def test_no_end_may_be_what_a_control_expects(
    root: Path, error: HarnessError | None, serial: bytes, problem: str
) -> None:
    """Of a machine that still runs, and has come to its lab."""
    found = replace(evidence(serial, looked=False), error=error)
    judgement = _judge(root, ENDLESS, found)
    assert judgement.verdict == "no-end"
    assert judgement.passed == (not problem)
    assert re.search(problem, "".join(judgement.objections))
    assert not _judge(root, Case(HANG), found).passed


@pytest.mark.parametrize(
    ("at", "problem"),
    [("recurse", ""), ("await", "at: expected await, the report says recurse")],
)
def test_a_control_that_hangs_hangs_where_it_says(root: Path, at: str, problem: str) -> None:
    """Where the last exception interrupted it."""
    control = Control("protect=-preempt", "hang by=watchdog", at=at)
    scenario = Scenario("stack.hang", "ok", controls=(control,))
    serial = SERIAL.replace(b"[end] caught by=guard-page", b"[end] hang by=watchdog")
    judgement = _judge(root, Case(scenario, "boot", control), evidence(serial, looked=False))
    assert "".join(judgement.objections) == problem


def _failure(root: Path, case: Case, found: Evidence) -> Failure:
    judgement = _judge(root / "golden", case, found)
    return Failure(judgement, case.append("4d2a"), found.serial, root, root / "build/artifacts/x")


def test_the_message_has_its_order(tmp_path: Path) -> None:
    write_golden(tmp_path / "golden")
    grew = SERIAL.replace(b"frame=32", b"frame=64").replace(b"by=guard-page", b"by=sentinel")
    text = render(_failure(tmp_path, Case(SCENARIO, "serial"), evidence(grew, looked=False)))
    marks = [
        "scenario  stack.recurse (recurse-serial), by serial",
        "boot    lab=stack.recurse hold=serial nonce=4d2a",
        "typed   go past=2048",
        "expected  caught by=guard-page",
        "seen      caught by=sentinel",
        "golden    golden/stack/recurse.log: 2 differences",
        "frame grew 32 → 64",
        "- [bt] #340",
        "+ [bt] #340",
        "verdict changed caught by=guard-page → caught by=sentinel",
        "not offered for acceptance",
        "serial    the last lines",
        "\n  [end] caught by=sentinel",
        "reopen    make replay CAPSULE=build/artifacts/x",
    ]
    places = [text.find(mark) for mark in marks]
    assert -1 not in places, marks[places.index(-1)]
    assert places == sorted(places)


def test_the_message_says_how_to_accept(tmp_path: Path) -> None:
    looking = render(_failure(tmp_path, LOOKING, evidence()))
    assert (
        "pending in golden/stack/recurse.log.new; if it is right: make golden ONLY=recurse"
        in looking
    )
    other = render(_failure(tmp_path, BOOT, evidence(looked=False)))
    assert "another trigger of this scenario records it" in other


def test_a_long_diff_is_cut_and_the_rest_is_in_the_artifacts(tmp_path: Path) -> None:
    write_golden(tmp_path / "golden")
    more = b"".join(b"[lab] more n=%d\n" % n for n in range(50))
    grown = evidence(SERIAL.replace(b"[end]", more + b"[end]"), looked=False)
    text = render(_failure(tmp_path, BOOT, grown))
    assert "more lines in golden.diff" in text


def test_what_qemu_said_is_shown(tmp_path: Path) -> None:
    text = render(_failure(tmp_path, BOOT, replace(evidence(b""), error=SILENT)))
    assert "qemu: oops" in text
    assert "(nothing was printed)" in text


@pytest.mark.parametrize(
    ("line", "markup"),
    [
        ("verdict   expected ok", {"bold": True}),
        ("    - [bt] #1", {"red": True}),
        ("    + [bt] #1", {"green": True}),
        ("  frame grew", {}),
        ("", {}),
    ],
)
def test_each_line_knows_its_colour(line: str, markup: dict[str, bool]) -> None:
    assert style(line) == markup
