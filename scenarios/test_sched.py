"""Scheduler labs: kernel/labs/sched/sched_labs.c, what the other labs lean on."""

from harness.scenario import Case, Control, Scenario, Walk

SCENARIOS = [
    Scenario(
        "sched.preempt",
        args="watchdog=100",
        verdict="ok",
        # Then the first spinner has the CPU for ever, and the watchdog says so. 40 ms would do.
        controls=(Control("protect=-preempt", "hang by=watchdog", at="spinner"),),
    ),
]


def test_sched(case: Case, walk: Walk) -> None:
    walk(case)
