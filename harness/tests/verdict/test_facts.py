"""harness.verdict.facts: what is compared when another compiler or QEMU made it."""

import pytest

from harness.serial.log import Record, parse_line
from harness.verdict.facts import judge

GOLDEN = """\
[lab] enter name=stack.recurse stack=8192 : overflow a thread's stack by recursion
[EXC] sync ec=0x25 fsc=0x07 op=write far=thread:victim-0x60 elr=recurse+0x0 sp=thread:victim+0x0
[EXC] overflow stack=thread:victim guard=below beyond=96~25% by=sp : ran through the bottom
[stack-lab] on its way
[bt] #0 recurse+0x0 frame=0~25% stack=thread:victim
[bt] #1 recurse+0x68 frame=96~25% stack=thread:victim via=lr
[bt] #2 recurse+0x68 frame=96~25% stack=thread:victim times=84~25%
[bt] #86 recurse_victim+0x40 frame=32~25% stack=thread:victim
[bt] #87 thread_start+0x8 frame=0~25% stack=thread:victim
[bt] end why=entry frames=88~25% depth=8192~25%
[stack] thread:victim used=8192~25% size=8192 guard=bad
[stack] boot-stack:cpu0 used=384~25% size=1024 margin=640~25% guard=ok cpus=2
[stack-lab] clobbered points=221 registers=663
[gdb] #0 recurse+0x0
[gdb] #1 recurse_victim+0x40
[qemu] aborts data=1 prefetch=0
[end] caught by=guard-page"""

CPU_1 = "[stack] boot-stack:cpu1 used=400 size=1024 margin=624 guard=ok\n"


def records(text: str) -> list[Record]:
    return [parse_line(line) for line in text.splitlines()]


def reasons(old: str, new: str) -> list[str]:
    changed = GOLDEN.replace(old, new)
    assert changed != GOLDEN
    return [found.reason for found in judge(records(GOLDEN), records(changed)).differences]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("frame=96~25%", "frame=560~25%"),
        ("beyond=96~25%", "beyond=8~25%"),
        ("far=thread:victim-0x60", "far=thread:victim-0x8"),
        ("elr=recurse+0x0", "elr=recurse+0x20"),
        ("sp=thread:victim+0x0", "sp=thread:victim-0x40"),
        (
            "[bt] #1 recurse+0x68 frame=96~25% stack=thread:victim via=lr\n",
            "",
        ),  # a frame that folds
        ("[bt] #86 recurse_victim+0x40 frame=32~25% stack=thread:victim\n", ""),  # one inlined
        (
            "[bt] #87 thread",
            "[bt] #87 go_down+0x4 frame=16~25% stack=thread:victim\n[bt] #88 thread",
        ),  # and one that is inlined only there
        ("frames=88~25%", "frames=12~25%"),
        ("elr=recurse+0x0", "elr=memset+0x8"),  # one function deeper: the walk's order is compared
        ("guard=bad", "guard=ok"),  # of a stack that was overrun
        ("[stack-lab] on its way\n", "[stack-lab] on its way\n" * 5),  # at each of its calls
        (
            " margin=640~25% guard=ok cpus=2\n",
            " margin=640~25% guard=ok\n" + CPU_1,
        ),  # no longer equal
        ("clobbered points=221 registers=663", "clobbered points=222 registers=666"),
    ],
)
def test_what_a_compiler_decides_is_not_compared(old: str, new: str) -> None:
    assert reasons(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "by=guard-page",
            "by=sentinel",
            "verdict changed caught by=guard-page → caught by=sentinel",
        ),
        ("overflow stack=", "stray stack=", "word changed overflow → stray"),
        ("data=1", "data=2", "abort count changed: data 1 → 2"),
        ("guard=below", "guard=above", "guard changed below → above"),
        ("far=thread:victim-0x60", "far=thread:victim+0x60", "far changed"),
        ("far=thread:victim-0x60", "far=thread:other-0x60", "far changed"),
        ("elr=recurse+0x0", "elr=null+0x0", "elr changed"),
        ("ec=0x25", "ec=0x24", "ec changed 0x25 → 0x24"),
        ("size=8192 guard", "size=4096 guard", "size shrank 8192 → 4096"),
        ("guard=ok cpus=2", "guard=ok cpus=3", "cpus grew 2 → 3"),
        ("guard=ok cpus=2", "guard=bad cpus=2", "guard changed ok → bad"),
        ("[stack-lab] on its way\n", "", "record missing"),
        ("why=entry", "why=backwards", "why changed entry → backwards"),
        ("stack=8192 :", "stack=4096 :", "stack shrank 8192 → 4096"),
        ("[stack] thread:victim", "[stack] thread:lab", "word changed"),
        (": ran through the bottom", ": ran through the top", "wording changed"),
        ("[end]", "[pool] bad=1\n[end]", "record extra"),
        ("[qemu] aborts data=1 prefetch=0\n", "", "record missing"),
    ],
)
def test_what_the_lab_decides_is(old: str, new: str, reason: str) -> None:
    found = reasons(old, new)
    assert found
    assert any(reason in each for each in found), found


