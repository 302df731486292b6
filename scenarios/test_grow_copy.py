"""Grow labs: stacks that grow by being copied, what copying breaks, what each way costs."""

from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import UNHURRIED, boot
from harness.scenario import PROBING, Case, Control, Scenario, Walk, halted_and_killed
from harness.stackreport.image import Image, load
from harness.tools import signing_cpu

NO_GROWTH = Control("protect=-growth", "caught by=guard-page")
NOT_RETIRED = Control("protect=-retire", "survived")
SIGNING = signing_cpu()
SEED = "grow_seed_morestack|grow_seed_more|grow_seed_deep"  # the loop that it is in

SCENARIOS = [
    Scenario("grow.copy", verdict="ok", controls=(NO_GROWTH,)),
    # Pointers to locals, or frame records too, are left as they were: both are seen by the place
    # they point to being gone.
    *(
        Scenario(
            "grow.copy",
            args=f"adjust={adjust}",
            name=f"copy-{adjust}",
            verdict="caught by=stale-stack",
            aborts=1,
            controls=(NOT_RETIRED, Control("adjust=conservative", "ok")),
        )
        for adjust in ("frames", "none")
    ),
    Scenario(
        "grow.copy",
        args="limit=64K",
        name="copy-limit",
        verdict="caught by=grow-limit",
        gdb_view=True,
        controls=(Control("limit=1M", "ok"),),
    ),
    Scenario(
        "grow.copy",
        args="reserve=40",
        name="copy-oom",
        verdict="caught by=stack-oom",
        gdb_view=True,
        controls=(Control("reserve=512", "ok"),),
    ),
    Scenario(
        "grow.copy",
        args="reserve=40 on-fault=kill",
        name="copy-oom-kill",
        verdict="contained by=stack-oom",
        gdb_view=True,
        controls=(Control("reserve=512", "ok"),),
    ),
    Scenario(
        "grow.copy_frame",
        verdict="ok",
        controls=(NO_GROWTH, Control("check=hooks", "caught by=guard-page", golden=True)),
        only=PROBING,
    ),
    *halted_and_killed("grow.stale", "stale-stack", aborts=1, controls=(NOT_RETIRED,)),
    Scenario(
        "grow.reused",
        verdict="caught by=guard-page",
        aborts=1,
        controls=(Control("move=no", "caught by=stale-stack", golden=True),),
    ),
    Scenario(
        "grow.lookalike",
        verdict="survived",
        controls=(Control("adjust=frames", "ok", golden=True),),
    ),
    Scenario(
        "grow.pac",
        verdict="ok",
        cpu=SIGNING,
        controls=(Control("resign=no", "caught by=pac", golden=True),),
    ),
    Scenario(
        "grow.handler",
        verdict="caught by=grow-handler",
        gdb_view=True,
        controls=(
            Control("protect=-grow-handler", "caught by=grow-masked"),
            Control("protect=-grow-handler,-grow-masked", "caught by=grow-limit"),
        ),
    ),
    # The seed's own: onto the guard, or, with the room that Go leaves, again and again.
    Scenario(
        "grow.seed",
        verdict="caught by=guard-page",
        aborts=1,
        controls=(
            Control("protect=-guard", "caught by=sentinel"),
            Control("watchdog=20 protect=-guard,-sentinel", "hang by=watchdog", at=SEED),
            Control("left=928 watchdog=20", "hang by=watchdog", at=SEED),
            Control("morestack=asks", "ok"),
        ),
    ),
    Scenario("grow.patch", verdict="ok", controls=(Control("alias=no", "caught by=w^x"),)),
    # Both instructions at once: who stands between them goes on without a return address.
    Scenario(
        "grow.patch_running",
        verdict="ok",
        cpus=2,
        controls=(
            Control("prepared=no", "caught by=patch-alone", golden=True),
            Control("protect=-patch-alone", "caught by=null-page", golden=True),
            Control("prepared=no protect=-patch-alone", "caught by=null-page"),
        ),
    ),
    *(
        Scenario(
            "grow.shrink",
            args=f"shrink={shrink}",
            name=f"shrink-{shrink}",
            verdict="ok",
            controls=(NO_GROWTH,),
        )
        for shrink in ("reuse", "quarter")
    ),
    # It measures all ways side by side: demand, the 64 MiB of fixed, and copies.
    Scenario(
        "grow.cost",
        verdict="ok",
        aborts=171,
        gdb_view="each abort is a page of growth, which nothing is said about",
        controls=(NO_GROWTH,),
    ),
]


def test_grow_copy(case: Case, walk: Walk) -> None:
    walk(case)


def test_a_function_is_patched_while_another_cpu_runs_it_indeed(tmp_path: Path) -> None:
    """Without -icount QEMU has a thread for each CPU, and some hundred thousand calls are made."""
    line = f"lab=grow.patch_running rounds=50 {UNHURRIED}"
    log = boot(ROOT / KERNEL, line, tmp_path, cpus=2, icount=None).log
    assert log.verdict == "ok"
    (called,) = (r for r in log.select("grow") if r.words == ("called",))
    assert (called.fields["lost"], called.fields["wrong"]) == ("0", "0")


# --- what the check takes for granted ---------------------------------------------------------


@pytest.fixture(scope="module")
def image() -> Image:
    return load(ROOT / KERNEL)


PATCHING = {
    "grow_deep_patched": "lab=grow.patch",
    "grow_deep_patched_two": "lab=grow.two how=copy",
    "grow_big_patched": "lab=grow.copy_frame",
    "grow_deep_signed": "lab=grow.pac",
}


@pytest.mark.parametrize("function", PATCHING)
def test_the_frame_read_from_the_prologue_is_the_compilers(
    function: str, image: Image, tmp_path: Path
) -> None:
    log = boot(ROOT / KERNEL, PATCHING[function], tmp_path, cpu=SIGNING, cpus=2).log
    (patched,) = (r for r in log.select("grow") if r.words == ("patched",))
    frame, check = int(patched.fields["frame"]), int(patched.fields["check"])
    assert patched.fields["function"] == f"{function}+0x0"
    assert frame == image.compiler[function].bytes
    assert check >= frame


def test_nothing_patched_calls_anything_unpatched(image: Image) -> None:
    """Else the 800 bytes below the check would have to hold that too."""
    for function in PATCHING:
        assert image.compiler[function].calls <= PATCHING.keys() | {"__stack_chk_fail"}
