"""Cost labs: what the kernel's jobs take, in instructions, beside the least that each takes."""

from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot
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


@pytest.mark.parametrize(
    ("lab", "switch"),
    [
        ("cost.alloc", "pool-link"),
        ("cost.alloc", "poison"),
        ("cost.alloc", "redzone"),
        ("cost.alloc", "heap-check"),
        ("cost.switch", "sentinel"),
        ("cost.switch", "sp-check"),
    ],
)
def test_the_least_is_not_measured_without_what_it_does(
    lab: str, switch: str, tmp_path: Path
) -> None:
    """labs/cost/least.S does what the kernel does with everything on, and looks whether it is."""
    log = boot(ROOT / KERNEL, f"lab={lab} protect=-{switch}", tmp_path).log
    assert log.verdict == "caught by=exception"
