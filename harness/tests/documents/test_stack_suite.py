"""docs/stack-suite.md leaves nothing open."""

from collections.abc import Iterator

import pytest

from harness.documents import stack_suite
from harness.errors import HarnessError
from harness.paths import ROOT
from harness.scenario import Control, Scenario
from harness.serial.log import parse_line

DOCUMENT = ROOT / "docs/stack-suite.md"
RECURSE = Scenario(
    "stack.recurse", verdict="caught by=guard-page", controls=(Control("protect=-guard", "ok"),)
)

NESTED = """\
[lab] enter name=stack.emergency faults=2 : fault while a fault is being reported
[EXC] sync ec=0x25 elr=write_null+0xc sp=thread:lab+0x3f90
[EXC] null : a null pointer, or near it
[EXC] sync ec=0x25 elr=write_null+0xc sp=irq:cpu0+0x3ed0
[EXC] null : a null pointer, or near it
[EXC] last esr=0x96000044 : a fault on the emergency stack; from registers alone
[end] double-fault by=last-report"""

WILD = """\
[EXC] check elr=push+0x8 sp=neighbour+0x2000
[EXC] wild-sp stack=neighbour : SP is in no part of its own stack
[bt] end why=backwards frames=2
[stack] thread:victim used=320 size=16384 guard=ok
[EXC] killed thread=victim by=sp-check
[stack] thread:lab used=544 size=16384 margin=15840 guard=ok
[end] contained by=sp-check"""


def cells(text: str) -> Iterator[list[str]]:
    """The rows of every table, without the heads."""
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and len(row) > 3 and row[0] not in ("scenario", "---"):
            yield row


def seen(log: str) -> list[stack_suite.Fault]:
    return list(stack_suite.faults(parse_line(line) for line in log.splitlines()))


def test_no_cell_of_it_is_empty() -> None:
    rows = list(cells(DOCUMENT.read_text("utf-8")))
    assert rows
    for row in rows:
        assert len(row) == len(stack_suite.COLUMNS) and all(row), f"an empty cell: {row}"


def test_the_generator_refuses_an_empty_cell() -> None:
    with pytest.raises(HarnessError, match="recurse: nothing under 'what is done'"):
        stack_suite.table(
            [("recurse", "", "thread:victim", "overflow", "guard-page", "caught", "none")]
        )


def test_a_missing_golden_names_the_command() -> None:
    scenario = Scenario("stack.nothing", verdict="ok", uncontrolled="none can be")
    with pytest.raises(HarnessError, match=r"golden missing[\s\S]*make golden ONLY=nothing"):
        stack_suite.row(scenario, ROOT, {"stack.nothing": "do nothing"})


def test_a_lab_that_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(HarnessError, match=r"no lab stack\.recurse"):
        stack_suite.row(RECURSE, ROOT, {})


def test_each_fault_has_its_class_and_its_stack() -> None:
    assert [(fault.called, fault.stack) for fault in seen(NESTED)] == [
        ("null", "thread:lab"),
        ("null", "irq:cpu0"),
        ("last", "emergency"),
    ]


def test_the_stack_is_the_culprits_own_and_an_early_end_is_told() -> None:
    assert seen(WILD) == [stack_suite.Fault("wild-sp", "thread:victim", "backwards")]
    assert stack_suite.called(seen(WILD)[0]) == "wild-sp, backtrace ends: backwards"
