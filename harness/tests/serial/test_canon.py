"""The only normaliser: what it drops, what it bands, and that everything else passes untouched."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.paths import ROOT
from harness.serial.canon import COMPILER_DECIDED, PARAMETERS, canonical, lines
from harness.serial.log import Record, parse, parse_line
from harness.tests.samples import GOLDEN_TEXT, SERIAL
from harness.tests.serial.test_log import RECORDS
from harness.verdict.golden import Golden, goldens, load


@given(st.lists(RECORDS, max_size=5))
def test_normalising_twice_changes_nothing(records: list[Record]) -> None:
    once = canonical(records)
    assert canonical(once) == once
    assert canonical(parse_line(line) for line in lines(once)) == once


def test_the_sample_becomes_its_golden() -> None:
    body = [line for line in GOLDEN_TEXT.splitlines()[5:] if line[:5] not in ("[gdb]", "[qemu")]
    assert lines(canonical(parse(SERIAL).records)) == body


@pytest.mark.parametrize(
    "line",
    [
        "[boot] highwater build=1 nonce=2",
        "[boot] args : lab=x",
        "[boot] protect guard=on",
        "[lab] holding for=serial : type: go",
        "[lab] what : no such word",
    ],
)
def test_what_differs_between_runs_is_dropped(line: str) -> None:
    assert canonical([parse_line(line)]) == []


@pytest.mark.parametrize(
    "line", ["[boot] cpu id=1", "[lab] enter name=x", "[stack-lab] holding", "[a]"]
)
def test_every_other_record_stays(line: str) -> None:
    assert lines(canonical([parse_line(line)])) == [line]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("frame=48", "frame=48~25%"),
        ("frame=48~10%", "frame=48~10%"),
        ("frame=?", "frame=?"),
        ("size=48", "size=48"),
        ("far=a raw=0x1 by=b", "far=a by=b"),
        (
            "depth=1 used=2 lowest_sp=3 beyond=4",
            "depth=1~25% used=2~25% lowest_sp=3~25% beyond=4~25%",
        ),
        ("times=1 frames=2", "times=1~25% frames=2~25%"),
    ],
)
def test_only_what_the_compiler_decides_gets_a_band(before: str, after: str) -> None:
    assert lines(canonical([parse_line(f"[a] {before}")])) == [f"[a] {after}"]


# Held exactly by hand: what is asked of the compiler, or the difference of two that move together.
EXACT = frozenset(("gap", "words"))


def test_every_golden_has_the_bands_of_today() -> None:
    """A band that a golden lacks is not added by accepting it: a key that became the compiler's
    later stays exact there, and under another compiler its number fails for nothing.
    """
    lacking = [
        f"{path.relative_to(ROOT)}: {record}"
        for path in goldens(ROOT / "golden")
        for record in golden_at(path).records
        if record.area not in PARAMETERS and set(_bare(record)) - EXACT
    ]
    assert not lacking


def golden_at(path: Path) -> Golden:
    found = load(path)
    assert found
    return found


def _bare(record: Record) -> Iterator[str]:
    for key, value in record.fields.items():
        if key in COMPILER_DECIDED and value.isdecimal():
            yield key
