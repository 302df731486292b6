"""The tables of docs/boot-stacks.md, from the goldens of the boot labs and their rows.

    .venv/bin/python -m harness.documents.boot_stacks 21    # wall times, medians of 21 boots each

Memory map, watermarks and instructions are what golden/boot says. Wall times no golden holds: the
page has what the command above printed when it was written.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median

from harness import scratch
from harness.deadline import Deadline
from harness.documents import stack_suite
from harness.documents.page import Page, golden, number, size, table
from harness.errors import HarnessError, status_of
from harness.paths import GOLDEN, KERNEL
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import Record
from harness.verdict.golden import Golden

MODULE = "scenarios.test_boot"
BOOT = GOLDEN / "boot"
CPUS = (1, 2, 4, 8, 64, 256)
KINDS = ("boot-stack", "permanent", "irq", "emergency", "borrowed")


def goldens(root: Path) -> dict[str, Golden]:
    """golden/boot, but for the catalogue, which is no boot of these labs."""
    names = sorted(path.stem for path in (root / BOOT).glob("*.log"))
    return {name: golden(root, f"boot/{name}") for name in names if name != "list"}


# --- memory map ---------------------------------------------------------------------------------


def memory_map(root: Path) -> str:
    told = golden(root, "boot/tiny").records
    rows = [r for r in told if r.area == ("boot-lab",) and r.words[:1] == ("map",)]
    return table([("address range", "size", "what is there"), *map(_map_row, rows)])


def _map_row(record: Record) -> tuple[str, str, str]:
    low, high = record.fields["from"], record.fields.get("to")
    if high is None:
        return f"from {_address(low)}", "as linked", record.prose
    last = hex(int(high, 16) - 1)
    return f"{_address(last)} - {_address(low)}", size(int(record.fields["size"])), record.prose


def _address(text: str) -> str:
    digits = f"{int(text, 16):016X}"
    return f"0x{digits[:8]}_{digits[8:]}"


# --- watermarks ---------------------------------------------------------------------------------


def margins(root: Path) -> str:
    marks = [mark for name, one in goldens(root).items() for mark in _marks(name, one)]
    lines: list[tuple[str, ...]] = [("stack", "CPUs measured", "used", "of", "margin", "where")]
    for kind in KINDS:
        lines.append(_deepest(kind, [m for m in marks if m[1].partition(":")[0] == kind]))
    return table(lines)


Mark = tuple[str, str, int, int, int]  # golden, stack, used, size, CPUs


def _marks(name: str, of: Golden) -> Iterator[Mark]:
    """Of a boot that no fault ended."""
    if any(record.area == ("EXC",) for record in of.records):
        return
    for record in of.records:
        if record.area == ("stack",):
            used, full = number(record, "used"), number(record, "size")
            yield name, record.words[0], used, full, int(record.fields.get("cpus", 1))


def _deepest(kind: str, marks: Sequence[Mark]) -> tuple[str, ...]:
    if not marks:
        raise HarnessError(f"no golden of golden/boot measures a stack {kind}:cpuN")
    name, stack, used, of, _ = max(marks, key=lambda mark: mark[2])
    cpus = sum(mark[4] for mark in marks)
    return kind, str(cpus), str(used), str(of), str(of - used), f"{stack}, {BOOT}/{name}.log"


# --- boot time ----------------------------------------------------------------------------------


def boot_time(root: Path) -> str:
    rolls = [_roll(golden(root, f"boot/smp-{cpus}")) for cpus in CPUS]
    one = number(rolls[0], "instructions")
    lines = [("CPUs", "instructions", "a CPU", "against 1 CPU")]
    for roll in rolls:
        cpus, total = int(roll.fields["cpus"]), number(roll, "instructions")
        lines.append((str(cpus), str(total), str(total // cpus), f"{total / one:.1f}"))
    return table(lines)


def _roll(of: Golden) -> Record:
    found = (r for r in of.records if r.area == ("boot-lab",) and r.words[:1] == ("roll",))
    return next(found)


# --- what fails, and who notices ----------------------------------------------------------------


def failures(root: Path) -> str:
    sentences = stack_suite.catalogue(root)
    rows = stack_suite.scenarios(import_module(MODULE))
    return stack_suite.table([stack_suite.row(row, root, sentences) for row in rows])


PAGE = Page(
    Path("docs/boot-stacks.md"),
    {"map": memory_map, "margins": margins, "boot-time": boot_time, "failures": failures},
)


# --- wall time ----------------------------------------------------------------------------------


def measure(root: Path, times: int) -> Iterator[str]:
    """Rows of the page's wall times: interleaved, as only such runs compare on a shared machine."""
    cases = [(cpus, lab) for cpus in (1, 256) for lab in ("boot.light", "boot.smp")]
    walls: dict[tuple[int, str], list[float]] = {case: [] for case in cases}
    with scratch.folder() as folder:
        for _ in range(times):
            for cpus, lab in cases:
                walls[cpus, lab].append(_wall(root, cpus, lab, folder))
    for cpus in (1, 256):
        light, all_ = (median(walls[cpus, lab]) * 1000 for lab in ("boot.light", "boot.smp"))
        yield f"| {cpus} | {light:.0f} ms | {all_:.0f} ms | {all_ / light:.2f} |"


def _wall(root: Path, cpus: int, lab: str, folder: Path) -> float:
    with Machine(MachineSpec(root / KERNEL, append=f"lab={lab}", cpus=cpus), folder) as machine:
        return machine.wait_end(Deadline(60.0)).wall_seconds


def main(arguments: Sequence[str]) -> int:
    times = int(arguments[0])
    return status_of(
        lambda: sys.stdout.writelines(f"{row}\n" for row in measure(Path.cwd(), times))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
