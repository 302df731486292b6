"""Measurements against bounds."""

from pathlib import Path

from harness.stackreport import marks, notes, report
from harness.stackreport.image import Image

GOLDEN = """\
[bt] #0 recurse+0x0 frame=0~25% stack=thread:victim
[bt] #1 a_victim+0x40 frame=32~25% stack=thread:victim
[bt] #2 thread_start+0x8 frame=0~25% stack=thread:victim
[bt] end why=entry frames=3 depth=96
[stack] thread:victim used=96~25% size=4096 guard=ok lowest_sp=112~25%
[stack] t used=90~25% size=4096 margin=1 guard=ok
"""


def test_a_mark_knows_where_its_thread_began() -> None:
    first, second = marks.parse(GOLDEN, "x.log")
    assert (first.start, first.used, first.lowest, first.deepest) == ("a_victim", 96, 112, 112)
    assert (second.start, second.deepest, second.size) == ("", 90, 4096)


def test_a_measurement_above_the_bound_is_a_problem(image: Image) -> None:
    noted = '[[stack]]\nname = "t"\nsize = 4096\nentry = "plain"\nwhy = "test"'
    for used, expected in ((96, 0), (112, 1)):
        line = f"[stack] t used={used} size=4096 guard=ok"
        made = report.make(image, notes.parse(noted), list(marks.parse(line, "x.log")))
        found = [problem for problem in made.problems if "more than the bound" in problem]
        assert len(found) == expected
    (stack,) = made.stacks
    assert stack.tightness == 112 / 96


STRAY = "[EXC] stray stack=t guard=below beyond=32 by=pointer : a pointer touched a guard\n"


def test_where_a_pointer_left_the_stack_paint_is_no_depth() -> None:
    """SP still is: the report of that very stack, and of no other."""
    said = STRAY + "[stack] t used=4064 size=4096 guard=ok lowest_sp=48\n"
    (mark,) = marks.parse(said, "x.log")
    assert (mark.stray, mark.deepest) == (True, 48)
    for other in (said.replace("stack=t ", "stack=u "), said.replace("by=pointer", "by=sp")):
        (mark,) = marks.parse(other, "x.log")
        assert (mark.stray, mark.deepest) == (False, 4064)
    (mark,) = marks.parse(said.replace(" lowest_sp=48", ""), "x.log")
    assert mark.deepest == 4064, "where SP is not known, paint is all there is"


def test_a_measurement_of_no_known_stack_is_a_problem(image: Image) -> None:
    line = "[stack] other used=1 size=4096 guard=ok"
    made = report.make(image, notes.parse(""), list(marks.parse(line, "x.log")))
    (problem,) = made.problems
    assert problem.startswith("x.log: other used=1 lowest_sp=0: no thread_create()")
    assert 'STACK_SIZE("other", 4096, "why")' in problem


def test_goldens_of_another_compiler_are_no_marks(tmp_path: Path) -> None:
    for name, compiler in (("a", "gcc 12"), ("b", "gcc 12"), ("c", "gcc 14")):
        text = f"# toolchain: {compiler}\n[stack] thread:{name} used=16 size=4096\n"
        (tmp_path / f"{name}.log").write_text(text, "utf-8")
    assert [mark.log for mark in marks.read(tmp_path)] == ["a.log", "b.log"]
    assert [mark.log for mark in marks.read(tmp_path, "gcc 14")] == ["c.log"]
    assert marks.read(tmp_path, "clang 14") == []
