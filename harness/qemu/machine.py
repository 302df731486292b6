"""One QEMU, from its command line to its last byte. A context manager: on leaving it the process is
gone and reaped.

Serial port and QMP travel over socketpairs, the GDB stub over a listening UNIX socket in a private
directory; all are passed by descriptor. Never TCP: QEMU's stub has no authentication, and whoever
reaches it owns the host. Nothing here knows what the guest prints: that is log.py's business.
"""

import re
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import TypeVar

from pexpect import EOF, TIMEOUT

from harness import scratch
from harness.deadline import Deadline
from harness.errors import (
    DeadlinePassed,
    HarnessError,
    KernelNotBuilt,
    MachineDied,
    MachineEndless,
    MachineError,
    MachineFlooding,
    MachineReset,
    MachineSilent,
)
from harness.owned import Owned
from harness.qemu.channel import MIB, ByteChannel, Channel
from harness.qemu.child import BLOCK
from harness.qemu.console import Console
from harness.qemu.drain import Drain
from harness.qemu.fast.starter import built
from harness.qemu.qmp import Qmp
from harness.serial.intlog import POWER_OFF
from harness.tools import find_qemu, plugin_file

SERIAL_LIMIT = 4 * MIB
INT_LOG_LIMIT = 64 * MIB
_QMP_LIMIT = 16 * MIB
_STDERR_LIMIT = MIB
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_EM_AARCH64 = (183).to_bytes(2, "little")
_LAST_WORDS_SECONDS = 2.0
_LOGGED = f"int,trace:{POWER_OFF.decode().strip()}"
_LIMIT_STATUS = 124  # limit.c's, like what it says
_LIMIT_SAID = re.compile(rb"^limit: (\d+) instructions, at (0x[0-9a-f]+)$", re.M)
_TOLD_TO_QUIT = {  # QEMU says so, and exits with 0
    b"terminating on signal": "a signal from outside",
    b"Terminated via GDBstub": "GDB",
}
_NO_PLUGIN = {  # a bound by instructions needs one: host/limit.c
    b"Could not load plugin": ": its plugin interface is none of those that Highwater knows,"
    " which are versions 1 to 7 (QEMU 7.2 to 11.1); harness/host/plugin.h declares them",
    b"-plugin: invalid option": ": it was built without TCG plugins, which Debian's has;"
    " HIGHWATER_QEMU names another one",
}
_RESET = "the guest reset the machine (PSCI SYSTEM_RESET) and did not power it off"

Symbolise = Callable[[int], str]
_Error = TypeVar("_Error", bound=MachineError)


@dataclass(frozen=True)
class MachineSpec:
    """What is to be booted. `extra` goes to QEMU as it is; initrd: instead of the image's own;
    loaded=False: neither image nor boot line, for a machine whose RAM comes from a snapshot;
    resets=True: one that is reset on purpose, over QMP.
    """

    kernel: Path
    append: str = ""
    cpu: str = "cortex-a72"
    memory_mib: int = 128
    cpus: int = 1
    mte: bool = False
    machine: str = "virt,acpi=off,gic-version=3,dtb-randomness=off"
    icount: str | None = "shift=0,sleep=off"
    gdb: bool = False
    stopped: bool = False
    extra: tuple[str, ...] = ()
    initrd: Path | None = None
    loaded: bool = True
    resets: bool = False

    def arguments(self) -> tuple[str, ...]:
        """QEMU's arguments, without the channels."""
        # fmt: off
        return (
            "-M", self.machine + ",mte=on" * self.mte,
            "-cpu", self.cpu, "-m", f"{self.memory_mib}M",
            "-smp", str(self.cpus), "-display", "none", "-nodefaults", "-nic", "none",
            *(("-icount", self.icount) if self.icount else ()),
            *(() if self.resets else ("-no-reboot",)), *self._loads(), *self.extra,
        )
        # fmt: on

    def _loads(self) -> tuple[str, ...]:
        """QEMU gives an -initrd only to the kernel in the clothes of a Linux Image (initrd.py)."""
        if not self.loaded:
            return ()
        append = ("-append", self.append)
        if not self.initrd:
            return ("-kernel", str(self.kernel), *append)
        image = str(self.kernel.with_suffix(".img"))
        return ("-kernel", image, "-initrd", str(self.initrd), *append)


