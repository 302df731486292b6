"""A living machine that boots again and again: a snapshot instead of a start.

    with Warm(spec) as warm:
        boot = warm.boot("lab=stack.recurse nonce=4d2a", Deadline(10))

The snapshot is taken at the kernel's first C function that may differ from boot to boot: the image
is loaded, .bss zeroed, the boot stack painted, the MMU on, the device tree not yet read. Each boot
is then: reset, load the snapshot (all of RAM and every device), write the boot line into the device
tree, run to the power-off. So nothing of one boot is there in the next: RAM comes from the snapshot
as a whole. What the kernel does from there on it does itself, the refusal of a bad line included.

Any doubt ends it: another image, QEMU or machine than the snapshot's (Fingerprint), a line that
does not fit, a stop that is not the power-off, a channel that fails. All are a HarnessError;
`WarmPool.boot` then lets go of the machine, and the caller starts a cold one.

The machine that goes on from it was given no image: at a reset QEMU copies the image into RAM
again, and drops each piece of translated code there, one by one (1.5 ms, for nothing). And its
snapshot lacks the flash banks, which stay as they are from the beginning: empty (vmstate.py). No
translation table of the kernel has them.

What QEMU 7.2 wants (each found the hard way): a snapshot made at a breakpoint, never on a sign on
the serial port; a reset before loading, after a power-off; `shutdown=pause`; the drive's id and
node name different. Not warm: several CPUs that spin (no icount), an initrd of one's own.
"""

import shutil
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from harness import scratch, tools
from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.owned import Owned
from harness.qemu import rewind
from harness.qemu.fast import qcow2
from harness.qemu.fast.vmstate import FLASH, without_untouched
from harness.qemu.machine import INT_LOG_LIMIT, SERIAL_LIMIT, Machine, MachineSpec
from harness.qemu.rsp import PC, Rsp
from harness.serial.symbols import Symbols, build_id

READY = "boot_main"  # where the snapshot is taken
ROOM = 1040  # bytes for a boot line in the device tree: more than the kernel takes (too-long)
START_SECONDS = 30.0
MOST_BOOTS = 1000  # of one machine: its logs are bounded
KEPT = 3  # machines alive at a time, each with its RAM
RAM_BASE = 1 << 30  # of QEMU's virt board; a bare ELF's device tree lies there

_SNAPSHOT = "warm"
_FDT_PROPERTY = struct.Struct(">III")  # token, length, name offset; the value follows
_FDT_PROP, _FDT_NOP = 3, struct.pack(">I", 4)
_PLACEHOLDER = "~" * ROOM


class NotWarm(HarnessError):
    """This boot cannot be a warm one; a cold one tells what is the matter, if anything is."""


@dataclass(frozen=True)
class Fingerprint:
    """All that decides what a machine is before it reads its boot line."""

    image: str
    stamp: tuple[int, int]
    qemu: tuple[str, str]
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, spec: MachineSpec) -> Self:
        status = spec.kernel.stat()
        return cls(
            build_id(spec.kernel),
            (status.st_mtime_ns, status.st_size),
            (str(tools.find_qemu()), tools.qemu_version()),
            replace(spec, append="").arguments(),
        )


@dataclass(frozen=True)
class WarmBoot:
    """What one boot left behind: bytes on the serial port, and QEMU's log of exceptions."""

    serial: bytes
    int_log: bytes


