"""What follows from a row: its cases, names and boot lines; and the rows that are refused."""

from collections.abc import Callable
from pathlib import PurePath

import pytest

from harness.scenario import Case, Control, Scenario, Trigger, duplicates, is_elsewhere, number
from harness.tests.samples import SCENARIO

CASES = {case.id: case for case in SCENARIO.cases()}
UNCONTROLLED = "nothing to switch off"


def test_one_case_per_trigger_and_per_control() -> None:
    assert list(CASES) == [
        "recurse",
        "recurse-serial",
        "recurse-gdb",
        "recurse-control-no-guard",
        "recurse-control-no-guard-no-sentinel",
    ]


@pytest.mark.parametrize(
    ("only", "version", "elsewhere"),
    [
        ("", "7.2", False),
        ("qemu<8.0", "7.2", False),
        ("qemu<8.0", "8.0", True),
        ("qemu<8.0", "10.0", True),
        ("qemu>=8.0", "7.2", True),
        ("qemu>=8.0", "8.0", False),
        ("qemu>=8.0", "10.0", False),
    ],
)
def test_a_row_is_about_a_version_and_its_bound(only: str, version: str, elsewhere: bool) -> None:
    assert is_elsewhere(only, {"qemu": lambda: version}) is elsewhere


@pytest.mark.parametrize(
    ("case", "append"),
    [
        ("recurse", "lab=stack.recurse past=2048 nonce=n"),
        ("recurse-serial", "lab=stack.recurse hold=serial nonce=n"),
        ("recurse-gdb", "lab=stack.recurse nonce=n"),
        ("recurse-control-no-guard", "lab=stack.recurse past=2048 protect=-guard nonce=n"),
    ],
)
def test_each_trigger_has_its_boot_line(case: str, append: str) -> None:
    assert CASES[case].append("n") == append


def test_parameters_travel_by_the_trigger() -> None:
    assert CASES["recurse-serial"].go == "go past=2048"
    assert list(CASES["recurse-gdb"].pokes()) == [("stack_recurse_args.past", 2048)]
    assert CASES["recurse-gdb"].entry == "lab_stack_recurse"


def test_what_the_kernel_needs_early_stays_in_the_boot_line() -> None:
    scenario = Scenario(
        "stack.recurse",
        "contained by=guard-page",
        args="on-fault=kill stack=16K",
        name="recurse-kill",
        triggers=("serial", "gdb"),
        uncontrolled=UNCONTROLLED,
    )
    serial, gdb = scenario.cases()
    assert serial.append("n") == "lab=stack.recurse on-fault=kill hold=serial nonce=n"
    assert serial.go == "go stack=16K"
    assert list(gdb.pokes()) == [("stack_recurse_args.stack", 16384)]
    assert serial.golden == gdb.golden == PurePath("stack/recurse-kill.log")
    assert serial.full_id == "stack.recurse-kill-serial"


def test_without_parameters_go_is_a_word() -> None:
    (case,) = Scenario("a.b", "ok", triggers=("serial",), uncontrolled=UNCONTROLLED).cases()
    assert case.go == "go"


def test_a_control_replaces_what_the_row_says() -> None:
    control = Control("protect=-canary depth=1", "survived", golden=True)
    row = Scenario("a.b", "ok", args="on-fault=kill depth=9", controls=(control,))
    _, case = row.cases()
    assert case.boot_line == "lab=a.b on-fault=kill depth=1 protect=-canary"
    assert case.golden == PurePath("a/b-control-no-canary-depth-1.log")
    assert (case.verdict, case.aborts, case.records) == ("survived", None, True)


def test_all_triggers_share_a_golden_and_one_case_writes_it() -> None:
    boots = [case for case in CASES.values() if not case.control]
    assert {case.golden for case in boots} == {PurePath("stack/recurse.log")}
    assert [case.id for case in boots if case.records] == ["recurse-gdb"]
    assert [case.id for case in CASES.values() if case.looks] == ["recurse-gdb"]
    assert all(case.golden is None for case in CASES.values() if case.control)


