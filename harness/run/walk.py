"""Runs one case: boots the machine, pulls the trigger, lets GDB look, judges, files what is left.

Nothing here waits for anything but the machine itself: the verdict is known when QEMU has exited.
The case's folder, build/artifacts/<family>.<case>/, always gets

    command          ready to paste: the same boot on a terminal
    serial.log       raw
    canonical.log    what was compared with the golden
    capsule.json     the image's build-id and the whole boot: see capsule.py
    reopen           the one line that brings it back in GDB, at its fault
    gdb-transcript   registers        when GDB looked
    not-warm         why a case that was to be a warm one (warm.py) was booted cold

and after a failure also golden.diff, qemu-int.log, and snapshot.qcow2 where the boot was warm (the
moment it began); when GDB had not looked, the case is booted once more for transcript and
registers. A success removes qemu-int.log: its count stands in canonical.log, and it is the only
file that can be large. What an earlier run left is removed first.
"""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePath
from shlex import join
from typing import TYPE_CHECKING

from harness import tools
from harness.deadline import Deadline
from harness.errors import GdbError, HarnessError, KernelNotBuilt, ToolMissing
from harness.paths import ARTIFACTS, GOLDEN, KERNEL
from harness.qemu.machine import Machine, MachineSpec, check_kernel
from harness.run import capsule
from harness.run.capsule import Capsule, image_of
from harness.scenario import Case
from harness.serial import canon
from harness.serial.log import parse_line
from harness.serial.symbols import FAULT_HOOK, ImageSymbols, Symbols, build_id, programs
from harness.verdict import golden
from harness.verdict.failure import Failure, ScenarioFailed, changes, reopen
from harness.verdict.judge import Build, Evidence, Judgement, Look, judge

if TYPE_CHECKING:
    from harness.debugger.session import GdbSession, KeptGdb
    from harness.qemu.fast.warm import WarmBoot, WarmPool


_LOOK_SECONDS = 10.0  # of the second boot of a failure that GDB had not looked at
_KEPT = ("command", "serial.log", "canonical.log", "reopen", capsule.FILE)
_EVIDENCE = (
    "golden.diff",
    "qemu-int.log",
    "gdb-transcript",
    "registers",
    "not-warm",
    capsule.SNAPSHOT,
)
# Where the CPU has PAN, GDB cannot read the stack of EL0 either. If it cannot read the code, too,
# it goes by x30, and gets one frame further.
HAS_PAN = "max"
_HOLDING = rb"\[lab\] holding [^\n]*\n"


@dataclass(frozen=True)
class Walker:
    """Walks cases of the checkout at `root`; the plugin's `walk` fixture is one of these.

    exact: compare every byte whatever the toolchain, so that `make golden` re-records.
    foreign: compare as if another toolchain had made the image, and list in this file which case
    differed by that alone (harness/dev/mutants: a fault that only a number shows).
    kept: one GDB for all that is looked at; else each look starts its own.
    warm: living machines, for the cases that can be warm; else each case starts its own.
    unjudged: of each golden that another compiler or QEMU made, how many values were not compared.
    accepting: the goldens that this session's cases write anew; a difference from one of these is
    what is asked for. None: a session that accepts nothing.
    """

    root: Path
    exact: bool = False
    kept: "KeptGdb | None" = None
    warm: "WarmPool | None" = None
    accepting: frozenset[PurePath] | None = None
    foreign: Path | None = None
    unjudged: list[int] = field(default_factory=list)

    def __call__(self, case: Case) -> None:
        folder = self.root / ARTIFACTS / case.full_id
        run = Run(case, self.root / KERNEL, folder, self.kept, self.warm)
        run.clear()
        evidence = run.boot()
        names = ImageSymbols.of(run.kernel) if evidence.looks is not None else None
        judging = partial(judge, case, evidence, self.build, self.root / GOLDEN, names=names)
        judgement = judging(exact=self.exact)
        run.file(evidence, judgement)
        _offer(judgement)
        self._note(judgement.comparison)
        if not judgement.passed and not self._accepts(judgement):
            run.look_again()
            run.freeze()
            failure = Failure(judgement, run.append, evidence.serial, self.root, run.folder)
            raise ScenarioFailed(failure)
        if self.foreign and (exactly := judging(exact=True).comparison):
            self._list(case.full_id, exactly)

    def hold(self, name: str, boot: str, lines: Sequence[str]) -> None:
        """See scenario.Walk."""
        lab = boot.split()[0].removeprefix("lab=")
        records = tuple(canon.canonical(map(parse_line, lines)))
        seen = golden.Golden(lab, boot, self.build.toolchain, self.build.qemu, records)
        comparing = partial(golden.compare, self.root / GOLDEN / name, seen, looked=True)
        found = comparing(exact=self.exact)
        self._note(found)
        if found.same:
            golden.pending_path(found.path).unlink(missing_ok=True)
            self._list(name, comparing(exact=True))
            return
        golden.write_pending(found)
        if self.accepting is None:
            raise GoldenDiffers(found)

    def _note(self, found: golden.Comparison | None) -> None:
        if found and found.unjudged:
            self.unjudged.append(found.unjudged)

    def _accepts(self, judgement: Judgement) -> bool:
        return judgement.sound and judgement.case.golden in (self.accepting or ())

    @cached_property
    def build(self) -> Build:
        kernel = self.root / KERNEL
        toolchain = "another" if self.foreign else tools.toolchain(kernel)
        return Build(build_id(kernel), toolchain, tools.qemu_version())

    def _list(self, name: str, exactly: golden.Comparison) -> None:
        if self.foreign and not exactly.same:
            with self.foreign.open("a", encoding="utf-8") as listing:
                listing.write(f"{name}: {exactly.reasons()[1]}\n")


