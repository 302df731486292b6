"""Cost labs: what the kernel's jobs take, in instructions, beside the least that each takes."""

from harness.scenario import Case, Scenario, Walk

MEASUREMENT = "a measurement: nothing illegal is done that anything could catch"

SCENARIOS = [
    Scenario("cost.alloc", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("cost.switch", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario(
        "cost.scan",
        verdict="ok",
        uncontrolled=MEASUREMENT,
        gdb_view="nothing faults: the walk itself is what is measured",
    ),
    Scenario("cost.spawn", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("cost.boot", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("cost.protect", verdict="ok", cpu="max", mte=True, uncontrolled=MEASUREMENT),
]


def test_cost(case: Case, walk: Walk) -> None:
    walk(case)
