"""The kernel's "true lowest SP", held against a debugger that looks at SP after every instruction.

GDB steps the victim through the function that is measured, from its entry to its return. The lowest
SP it saw, counted from the top of the stack, must be the kernel's lowest_sp= to the byte. QEMU lets
no interrupt in while a debugger steps, so all of it is the victim's own. Without icount, under
which guest time would jump to the timer's next deadline at every step.
"""

import secrets
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.run.boot import UNHURRIED
from harness.serial.log import Log, parse
from harness.serial.symbols import build_id
from harness.tools import find_gdb

BUDGET_SECONDS = 30.0
MOST_STEPS = 5000

MODE, EL1T = 0xF, 0x4  # of cpsr: EL1 on SP_EL0, as kernel threads run
TOP = "((struct thread *)$TPIDR_EL1)->stack.base + ((struct thread *)$TPIDR_EL1)->stack.size"


def boot(line: str, function: str, folder: Path, verdict: str) -> tuple[int, Log]:
    """Boot `line` and step through the first call of `function`: its depth, and the log."""
    nonce, kernel = secrets.token_hex(4), ROOT / KERNEL
    line = f"{line} {UNHURRIED} nonce={nonce}"
    spec = MachineSpec(kernel, line, icount=None, gdb=True, stopped=True)
    deadline = Deadline(BUDGET_SECONDS)
    with Machine(spec, folder) as machine:
        assert machine.gdb_socket is not None
        transcript = folder / "gdb-transcript"
        with GdbSession(find_gdb(), machine.gdb_socket, kernel, transcript) as gdb:
            gdb.connect(deadline)
            depth = depth_of(gdb, function, deadline)
        serial = machine.wait_end(deadline).serial
    log = parse(serial, build_id=build_id(kernel), nonce=nonce)
    assert log.verdict == verdict
    return depth, log


def depth_of(gdb: GdbSession, function: str, deadline: Deadline) -> int:
    """Bytes from the top of the stack to the lowest SP between a function's entry and return."""
    gdb.breakpoint(f"*{function}", temporary=True)  # with *: before the prologue
    gdb.cont()
    gdb.wait_stop(deadline)
    at = entry = gdb.registers()
    lowest = entry["sp"]
    for _ in range(MOST_STEPS):
        if (at["pc"], at["sp"]) == (entry["x30"], entry["sp"]):
            return int(gdb.evaluate(TOP)) - lowest
        gdb.command("-exec-step-instruction", "stepi")
        gdb.wait_stop(deadline)
        at = gdb.registers()
        assert at["cpsr"] & MODE == EL1T, "an exception came between"
        lowest = min(lowest, at["sp"])
    pytest.fail(f"{function} did not return within {MOST_STEPS} instructions")


def measured(log: Log, what: str) -> dict[str, int]:
    """The numbers of `[stack-lab] WHAT … used= lowest_sp= gap=`, as the kernel printed them."""
    (record,) = (record for record in log.select("stack-lab") if record.words == (what,))
    return {key: int(value) for key, value in record.fields.items()}


# A frame is a multiple of 16 bytes: some compilers leave its lowest word as padding, unwritten.
PADDING = (0, 8)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_of_frames_that_are_written_sp_and_paint_are_true(depth: int, tmp_path: Path) -> None:
    seen, log = boot(f"lab=stack.watermark depth={depth}", "descend", tmp_path, "ok")
    kernel = measured(log, "watermark")
    assert (kernel["lowest_sp"], kernel["used"]) == (seen, seen - kernel["gap"])
    assert kernel["gap"] in PADDING


@pytest.mark.parametrize("level", ["O0", "O1", "O2", "O3", "Os"])
def test_at_every_level_of_optimisation(level: str, tmp_path: Path) -> None:
    seen, log = boot("lab=stack.watermark_levels depth=2", f"descend_{level}", tmp_path, "survived")
    kernel = measured(log, level)
    assert (kernel["lowest_sp"], kernel["used"]) == (seen, seen - kernel["gap"])
    assert kernel["gap"] in PADDING


def test_of_stack_that_is_never_written_sp_is_true_and_the_paint_is_not(tmp_path: Path) -> None:
    seen, log = boot("lab=stack.watermark_untouched", "promise", tmp_path, "survived")
    kernel = measured(log, "untouched")
    assert kernel["lowest_sp"] == seen
    assert kernel["used"] == seen - kernel["gap"] < seen
