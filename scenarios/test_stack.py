"""Stack labs: who overflows. A thread, idle, the boot context, a handler, the fault report itself.

How, with what SP, and what notices: the other test_stack_*.py, as in kernel/labs.
"""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

NO_GUARD = Control("protect=-guard", "survived")
BY_SENTINEL = Control("protect=-guard", "caught by=sentinel")
UNNOTICED = Control("protect=-guard,-sentinel", "survived")
NO_STACK_LEFT = "no stack is left on which the hook could be called"


def by_guard(lab: str) -> list[Scenario]:
    """A recursion: without the guard the guard words notice, and without them nobody does."""
    return halted_and_killed(lab, "guard-page", aborts=1, controls=(BY_SENTINEL, UNNOTICED))


def refilled(side: str, pages: int, *controls: Control) -> Scenario:
    return Scenario(
        "stack.refilled",
        args=f"side={side} pages={pages}",
        name=f"refilled-{side}-{pages}",
        verdict="caught by=guard-page",
        aborts=1,
        controls=controls,
    )


SCENARIOS = [
    Scenario(
        "stack.guard_touch",
        verdict="caught by=guard-page",
        aborts=1,
        triggers=("boot", "serial", "gdb"),
        controls=(NO_GUARD,),
    ),
    *(
        refilled(side, pages, NO_GUARD)
        for pages in (4, 2)  # all of the hole, and a part of it
        for side in ("below", "above")
    ),
    refilled("above", 5, NO_GUARD),  # too large: it goes elsewhere
    Scenario(
        "stack.joined",
        verdict="caught by=mmu",
        aborts=1,
        controls=(Control("joined=no", "survived"),),
    ),
    Scenario(
        "stack.guard_touch",
        args="on-fault=kill",
        name="guard_touch-kill",
        verdict="contained by=guard-page",
        aborts=2,
        controls=(NO_GUARD,),
    ),
    # 14 places, each a victim of its own. One of the deaths is a check at the switch, no abort.
    Scenario(
        "stack.edges",
        verdict="ok",
        aborts=10,
        gdb_view="nothing is reported: what each death is called is the lab's own line",
        controls=(Control("protect=-guard", "survived"),),
    ),
    *halted_and_killed("stack.guard_touch_top", "guard-page", aborts=1, controls=(NO_GUARD,)),
    Scenario(
        "stack.recurse",
        verdict="caught by=guard-page",
        aborts=1,
        triggers=("boot", "serial", "gdb"),
        poke={"stack": 8192, "past": 1024},
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    Scenario(
        "stack.recurse",
        args="on-fault=kill stacks=all",
        name="recurse-kill",
        verdict="contained by=guard-page",
        aborts=2,
        controls=(Control("protect=-guard", "contained by=sentinel", golden=True), UNNOTICED),
    ),
    *by_guard("stack.recurse_pages"),
    *by_guard("stack.pointers"),
    *by_guard("stack.printing"),
    Scenario(
        "stack.idle",
        args="on-fault=kill",  # refused: the system needs its idle thread
        verdict="caught by=guard-page",
        aborts=1,
        controls=(BY_SENTINEL, UNNOTICED),
    ),
    Scenario(
        "stack.boot",
        args="on-fault=kill",
        verdict="caught by=guard-page",
        aborts=1,
        controls=(NO_GUARD,),
    ),
    Scenario(
        "stack.irq",
        args="on-fault=kill",
        verdict="caught by=guard-page",
        aborts=1,
        controls=(
            NO_GUARD,
            Control("protect=-emergency", "double-fault by=last-report", golden=True),
        ),
    ),
    Scenario(
        "stack.emergency",
        args="on-fault=kill",
        verdict="double-fault by=null-page",
        aborts=2,
        uncontrolled="stack.irq is the one that dies without the emergency stack",
    ),
    Scenario(
        "stack.emergency",
        args="faults=2 on-fault=kill",
        name="emergency-last",
        verdict="double-fault by=last-report",
        aborts=3,
        gdb_view=NO_STACK_LEFT,
        uncontrolled="below the last report there is nothing that could be switched off",
    ),
    Scenario(
        "stack.emergency_overflow",
        args="on-fault=kill",
        verdict="double-fault by=last-report",
        aborts=3,
        gdb_view=NO_STACK_LEFT,
        controls=(NO_GUARD,),
    ),
]


def test_stack(case: Case, walk: Walk) -> None:
    walk(case)
