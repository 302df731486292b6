"""Stack labs on two CPUs and more: whose overflow it was, and no torn log."""

from pathlib import Path

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot
from harness.scenario import Case, Control, Scenario, Walk

BY_SENTINEL = Control("protect=-guard", "caught by=sentinel")
UNNOTICED = Control("protect=-guard,-sentinel", "survived")

SCENARIOS = [
    Scenario(
        "stack.secondary",
        verdict="caught by=guard-page",
        cpus=2,
        aborts=1,
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    Scenario(
        "stack.secondary",
        args="on-fault=kill cpu=3",
        name="secondary-kill",
        verdict="contained by=guard-page",
        cpus=4,
        aborts=1,
        controls=(Control("protect=-guard", "contained by=sentinel"),),
    ),
    Scenario(
        "stack.two_cpus",
        verdict="caught by=guard-page",
        cpus=2,
        aborts=2,
        gdb_view="GDB's look is at one CPU; the other's report has no stop of its own",
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    # Each has read where the list begins when the other comes, or would: then the second is lost,
    # and what hits its guard has no name. QEMU counts the two watchpoints as aborts.
    Scenario(
        "stack.two_enter",
        verdict="caught by=guard-page",
        cpus=2,
        aborts=3,
        controls=(Control("protect=-stacks-lock", "caught by=mmu", golden=True),),
    ),
]


def test_stack_smp(case: Case, walk: Walk) -> None:
    walk(case)


def test_a_cpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    end = boot(ROOT / KERNEL, "lab=stack.secondary cpu=7", tmp_path, cpus=2).log.records[-1]
    assert (end.words, end.fields["why"]) == (("bad-args",), "no-cpu")
    assert "-smp 8" in end.prose
