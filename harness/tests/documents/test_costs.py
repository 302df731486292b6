"""docs/performance.md says what the goldens say of the guest's jobs, and some jobs have a limit."""

import pytest

from harness.documents import costs
from harness.errors import HarnessError
from harness.paths import ROOT
from harness.serial.log import parse_line

LIMITED = [job for job in costs.JOBS if job.limited]


def test_the_boot_is_the_sum_of_its_phases() -> None:
    _, *parts, whole = costs.phases(ROOT)
    for column in (1, 2):
        assert sum(int(row[column]) for row in parts) == int(whole[column])


def test_an_unknown_phase_is_named() -> None:
    told = [parse_line(f"[cost] boot phase={name} instructions=1") for name in ("bss", "rom")]
    with pytest.raises(HarnessError, match="phases of the boot have changed: bss, rom"):
        list(costs.phase_rows(told))


@pytest.mark.parametrize("job", LIMITED, ids=lambda job: job.name)
def test_a_hot_job_is_within_its_limit(job: costs.Job) -> None:
    took, least = job.cost(ROOT)
    assert took * 100 <= least * costs.LIMIT, f"{took} instructions where {least} do"


@pytest.mark.parametrize("job", costs.JOBS, ids=lambda job: job.name)
def test_no_job_takes_less_than_its_least(job: costs.Job) -> None:
    took, least = job.cost(ROOT)
    assert took >= least, "what takes less is no least"
