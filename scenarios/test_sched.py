"""Scheduler labs: kernel/labs/sched.c, what the other labs lean on."""

from harness.scenario import Case, Control, Scenario, Walk

SCENARIOS = [
    Scenario(
        "sched.preempt",
        args="watchdog=100",
        verdict="ok",
        # Then the first spinner has the CPU for ever, and the watchdog says so. 40 ms would do.
        controls=(Control("protect=-preempt", "hang by=watchdog", at="spinner"),),
    ),
    # Without this verdict the machine would be silent for ever: both timers are off.
    Scenario("sched.time_lost", verdict="panic", uncontrolled="the kernel's own check of itself"),
]


def test_sched(case: Case, walk: Walk) -> None:
    walk(case)
