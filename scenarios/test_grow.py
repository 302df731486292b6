"""Grow labs: stacks that grow in place, page by page or all at once, and where that is refused."""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

NO_GROWTH = Control("protect=-growth", "caught by=guard-page")
NO_GUARD = (
    Control("protect=-guard", "caught by=sentinel"),
    Control("protect=-guard,-sentinel", "survived"),
)
NO_FAULT = "each abort is a page of growth, which nothing is said about"
MEASURED = "a measurement; the rows that overflow have the protections"

SCENARIOS = [
    Scenario("grow.fixed", verdict="ok", uncontrolled=MEASURED),
    Scenario(
        "grow.fixed",
        args="backed=touch",
        name="fixed-touch",
        verdict="ok",
        aborts=171,
        gdb_view=NO_FAULT,
        controls=(NO_GROWTH,),
    ),
    # 64 MiB of stack do not fit 64 MiB of RAM; what is touched of them does.
    Scenario(
        "grow.fixed",
        name="fixed-64M",
        verdict="caught by=stack-oom",
        memory_mib=64,
        controls=(Control("backed=touch", "ok"),),
    ),
    Scenario(
        "grow.fixed",
        args="window=1M overflow=yes",
        name="fixed-overflow",
        verdict="caught by=guard-page",
        aborts=1,
        controls=NO_GUARD,
    ),
    Scenario("grow.demand", verdict="ok", aborts=171, gdb_view=NO_FAULT, controls=(NO_GROWTH,)),
    Scenario(
        "grow.demand",
        args="window=64K depth=100 overflow=yes",
        name="demand-overflow",
        verdict="caught by=guard-page",
        aborts=16,
        controls=NO_GUARD,
    ),
    Scenario(
        "grow.demand",
        poke={"reserve": 8},
        triggers=("boot", "serial", "gdb"),
        name="oom",
        verdict="caught by=stack-oom",
        aborts=8,
        controls=(Control("reserve=256", "ok"),),
    ),
    Scenario(
        "grow.demand",
        args="reserve=8 on-fault=kill",
        name="oom-kill",
        verdict="contained by=stack-oom",
        aborts=16,
        controls=(Control("reserve=256", "ok"),),
    ),
    *halted_and_killed(
        "grow.masked",
        "grow-masked",
        aborts=1,
        controls=(
            Control("protect=-grow-masked", "survived"),
            Control("prepared=yes", "ok", golden=True),
        ),
    ),
    Scenario(
        "grow.masked",
        args="how=copy",
        name="masked-copy",
        verdict="caught by=grow-masked",
        gdb_view=True,
        controls=(
            Control("protect=-grow-masked", "survived"),
            Control("prepared=yes", "ok"),
        ),
    ),
    # Unrefused, the handler waits for the lock that the thread it interrupted holds.
    *(
        Scenario(
            "grow.locked",
            args=f"how={how}",
            name=f"locked-{how}",
            verdict="caught by=grow-locked",
            aborts=aborts,
            gdb_view=True,
            controls=(
                Control("protect=-grow-locked", "caught by=grow-masked"),
                Control("watchdog=20 protect=-grow-locked,-grow-masked", "hang by=watchdog"),
                Control("prepared=yes", "ok"),
            ),
        )
        for how, aborts in (("demand", 1), ("copy", 0))
    ),
    *halted_and_killed(
        "grow.stray",
        "guard-page",
        aborts=1,
        controls=(Control("protect=-grow-sp", "survived"),),
    ),
    # One frame of 9 KiB: probed it grows the stack page by page; unprobed it leaves a hole, or
    # lands in the neighbour.
    Scenario(
        "grow.hole",
        verdict="ok",
        aborts=2,
        gdb_view=NO_FAULT,
        controls=(Control("probed=0", "survived", golden=True),),
    ),
    Scenario(
        "grow.jump",
        verdict="caught by=guard-page",
        aborts=16,
        controls=(Control("probed=0", "survived", golden=True),),
    ),
]


def test_grow(case: Case, walk: Walk) -> None:
    walk(case)
