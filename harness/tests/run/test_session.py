"""The `gdb` fixture: every way to let the machine run to somewhere, and what happens when it does
not come there.
"""

import subprocess
from pathlib import Path
from shlex import join

import pytest

from harness.errors import GdbError
from harness.paths import KERNEL as IMAGE
from harness.paths import ROOT
from harness.run.boot import UNHURRIED, boot
from harness.run.session import Open, Session
from harness.serial.symbols import FAULT_HOOK
from harness.tools import find_gdb

KERNEL = ROOT / IMAGE
WATERMARK = "stack.watermark depth=8"


def test_it_stands_at_the_labs_entry(gdb: Open) -> None:
    session = gdb("stack.recurse stack=8K")
    assert session.bt()[0] == "lab_stack_recurse"
    assert session.number("stack_recurse_args.stack") == 8192


def test_the_nth_hit_and_the_nth_hit_under_a_condition(gdb: Open) -> None:
    session = gdb(WATERMARK)
    session.run_to("descend", hit=3)
    assert session.number("calls") == 6
    session.run_to("descend", hit=2, condition="calls % 2 == 1")
    assert session.number("calls") == 3


def test_it_stops_behind_a_read_and_behind_a_write(gdb: Open) -> None:
    session = gdb("stack.canary")
    session.run_until_access("&((struct thread *) $TPIDR_EL1)->canary", "read")
    session.run_to("*smash_with_canary")  # its first instruction: nothing is pushed yet
    below = session.number("$sp") - canarys_slot(session)
    session.run_to("*smash_with_canary")
    slot = f"{session.number('$sp') - below:#x}"
    session.run_until_access(slot)
    assert session.bt()[0] == "smash_with_canary", "the prologue lays the canary"
    session.run_until_access(slot)
    assert session.bt()[0] == "fill_array"


def canarys_slot(session: Session) -> int:
    """In the frame that begins here: where in it, each compiler has its own opinion."""
    top = session.number("$sp")
    session.run_to("fill_array")
    canary = session.number("((struct thread *) $TPIDR_EL1)->canary")
    words = range(session.number("$sp"), top, 8)
    return max(at for at in words if session.number(f"*(unsigned long *) {at}") == canary)


def test_step_until(gdb: Open) -> None:
    session = gdb(WATERMARK)
    session.run_to("*descend")
    at_entry = session.gdb.registers()["sp"]
    assert session.step_until(lambda registers: registers["sp"] < at_entry) == 1
    with pytest.raises(GdbError, match="10 instructions passed"):
        session.step_until(lambda registers: registers["sp"] == 0, most=10)


def test_run_until_fault(gdb: Open) -> None:
    session = gdb("stack.guard_touch")
    assert session.run_until_fault().function == FAULT_HOOK
    assert "touch_below" in session.bt()
    assert session.finish().verdict == "caught by=guard-page"


@pytest.mark.parametrize("line", ["stack.watermark", "pool.exhaust"])
def test_no_fault_is_an_error(gdb: Open, line: str) -> None:
    with pytest.raises(GdbError, match=r"expected to come to debugger_fault_hook, but: exited"):
        gdb(line).run_until_fault()


def test_words_bits_and_registers(gdb: Open) -> None:
    session = gdb(WATERMARK)
    session.run_to("descend")
    session.write("$sp + 16", 0x1234)
    session.flip("$sp + 16", bit=63)
    assert session.word("$sp + 16") == 0x8000000000001234
    session.flip_register("x0", bit=0)
    assert session.number("$x0") == 9


def test_a_guest_that_runs_on_ends_in_guest_time(gdb: Open) -> None:
    session = gdb("crash.hang", guest_ms=30)
    assert session.finish().verdict == "hang by=watchdog"


def test_the_same_moment_again_and_again(gdb: Open) -> None:
    session = gdb(WATERMARK)
    session.run_to("descend", hit=8)
    before = session.gdb.registers()
    session.save()
    assert session.outcome() == "ok"
    session.restore()
    session.flip("&((struct thread *) $TPIDR_EL1)->canary", bit=7)
    assert session.outcome() == "caught by=canary"
    session.restore()
    assert session.gdb.registers() == before
    assert session.outcome() == "ok"


def test_its_transcript_replays_by_hand(gdb: Open, tmp_path: Path) -> None:
    session = gdb(WATERMARK)
    session.run_to("descend", hit=3, condition="calls < 8")
    session.run_until_access("$sp + 24")
    session.flip("$sp + 24", bit=5)
    serial = session.finish()
    transcript = session.gdb.transcript
    qemu = join([*session.machine.command, "-S", "-gdb", f"unix:{tmp_path}/gdb.sock,server=on"])
    with subprocess.Popen(
        qemu, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as by_hand:
        assert by_hand.stdout is not None
        assert by_hand.stderr is not None
        assert b"waiting for connection" in by_hand.stderr.readline()
        batch = [str(find_gdb()), "--nx", "-batch", "-x", str(transcript)]
        seen = subprocess.run(batch, cwd=tmp_path, capture_output=True, text=True, check=False)
        said = by_hand.stdout.read().decode()
    assert "descend (calls=5" in seen.stdout, seen.stdout + seen.stderr
    assert "Hardware watchpoint" in seen.stdout
    assert said.splitlines()[-1] == str(serial.records[-1])


def test_a_boot_without_icount_says_how_long_its_watchdog_waits(tmp_path: Path) -> None:
    """Or a busy host would decide its verdict."""
    with pytest.raises(ValueError, match="without icount: say how long the watchdog waits"):
        boot(KERNEL, "lab=stack.recurse", tmp_path, icount=None)
    log = boot(KERNEL, f"lab=stack.recurse {UNHURRIED}", tmp_path, icount=None).log
    assert log.verdict == "caught by=guard-page"


@pytest.mark.parametrize(
    ("spec", "watchdog"), [({}, "watchdog=2000"), ({"icount": None}, UNHURRIED)]
)
def test_a_session_without_icount_has_the_longest_watchdog(
    gdb: Open, spec: dict[str, None], watchdog: str
) -> None:
    assert f" {watchdog} " in gdb("stack.recurse", **spec).spec.append
