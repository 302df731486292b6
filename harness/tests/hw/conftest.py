"""The commands of harness/hw on live machines, against what the kernel itself printed or answers.

One machine and one GDB per stop, shared by this folder (by a worker's part of it): at the fault of
stack.recurse (guarded and not), of stack.irq and of stack.secondary, at the first and third
pool_report() of pool.exhaust, and at the power-off of heap.frag. Tests that write to a guest put
back what they wrote.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.errors import GdbError
from harness.paths import HW, KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.qemu.rewind import POWER_OFF
from harness.serial.log import Record, parse_lines
from harness.serial.symbols import FAULT_HOOK
from harness.tools import find_gdb

COMMANDS = HW.parent

Rows = list[dict[str, str]]


@dataclass
class Stopped:
    """A machine that GDB holds, with the commands loaded. early: what `hw` said at reset."""

    machine: Machine
    gdb: GdbSession
    early: str = ""

    def hw(self, command: str) -> str:
        return self.gdb.console(f"hw {command}")

    def hw_complete(self, typed: str) -> list[str]:
        """The lines that <Tab> would make of `hw TYPED`."""
        return self.gdb.console(f"complete hw {typed}").splitlines()

    def rows(self, command: str) -> Rows:
        return rows(self.hw(command))

    def records(self, *area: str) -> list[Record]:
        return [r for r in parse_lines(self.machine.serial) if r.area == area]

    def number(self, expression: str) -> int:
        return int(self.gdb.evaluate(f"(unsigned long)({expression})"))

    def run_to(self, function: str) -> None:
        self.gdb.cont()
        stop = self.gdb.wait_stop(Deadline(20))
        assert stop.function == function, stop


class Boot(Protocol):
    def __call__(self, line: str, function: str, *, cpus: int = 1) -> Stopped: ...


@pytest.fixture(scope="package")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boot]:
    """boot(boot line, function): a machine stopped in that function."""
    with ExitStack() as machines:

        def boot(line: str, function: str, *, cpus: int = 1) -> Stopped:
            workdir = tmp_path_factory.mktemp("hw")
            spec = MachineSpec(ROOT / KERNEL, line, cpus=cpus, gdb=True, stopped=True)
            machine = machines.enter_context(Machine(spec, workdir))
            assert machine.gdb_socket is not None
            socket, transcript = machine.gdb_socket, workdir / "gdb.txt"
            gdb = machines.enter_context(GdbSession(find_gdb(), socket, spec.kernel, transcript))
            gdb.connect()
            gdb.source(HW)
            stopped = Stopped(machine, gdb, refusal(gdb, "hw stacks"))
            gdb.breakpoint(function)
            stopped.run_to(function)
            return stopped

        yield boot


@pytest.fixture(scope="package")
def recurse(boot: Boot) -> Stopped:
    return boot("lab=stack.recurse", FAULT_HOOK)


@pytest.fixture(scope="package")
def unguarded(boot: Boot) -> Stopped:
    return boot("lab=stack.recurse protect=-guard,-watermark", FAULT_HOOK)


@pytest.fixture(scope="package")
def irq(boot: Boot) -> Stopped:
    return boot("lab=stack.irq", FAULT_HOOK)


@pytest.fixture(scope="package")
def secondary(boot: Boot) -> Stopped:
    """The second of two CPUs overflows the stack of its thread."""
    return boot("lab=stack.secondary", FAULT_HOOK, cpus=2)


@pytest.fixture(scope="package")
def heap(boot: Boot) -> Stopped:
    return boot("lab=heap.frag", POWER_OFF)


@pytest.fixture(scope="package")
def pool(boot: Boot) -> Stopped:
    return boot("lab=pool.exhaust blocks=5", "pool_report")


def rows(text: str) -> Rows:
    """A table as it is printed: cells stand two blanks apart."""
    head, *lines = (re.split(r" {2,}", line.strip("* ")) for line in text.splitlines())
    return [dict(zip(head, line, strict=False)) for line in lines]


def refusal(gdb: GdbSession, command: str) -> str:
    with pytest.raises(GdbError) as refused:
        gdb.console(command)
    return refused.value.problem.removeprefix("GDB refused: ")


def only(found: Rows, **cells: str) -> dict[str, str]:
    (row,) = (row for row in found if cells.items() <= row.items())
    return row


@contextmanager
def poked(machine: Stopped, target: str, number: int) -> Iterator[None]:
    before = machine.number(target)
    machine.gdb.set_var(target, number)
    try:
        yield
    finally:
        machine.gdb.set_var(target, before)
