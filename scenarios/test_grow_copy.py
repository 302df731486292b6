"""Grow labs: stacks that grow by being copied, what copying breaks, what each way costs."""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

NO_GROWTH = Control("protect=-growth", "caught by=guard-page")
NOT_RETIRED = Control("protect=-retire", "survived")
SIGNING = "max,pauth-impdef=on"

SCENARIOS = [
    Scenario("grow.copy", verdict="ok", controls=(NO_GROWTH,)),
    # Pointers to locals, or frame records too, are left as they were: both are seen by the place
    # they point to being gone.
    *(
        Scenario(
            "grow.copy",
            args=f"adjust={adjust}",
            name=f"copy-{adjust}",
            verdict="caught by=stale-stack",
            aborts=1,
            controls=(NOT_RETIRED, Control("adjust=conservative", "ok")),
        )
        for adjust in ("frames", "none")
    ),
    Scenario(
        "grow.copy",
        args="limit=64K",
        name="copy-limit",
        verdict="caught by=grow-limit",
        gdb_view=True,
        controls=(Control("limit=1M", "ok"),),
    ),
    Scenario(
        "grow.copy",
        args="reserve=40",
        name="copy-oom",
        verdict="caught by=stack-oom",
        gdb_view=True,
        controls=(Control("reserve=512", "ok"),),
    ),
    Scenario(
        "grow.copy",
        args="reserve=40 on-fault=kill",
        name="copy-oom-kill",
        verdict="contained by=stack-oom",
        gdb_view=True,
        controls=(Control("reserve=512", "ok"),),
    ),
    Scenario("grow.copy_frame", verdict="ok", controls=(NO_GROWTH,)),
    *halted_and_killed("grow.stale", "stale-stack", aborts=1, controls=(NOT_RETIRED,)),
    Scenario(
        "grow.lookalike",
        verdict="survived",
        controls=(Control("adjust=frames", "ok", golden=True),),
    ),
    Scenario(
        "grow.pac",
        verdict="ok",
        cpu=SIGNING,
        controls=(Control("resign=no", "caught by=pac", golden=True),),
    ),
    Scenario(
        "grow.handler",
        verdict="caught by=grow-handler",
        gdb_view=True,
        controls=(
            Control("protect=-grow-handler", "caught by=grow-masked"),
            Control("protect=-grow-handler,-grow-masked", "caught by=grow-limit"),
        ),
    ),
    Scenario("grow.patch", verdict="ok", controls=(Control("alias=no", "caught by=w^x"),)),
    *(
        Scenario(
            "grow.shrink",
            args=f"shrink={shrink}",
            name=f"shrink-{shrink}",
            verdict="ok",
            controls=(NO_GROWTH,),
        )
        for shrink in ("reuse", "quarter")
    ),
    # It measures all ways side by side: demand, the 64 MiB of fixed, and copies.
    Scenario("grow.cost", verdict="ok", aborts=171, gdb_view=False, controls=(NO_GROWTH,)),
]


def test_grow_copy(case: Case, walk: Walk) -> None:
    walk(case)
