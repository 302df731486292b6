"""Meeting labs: kernel/labs/meet/meet.c. Two CPUs at one place at once, forced by a watchpoint."""

from harness.scenario import Case, Control, Scenario, Walk

ONE_CPU = "GDB's look is at one CPU; the other's report has no stop of its own"


def locked(lab: str, switch: str, *, aborts: int = 2) -> Scenario:
    """Both CPUs trap at the watchpoint (QEMU counts that); without the lock they meet there."""
    return Scenario(
        lab,
        verdict="ok",
        cpus=2,
        aborts=aborts,
        gdb_view="no fault: what traps is a watchpoint that the lab itself has set",
        controls=(Control(f"protect=-{switch}", "survived", golden=True),),
    )


def faults(name: str, args: str, verdict: str = "caught by=null-page") -> Scenario:
    return Scenario(
        "meet.faults",
        args=args,
        name=name,
        verdict=verdict,
        cpus=2,
        aborts=2,
        gdb_view=ONE_CPU,
        controls=(Control("protect=-fault-turn", "survived", golden=True),),
    )


SCENARIOS = [
    locked("meet.console", "console-lock"),
    locked("meet.light_pages", "light-lock"),
    # The second comes past the place only where it does not see what the first has written.
    locked("meet.permanent", "permanent-lock", aborts=1),
    locked("meet.leave", "stacks-lock"),
    # The second takes another range than the one that is watched.
    locked("meet.ranges", "reserve-lock", aborts=1),
    locked("meet.reserve", "reserve-lock"),
    Scenario(
        "meet.tables",
        verdict="ok",
        cpus=2,
        aborts=2,
        gdb_view="no fault: what traps is a watchpoint that the lab itself has set",
        uncontrolled="no lock: one atomic addition, which no switch takes back",
    ),
    Scenario(
        "meet.page",
        verdict="caught by=page-check",
        cpus=2,
        aborts=1,
        gdb_view=ONE_CPU,
        controls=(Control("protect=-page-check", "survived"),),
    ),
    # Only the first to end stops at a watchpoint: amid its last line.
    locked("meet.end", "one-end", aborts=1),
    faults("faults", "who=both"),
    faults("faults-kill", "who=both on-fault=kill", "contained by=null-page"),
    # Nobody has said that there will be two.
    faults("faults-untold", "who=untold"),
    faults("faults-untold-kill", "who=untold on-fault=kill", "contained by=null-page"),
    Scenario(
        "meet.faults",
        args="who=one",
        name="faults-absent",
        verdict="caught by=null-page",
        cpus=2,
        aborts=1,
        gdb_view=ONE_CPU,
        uncontrolled="who waits for nobody misses nobody: the same verdict, and no absent record",
    ),
]


def test_meet(case: Case, walk: Walk) -> None:
    walk(case)