class GoldenDiffers(AssertionError):
    """What a test measured is not what its golden says; the `.new` lies beside it."""

    def __init__(self, found: golden.Comparison) -> None:
        reasons = found.reasons()
        super().__init__("\n".join((*reasons, "if it is right: make golden")))
        self.headline = reasons[0]
        self.cause = changes(found)


@dataclass(frozen=True)
class Run:
    """One boot of one case, with its folder. kept, warm: as of Walker."""

    case: Case
    kernel: Path
    folder: Path
    kept: "KeptGdb | None" = None
    warm: "WarmPool | None" = None

    @cached_property
    def nonce(self) -> str:
        return secrets.token_hex(4)

    @cached_property
    def append(self) -> str:
        return self.case.append(self.nonce)

    @cached_property
    def capsule(self) -> Capsule:
        return Capsule.of_case(self.case, self.append, image_of(self.kernel))

    def name(self, address: int) -> str:
        return Symbols.from_elf(self.kernel).name(address)

    def clear(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*_KEPT, *_EVIDENCE):
            (self.folder / name).unlink(missing_ok=True)

    def boot(self) -> Evidence:
        """What goes wrong with the machine is evidence too; a missing tool or kernel is raised."""
        check_kernel(self.kernel)
        self.capsule.save(self.folder)
        spec = self.capsule.spec(self.kernel, gdb=self._through_gdb)
        most = self.case.instructions
        machine = Machine(spec, self.folder, instructions=most, symbolise=self.name)
        self._write("command", join(machine.command) + "\n")
        if self.warm and self.case.can_be_warm and (boot := self._boot_warm(self.warm, spec)):
            machine.int_log.write_bytes(boot.int_log)
            return Evidence(boot.serial, boot.int_log, self.nonce)
        looks, error = None, None
        try:
            with machine:
                looks = self._drive(machine, Deadline(self.case.scenario.budget))
        except (ToolMissing, KernelNotBuilt):
            raise
        except HarnessError as problem:
            error = problem
        return Evidence(machine.serial, _read(machine.int_log), self.nonce, looks, error)

    def _boot_warm(self, pool: "WarmPool", spec: MachineSpec) -> "WarmBoot | None":
        """None on any doubt: then a cold boot decides, and `not-warm` says what the doubt was."""
        try:
            return pool.boot(spec, Deadline(self.case.scenario.budget))
        except HarnessError as doubt:
            self._write("not-warm", f"{doubt}\n")
            return None

    def file(self, evidence: Evidence, judgement: Judgement) -> None:
        """Leave in the folder what a reader of this result needs."""
        (self.folder / "serial.log").write_bytes(evidence.serial)
        self._write("canonical.log", "".join(f"{record}\n" for record in judgement.records))
        self._write("reopen", reopen(ARTIFACTS / self.case.full_id) + "\n")
        if judgement.passed:
            (self.folder / "qemu-int.log").unlink(missing_ok=True)
        elif judgement.comparison and not judgement.comparison.same:
            self._write("golden.diff", "\n".join(judgement.comparison.reasons()) + "\n")

    def freeze(self) -> None:
        """After a failure that was warm: the moment it began, for whoever replays the capsule."""
        if not self.warm or not self.case.can_be_warm or (self.folder / "not-warm").exists():
            return
        spec, file = self.capsule.spec(self.kernel, gdb=False), self.folder / capsule.SNAPSHOT
        with suppress(HarnessError):
            self.warm.freeze(spec, file, Deadline(self.case.scenario.budget))

    def look_again(self) -> None:
        """After a failure that nobody looked at: the registers at its faults, from a second boot.

        What it cannot get is left out: the failure itself is told already.
        """
        if self.case.looks:
            return
        folder = self.folder / "again"
        with suppress(HarnessError):
            machine = Machine(self.capsule.spec(self.kernel, gdb=True), folder)
            with machine:
                self._through(machine, Deadline(_LOOK_SECONDS), looking=True)
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def _through_gdb(self) -> bool:
        return self.case.looks or self.case.trigger == "gdb"

    def _drive(self, machine: Machine, deadline: Deadline) -> tuple[Look, ...] | None:
        """Pull the trigger, look, and wait for the end."""
        looks = None
        if self._through_gdb:
            looks = self._through(machine, deadline, looking=self.case.looks)
        elif self.case.trigger == "serial":
            self._type_go(machine, deadline)
        machine.wait_end(deadline)
        return looks

    def _type_go(self, machine: Machine, deadline: Deadline) -> None:
        machine.expect(_HOLDING, deadline)
        machine.console.sendline(self.case.go.encode(), timeout=deadline.remaining())

    def _through(
        self, machine: Machine, deadline: Deadline, *, looking: bool
    ) -> tuple[Look, ...] | None:
        """The machine stands at its first instruction: set breakpoints, let it run to its end."""
        with gdb_at(machine, self.folder, self.kept) as gdb:
            gdb.connect(deadline)
            if looking:
                gdb.breakpoint(FAULT_HOOK)
            if self.case.trigger == "gdb":
                self._poke(gdb, deadline)
            gdb.cont()
            if self.case.trigger == "serial":
                self._type_go(machine, deadline)
            looks = tuple(self._look(gdb, deadline))
        return looks if looking else None

    def _poke(self, gdb: "GdbSession", deadline: Deadline) -> None:
        gdb.breakpoint(self.case.entry, temporary=True)
        gdb.cont()
        stop = gdb.wait_stop(deadline)
        if stop.function != self.case.entry:
            raise GdbError(f"expected the machine to stop at {self.case.entry}, but: {stop}")
        for target, value in self.case.pokes():
            gdb.set_var(target, value)

    def _look(self, gdb: "GdbSession", deadline: Deadline) -> Iterator[Look]:
        for look, registers in looks_of(gdb, deadline):
            self._write("registers", "".join(f"{r:<5}{v:#018x}\n" for r, v in registers.items()))
            yield look

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, "utf-8")


