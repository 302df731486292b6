"""Stack labs: a broken chain of frame records. The backtrace says why it stops; no nested abort."""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

NESTED = Control("protect=-bt-check", "double-fault by=last-report", golden=True)
ENDLESS = Control("protect=-bt-check", "no-end")


def broken(lab: str, *controls: Control, uncontrolled: str = "") -> list[Scenario]:
    return halted_and_killed(
        lab,
        "null-page",
        aborts=1,
        controls=controls,
        uncontrolled=uncontrolled,
    )


SCENARIOS = [
    # Unchecked, these two walks never end.
    *broken("stack.chain_self", ENDLESS),
    *broken("stack.chain_cycle", ENDLESS),
    *broken(
        "stack.chain_other",
        uncontrolled="unchecked, the walk reads another stack's paint: same verdict, wrong frames",
    ),
    *broken("stack.chain_garbage", NESTED),
    *broken(
        "stack.chain_odd",
        uncontrolled="unchecked, QEMU reads the odd address: same verdict, wrong frames",
    ),
    # Half a record in the guard, or all of it: unchecked, that is what is read.
    *broken("stack.chain_over_top", NESTED),
    *broken("stack.chain_top", NESTED),
    *broken("stack.chain_below", NESTED),
    *broken(
        "stack.chain_bottom",
        uncontrolled="unchecked, the walk reads guard words: same verdict, wrong frames",
    ),
    *broken(
        "stack.chain_return",
        uncontrolled="what is no code is not looked up, whatever the switches say",
    ),
]


def test_stack_chain(case: Case, walk: Walk) -> None:
    walk(case)