class BootArgs:
    """/chosen/bootargs of a flattened device tree, found by the line it was made with. Pure.

    Source: Devicetree Specification 0.4, section 5.4: FDT_PROP is a token, a length, a name offset
    and the value, padded to words; FDT_NOP (4) may stand wherever a token may.
    """

    def __init__(self, tree: bytes, line: str) -> None:
        value = line.encode() + b"\0"
        at = tree.find(value) - _FDT_PROPERTY.size
        if at < 0:
            raise NotWarm("the device tree's bootargs were not found")
        token, length, name = _FDT_PROPERTY.unpack_from(tree, at)
        if (token, length) != (_FDT_PROP, len(value)):
            raise NotWarm("the device tree's bootargs are not the line that it was made with")
        self.offset, self._name = at + 4, int(name)
        self._size = -(-int(length) // 4) * 4

    def holding(self, line: str) -> bytes:
        """What belongs at `offset` for another line: the property, and nothing up to its old end.

        The kernel sees a tree that QEMU might have made for this line: the length is the line's.
        """
        value = line.encode() + b"\0"
        padded = value + b"\0" * (-len(value) % 4)
        if len(padded) > self._size:
            raise NotWarm(f"a boot line of {len(line)} bytes; a warm one has {self._size - 1}")
        nops = _FDT_NOP * ((self._size - len(padded)) // 4)
        return struct.pack(">II", len(value), self._name) + padded + nops


class Snapshot(Owned):
    """A machine that is run from one saved moment on, again and again, changed a little each time.

    with Snapshot(spec) as snapshot:
        snapshot.run_to(address, hit=2)
        snapshot.save()
        boot = snapshot.again({place: bytes(8)}, Deadline(10))

    spec.append is its boot line. `boots` counts; `worn` says when to take another one.
    """

    def __init__(self, spec: MachineSpec) -> None:
        super().__init__()
        if spec.initrd or not spec.icount:
            raise NotWarm("a machine with an initrd of its own, or without icount, starts cold")
        self.spec = replace(spec, gdb=True, stopped=True, resets=True)
        self.boots = 0

    @property
    def worn(self) -> bool:
        """Near the bounds of its logs."""
        return (
            self.boots >= MOST_BOOTS
            or self.machine.printed > SERIAL_LIMIT // 2
            or self._int_bytes() > INT_LOG_LIMIT // 2
        )

    def run_to(self, address: int, deadline: Deadline, *, hit: int = 1) -> None:
        """To an instruction, for the n-th time."""
        for _ in range(hit):
            self.stub.run_to(address, deadline)

    def save(self, deadline: Deadline) -> None:
        """This moment is the one to come back to, in a machine that is there for nothing else."""
        self._monitor(f"savevm {_SNAPSHOT}", deadline)
        self.machine.qmp.execute("quit", deadline)
        self.machine.wait_end(deadline)
        self._living.close()
        saved = qcow2.SavedMachine(self._disk)
        saved.write(without_untouched(saved.read(), FLASH))
        self._begin(replace(self.spec, loaded=False))
        self._disk.unlink()  # QEMU has it open: what a killed owner leaves behind is nothing

    def load(self, deadline: Deadline) -> None:
        """Back to it. QEMU 7.2 dies of two of these with nothing run in between."""
        self._monitor("system_reset", deadline)
        self._monitor(f"loadvm {_SNAPSHOT}", deadline)

    def again(
        self,
        pokes: Mapping[int, bytes],
        deadline: Deadline,
        *,
        physical: bool = False,
        registers: Mapping[int, int] | None = None,
    ) -> WarmBoot:
        """From the saved moment to the power-off, with these bytes at these addresses, and these
        numbers in these registers (Rsp.register).
        """
        self.boots += 1
        printed, int_log = self.machine.printed, self._int_bytes()
        ends = self.machine.qmp.count("SHUTDOWN")
        self.load(deadline)
        self._poke(pokes, deadline, physical=physical)
        for number, value in (registers or {}).items():
            self.stub.set_register(number, value, deadline)
        self.stub.run(deadline)
        self._check_power_off(ends, deadline)
        with self.machine.int_log.open("rb") as log:
            log.seek(int_log)
            return WarmBoot(self.machine.serial_after(printed), log.read())

    def _start(self) -> None:
        self._folder = self._owned.enter_context(scratch.folder())
        self._living = self._owned.enter_context(ExitStack())
        self._disk = self._folder / rewind.DISK
        qcow2.write_empty(self._disk)
        self._file = self._owned.enter_context(self._disk.open("rb"))
        self._begin(self.spec)

    def _begin(self, spec: MachineSpec) -> None:
        extra = (*spec.extra, *rewind.snapshot_drive(self._disk), "-action", "shutdown=pause")
        machine = Machine(replace(spec, extra=extra), self._folder)
        self.machine = self._living.enter_context(machine)
        assert self.machine.gdb_socket is not None
        self.stub = self._living.enter_context(Rsp(self.machine.gdb_socket))
        self.stub.register(PC, Deadline(START_SECONDS))
        self.machine.qmp.greeting(Deadline(START_SECONDS))  # before it there are no events

    def _poke(self, pokes: Mapping[int, bytes], deadline: Deadline, *, physical: bool) -> None:
        self.stub.physical(physical, deadline)
        for address, data in pokes.items():
            self.stub.write(address, data, deadline)

    def _check_power_off(self, ends: int, deadline: Deadline) -> None:
        """QEMU tells the stub before it has drained its drives, and a QMP command that came in
        between was not answered (once in some thousand boots). The stub's next answer is the main
        loop's, so all of that is over, and the event is in the log.
        """
        at = self.stub.register(PC, deadline)
        if self.machine.qmp.count("SHUTDOWN") != ends + 1:
            raise NotWarm(f"expected the power-off, but the machine stopped at {at:#x}")

    def _monitor(self, command: str, deadline: Deadline) -> None:
        if said := self.stub.monitor(command, deadline):
            raise NotWarm(f"QEMU refused {command}: {said.strip()}")

    def _int_bytes(self) -> int:
        return self.machine.int_log.stat().st_size


@contextmanager
def saved_at(spec: MachineSpec, address: int, deadline: Deadline) -> Iterator[Snapshot]:
    """A machine that goes on from this instruction again and again: the first time that it is come
    to. spec is a Session's, whose drive is left out.
    """
    with Snapshot(replace(spec, extra=())) as snapshot:
        snapshot.run_to(address, deadline)
        snapshot.save(deadline)
        yield snapshot


class Warm(Snapshot):
    """Stands before the device tree is read, so that it can be given any boot line."""

    def __init__(self, spec: MachineSpec) -> None:
        super().__init__(replace(spec, append=_PLACEHOLDER))
        self.fingerprint = Fingerprint.of(spec)

    def boot(self, line: str, deadline: Deadline) -> WarmBoot:
        """From the snapshot to the power-off, with `line` as -append would have given it."""
        poke = {self._tree + self._args.offset: self._args.holding(line)}
        return self.again(poke, deadline, physical=True)

    def freeze(self, line: str, file: Path, deadline: Deadline) -> None:
        """Leave the moment before `line` is read as a qcow2 that any QEMU of this fingerprint can
        go on from: rewind.frozen() has the arguments. Ends the machine, which writes the file out.
        """
        poke = {self._tree + self._args.offset: self._args.holding(line)}
        self.load(deadline)
        self._poke(poke, deadline, physical=True)
        self._monitor(f"savevm {rewind.FROZEN}", deadline)
        self.machine.qmp.execute("quit", deadline)
        self.machine.wait_end(deadline)
        with file.open("wb") as copy:
            shutil.copyfileobj(self._file, copy)

    def _start(self) -> None:
        super()._start()
        deadline = Deadline(START_SECONDS)
        self._before_the_first_instruction(deadline)
        self.run_to(Symbols.from_elf(self.spec.kernel).address(READY), deadline)
        self._find_boot_line(deadline)
        self.save(deadline)

    def _before_the_first_instruction(self, deadline: Deadline) -> None:
        """For who wants another machine than QEMU's."""

    def _find_boot_line(self, deadline: Deadline) -> None:
        """The tree's address is boot_main's first argument; 0: it lies at the start of RAM."""
        self.stub.physical(True, deadline)
        self._tree = self.stub.register(0, deadline) or RAM_BASE
        size = int.from_bytes(self.stub.read(self._tree + 4, 4, deadline), "big")
        self._args = BootArgs(self.stub.read(self._tree, size, deadline), _PLACEHOLDER)


class WarmPool(Owned):
    """The warm machines of one process: the last few that were asked for, by what they are."""

    def __init__(self, kind: type[Warm] = Warm) -> None:
        super().__init__()
        self._kind = kind
        self._warm: OrderedDict[Fingerprint, Warm] = OrderedDict()

    def boot(self, spec: MachineSpec, deadline: Deadline) -> WarmBoot:
        """Boot spec.append on the machine that spec says; HarnessError: it has to be a cold one."""
        warm = self._get(replace(spec, append=""))
        try:
            return warm.boot(spec.append, deadline)
        except BaseException:
            self._drop(warm)
            raise

    def freeze(self, spec: MachineSpec, file: Path, deadline: Deadline) -> None:
        """The beginning of the boot of spec.append, as a file: see Warm.freeze."""
        warm = self._get(replace(spec, append=""))
        try:
            warm.freeze(spec.append, file, deadline)
        finally:
            self._drop(warm)

    def let_go(self) -> None:
        """Of every machine: the next boot starts one of its own."""
        for warm in self:
            self._drop(warm)

    def __iter__(self) -> Iterator[Warm]:
        """Those that live, the last used last."""
        return iter(list(self._warm.values()))

    def _get(self, spec: MachineSpec) -> Warm:
        """By the image and the QEMU as they are now: a rebuilt kernel is another machine."""
        key = Fingerprint.of(spec)
        warm = self._warm.get(key)
        if warm and warm.worn:
            self._drop(warm)
            warm = None
        if not warm:
            while len(self._warm) >= KEPT:
                self._drop(next(iter(self)))
            warm = self._warm[key] = self._kind(spec).__enter__()
        self._warm.move_to_end(key)
        return warm

    def _drop(self, warm: Warm) -> None:
        del self._warm[warm.fingerprint]
        warm.close()

    def _start(self) -> None:
        self._owned.callback(self.let_go)
