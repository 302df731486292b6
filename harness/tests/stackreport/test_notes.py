"""Notes: how they are refused, what is wrong with them, what stacks they make."""

import pytest

from harness.stackreport import notes, report
from harness.stackreport.image import Image


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("[[indirect]", "not TOML"),
        ("[[indirects]]\nwhy = 'x'", "have no 'indirects'"),
        ("[[indirect]]\nin = 'a'\ntargets = ['b']", "has no why"),
        ("[[indirect]]\nin = 'a'\ntargets = ['b']\nwhy = ' '", "has no why"),
        ("[[indirect]]\nin = 'a'\nwhy = 'x'", "has no targets"),
        ("[[indirect]]\nin = 'a'\ntargets = []\nwhy = 'x'", "not what belongs there"),
        ("[[recursion]]\nfunction = 'a'\ndepth = -1\nwhy = 'x'", "not what belongs there"),
        ("[[recursion]]\nfunction = 'a'\ndepth = 1\ntimes = 2\nwhy = 'x'", "no key 'times'"),
    ],
)
def test_broken_notes_are_refused_by_name(broken: str, why: str) -> None:
    with pytest.raises(notes.NotesError, match=why):
        notes.parse(broken)


@pytest.mark.parametrize(
    ("noted", "problem"),
    [
        ('[[recursion]]\nfunction = "plain"\ndepth = 1', "recursion function=plain is not needed"),
        ('[[dynamic]]\nfunction = "gone"\nbytes = 1', "dynamic function=gone is not needed"),
        ('[[indirect]]\nin = "plain"\ntargets = ["leaf"]', "indirect in=plain is not needed"),
        ('[[indirect]]\nin = "hook"\ntargets = ["leaf", "x"]', "no x has its address taken"),
        ('[[indirect]]\nin = "hook"\ntargets = ["leaf"]', "big: its address is taken, and no"),
        ('[[exception]]\nentry = "leaf"\non = ["y"]\nlevels = 1\nreserved = 0', "no [[stack]] y"),
        ('[[stack]]\nname = "t"\nsize = 90\nentry = "plain"', "t: ≤ 96 does not fit 90"),
        ('[[stack]]\nname = "t"\nsize = 90\nentry = "again"', "t: unbounded (recursion in again)"),
        (
            '[[stack]]\nname = "t"\nsize = 900\nentry = "plain"\nbudget = 64',
            "t: ≤ 96 is over its budget of 64",
        ),
        (
            '[[stack]]\nname = "t"\nsize = 900\nentry = "plain"\nunbounded = "so"',
            "t: noted as unbounded, but it is ≤ 96",
        ),
    ],
)
def test_what_the_notes_get_wrong_is_a_problem(image: Image, noted: str, problem: str) -> None:
    made = report.make(image, notes.parse(f'{noted}\nwhy = "test"'))
    assert any(problem in line for line in made.problems), made.problems


EXCEPTIONS = """
[[stack]]
name = "t"
size = 4096
entry = "plain"
why = "test"

[[stack]]
name = "u"
size = 4096
entry = "plain"
why = "test"

[[exception]]
entry = "leaf"
on = ["t"]
levels = 3
reserved = 100
why = "test"
"""


def test_exceptions_add_to_the_stack_that_carries_them_and_to_no_other(image: Image) -> None:
    made = report.make(image, notes.parse(EXCEPTIONS))
    assert [str(stack.bound) for stack in made.stacks] == [f"≤ {96 + 3 * 116}", "≤ 96"]
    for stack in made.stacks:
        assert sum(step.bytes for step in stack.bound.chain) == stack.bound.bytes
