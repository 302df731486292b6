"""Stack labs: how. Frames larger than the guard, alloca, below SP, the exception entry itself."""

from harness.scenario import PROBING, Case, Control, Scenario, Walk, halted_and_killed

# With one page of guard an unprobed frame lands in the neighbour, and nothing faults at all.
UNPROBED = Control("probed=0", "survived", golden=True)
NO_GUARD = Control("protect=-guard", "survived")


def larger_than_guard(lab: str) -> list[Scenario]:
    """Caught by probes, or by a guard at least as large as the frame; by neither, not at all."""
    by_guard = halted_and_killed(
        lab,
        "guard-page",
        args="probed=0 guard=3",
        name=f"{lab.partition('.')[2]}-guard",
        aborts=1,
        controls=(Control("guard=1", "survived"),),
    )
    controls = (UNPROBED, NO_GUARD)
    by_probes = halted_and_killed(lab, "guard-page", aborts=1, controls=controls, only=PROBING)
    return [*by_probes, *by_guard]


SCENARIOS = [
    *larger_than_guard("stack.jump"),
    *larger_than_guard("stack.alloca"),
    *larger_than_guard("stack.vla"),
    *halted_and_killed(
        "stack.below_sp",
        "guard-page",
        aborts=1,
        controls=(
            Control("protect=-guard", "caught by=sentinel"),
            Control("protect=-guard,-sentinel", "survived"),
        ),
    ),
    # The classic entry pushes on the thread's stack, and refaults through the guard.
    Scenario(
        "stack.entry",
        verdict="ok",
        controls=(Control("protect=-entry", "caught by=guard-page", golden=True),),
    ),
]


def test_stack_frames(case: Case, walk: Walk) -> None:
    walk(case)
