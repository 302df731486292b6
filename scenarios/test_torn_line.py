"""A fault amid a line: the lock is broken, the line ends in `~`, and the report comes whole.

GDB takes the CPU out of console_write(), with a line begun and the console's lock held.
"""

from pathlib import Path

from harness import tools
from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.serial import log
from harness.serial.log import Log

# No timer runs yet on the boot stack. Each stop would let guest time jump to its deadline, and QEMU
# does not come back from a step with a masked interrupt pending.
LINE = "lab=stack.boot protect=-watchdog"


def test_a_fault_inside_the_console(tmp_path: Path) -> None:
    seen = _interrupted_line(tmp_path)
    first, second = seen.records[3:5]
    assert str(first) == "[cut] : [~"
    assert (second.area, second.words) == (("EXC",), ("sync",))
    assert second.fields["site"] == "null_write"
    # Before [lab] enter there is nothing to catch: it is the boot that broke.
    assert str(seen.records[-1]).startswith("[end] panic why=fault-before-lab detector=null-page")


def _interrupted_line(folder: Path) -> Log:
    deadline = Deadline(30)
    spec = MachineSpec(ROOT / KERNEL, append=LINE, gdb=True, stopped=True)
    with Machine(spec, folder) as machine:
        assert machine.gdb_socket is not None
        transcript = folder / "gdb"
        with GdbSession(tools.find_gdb(), machine.gdb_socket, ROOT / KERNEL, transcript) as gdb:
            gdb.connect(deadline)
            gdb.breakpoint("lab_stack_boot", temporary=True)
            gdb.cont()
            gdb.wait_stop(deadline)
            gdb.breakpoint("pl011_putc", temporary=True)
            gdb.cont()
            gdb.wait_stop(deadline)
            gdb.console("finish")  # the first byte of `[lab] enter` is out
            gdb.console("set $pc = write_null")
            gdb.cont()
            assert gdb.wait_stop(deadline).exited
        return log.parse(machine.wait_end(deadline).serial)
