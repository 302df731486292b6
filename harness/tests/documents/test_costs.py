"""docs/performance.md says what the goldens say of the guest's jobs, and some jobs have a limit."""

import pytest

from harness.documents import costs
from harness.errors import HarnessError
from harness.paths import ROOT
from harness.serial.log import parse_line

COMMITTED = (ROOT / costs.DOCUMENT.path).read_text("utf-8")
LIMITED = [job for job in costs.JOBS if job.limited]


NOW = costs.DOCUMENT.rewritten(COMMITTED, ROOT)


def place(text: str, name: str) -> str:
    return text.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->")[0]


@pytest.mark.parametrize("name", ["costs-jobs", "costs-protections"])
def test_the_committed_table_is_what_the_generator_writes(name: str) -> None:
    assert place(NOW, name) == place(COMMITTED, name), f"stale; run: {costs.COMMAND}"


def cells(text: str) -> list[list[str]]:
    rows = place(text, "costs-boot").splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_committed_boot_is_nearly_this_kernels() -> None:
    """A lab more moves it a little, and that must not make every document stale."""
    for was, now in zip(cells(COMMITTED)[2:], cells(NOW)[2:], strict=True):
        assert was[:2] == now[:2]
        assert abs(int(was[2]) - int(now[2])) <= 0.05 * int(now[2]), (
            f"{now[0]}: {was[2]} in the document, {now[2]} now; run: {costs.COMMAND}"
        )


def test_the_boot_is_the_sum_of_its_phases() -> None:
    *parts, whole = cells(NOW)[2:]
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


def test_somebody_elses_place_in_the_document_is_left_alone() -> None:
    text = COMMITTED + "<!-- other: begin -->\nkept\n<!-- other: end -->\n"
    assert "kept" in costs.DOCUMENT.rewritten(text, ROOT)
    with pytest.raises(HarnessError, match="no such table: costs-other"):
        costs.DOCUMENT.rewritten(COMMITTED + "<!-- costs-other: begin -->\n", ROOT)
