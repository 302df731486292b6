"""Bump labs: the early heap's arithmetic at its edges."""

from harness.scenario import Case, Scenario, Walk

ARITHMETIC = "the arithmetic has no switch; its control is the fuzzer's mutant"

SCENARIOS = [
    Scenario("bump.edges", verdict="ok", uncontrolled=ARITHMETIC),
    Scenario("bump.exhaust", verdict="ok", uncontrolled=ARITHMETIC),
]


def test_bump(case: Case, walk: Walk) -> None:
    walk(case)
