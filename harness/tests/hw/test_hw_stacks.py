"""hw stacks: guards, paint, stack pointers, and the culprit."""

from harness.tests.hw.conftest import Stopped, only, poked


def test_stacks_are_guarded_and_the_culprit_is_told(recurse: Stopped) -> None:
    found = recurse.rows("stacks")
    assert [row["STACK"] for row in found] == [
        "thread:victim",
        "neighbour",
        "thread:lab",
        "thread:idle",
        "emergency:cpu0",
        "irq:cpu0",
        "boot:cpu0",
    ]
    assert {(row["BELOW"], row["ABOVE"]) for row in found} == {("unmapped", "unmapped")}
    (record,) = recurse.records("stack")
    victim = only(found, STACK=record.words[0])
    assert victim["WORDS"] == record.fields["guard"]  # did a frame come that far? the compiler's
    assert {row["WORDS"] for row in found if row is not victim} == {"ok"}
    assert (victim["USED"], victim["SIZE"]) == (record.fields["used"], record.fields["size"])
    assert victim["STATUS"].split(",")[0] == "fault-below"
    assert {row["STATUS"] for row in found if row is not victim} == {"ok"}


def test_stacks_say_where_the_stack_pointers_are(recurse: Stopped) -> None:
    found = recurse.rows("stacks")
    assert only(found, STACK="thread:victim")["SP"] == culprits_sp(recurse)
    live = recurse.number("$sp") - int(only(found, STACK="irq:cpu0")["BASE"], 0)
    assert only(found, STACK="irq:cpu0")["SP"] == f"+{live:#x}*"
    assert 0x1000 - int(only(found, STACK="thread:idle")["SP"], 0) < 64  # all but at its top
    assert only(found, STACK="boot:cpu0")["SP"] == "-"


def culprits_sp(machine: Stopped) -> str:
    """From its stack's base, by the kernel's record; a compiler that moves SP first is below it."""
    (record,) = machine.records("stack")
    return f"{int(record.fields['size']) - int(record.fields['lowest_sp']):+#x}"


def test_margins_are_what_neither_paint_nor_sp_has_used(recurse: Stopped) -> None:
    for row in recurse.rows("stacks"):
        words = recurse.number("sizeof(stack_marks.guard_words)")
        free = [int(row["SIZE"]) - int(row["USED"])]
        free += [int(row["SP"].strip("+*"), 0)] if row["SP"] != "-" else []
        assert int(row["MARGIN"]) == min(free) - words


def test_stacks_without_guards_and_paint(unguarded: Stopped) -> None:
    found = unguarded.rows("stacks")
    assert {(row["BELOW"], row["ABOVE"]) for row in found} == {("mapped", "mapped")}
    assert {row["USED"] for row in found} == {"-"}
    assert [row["STACK"] for row in found if row["WORDS"] == "bad"] == ["thread:victim"]
    assert only(found, STACK="thread:victim")["STATUS"].endswith("words-overwritten")
    assert only(found, STACK="thread:idle")["STATUS"] == "no-guard-below,no-guard-above"


def test_a_fault_on_the_exception_stack(irq: Stopped) -> None:
    found = irq.rows("stacks")
    (record,) = irq.records("stack")
    culprit = only(found, STACK="irq:cpu0")
    assert record.words[0] == "irq:cpu0"
    assert {key: culprit[key] for key in ("WORDS", "USED", "SP")} == {
        "WORDS": record.fields["guard"],
        "USED": record.fields["used"],
        "SP": culprits_sp(irq),
    }
    assert culprit["STATUS"].startswith("fault-below")
    assert {row["STATUS"] for row in found if row is not culprit} == {"ok"}


def test_a_stack_is_full_when_only_its_guard_words_are_left(recurse: Stopped) -> None:
    lab = "all_threads->all_next->stack"
    lowest = recurse.number(f"{lab}.base + sizeof(stack_marks.guard_words)")
    with poked(recurse, f"*(unsigned long *){lowest:#x}", 0):
        row = only(recurse.rows("stacks"), STACK="thread:lab")
        assert (row["MARGIN"], row["WORDS"], row["STATUS"]) == ("0", "ok", "full")
    with poked(recurse, f"*(unsigned long *){lab}.base", 0):
        row = only(recurse.rows("stacks"), STACK="thread:lab")
        assert (row["USED"], row["WORDS"]) == (row["SIZE"], "bad")
        assert row["STATUS"] == "words-overwritten,full"


def test_a_fault_in_a_shared_guard_is_the_culprits(recurse: Stopped) -> None:
    """The guard above idle is the one below lab, which is the newer of the two."""
    top = recurse.number("cpus[0].idle->stack.base + cpus[0].idle->stack.size")
    with (
        poked(recurse, "all_threads->frame.far", top + 8),
        poked(recurse, "all_threads->frame.sp", top - 16),
    ):
        found = recurse.rows("stacks")
    assert only(found, STACK="thread:idle")["STATUS"] == "fault-above"
    assert only(found, STACK="thread:lab")["STATUS"] == "ok"
