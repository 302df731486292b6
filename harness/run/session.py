"""A scripted look at one boot, for tests: GDB on a machine that stands at its lab's entry.

    def test_it(gdb: Open) -> None:
        session = gdb("stack.recurse stack=8K")
        session.run_to("recurse", hit=3)
        session.flip("$x29 + 8", bit=40)
        assert session.finish().verdict == "caught by=mmu"

Two clocks bound it. What the guest may use is guest time: the kernel's own watchdog (`guest_ms`,
from the lab's entry on; without icount the longest there is) ends a boot that runs on with
`[end] hang`. Guest time jumps to the next timer deadline whenever GDB stops the machine, so it is a
bound and no measure. The wall clock is the backstop. Every command is in the folder's
gdb-transcript, which replays by hand.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.deadline import Deadline
from harness.debugger.process import Stop
from harness.debugger.session import GdbSession
from harness.errors import GdbError
from harness.owned import Owned
from harness.paths import HW
from harness.qemu import rewind
from harness.qemu.fast import qcow2
from harness.qemu.machine import Machine, MachineSpec
from harness.scenario import DETERMINISTIC, UNHURRIED_MS
from harness.serial import log
from harness.serial.symbols import FAULT_HOOK, build_id
from harness.tools import find_gdb

LAST_OFF = "last_off"  # where the report of last resort ends
GUEST_MS = 2000
BUDGET_SECONDS = 30.0
MOST_STEPS = 5000
_ENDS = (rewind.POWER_OFF, LAST_OFF)
_END_LINE = rb"\[end\] [^\n]*\n"

Registers = dict[str, int]


def soon() -> Deadline:
    """Time enough for anything that a test asks of one machine."""
    return Deadline(BUDGET_SECONDS)


class Open(Protocol):
    """The `gdb` fixture: boot a line under GDB, to its lab's entry."""

    def __call__(self, line: str, *, guest_ms: int | None = None, **spec: Any) -> "Session": ...