@pytest.mark.parametrize(
    ("triggers", "aborts", "gdb_view", "looking"),
    [
        (("boot",), 1, None, ["boot"]),
        (("boot",), 0, None, []),
        (("boot",), 1, "why not", []),
        (("boot",), 0, True, ["boot"]),
        (("serial", "boot"), 1, None, ["serial"]),
        (("boot", "gdb"), 1, None, ["gdb"]),
        (("boot", "gdb"), 0, None, []),
    ],
)
def test_gdb_looks_once_a_scenario(
    triggers: tuple[Trigger, ...], aborts: int, gdb_view: bool | str | None, looking: list[str]
) -> None:
    scenario = Scenario(
        "a.b",
        "caught by=x",
        triggers=triggers,
        aborts=aborts,
        gdb_view=gdb_view,
        uncontrolled=UNCONTROLLED,
    )
    assert [case.trigger for case in scenario.cases() if case.looks] == looking
    assert sum(case.records for case in scenario.cases()) == 1


def _row(**changes: object) -> Callable[[], Scenario]:
    row = {"lab": "a.b", "verdict": "ok", "uncontrolled": UNCONTROLLED, **changes}
    return lambda: Scenario(**row)  # type: ignore[arg-type]  # wrong values are the point


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_row(uncontrolled=""), "give it controls"),
        (_row(controls=(Control("protect=-x", "survived"),)), "give it controls"),
        (_row(args="protect=-x"), "stands only in controls"),
        (_row(controls=(Control("protect=-x", "ok"),), uncontrolled=""), "proves nothing"),
        (_row(lab="recurse"), "named family.name"),
        (_row(verdict="passed"), "'passed' is no verdict"),
        (_row(verdict="caught by=a stack=b"), "is no verdict"),
        (_row(icount=None), "without icount a busy host decides: give it args='watchdog="),
        (_row(name="a b"), "not fit for a file name"),
        (_row(name="../up"), "not fit for a file name"),
        (_row(triggers=()), "triggers are one or more of boot, serial, gdb"),
        (_row(triggers=("telnet",)), "triggers are one or more of"),
        (_row(args="verbose"), "expected key=value"),
        (_row(args="a=1 a=2"), "each key once"),
        (_row(args="a=1", poke={"a": 2}), "a stands both in args and in poke"),
        (_row(args="who=me", triggers=("gdb",)), "GDB writes only numbers"),
        (lambda: Control("", "ok"), "a control changes the boot line"),
        (lambda: Control("protect=-x", "fine"), "'fine' is no verdict"),
        (lambda: Control("protect=-x", "panic"), "could come of anything: give it golden=True"),
        (lambda: Control("protect=-x", "hang by=watchdog"), "says at= where"),
        (lambda: Control("protect=-x", "survived", at="spin"), "and no other, says at= where"),
    ],
)
def test_a_wrong_row_is_refused_when_it_is_written(
    make: Callable[[], object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


def test_what_may_not_end_is_bounded_by_instructions() -> None:
    """So is the scenario, or no end within the bound would tell nothing of the control."""
    endless = (Control("protect=-watchdog", "no-end"),)
    scenario = Scenario(
        "a.b", "hang", args="watchdog=50", triggers=("boot", "serial"), controls=endless
    )
    bounds = {case.id: case.instructions for case in scenario.cases()}
    assert bounds == {"b": 60_000_000, "b-serial": None, "b-control-no-watchdog": 60_000_000}
    assert [case.instructions for case in SCENARIO.cases()] == [None] * len(CASES)


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("0x10", 16), ("16K", 16384), ("2M", 2 << 20), ("0x1K", 1024)]
)
def test_numbers_are_read_as_the_kernel_reads_them(text: str, value: int) -> None:
    assert number(text) == value


def test_two_cases_with_one_name_are_found() -> None:
    assert duplicates([SCENARIO]) == []
    assert "stack.recurse-serial" in duplicates([SCENARIO, SCENARIO])


def test_a_case_is_a_value() -> None:
    assert Case(SCENARIO) == Case(SCENARIO)
    assert len({Case(SCENARIO), Case(SCENARIO)}) == 1
