"""Boot labs: from 1 KiB of stack for each CPU to stacks of their own, on 1 to 256 CPUs."""

from harness.scenario import Case, Control, Scenario, Walk

BY_SENTINEL = Control("protect=-watch", "caught by=sentinel")
UNNOTICED = Control("protect=-watch,-sentinel", "survived")
NO_VECTORS = Control("protect=-light", "panic", golden=True)
NO_HOOK = "the light environment has no fault hook, and prints no backtrace"
SILENT = Control("silent=1", "caught by=roll-call")


def too_small(name: str, args: str) -> Scenario:
    """Between two boot stacks is no guard page: a watchpoint sees the overflow, and without it the
    guard words do, when the CPU has moved.
    """
    return Scenario(
        "boot.tiny",
        args=args,
        name=name,
        verdict="caught by=watchpoint",
        aborts=1,
        gdb_view=NO_HOOK,
        controls=(BY_SENTINEL, UNNOTICED),
    )


def all_up(cpus: int, control: Control = SILENT) -> Scenario:
    return Scenario("boot.smp", name=f"smp-{cpus}", verdict="ok", cpus=cpus, controls=(control,))


SCENARIOS = [
    Scenario(
        "boot.tiny",
        verdict="ok",
        cpus=4,
        controls=(Control("stack=512", "caught by=watchpoint"),),
    ),
    too_small("tiny-512", "stack=512"),
    too_small("tiny-plan", "mapper=1"),
    Scenario(
        "boot.tiny",
        args="mapper=2",
        name="tiny-borrow",
        verdict="ok",
        cpus=4,
        controls=(Control("mapper=1", "caught by=watchpoint"),),
    ),
    # The first on it waits for another that comes, too: with the lock in vain.
    Scenario(
        "boot.borrow_two",
        verdict="ok",
        cpus=3,
        controls=(Control("alone=0", "survived", golden=True),),
    ),
    Scenario(
        "boot.tiny",
        args="ids=1",
        name="tiny-ids",
        verdict="caught by=guard-page",
        aborts=1,
        cpus=17,
        gdb_view=NO_HOOK,
        controls=(Control("ids=0", "ok"), Control("protect=-guard", "survived")),
    ),
    Scenario(
        "boot.tiny",
        args="after=1",
        name="tiny-local",
        verdict="caught by=mmu",
        aborts=1,
        controls=(Control("unmap=0", "survived"),),
    ),
    Scenario(
        "boot.tiny",
        args="after=2",
        name="tiny-return",
        verdict="caught by=guard-page",
        aborts=1,
        gdb_view=NO_HOOK,
        controls=(Control("protect=-guard", "caught by=light-vectors"),),
    ),
    all_up(1, Control("overflow=2", "caught by=guard-page")),
    *(all_up(cpus) for cpus in (2, 4, 8, 64, 256)),
    Scenario(
        "boot.smp",
        args="overflow=1",
        name="smp-last-boot",
        verdict="caught by=watchpoint",
        aborts=1,
        cpus=4,
        gdb_view=NO_HOOK,
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    Scenario(
        "boot.smp",
        args="overflow=2",
        name="smp-last",
        verdict="caught by=guard-page",
        aborts=1,
        cpus=4,
        controls=(
            Control("protect=-guard", "caught by=sentinel"),
            Control("protect=-guard,-sentinel", "survived"),
        ),
    ),
    Scenario(
        "boot.smp",
        args="overflow=2",
        name="smp-last-256",
        verdict="caught by=guard-page",
        aborts=1,
        cpus=256,
        gdb_view="256 CPUs are 256 threads to GDB: smp-last is looked at",
        controls=(Control("overflow=0", "ok"),),
    ),
    Scenario(
        "boot.smp",
        args="overflow=3",
        name="smp-last-irq",
        verdict="caught by=guard-page",
        aborts=1,
        cpus=4,
        controls=(
            Control("protect=-guard", "survived"),
            Control("protect=-emergency", "double-fault by=last-report", golden=True),
        ),
    ),
    Scenario(
        "boot.smp",
        args="overflow=4",
        name="smp-last-emergency",
        verdict="double-fault by=last-report",
        aborts=3,
        cpus=4,
        gdb_view="no stack is left on which the hook could be called",
        controls=(Control("protect=-guard", "survived"),),
    ),
    Scenario(
        "boot.smp",
        args="silent=3",
        name="smp-silent",
        verdict="caught by=roll-call",
        cpus=8,
        controls=(Control("deadline=0", "hang by=watchdog", at="await"),),
    ),
    Scenario(
        "boot.smp",
        args="silent=1",
        name="smp-silent-starter",
        verdict="caught by=roll-call",
        cpus=8,
        controls=(Control("silent=0", "ok"),),
    ),
    Scenario(
        "boot.smp",
        args="absent=1",
        name="smp-absent",
        verdict="caught by=psci",
        cpus=4,
        controls=(Control("heed=0", "caught by=roll-call"),),
    ),
    # It is there, and the firmware has started it: for somebody else.
    Scenario(
        "boot.smp",
        args="taken=3",
        name="smp-taken",
        verdict="caught by=psci",
        cpus=8,
        controls=(
            Control("heed=0", "caught by=roll-call"),
            Control("taken=0", "ok"),
        ),
    ),
    Scenario(
        "boot.light",
        verdict="ok",
        controls=(Control("act=1", "caught by=light-vectors"),),
    ),
    Scenario(
        "boot.light",
        args="act=1",
        name="light-null",
        verdict="caught by=light-vectors",
        aborts=1,
        gdb_view=NO_HOOK,
        controls=(NO_VECTORS,),
    ),
    Scenario(
        "boot.light",
        args="act=2",
        name="light-undefined",
        verdict="caught by=light-vectors",
        controls=(NO_VECTORS,),
    ),
    Scenario(
        "boot.light",
        args="act=3",
        name="light-overflow",
        verdict="caught by=watchpoint",
        aborts=1,
        gdb_view=NO_HOOK,
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    # The second waits for the end of the first, which has the only stack for faults.
    Scenario(
        "boot.light_two",
        verdict="caught by=light-vectors",
        aborts=2,
        cpus=2,
        gdb_view=NO_HOOK,
        controls=(Control("keep=0", "survived", golden=True),),
    ),
    Scenario(
        "boot.light",
        args="act=4 watchdog=50",
        name="light-hang",
        verdict="hang by=watchdog",
        controls=(Control("protect=-watchdog", "no-end"),),
    ),
]


def test_boot(case: Case, walk: Walk) -> None:
    walk(case)
