"""harness.serial.catalogue: what lab=list printed, read; and whatever is not said like that."""

import pytest

from harness.errors import LogError
from harness.serial.catalogue import Param, read, whole
from harness.serial.log import parse_lines

LISTED = b"""\
[boot] args : lab=list
[list] lab grow.copy : a copy
[list] param grow.copy adjust default=2 min=1 max=3 names=none,frames : what is rewritten
[list] names grow.copy adjust names=conservative
[list] lab stack.recurse : overflow a stack
[list] param stack.recurse past default=2048 min=256 max=3072 : bytes
[list] protect guard : guard pages
[list] site pool.alloc function=pool_alloc failure=0 : no block
[end] ok
"""


def test_labs_have_their_parameters() -> None:
    catalogue = read(parse_lines(LISTED))
    assert [(lab.name, lab.sentence) for lab in catalogue.labs] == [
        ("grow.copy", "a copy"),
        ("stack.recurse", "overflow a stack"),
    ]
    assert catalogue.labs[1].params == (Param("past", 2048, 256, 3072, (), "bytes"),)
    assert (catalogue.protections, catalogue.sites) == (("guard",), ("pool.alloc",))


def test_names_go_on_in_the_next_record() -> None:
    (adjust,) = read(parse_lines(LISTED)).labs[0].params
    assert adjust.names == ("none", "frames", "conservative")
    assert adjust.shown == "frames"  # the default is the second of the values from 1 on
    assert len(whole(parse_lines(LISTED))) == 6


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (b"[list] names a.b c names=d\n", "names of no parameter"),
        (b"[list] param a.b c default=0 min=0 max=1 : d\n", "before its lab"),
        (b"[list] lab a.b : c\n[list] param a.b d default=0 min=0 : e\n", "three numbers"),
        (b"[list] lab a.b : c\n[list] param a.b d default=x min=0 max=1 : e\n", "three numbers"),
        (b"[list] lab a.b : c\n[list] param a.b d default=2 min=0 max=1 : e\n", "outside"),
        (
            b"[list] lab a.b : c\n[list] param a.b d default=2 min=0 max=9 names=x,y : e\n",
            "outside",
        ),
    ],
)
def test_what_is_not_said_like_that_is_named(lines: bytes, problem: str) -> None:
    with pytest.raises(LogError, match=problem):
        read(parse_lines(lines))
