"""The deepest chain of small programs: a number, and its status."""

from pathlib import Path

import pytest

from harness.stackreport import notes
from harness.stackreport.bounds import Bound, Graph, Program
from harness.stackreport.image import Image, load
from harness.tests.stackreport.conftest import bound, build


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


TANGLE = """
	.macro	knot name, one, two, three
	.global	\\name
	.type	\\name, %function
\\name:	stp	x29, x30, [sp, #-16]!
	bl	\\one
	bl	\\two
	bl	\\three
	ldp	x29, x30, [sp], #16
	ret
	.size	\\name, . - \\name
	.endm
	.text
	.global	_start
	.type	_start, %function
_start:	b	one
	.size	_start, . - _start
	knot	one, two, three, four
	knot	two, one, three, four
	knot	three, one, two, four
	knot	four, one, two, three
"""
NOTED = '[[recursion]]\nfunction = "{}"\ndepth = {}\nwhy = "test"\n'


def tangle(folder: Path, depth: int) -> Bound:
    noted = "".join(NOTED.format(name, depth) for name in ("one", "two", "three", "four"))
    return bound(load(build(folder, TANGLE)), "one", noted)


def test_a_few_ways_round_a_circle_are_all_tried(tmp_path: Path) -> None:
    assert str(tangle(tmp_path, 2)) == f"≤ {16 * 2 * 4}"


def test_too_many_are_a_reason(tmp_path: Path) -> None:
    """Thirty of each of four are 30 to the fourth: no answer is awaited."""
    found = tangle(tmp_path, 30)
    assert str(found) == "unbounded (too many ways round a circle of four)"


def test_what_is_tangled_stays_so_for_every_stack(tmp_path: Path) -> None:
    """Another graph of the same program does not try again."""
    noted = "".join(NOTED.format(name, 30) for name in ("one", "two", "three", "four"))
    program = Program(load(build(tmp_path, TANGLE)), notes.parse(noted))
    assert Graph(program).bound("one").status == "unbounded"
    assert len(program.tangled) == 1
    again = Graph(program)
    assert again.bound("two").status == "unbounded"
    assert len(again._known) < 10
