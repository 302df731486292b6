"""The two stacks of a process: the kernel's inside a system call, the user's at EL0."""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

SCENARIOS = [
    *halted_and_killed(
        "stack.process_kernel",
        "guard-page",
        aborts=1,
        controls=(
            Control("protect=-guard", "caught by=sentinel"),
            Control("protect=-guard,-sentinel", "survived"),
        ),
    ),
    Scenario(
        "stack.process_user",
        verdict="contained by=guard-page",
        aborts=2,
        controls=(
            Control("protect=-guard", "contained by=sentinel", golden=True),
            Control("protect=-guard,-sentinel", "survived"),
        ),
    ),
]


def test_stack_process(case: Case, walk: Walk) -> None:
    walk(case)
