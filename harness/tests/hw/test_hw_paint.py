"""hw paint: what the kernel's watermark says, the holes it cannot see, and paint laid anew."""

from contextlib import AbstractContextManager

from harness.tests.hw.conftest import Boot, Stopped, only, poked, refusal

LAB = "all_threads->all_next->stack"
WORD = 8


def test_it_begins_where_the_watermark_is(recurse: Stopped) -> None:
    painted, stacks = recurse.rows("paint"), recurse.rows("stacks")
    assert [row["STACK"] for row in painted] == [row["STACK"] for row in stacks]
    (record,) = recurse.records("stack")
    told = only(stacks, STACK="thread:victim")
    assert (told["USED"], told["WORDS"]) == (record.fields["used"], record.fields["guard"])
    # Where a guard word is gone, a matter of the last frame's size, the kernel asks no paint.
    whole = {row["STACK"] for row in stacks if row["WORDS"] == "ok"}
    assert whole >= {row["STACK"] for row in stacks} - {"thread:victim"}
    for row in painted:
        begins, used = int(row["BEGINS"], 0), int(row["USED"])
        assert begins + used == int(row["SIZE"])
        assert int(row["INTACT"]) == begins - guard_words(recurse)
        if row["STACK"] in whole:
            assert used == int(only(stacks, STACK=row["STACK"])["USED"])
        if row["SP"] != "-":
            assert int(row["LEFT"]) == max(int(row["SP"], 0) - begins, 0)


def guard_words(machine: Stopped) -> int:
    return machine.number("sizeof(stack_marks.guard_words)")


def word_of_lab(machine: Stopped, offset: int, value: int) -> AbstractContextManager[None]:
    return poked(machine, f"*(unsigned long *)({LAB}.base + {offset})", value)


def test_the_map_has_every_run(recurse: Stopped) -> None:
    paint = recurse.number("stack_marks.paint")
    before = only(recurse.rows("paint lab"), STACK="thread:lab")
    begins = int(before["BEGINS"], 0)
    with (
        word_of_lab(recurse, begins - 0x100, 1),
        word_of_lab(recurse, begins + 0x10, paint),
        word_of_lab(recurse, 0, 0),
    ):
        row, *lines = recurse.rows("paint thread:lab")
    runs = [line for line in lines_of(lines) if line[3] != "guard words, ok"]
    holes = int(before["HOLES"]) + (0x100 - WORD) + WORD
    assert (row["BEGINS"], row["HOLES"]) == (f"+{begins - 0x100:#x}", str(holes))
    assert runs[:5] == [
        ("+0x0", "+0x20", "32", "guard words, overwritten"),
        ("+0x20", f"+{begins - 0x100:#x}", str(begins - 0x120), "paint"),
        (f"+{begins - 0x100:#x}", f"+{begins - 0xF8:#x}", "8", "written"),
        (f"+{begins - 0xF8:#x}", f"+{begins:#x}", "248", "hole"),
        (f"+{begins:#x}", f"+{begins + 0x10:#x}", "16", "written"),
    ]
    assert runs[-1][1] == "+0x4000"


def lines_of(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """The map's cells: the rows behind its own head."""
    return [tuple(row.values()) for row in rows[1:]]


def test_painted_again_it_measures_what_comes_next(boot: Boot) -> None:
    """One call of a function, from its entry to its end, against its own frame pointers."""
    machine = boot("lab=stack.watermark depth=8", "descend")
    machine.gdb.set_var("*(unsigned long *)(all_threads->stack.base + 0x400)", 7)
    assert machine.rows("paint victim")[0]["BEGINS"] == "+0x400"
    said = machine.hw("paint victim again")
    base, sp = machine.number("all_threads->stack.base"), machine.number("$sp")
    clean = machine.rows("paint victim")[0]
    assert said == (
        f"thread:victim: {sp - base - guard_words(machine)} bytes below +{sp - base:#x}"
        " are paint again\n"
    )
    assert clean["LEFT"] == "0"
    assert int(clean["BEGINS"], 0) >= sp - base
    machine.gdb.console("delete")
    machine.gdb.breakpoint("stack_high_watermark", temporary=True)
    machine.run_to("stack_high_watermark")
    after = only(machine.rows("paint"), STACK="thread:victim")
    assert int(after["BEGINS"], 0) < sp - base
    kernels = machine.number("stack_high_watermark(&all_threads->stack)")
    assert int(after["USED"]) == kernels
    assert "guard words, ok" in machine.hw("paint victim")


def test_nothing_is_painted_where_sp_has_left_the_stack(recurse: Stopped) -> None:
    with poked(recurse, "all_threads->frame.sp", recurse.number("all_threads->stack.base") - 64):
        said = recurse.hw("paint victim again")
    assert said == "thread:victim: 0 bytes below +0x20 are paint again\n"


def test_what_cannot_be_painted(recurse: Stopped, unguarded: Stopped) -> None:
    assert refusal(recurse.gdb, "hw paint nobody") == (
        'no stack is called "nobody". Type: hw stacks'
    )
    assert refusal(recurse.gdb, "hw paint lab twice") == (
        "type: hw paint NAME again   (more: help hw paint)"
    )
    assert "protect=-watermark" in refusal(unguarded.gdb, "hw paint")