@dataclass(frozen=True)
class Ending:
    """How a machine ended by itself: every byte it printed, and how long QEMU lived."""

    exit_status: int
    serial: bytes
    wall_seconds: float


class Machine(Owned):
    """`with Machine(spec, workdir) as machine: ending = machine.wait_end(Deadline(10))`.

    command: what a person pastes to see the same on a terminal; argv: what was really run.
    instructions: after how many the machine has not ended; host/limit.c counts them.
    symbolise: turns a program counter into a name, for the message of MachineSilent.
    """

    console: Console
    qmp: Qmp

    def __init__(
        self,
        spec: MachineSpec,
        workdir: Path,
        *,
        serial_limit: int = SERIAL_LIMIT,
        int_log_limit: int = INT_LOG_LIMIT,
        instructions: int | None = None,
        symbolise: Symbolise = hex,
    ) -> None:
        super().__init__()
        check_kernel(spec.kernel)
        self.spec, self.workdir = spec, workdir
        self.int_log = workdir / "qemu-int.log"
        self.gdb_socket: Path | None = None
        self._base = (str(find_qemu()), *spec.arguments(), "-d", _LOGGED, "-D", str(self.int_log))
        self.command = (*self._base, "-serial", "stdio")
        self.argv: tuple[str, ...] = ()
        self._serial_limit, self._int_log_limit = serial_limit, int_log_limit // BLOCK * BLOCK
        self._instructions, self._symbolise = instructions, symbolise

    @property
    def pid(self) -> int:
        return self._drain.pid

    @property
    def serial(self) -> bytes:
        """Every byte that the guest has printed so far; of one that stands still, all."""
        return self.serial_after(0)

    @property
    def printed(self) -> int:
        """How many bytes that is."""
        self._serial.settle()
        return self._serial.size

    def serial_after(self, offset: int) -> bytes:
        self._serial.settle()
        return self._serial.after(offset)

    @property
    def stderr(self) -> bytes:
        """What QEMU itself said; its other stream is the serial port."""
        return self._stderr.after(0)

    def wait_end(self, deadline: Deadline) -> Ending:
        """Wait until the guest has powered off, QEMU is reaped and every byte is logged."""
        if not self._drain.wait_done(deadline):
            raise self._silent(f"the machine did not end within {deadline.seconds:g} s")
        if problem := self._death():
            raise problem
        return Ending(0, self.serial, self._drain.wall_seconds)

    def stop(self) -> None:
        """End it now, from any thread; leaving the context still waits until it is gone."""
        self._drain.kill()

    def expect(self, pattern: bytes | list[bytes], deadline: Deadline) -> int:
        """Console.expect, but silence and an early end are told as what they are."""
        patterns = pattern if isinstance(pattern, list) else [pattern]
        try:
            found = self.console.expect([*patterns, TIMEOUT, EOF], timeout=deadline.remaining())
        except DeadlinePassed:
            found = len(patterns)
        missing = f"before it printed {b' or '.join(patterns)!r}"
        if found == len(patterns):
            raise self._silent(f"{deadline.seconds:g} s passed {missing}")
        if found > len(patterns):
            self._drain.wait_done(Deadline(_LAST_WORDS_SECONDS))  # for the other channels' rest
            raise self._death() or self._error(MachineDied, f"the machine ended {missing}")
        return found

    def _start(self) -> None:
        scratch.sweep_once()
        self.workdir.mkdir(parents=True, exist_ok=True)
        self.int_log.unlink(missing_ok=True)
        self._serial = ByteChannel("serial", self._serial_limit)
        self._qmp = Channel("qmp", _QMP_LIMIT)
        self._stderr = Channel("stderr", _STDERR_LIMIT)
        channels = [self._serial, self._qmp, self._stderr]
        for channel in channels:
            self._owned.callback(channel.close)
        self.console, self.qmp = Console(self._serial), Qmp(self._qmp)
        listener = self._listen() if self.spec.gdb else None
        self.argv = (*self._base, *self._channel_arguments(listener))
        fds = [self._qmp.theirs.fileno()]
        self._drain = Drain(
            self.argv,
            channels,
            stdio=(*self._serial.stdio, self._stderr.theirs.fileno()),
            pass_fds=[*fds, *([listener.fileno()] if listener else [])],
            file_limit=self._int_log_limit,
            often=True,
        )
        self._owned.callback(self._drain.close)
        self._drain.start()
        if listener:
            listener.close()

    def _listen(self) -> socket.socket:
        """The stub's socket, listening before QEMU exists: GDB may connect at any time after."""
        directory = self._owned.enter_context(scratch.folder())
        self.gdb_socket = directory / "gdb"
        listener = self._owned.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(self.gdb_socket))
        listener.listen(1)
        return listener

    def _channel_arguments(self, listener: socket.socket | None) -> list[str]:
        qmp = self._qmp.theirs.fileno()
        arguments = ["-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"]
        arguments += ["-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"]
        if listener:
            stub = f"socket,id=gdb,fd={listener.fileno()},server=on,wait=off"
            arguments += ["-chardev", stub, "-gdb", "chardev:gdb"]
        if self._instructions:
            arguments += ["-plugin", f"{_limit()},instructions={self._instructions}"]
        return arguments + (["-S"] if self.spec.stopped else [])

    def _death(self) -> HarnessError | None:
        """Why the end was not the guest's own, or None."""
        status = self._drain.exit_status
        if flooded := self._drain.flooded:
            return self._flooding(flooded.name, flooded.limit)
        if self._int_log_is_full():
            return self._flooding(str(self.int_log), self._int_log_limit)
        if status == _LIMIT_STATUS and (said := _LIMIT_SAID.search(self.stderr)):
            count, pc = int(said[1]), int(said[2], 16)
            doing = f"it is at {self._symbolise(pc)} (pc={pc:#x})"
            return self._error(
                MachineEndless, f"the machine did not end within {count} instructions; {doing}"
            )
        if status:
            why = next((why for words, why in _NO_PLUGIN.items() if words in self.stderr), "")
            return self._error(MachineDied, f"QEMU {_ended_how(status)}{why}")
        for words, who in _TOLD_TO_QUIT.items():
            if words in self.stderr:
                return self._error(MachineDied, f"QEMU was told to quit by {who}")
        return self._error(MachineReset, _RESET) if self._was_reset() else None

    def _was_reset(self) -> bool:
        """QEMU ends alike when the guest powers off; only then it has noted the request. One that
        was built without trace events (or has no such) says so, and then nobody knows.
        """
        noted = POWER_OFF in self.int_log.read_bytes()
        return not noted and b"trace event" not in self.stderr

    def _flooding(self, name: str, limit: int) -> MachineFlooding:
        return self._error(MachineFlooding, f"{name} passed its bound of {limit} bytes")

    def _int_log_is_full(self) -> bool:
        """QEMU goes on without a word when the kernel refuses to let the file grow further."""
        return self.int_log.exists() and self.int_log.stat().st_size >= self._int_log_limit

    def _silent(self, problem: str) -> MachineError:
        if self._int_log_is_full():
            return self._flooding(str(self.int_log), self._int_log_limit)
        return self._error(MachineSilent, f"{problem}; {self._doing()}")

    def _doing(self) -> str:
        """What the CPUs are at, as far as QEMU still answers."""
        deadline = Deadline(_LAST_WORDS_SECONDS)
        try:
            status = self.qmp.execute("query-status", deadline)["status"]
            registers = self.qmp.hmp("info registers -a", deadline)
        except HarnessError as mute:
            return f"QEMU does not say what it is doing ({mute.problem})"
        counters = [int(pc, 16) for pc in re.findall(r"\bPC=([0-9a-f]+)", registers)]
        return f"it is {status} at " + ", ".join(
            f"{self._symbolise(pc)} (cpu {cpu}, pc={pc:#x})" for cpu, pc in enumerate(counters)
        )

    def _error(self, kind: type[_Error], problem: str) -> _Error:
        return kind(problem, command=join(self.command), serial=self.serial, stderr=self.stderr)


def check_kernel(kernel: Path) -> None:
    """KernelNotBuilt unless `kernel` is an AArch64 ELF."""
    if not kernel.is_file():
        raise KernelNotBuilt(kernel)
    with kernel.open("rb") as image:
        header = image.read(20)
    if header[:6] != _ELF64_LITTLE or header[18:20] != _EM_AARCH64:
        raise KernelNotBuilt(kernel, "is not an ELF for AArch64")


def _limit() -> str:
    """build/limit.so as QEMU's option wants it, in which a comma is written twice."""
    plugin = built(plugin_file("limit"))
    if not plugin.is_file():
        raise HarnessError(f"{plugin} does not exist", hint="run: make")
    return str(plugin).replace(",", ",,")


def _ended_how(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"
