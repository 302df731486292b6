"""Memory labs: what allocators cost and waste, by the same traces and in instructions."""

from pathlib import Path

from harness.paths import KERNEL, ROOT
from harness.run.boot import UNHURRIED, boot
from harness.scenario import Case, Scenario, Walk
from harness.serial.log import Log

MEASUREMENT = "a measurement: nothing illegal is done that anything could catch"

SCENARIOS = [
    Scenario("mem.traces", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("mem.churn", verdict="ok", uncontrolled="the work of others: threads come and go"),
    Scenario("pool.constant", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario(
        "mem.strings",
        verdict="ok",
        uncontrolled="nothing illegal is done, and nothing to switch off",
    ),
]

# What each check of the pool costs: pool.constant once with everything on, and once without each.
SWITCHED = "mem/switches.log"
GOLDENS = (SWITCHED,)
SWITCHES = (
    "",
    "-pool-limit",
    "-pool-check",
    "-pool-link",
    "-poison",
    "-redzone",
    "-pool-limit,-pool-check,-pool-link,-poison,-redzone",
)


def test_mem(case: Case, walk: Walk) -> None:
    walk(case)


def test_constant_without_each_check(walk: Walk, tmp_path: Path) -> None:
    lines = []
    for switch in SWITCHES:
        line = f"lab=pool.constant protect={switch}" if switch else "lab=pool.constant"
        log = boot(ROOT / KERNEL, line, tmp_path).log
        assert log.verdict == "ok", f"{line}: {log.records[-1]}"
        lines += [f"[mem-lab][switch] {switch or 'all-on'} {costs(log)}"]
    walk.hold(SWITCHED, "lab=pool.constant", lines)


def costs(log: Log) -> str:
    """The pool's instructions, the same at any size: the lab has seen to that."""
    rows = [r for r in log.records if r.fields.get("by") == "pool"]
    (same,) = {
        tuple((key, value) for key, value in row.fields.items() if key.endswith("_max"))
        for row in rows
    }
    return " ".join(f"{key}={value}" for key, value in same)


def test_without_icount_no_figure_is_called_exact(tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, f"lab=pool.constant {UNHURRIED}", tmp_path, icount=None).log
    assert log.verdict == "ok"
    said = [r for r in log.records if "exact" in r.fields or "constant" in r.fields]
    assert [r.fields.get("exact") or r.fields["constant"] for r in said] == ["no", "unknown"]
    assert "icount" in said[0].prose