def gdb_at(machine: Machine, folder: Path, kept: "KeptGdb | None") -> "GdbSession":
    """For a machine that waits for it, with the kernel's symbols and those of its programs."""
    from harness.debugger.session import ONLY_LOOKING, GdbSession

    assert machine.gdb_socket is not None
    kernel = machine.spec.kernel
    return GdbSession(
        tools.find_gdb(),
        machine.gdb_socket,
        kernel,
        folder / "gdb-transcript",
        more=programs(kernel),
        settings=() if machine.spec.cpu.startswith(HAS_PAN) else ONLY_LOOKING,
        kept=kept,
    )


def looks_of(gdb: "GdbSession", deadline: Deadline) -> Iterator[tuple[Look, dict[str, int]]]:
    """A backtrace and the registers at each stop in the hook, until the machine is gone."""
    while not (stop := gdb.wait_stop(deadline)).exited:
        if stop.function != FAULT_HOOK:
            raise GdbError(f"expected a stop at {FAULT_HOOK} or the end, but: {stop}")
        yield gdb.backtrace(), gdb.registers()
        gdb.cont()


def _offer(judgement: Judgement) -> None:
    """Leave the `.new` of a sound run whose golden differs; a passing run takes an old one back."""
    comparison = judgement.comparison
    if comparison is None or not judgement.case.records:
        return
    if judgement.passed:
        golden.pending_path(comparison.path).unlink(missing_ok=True)
    elif judgement.sound:
        golden.write_pending(comparison)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # QEMU did not come as far as opening it
        return b""
