"""What is measured: one run of each is a call. What a run needs besides QEMU is ready before it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import tools
from harness.bench.measure import Row, Run
from harness.deadline import Deadline
from harness.debugger.session import KeptGdb
from harness.paths import KERNEL
from harness.qemu.fast.warm import Snapshot, Warm
from harness.qemu.machine import Machine, MachineSpec
from harness.run.walk import gdb_at, looks_of
from harness.serial.symbols import FAULT_HOOK, Symbols

LAB = "lab=stack.recurse nonce=0"
SWEPT = "lab=inject.once op=thread nonce=0"  # what a sweep runs: from the lab on, little is printed
SWEPT_MIB = 32  # to load a snapshot costs by the MiB
CPUS = (1, 2, 4, 8, 64, 256)
FLOOR = "floor"
SECONDS = 60.0


@contextmanager
def one_scenario(floor: Path, root: Path, folder: Path) -> Iterator[list[Row]]:
    """The floor, and one scenario by every way that the harness has."""
    kernel = root / KERNEL
    with ExitStack() as living:
        kept = living.enter_context(KeptGdb())
        warm = living.enter_context(Warm(MachineSpec(kernel)))
        yield [
            Row(FLOOR, bare(MachineSpec(floor))),
            Row("the kernel by hand", bare(MachineSpec(kernel, LAB)), FLOOR),
            Row("floor, machine only", boots(MachineSpec(floor), folder), FLOOR),
            Row("cold, machine only", boots(MachineSpec(kernel, LAB), folder), FLOOR, 1.3),
            Row("cold, GDB looks", lambda: look(kernel, folder, kept), FLOOR, 3.5),
            Row("cold, a GDB of its own", lambda: look(kernel, folder, None), FLOOR),
            Row("warm, any boot line", lambda: warm.boot(LAB, Deadline(SECONDS)), FLOOR),
            Row("warm, a sweep's step", living.enter_context(swept(kernel)), FLOOR, 0.3),
        ]


def many_cpus(floor: Path, root: Path, folder: Path) -> Iterator[Row]:
    """1 to 256 CPUs up and reported, beside a floor with as many."""
    for cpus in CPUS:
        name, target = f"{FLOOR}, {cpus} CPUs", 2.0 if cpus == CPUS[-1] else None
        yield Row(name, bare(MachineSpec(floor, cpus=cpus)))
        spec = MachineSpec(root / KERNEL, "lab=boot.smp nonce=0", cpus=cpus)
        yield Row(f"boot.smp, {cpus} CPUs", boots(spec, folder), name, target)


def bare(spec: MachineSpec) -> Run:
    """QEMU and nothing else: no channel, no log of exceptions, nobody who reads."""
    argv = [str(tools.find_qemu()), *spec.arguments(), "-serial", "null"]

    def run() -> None:
        quiet = subprocess.DEVNULL
        subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, check=True)

    return run


def boots(spec: MachineSpec, folder: Path) -> Run:
    return lambda: boot(spec, folder)


def boot(spec: MachineSpec, folder: Path) -> None:
    with Machine(spec, folder) as machine:
        machine.wait_end(Deadline(SECONDS))


def look(kernel: Path, folder: Path, kept: KeptGdb | None) -> None:
    """As a scenario that is looked at, from connecting to the end; nothing is judged or filed."""
    deadline = Deadline(SECONDS)
    with Machine(MachineSpec(kernel, LAB, gdb=True, stopped=True), folder) as machine:
        with gdb_at(machine, folder, kept) as gdb:
            gdb.connect(deadline)
            gdb.breakpoint(FAULT_HOOK)
            gdb.cont()
            assert len(list(looks_of(gdb, deadline))) == 1
        machine.wait_end(deadline)


@contextmanager
def swept(kernel: Path) -> Iterator[Run]:
    """One step of a sweep: from the lab's entry to the power-off, a word changed on the way in."""
    with Snapshot(MachineSpec(kernel, SWEPT, memory_mib=SWEPT_MIB)) as snapshot:
        entry = Symbols.from_elf(kernel).address("lab_inject_once")
        snapshot.run_to(entry, Deadline(SECONDS))
        word = snapshot.stub.read(entry, 4, Deadline(SECONDS))
        snapshot.save(Deadline(SECONDS))
        yield lambda: snapshot.again({entry: word}, Deadline(SECONDS))
