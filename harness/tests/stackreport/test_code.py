"""SP walked through small functions."""

import pytest

from harness.stackreport.image import Image
from harness.tests.stackreport.conftest import walk


@pytest.mark.parametrize(
    ("name", "frame", "calls"),
    [
        ("_start", 0, [0, 0]),
        ("plain", 96, [32]),
        ("leaf", 16, []),
        ("big", 0x12410, [0x12410]),
        ("probed", 0x10020, [0x10020]),
        ("dynamic", 48, [48, 48]),
        ("switching", 16, [0]),
        ("never", 16, []),
        ("after_never", 32, [32]),
        ("trapping", 16, []),
        ("stepped", 48, []),
    ],
)
def test_depth_at_the_deepest_and_at_each_call(
    image: Image, name: str, frame: int, calls: list[int]
) -> None:
    seen = walk(image, name)
    assert (seen.frame, [call.depth for call in seen.calls]) == (frame, calls)
    assert not seen.problems


def test_what_only_the_running_program_knows_is_said(image: Image) -> None:
    dynamic = {name for name in image.functions if walk(image, name).dynamic}
    assert dynamic == {"dynamic", "aligned", "diverging"}
    assert [call.dynamic for call in walk(image, "dynamic").calls] == [True, False]
    switched = {name for name in image.functions if walk(image, name).switched}
    assert switched == {"switching", "past"}


def test_functions_that_never_return_are_found(image: Image) -> None:
    stuck = {name for name in image.functions if not walk(image, name).returns}
    assert stuck == {"never", "trapping"}


def test_an_unbalanced_return_is_a_problem(image: Image) -> None:
    assert walk(image, "unbalanced").problems == ("returns at 0x4 with SP 16 bytes too low",)


def test_a_computed_jump_goes_where_its_note_says(image: Image) -> None:
    assert walk(image, "jumping").jumps
    noted = '[[assembly]]\nfunction = "jumping"\njumps = ["label"]\nwhy = "test"'
    assert walk(image, "jumping", noted).frame == 80
    assert not walk(image, "jumping", noted).jumps
