"""harness.dev.foreign: how many lines another compiler changes, counted on goldens made for it."""

from pathlib import Path

import pytest

from harness.dev.foreign import count
from harness.errors import GoldenError

HEADER = "# highwater golden 1\n# lab: a.b\n# boot: lab=a.b\n# toolchain: {}\n# qemu: {}\n"
MINE = (
    "[bt] #0 f+0x8 frame=16~25%\n[bt] #1 g+0x4 frame=32~25%\n[stack] thread:a used=48~25%\n"
    "[end] ok\n[gdb] #0 f+0x8\n"
)
OTHERS = MINE.replace("f+0x8", "f+0xc").replace("used=48", "used=64")


def write(root: Path, name: str, body: str, gcc: str = "x-gcc 12.2.0", qemu: str = "7.2") -> None:
    (root / name).write_text(HEADER.format(gcc, qemu) + body, "utf-8")


def test_lines_and_facts_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.log", MINE)
    write(tmp_path, "b.log", MINE)
    write(tmp_path, "a.log.new", OTHERS, "x-gcc 14.2.0", "10.0")
    counted = count(tmp_path)
    assert (counted.goldens, counted.lines, counted.differing) == (2, 10, 1)
    assert (counted.changed, counted.here, counted.there, counted.facts) == (3, 0, 0, 0)
    assert str(counted) == (
        "2 goldens of 10 lines; under x-gcc 14.2.0, QEMU 10.0 1 of them differ in 3 lines:"
        " 3 changed, 0 gone, 0 new; in facts: 0"
    )


def test_a_fact_that_differs_is_counted_as_that(tmp_path: Path) -> None:
    write(tmp_path, "a.log", MINE)
    write(tmp_path, "a.log.new", OTHERS.replace("[end] ok", "[end] hang"), "x-gcc 14.2.0")
    assert count(tmp_path).facts == 1


def test_lines_that_only_one_side_has(tmp_path: Path) -> None:
    write(tmp_path, "a.log", MINE)
    folded = MINE.replace("[bt] #1 g+0x4 frame=32~25%\n", "").replace("[end]", "[x] y=1\n[end]")
    write(tmp_path, "a.log.new", folded, "x-gcc 14.2.0")
    counted = count(tmp_path)
    assert (counted.changed, counted.here, counted.there) == (0, 1, 1)


def test_where_gdb_did_not_look_its_lines_are_not_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.log", MINE)
    write(tmp_path, "a.log.new", MINE.replace("[gdb] #0 f+0x8\n", ""), "x-gcc 14.2.0")
    assert count(tmp_path).here == 0


def test_without_another_one_it_says_what_to_type(tmp_path: Path) -> None:
    write(tmp_path, "a.log", MINE)
    with pytest.raises(GoldenError, match="beside no golden lies another one") as nothing:
        count(tmp_path)
    assert "--golden-exact" in str(nothing.value)
