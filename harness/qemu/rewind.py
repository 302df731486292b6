"""A run that can be walked backwards: recorded once by QEMU's record/replay, then replayed for GDB.

`record` boots the machine to its power-off, in about the time of a plain boot, and returns how to
replay it. A replayed machine takes every instruction, interrupt and typed byte from the record, so
GDB may stop it, look, and go back (reverse-stepi, reverse-continue, `hw blame`): QEMU restores the
snapshot of the beginning and runs forward to the place.

What QEMU 7.2 wants, each point found the hard way: a drive for the snapshot (a header is enough); a
fixed shift; one CPU; a recorder that is told to quit (a killed one leaves an empty record); a
machine that pauses instead of powering off, since going back after the power-off aborts QEMU.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.qemu.fast import qcow2
from harness.qemu.machine import Machine, MachineSpec

SHIFT = "shift=3,sleep=off"
FROZEN = "frozen"  # the snapshot in the folder of a case that failed warm
RECORD, DISK = "record.rr", "record.qcow2"
POWER_OFF = "psci_system_off"  # the last function of every boot: nothing is recorded behind it

Drive = Callable[[Machine, Deadline], None]


@dataclass(frozen=True)
class Recording:
    """A boot from reset to power-off. `replay` is the machine to start; it stands at reset."""

    replay: MachineSpec
    serial: bytes
    instructions: int


def record(
    spec: MachineSpec, folder: Path, deadline: Deadline, drive: Drive | None = None
) -> Recording:
    """Boot `spec` to its power-off. `drive` plays the user at the serial port, if one is needed."""
    if spec.cpus > 1:
        raise HarnessError(
            f"a machine of {spec.cpus} CPUs cannot be recorded: QEMU records one CPU only",
            hint="without REVERSE=1, set a watchpoint and run it again: it stops at the writer",
        )
    folder.mkdir(parents=True, exist_ok=True)
    qcow2.write_empty(folder / DISK)
    machine = Machine(replace(_moded(spec, folder, "record"), gdb=False), folder)
    with machine:
        machine.qmp.execute("cont", deadline)
        if drive:
            drive(machine, deadline)
        machine.qmp.wait_event("SHUTDOWN", deadline)
        instructions = machine.qmp.execute("query-replay", deadline)["icount"]
        machine.qmp.execute("quit", deadline)
        machine.wait_end(deadline)
    return Recording(_moded(spec, folder, "replay"), machine.serial, instructions)


def _moded(spec: MachineSpec, folder: Path, mode: str) -> MachineSpec:
    icount = f"{SHIFT},rr={mode},rrfile={folder / RECORD},rrsnapshot=init"
    extra = (*spec.extra, *snapshot_drive(folder / DISK), "-action", "shutdown=pause")
    return replace(spec, icount=icount, gdb=True, stopped=True, extra=extra)


def snapshot_drive(disk: Path) -> tuple[str, ...]:
    """QEMU's arguments for a drive that no device uses: a place for snapshots."""
    return (
        "-drive",
        f"if=none,format=qcow2,cache=unsafe,file={disk},id=snapshots,node-name=snapshots-node",
    )


def frozen(disk: Path) -> tuple[str, ...]:
    """QEMU's arguments to begin where WarmPool.freeze left off; QEMU writes to the file."""
    return (*snapshot_drive(disk), "-loadvm", FROZEN)