def test_functions_in_another_order_are_a_difference() -> None:
    lines = GOLDEN.splitlines()
    at = next(i for i, line in enumerate(lines) if "#86" in line)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert judge(records(GOLDEN), records("\n".join(lines))).differences


def test_a_walk_that_has_nothing_in_common_is_a_difference() -> None:
    other = GOLDEN.replace("[gdb] #0 recurse+0x0", "[gdb] #0 pool_alloc+0x0").replace(
        "[gdb] #1 recurse_victim+0x40", "[gdb] #1 lab_main+0x4"
    )
    assert len(judge(records(GOLDEN), records(other)).differences) == 1


def test_an_offset_into_data_is_the_labs() -> None:
    old = records("[EXC] sync far=pool:parts[3]+0x40 elr=touch+0x4\n[end] ok")
    new = records("[EXC] sync far=pool:parts[3]+0x48 elr=touch+0x4\n[end] ok")
    assert judge(old, new).differences
    near_null = records("[EXC] sync far=null+0x8 elr=null+0x0\n[end] ok")
    nearer = records("[EXC] sync far=null+0x8 elr=null+0x4\n[end] ok")
    assert judge(near_null, nearer).differences


def test_what_is_not_judged_is_counted() -> None:
    assert judge(records(GOLDEN), records(GOLDEN)).unjudged == 16


def test_guard_words_are_compared_where_no_frame_ran_over_them() -> None:
    old = records("[EXC] sentinel : overwritten\n[stack] thread:victim guard=bad\n[end] ok")
    new = records("[EXC] sentinel : overwritten\n[stack] thread:victim guard=ok\n[end] ok")
    assert judge(old, new).differences


def test_a_number_whose_band_was_taken_away_is_exact() -> None:
    old = records("[stack] neighbour used=0~25% margin=16384\n[end] ok")
    same = records("[stack] neighbour used=8~25% margin=16384~25%\n[end] ok")
    less = records("[stack] neighbour used=8~25% margin=16380~25%\n[end] ok")
    assert not judge(old, same).differences
    assert judge(old, less).differences


def test_an_offset_into_a_stack_that_was_left_is_the_compilers() -> None:
    old = records("[EXC] sync far=stale:grower.8-0x7f860 sp=boot-stacks+0x0\n[end] ok")
    new = records("[EXC] sync far=stale:grower.8-0x7f8c8 sp=boot-stacks-0x50\n[end] ok")
    assert not judge(old, new).differences


def test_where_code_was_fetched_is_the_compilers_and_whose_code_is_not() -> None:
    line = "[EXC] sync op={} far=crasher:{}+0x{}\n[end] ok"

    def judged(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
        return bool(judge(records(line.format(*old)), records(line.format(*new))).differences)

    assert not judged(("exec", "program", "64"), ("exec", "program", "88"))
    assert judged(("exec", "program", "64"), ("exec", "message", "64"))
    assert judged(("write", "program", "64"), ("write", "program", "88"))
