"""Without -icount guest time is the host's clock, and a busy host takes the CPU away for any while:
no verdict may depend on that. Each lab here did, beside as many busy loops as these.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot

LOOPS = 6
# The lab, what it needs, the verdict.
ALIKE = [
    ("sched.preempt", 1, "ok"),
    ("page.exhaust", 1, "caught by=page-check"),
    ("grow.patch_running rounds=200", 2, "ok"),
    ("stack.idle", 1, "caught by=guard-page"),
    ("stack.recurse on-fault=kill", 1, "contained by=guard-page"),
    ("boot.smp", 4, "ok"),
]


# What the kernel waits without icount when nobody says: written out, as boot() wants to be told.
AS_BY_DEFAULT = "watchdog=10000"


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("line", "cpus", "verdict"), ALIKE, ids=[line for line, _, _ in ALIKE])
def test_a_busy_host_changes_no_verdict(line: str, cpus: int, verdict: str, tmp_path: Path) -> None:
    whole = f"lab={line} {AS_BY_DEFAULT}"
    assert boot(ROOT / KERNEL, whole, tmp_path, cpus=cpus, icount=None).log.verdict == verdict


@pytest.mark.usefixtures("busy")
def test_fairness_is_not_judged_by_the_hosts_clock(tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, f"lab=sched.preempt {AS_BY_DEFAULT}", tmp_path, icount=None).log
    (said,) = log.select("sched-lab")
    assert (said.fields["starved"], said.fields["fair"]) == ("none", "unknown")
