"""An interrupt at every instruction: of an exception's way in and out, and of an overflow."""

from pathlib import Path

import pytest

from harness import canon, intlog
from harness.boot import boot
from harness.log import Log
from harness.scenario import Case, Control, Scenario, Walk
from harness.walk import KERNEL
from harness.warm import WarmPool

ROOT = Path(__file__).parent.parent

SCENARIOS = [
    Scenario(
        "stack.registers",
        verdict="ok",
        # The seed's interrupt stub: it clobbers x19 to x21.
        controls=(Control("protect=-entry", "caught by=register-check"),),
    ),
    # Of 600 deaths four are the guard words': the interrupts just before the guard page is reached.
    Scenario(
        "stack.interrupted",
        verdict="ok",
        aborts=596,
        gdb_view="596 times the same, and not a word about any",
        # The classic entry pushes on the stack that has ended, and the seed's stub is in it too.
        controls=(Control("protect=-entry", "caught by=register-check", golden=True),),
    ),
]


def test_stack_sweep(case: Case, walk: Walk) -> None:
    walk(case)


@pytest.mark.parametrize("shift", range(11))
def test_registers_hold_wherever_interrupts_land(shift: int, tmp_path: Path) -> None:
    """QEMU's -icount shift moves every interrupt against the instructions."""
    line = "lab=stack.registers points=400"
    log = boot(ROOT / KERNEL, line, tmp_path, icount=f"shift={shift},sleep=off").log
    assert log.verdict == "ok"
    (landed,) = (r for r in log.select("stack-lab") if r.words == ("sweep",))
    assert landed.fields["landed"] == "400"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return boot(ROOT / KERNEL, "lab=stack.recurse", tmp_path_factory.mktemp("still")).log


@pytest.mark.parametrize("counts", range(1, 321, 10))
def test_an_interrupt_in_the_overflow_changes_nothing(
    counts: int, undisturbed: Log, tmp_path: Path, warm: WarmPool
) -> None:
    """The tick is moved through the whole recursion: the same report, and one abort, each time."""
    moved = boot(ROOT / KERNEL, f"lab=stack.recurse tick={counts}", tmp_path, warm=warm)
    assert intlog.count(moved.int_log).total == 1
    assert _told(moved.log) == _told(undisturbed)


def _told(log: Log) -> list[str]:
    """All but the line that repeats the parameters."""
    lines = canon.lines(canon.canonical(log.records))
    return [line for line in lines if not line.startswith("[lab] enter")]
