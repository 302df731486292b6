"""The deepest chain of small programs: a number, and its status."""

import pytest

from harness.stackreport.image import Image
from harness.tests.stackreport.conftest import bound


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "≤ 96"),
        ("_start", f"≤ {0x12410 + 16}"),
        ("probed", f"≤ {0x10020 + 16}"),
        ("hook", f"≤ {16 + 0x12410 + 16}"),  # every function whose address is taken
        ("again", "unbounded (recursion in again)"),
        ("even", "unbounded (recursion in even → odd)"),
        ("odd", "unbounded (recursion in even → odd)"),
        ("dynamic", "≥ 64 (dynamic frame in dynamic)"),
        ("switching", "≥ 16 (SP is loaded in switching)"),
        ("jumping", f"≤ {0x12410 + 16}"),  # the frame is given back: a tail call
        ("tabled", "≥ 0 (computed jump in tabled)"),
    ],
)
def test_no_number_without_its_status(image: Image, name: str, expected: str) -> None:
    assert str(bound(image, name)) == expected


@pytest.mark.parametrize(
    ("name", "kind", "values", "expected"),
    [
        ("hook", "indirect", 'in = "hook"\ntargets = ["leaf"]', "≤ 32"),
        ("again", "recursion", 'function = "again"\ndepth = 5', "≤ 80"),
        ("even", "recursion", 'function = "odd"\ndepth = 2', f"≤ {16 + 32 + 16 + 32 + 16}"),
        ("dynamic", "dynamic", 'function = "dynamic"\nbytes = 1000', "≤ 1064"),
        ("switching", "assembly", 'function = "switching"\nswitches = true', "≤ 16"),
    ],
)
def test_a_note_decides(image: Image, name: str, kind: str, values: str, expected: str) -> None:
    assert str(bound(image, name, f'[[{kind}]]\n{values}\nwhy = "test"')) == expected


def test_the_chain_adds_up_to_the_bound(image: Image) -> None:
    for name in ("_start", "hook", "plain"):
        found = bound(image, name)
        assert sum(step.bytes for step in found.chain) == found.bytes
