"""An interrupt at every instruction: of an exception's way in and out, and of an overflow."""

import re
from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.qemu.fast.warm import saved_at
from harness.run.boot import boot
from harness.run.session import Open, soon
from harness.scenario import Case, Control, Scenario, Walk
from harness.serial import canon, intlog
from harness.serial.log import parse_lines

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
    line = "lab=stack.registers points=400 watchdog=10000"  # at 10 an instruction takes 1024 ns
    log = boot(ROOT / KERNEL, line, tmp_path, icount=f"shift={shift},sleep=off").log
    assert log.verdict == "ok"
    (landed,) = (r for r in log.select("stack-lab") if r.words == ("sweep",))
    assert landed.fields["landed"] == "400"


A_CALL = 64  # instructions: more than any compiler's recurse() executes from entry to entry
ONE_A_COUNT = "shift=4,sleep=off"  # a count of the timer is 16 ns, and so is an instruction


def test_an_interrupt_in_the_overflow_changes_nothing(gdb: Open, tmp_path: Path) -> None:
    """The tick is moved through the whole recursion, by 16 instructions, and on into the report;
    then through a call or more of it, by one: the same report, and one abort, each time.
    """
    undisturbed = _told(boot(ROOT / KERNEL, "lab=stack.recurse", tmp_path).serial)
    session = gdb("stack.recurse", memory_mib=32, icount=ONE_A_COUNT)
    entry, tick = session.number("$pc"), session.number("&stack_recurse_args.tick")
    recurse = session.number("&recurse")
    call = {recurse + 4 * n for n in range(12)}
    with saved_at(session.spec, entry, soon()) as snapshot:

        def landed(counts: int) -> set[int]:
            run = snapshot.again({tick: counts.to_bytes(8, "little")}, soon())
            assert intlog.count(run.int_log).total == 1, f"tick={counts}"
            assert _told(run.serial) == undisturbed, f"tick={counts}"
            return _interrupted(run.int_log)

        coarse = (*range(16, 2561, 16), *range(2576, 4097, 160))
        first = min([counts for counts in coarse if landed(counts) & call])
        assert call <= set().union(*map(landed, range(first, first + A_CALL)))


def _interrupted(int_log: bytes) -> set[int]:
    """Where interrupts came before the abort, as QEMU logs it."""
    before = int_log.partition(b"[Data Abort]")[0]
    found = re.findall(rb"\[IRQ\].*\n(?:\.\.\..*\n)*?\.\.\.with ELR (\S+)", before)
    return {int(address, 16) for address in found}


def _told(serial: bytes) -> list[str]:
    """From the lab's entry on, but for the line that repeats the parameters."""
    lines = canon.lines(canon.canonical(parse_lines(serial)))
    return [line for line in lines if not line.startswith(("[boot]", "[lab] enter"))]
