"""Grow labs: stacks that grow in place, page by page or all at once, and where that is refused."""

from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import UNHURRIED, boot
from harness.scenario import (
    DETERMINISTIC,
    PROBING,
    Case,
    Control,
    Scenario,
    Walk,
    halted_and_killed,
)

NO_GROWTH = Control("protect=-growth", "caught by=guard-page")
NO_GUARD = (
    Control("protect=-guard", "caught by=sentinel"),
    Control("protect=-guard,-sentinel", "survived"),
)
NO_FAULT = "each abort is a page of growth, which nothing is said about"
MEASURED = "a measurement; the rows that overflow have the protections"

SCENARIOS = [
    *(
        Scenario(
            "grow.refilled",
            args=f"side={side} pages={pages}",
            name=f"refilled-{side}-{pages}",
            verdict="caught by=mmu",
            aborts=1,
            uncontrolled="the page between two ranges has no switch; it is part of each",
        )
        for side, pages in (("below", 16), ("above", 16), ("above", 15), ("above", 17))
    ),
    Scenario("grow.fixed", verdict="ok", uncontrolled=MEASURED),
    Scenario(
        "grow.fixed",
        args="backed=touch",
        name="fixed-touch",
        verdict="ok",
        aborts=171,
        gdb_view=NO_FAULT,
        controls=(NO_GROWTH,),
    ),
    # 64 MiB of stack do not fit 64 MiB of RAM; what is touched of them does.
    Scenario(
        "grow.fixed",
        name="fixed-64M",
        verdict="caught by=stack-oom",
        memory_mib=64,
        controls=(Control("backed=touch", "ok"),),
    ),
    Scenario(
        "grow.fixed",
        args="window=1M overflow=yes",
        name="fixed-overflow",
        verdict="caught by=guard-page",
        aborts=1,
        controls=NO_GUARD,
    ),
    Scenario("grow.demand", verdict="ok", aborts=171, gdb_view=NO_FAULT, controls=(NO_GROWTH,)),
    Scenario(
        "grow.demand",
        args="window=64K depth=100 overflow=yes",
        name="demand-overflow",
        verdict="caught by=guard-page",
        aborts=16,
        controls=NO_GUARD,
    ),
    Scenario(
        "grow.demand",
        poke={"reserve": 8},
        triggers=("boot", "serial", "gdb"),
        name="oom",
        verdict="caught by=stack-oom",
        aborts=8,
        controls=(Control("reserve=256", "ok"),),
    ),
    Scenario(
        "grow.demand",
        args="reserve=8 on-fault=kill",
        name="oom-kill",
        verdict="contained by=stack-oom",
        aborts=16,
        controls=(Control("reserve=256", "ok"),),
    ),
    *halted_and_killed(
        "grow.masked",
        "grow-masked",
        aborts=1,
        controls=(
            Control("protect=-grow-masked", "survived"),
            Control("prepared=yes", "ok", golden=True),
        ),
    ),
    Scenario(
        "grow.masked",
        args="how=copy",
        name="masked-copy",
        verdict="caught by=grow-masked",
        gdb_view=True,
        controls=(
            Control("protect=-grow-masked", "survived"),
            Control("prepared=yes", "ok"),
        ),
    ),
    # Unrefused, the handler waits for the lock that the thread it interrupted holds.
    *(
        Scenario(
            "grow.locked",
            args=f"how={how}",
            name=f"locked-{how}",
            verdict="caught by=grow-locked",
            aborts=aborts,
            gdb_view=True,
            controls=(
                Control("protect=-grow-locked", "caught by=grow-masked"),
                Control(
                    "watchdog=5 protect=-grow-locked,-grow-masked",
                    "hang by=watchdog",
                    at="spin_lock",
                ),
                Control("prepared=yes", "ok"),
            ),
        )
        for how, aborts in (("demand", 1), ("copy", 0))
    ),
    *halted_and_killed(
        "grow.stray",
        "guard-page",
        aborts=1,
        controls=(Control("protect=-grow-sp", "survived"),),
    ),
    *(
        Scenario(
            "grow.mistaken",
            args=f"by={by}",
            name=f"mistaken-{by}",
            verdict=f"caught by={detector}",
            aborts=1,
            uncontrolled="no switch takes such a fault for growth: only a bug in is_growth() does",
        )
        for by, detector in (("constant", "w^x"), ("null", "null-page"))
    ),
    # On CPU 1, which has made nothing of it.
    *(
        Scenario(
            "grow.other",
            args=f"how={how}",
            name=f"other-{how}",
            verdict="ok",
            cpus=2,
            aborts=aborts,
            gdb_view=NO_FAULT if aborts else None,
            controls=(NO_GROWTH,),
        )
        for how, aborts in (("demand", 8), ("copy", 0))
    ),
    Scenario(
        "grow.other",
        args="overflow=yes",
        name="other-overflow",
        verdict="caught by=guard-page",
        cpus=2,
        aborts=16,
        controls=NO_GUARD,
    ),
    Scenario(
        "grow.other",
        args="overflow=yes on-fault=kill",
        name="other-kill",
        verdict="contained by=guard-page",
        cpus=2,
        aborts=16,
        controls=(
            Control("protect=-guard", "contained by=sentinel"),
            Control("overflow=no", "ok"),
        ),
    ),
    # Two at once. Without the lock, the first pages that both want go to both; deeper, the copies
    # overwrite the links of the list, and where that ends is chance.
    *(
        Scenario(
            "grow.two",
            args=f"how={how}",
            name=f"two-{how}",
            verdict="ok",
            cpus=2,
            aborts=aborts,
            gdb_view=NO_FAULT if aborts else None,
            controls=(Control(f"{less}protect=-reserve-lock", "survived", golden=not less),),
        )
        for how, aborts, less in (
            ("demand", 28, ""),
            ("copy", 0, "depth=12 "),
            ("both", 14, "depth=25 "),
        )
    ),
    # One frame of 9 KiB: probed it grows the stack page by page; unprobed it leaves a hole, or
    # lands in the neighbour.
    Scenario(
        "grow.hole",
        verdict="ok",
        aborts=2,
        gdb_view=NO_FAULT,
        controls=(Control("probed=0", "survived", golden=True),),
        only=PROBING,
    ),
    Scenario(
        "grow.jump",
        verdict="caught by=guard-page",
        aborts=16,
        controls=(Control("probed=0", "survived", golden=True),),
        only=PROBING,
    ),
]


def test_grow(case: Case, walk: Walk) -> None:
    walk(case)


@pytest.mark.parametrize("how", ["demand", "copy", "both"])
def test_two_that_run_at_the_same_time_indeed_say_the_same(how: str, tmp_path: Path) -> None:
    """Without -icount QEMU has a thread for each CPU: they meet as it happens."""
    line = f"lab=grow.two how={how} {UNHURRIED}"
    one_thread, *two = (
        boot(ROOT / KERNEL, line, tmp_path / str(n), nonce="same", cpus=2, icount=icount)
        for n, icount in enumerate([DETERMINISTIC, *[None] * 4])
    )
    assert [run.log.verdict for run in (one_thread, *two)] == ["ok"] * 5
    assert [run.serial for run in two] == [one_thread.serial] * 4
    assert b"shared=no" in one_thread.serial


@pytest.mark.parametrize("lab", ["grow.other", "grow.two", "grow.patch_running"])
def test_the_other_cpu_must_be_there(lab: str, tmp_path: Path) -> None:
    end = boot(ROOT / KERNEL, f"lab={lab}", tmp_path).log.records[-1]
    assert (end.words, end.fields["why"]) == (("bad-args",), "no-cpu")