class Session(Owned):
    """Enter it, and the machine stands at the lab's entry; leave it, and all of it is gone."""

    def __init__(
        self, kernel: Path, line: str, folder: Path, *, guest_ms: int | None = None, **spec: Any
    ) -> None:
        """line: as on the boot line, without lab=. spec: further fields of MachineSpec."""
        super().__init__()
        self.nonce = secrets.token_hex(4)
        self.entry = "lab_" + line.split()[0].replace(".", "_")
        self.deadline = soon()
        hurried = spec.get("icount", DETERMINISTIC)
        guest_ms = guest_ms or (GUEST_MS if hurried else UNHURRIED_MS)
        append = f"lab={line} watchdog={guest_ms} nonce={self.nonce}"
        folder.mkdir(parents=True, exist_ok=True)
        qcow2.write_empty(folder / rewind.DISK)
        drive = rewind.snapshot_drive(folder / rewind.DISK)
        self.spec = MachineSpec(kernel, append, gdb=True, stopped=True, extra=drive, **spec)
        self.machine = Machine(self.spec, folder)
        self._has_commands = False

    def _start(self) -> None:
        self._owned.enter_context(self.machine)
        assert self.machine.gdb_socket is not None
        transcript = self.machine.workdir / "gdb-transcript"
        self.gdb = self._owned.enter_context(
            GdbSession(find_gdb(), self.machine.gdb_socket, self.spec.kernel, transcript)
        )
        self.gdb.connect(self.deadline)
        self.run_to(self.entry)

    # --- letting it run ------------------------------------------------------------------------

    def run_to(self, location: str, *, hit: int = 1, condition: str = "") -> Stop:
        """To a symbol, file:line or *address, for the n-th time that the condition holds there.

        A stop anywhere else, or the end of the boot, is an error.
        """
        number = self.gdb.breakpoint(location, hit=hit, condition=condition)
        stop = self.resume()
        if stop.reason != "breakpoint-hit":
            raise GdbError(f"expected to come to {location}, but: {stop}")
        self.gdb.delete(number)
        return stop

    def run_until_access(self, place: str, access: str = "write") -> Stop:
        """Until the guest changes (read: reads; any: touches) the word at an address."""
        number = self.gdb.watch(f"*(unsigned long *) {self.number(place):#x}", access)
        stop = self.resume()
        if "watchpoint-trigger" not in stop.reason:
            raise GdbError(f"expected an access to {place}, but: {stop}")
        self.gdb.delete(number)
        return stop

    def run_until_fault(self) -> Stop:
        """To the next fault, its records printed; an error when the boot ends without one."""
        return self.run_to(FAULT_HOOK)

    def step_until(self, there: Callable[[Registers], bool], most: int = MOST_STEPS) -> int:
        """Instruction by instruction until `there` holds of the registers; how many it took."""
        for count in range(most + 1):
            if there(self.gdb.registers()):
                return count
            self.gdb.stepi(self.deadline)
        raise GdbError(f"{most} instructions passed, and it is not there")

    def resume(self) -> Stop:
        """To whatever stops it next."""
        self.gdb.cont()
        return self.gdb.wait_stop(self.deadline)

    def finish(self) -> log.Log:
        """To the power-off; the log, which has to be whole and this boot's own."""
        self.gdb.close()  # detaches: the guest runs on
        serial = self.machine.wait_end(self.deadline).serial
        return log.parse(serial, build_id=build_id(self.spec.kernel), nonce=self.nonce)

    # --- looking and changing ------------------------------------------------------------------

    def number(self, expression: str) -> int:
        """An expression in the selected frame, as an unsigned 64-bit number."""
        return int(self.gdb.evaluate(f"(unsigned long)({expression})"))

    def word(self, place: str) -> int:
        """The 64-bit word at an address."""
        return int.from_bytes(self.gdb.read_memory(self.number(place), 8), "little")

    def write(self, place: str, word: int) -> None:
        self.gdb.write_memory(self.number(place), word.to_bytes(8, "little"))

    def flip(self, place: str, bit: int) -> None:
        """Change one bit of the word at an address."""
        self.write(place, self.word(place) ^ 1 << bit)

    def flip_register(self, name: str, bit: int) -> None:
        self.gdb.set_var(f"${name}", self.gdb.registers()[name] ^ 1 << bit)

    def bt(self) -> list[str]:
        """The functions on the stack, innermost first."""
        return [frame.function or hex(frame.address) for frame in self.gdb.backtrace()]

    def fail(self, site: str, nth: int = 1) -> bool:
        """Run to the n-th call at one of the kernel's sites (lab=list) and make it return failure.

        False: the machine stopped elsewhere first; after `save`, at its end.
        """
        if not self._has_commands:
            self.gdb.source(HW)
            self._has_commands = True
        self.gdb.console_moving(f"hw inject {site} nth={nth}", self.deadline)
        return self.number("$hw_injected") == 1

    # --- trying again --------------------------------------------------------------------------

    def save(self) -> None:
        """Keep the stopped machine as it is, for `restore`."""
        for end in _ENDS:
            self.gdb.breakpoint(f"*{end}")
        self._monitor("savevm here")

    def outcome(self) -> str:
        """After `save`: run to the end and say the verdict; the machine stays, for `restore`.

        A machine that jumped into its own end() may say anything there: harness-error.
        """
        if not self._has_ended():
            stop = self.resume()
            if stop.function not in _ENDS:
                raise GdbError(f"expected the end of the boot, but: {stop}")
        self.machine.expect(_END_LINE, self.deadline)
        assert isinstance(self.machine.console.after, bytes)
        return log.seen_verdict(self.machine.console.after)

    def restore(self) -> None:
        """The machine as `save` left it, every bit of it. The next try has all the time again."""
        self.deadline = soon()
        self._monitor("loadvm here")
        for cache in ("register-cache", "dcache"):
            self.gdb.console(f"maintenance flush {cache}")

    def _has_ended(self) -> bool:
        return self.number("$pc") in {self.number(f"&{end}") for end in _ENDS}

    def _monitor(self, command: str) -> None:
        if said := self.machine.qmp.hmp(command, self.deadline):
            raise GdbError(f"QEMU refused {command}: {said}")
