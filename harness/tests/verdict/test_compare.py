"""Golden comparison, by mutation: each way in which a log can differ is noticed, in words."""

import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.serial.log import Record, parse_line
from harness.tests.samples import GOLDEN_TEXT
from harness.tests.serial.test_log import RECORDS
from harness.verdict.compare import align, carry_bands, differences

BODY = GOLDEN_TEXT.splitlines()[5:]


def _records(lines: list[str]) -> list[Record]:
    return [parse_line(line) for line in lines]


def _reasons(old: list[str], new: list[str]) -> list[str]:
    return [d.reason for d in differences(_records(old), _records(new))]


def _token_mutations() -> Iterator[tuple[int, str]]:
    """Every token of every line of the sample, changed in itself: off by one, or longer."""
    for number, line in enumerate(BODY):
        for token in re.finditer(r"[^ ]+", line):
            if token[0] == ":":
                continue
            yield number, line[: token.start()] + _changed(token[0]) + line[token.end() :]


def _changed(token: str) -> str:
    value, tilde, band = token.partition("~")
    if value.endswith("]"):
        value = f"{value[:-1]}x]"
    elif value[-1].isdecimal():
        value = value[:-1] + str((int(value[-1]) + 1) % 10)
    else:
        value += "x"
    return value + tilde + band


@pytest.mark.parametrize(("number", "line"), list(_token_mutations()))
def test_no_token_can_change_unnoticed(number: int, line: str) -> None:
    mutated = [*BODY[:number], line, *BODY[number + 1 :]]
    assert mutated != BODY
    assert _reasons(BODY, mutated)


@pytest.mark.parametrize("number", range(len(BODY)))
def test_no_record_can_be_lost_doubled_or_swapped(number: int) -> None:
    lost = BODY[:number] + BODY[number + 1 :]
    assert _reasons(BODY, lost) != []
    assert _reasons(lost, BODY) != []
    assert _reasons(BODY, [*BODY[: number + 1], BODY[number], *BODY[number + 1 :]]) != []
    swapped = [*lost[:number], *lost[number : number + 1], BODY[number], *lost[number + 1 :]]
    assert swapped == BODY or _reasons(BODY, swapped) != []


@given(st.lists(RECORDS, max_size=6), st.lists(RECORDS, max_size=6))
def test_equal_compares_equal_and_unequal_does_not(old: list[Record], new: list[Record]) -> None:
    assert differences(old, old) == []
    if list(map(str, old)) != list(map(str, new)) and not any("~" in str(r) for r in [*old, *new]):
        assert differences(old, new) != []


@given(st.lists(RECORDS, max_size=6), st.lists(RECORDS, max_size=6))
def test_alignment_loses_and_reorders_nothing(old: list[Record], new: list[Record]) -> None:
    pairs = list(align(old, new))
    assert [a for a, _ in pairs if a is not None] == old
    assert [b for _, b in pairs if b is not None] == new


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[bt] #1 f+0x4 frame=528~25%", "[bt] #1 f+0x4 frame=560~25%", "frame grew 528 → 560 (f)"),
        ("[bt] #1 f+0x4 frame=56~25%", "[bt] #1 f+0x4 frame=48~25%", "frame shrank 56 → 48 (f)"),
        ("[stack] a used=10~25%", "[stack] a used=11~25%", "used grew 10 → 11"),
        ("[end] caught by=a", "[end] survived", "verdict changed caught by=a → survived"),
        ("[end] caught by=a", "[end] caught by=b", "verdict changed caught by=a → caught by=b"),
        ("[bt] #1 f+0x4", "[bt] #1 g+0x4", "symbol changed f → g"),
        ("[bt] #1 f+0x4", "[bt] #1 f+0x8", "offset in f changed +0x4 → +0x8"),
        ("[bt] #1 f+0x4", "[bt] #2 f+0x4", "frame number changed #1 → #2"),
        ("[EXC] sync elr=f+0x4", "[EXC] sync elr=g+0x4", "symbol changed in elr= f → g"),
        ("[EXC] sync far=t:a-0x1", "[EXC] sync far=t:a-0x2", "far changed t:a-0x1 → t:a-0x2"),
        ("[qemu] aborts data=1", "[qemu] aborts data=38", "abort count changed: data 1 → 38"),
        ("[bt] #1 f+0x4", "[bt] #1 f+0x4 via=lr", "via= is new"),
        ("[bt] #1 f+0x4 via=lr", "[bt] #1 f+0x4", "via= is gone"),
        ("[a] x=1 y=2", "[a] y=2 x=1", "fields in another order"),
        ("[a] x : old", "[a] x : new", "wording changed"),
        ("[a] x", "[a] x y", "words changed x → x y"),
        ("[a] x", "[a] y", "word changed x → y"),
        ("[a] #1", "[a] x", "word changed #1 → x"),
        ("[a] x=1", "[a] x=y", "x changed 1 → y"),
    ],
)  # fmt: skip
def test_the_reason_is_said_in_words(old: str, new: str, reason: str) -> None:
    assert _reasons([old], [new]) == [reason]


def test_a_record_that_is_gone_or_new_is_said_to_be() -> None:
    assert _reasons(BODY, BODY[:-1]) == ["record missing"]
    assert _reasons(BODY[:-1], BODY) == ["record extra"]
    assert _reasons(["[a] x"], ["[b] x"]) == ["record missing", "record extra"]


def test_one_missing_frame_does_not_drag_the_others_along() -> None:
    frames = [f"[bt] #{n} f{n}+0x4 frame=16~25%" for n in range(10)]
    assert _reasons(frames, frames[:4] + frames[5:]) == ["record missing"]


def _narrow(line: str) -> str:
    return line.replace("~25%", "~5%")


def _widen_far(line: str) -> str:
    return line.replace("victim-0x10", "victim-0x10~400%")


def _strip(line: str) -> str:
    return line.replace("~25%", "")


@pytest.mark.parametrize("edit", [_narrow, _widen_far, _strip])
def test_a_band_edited_by_hand_survives(edit: Callable[[str], str]) -> None:
    edited = [edit(line) for line in BODY]
    seen = [line.replace("frame=48", "frame=64") for line in BODY]
    carried = carry_bands(_records(edited), _records(seen))
    assert list(map(str, carried)) == [line.replace("frame=48", "frame=64") for line in edited]


def test_a_new_line_brings_its_own_bands() -> None:
    new = ["[bt] #0 g+0x0 frame=16~25%", *BODY]
    assert list(map(str, carry_bands(_records(BODY), _records(new)))) == new
