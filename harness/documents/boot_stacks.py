"""docs/boot-stacks.md, written from the goldens of the boot labs and their rows.

    .venv/bin/python -m harness.documents.boot_stacks > docs/boot-stacks.md
    .venv/bin/python -m harness.documents.boot_stacks --time 21    # wall times, medians of 21 boots

Memory map and watermarks are what golden/boot says; so are the instructions. A number that no
golden holds, a wall time, is not written by this: TIMES is what --time printed on the day it was
copied here. tests/test_bootstacks.py holds the committed document against this.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median

from harness import scratch
from harness.deadline import Deadline
from harness.documents import stack_suite
from harness.errors import GoldenError, HarnessError, status_of
from harness.paths import GOLDEN, KERNEL
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import Record
from harness.verdict.compare import split_band
from harness.verdict.golden import Golden, load

COMMAND = ".venv/bin/python -m harness.documents.boot_stacks > docs/boot-stacks.md"
MODULE = "scenarios.test_boot"
BOOT = GOLDEN / "boot"
CPUS = (1, 2, 4, 8, 64, 256)
KINDS = ("boot-stack", "permanent", "irq", "emergency", "borrowed")
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

TOP = f"""\
# From 1 KiB of stack to one's own

A boot loader starts every CPU of a kernel on a stack of 1 KiB, one beside the other in one block.
That is too little to map memory with, so the usual kernel borrows some, or overflows and does not
know. The labs `boot.light`, `boot.tiny` and `boot.smp` are that kernel, whole: what it does on 1
KiB, how it gets away from there, on up to 256 CPUs, and what happens to one that does not fit.
Written from rows and goldens by

    {COMMAND}

A test fails when this is not what that prints.

1. **Loader.** The kernel's ordinary start and the lab play it: MMU on, the block mapped, each
   CPU's piece painted. From `light_enter` on nothing of theirs is used.
2. **Light environment** (`arch/light.S`, `core/light.c`). Every CPU finds its piece by its own
   id. It has plain lines on the serial port, physical memory by the bump, and vectors that name
   an exception. Neighbours share pages, so no guard page can lie between them: **a watchpoint of
   each CPU covers the stack below its own**, 1 KiB of guard that costs no memory. The store that
   overflows traps before it is made, once.
3. **The boot path fits, or there is no kernel.** `kernel/tools/stackgate.awk` adds up the deepest
   chain from the compiler's own call graph each time the kernel is linked. What calls itself,
   calls through a pointer or has a frame of unknown size is refused, too.
4. **Own stacks** (`proc/permanent.c`). Each CPU maps three into its slot of a new region, an
   unmapped page between any two. Slots go by index: the id of CPU 16 on this board is 0x100, and
   a table by id would put its stack outside (`ids=1` does). A CPU that is not there has an empty
   slot.
5. **The move.** `light_leave` loads SP, current thread and vectors at once. It does not return,
   and no local survives; the block is unmapped when all have moved, so whoever kept an address
   finds out.
6. **The roll.** Who has moved starts others: CPU p starts p + 1, p + 2, p + 4, … above its own
   number, so that 256 take 8 steps. CPU 0 waits for all together until a deadline, and then names
   who was refused and who is silent. What a silent one should have started CPU 0 starts itself.
"""

TIMES = """\
In wall time, on a 2-core machine that others used too (load 5), medians of 21 interleaved boots,
QEMU's own start included (`--time 21`):

| CPUs of the machine | one CPU used (`boot.light`) | all (`boot.smp`) | ratio |
|---|---|---|---|
| 1 | 64 ms | 86 ms | 1.34 |
| 256 | 925 ms | 1116 ms | 1.21 |

So 256 CPUs take 13 times the wall time of one, and most of that is QEMU making them: starting
them, stacks and all, is a sixth of it. With more load (6 and 9) all was slower, and 256 CPUs took
16 and 14 times what one took. The order of the starts matters most: QEMU 7.2 goes through all CPUs
for each that starts another, so in an early version, where CPU 0 alone started all 255, a boot took
0.9 s of CPU time instead of 0.5.
"""

NOTES = """\
## What it cannot show

- A frame larger than the guard steps over it. The watchpoint's guard is as large as the stack
  itself, and the whole boot path is smaller: the gate keeps that true.
- A watchpoint sees what its own CPU does, at EL1, by loads and stores. A device that writes
  there, and another CPU's stray pointer, it does not see; the guard words may.
- TCG models no caches: that a CPU which has just been started sees what was written for it is not
  shown.
"""


def document(root: Path, sentences: Mapping[str, str]) -> str:
    goldens = {path.stem: _load(path) for path in sorted((root / BOOT).glob("*.log"))}
    return "\n".join(
        (
            TOP,
            *_memory_map(goldens["tiny"]),
            *_margins(goldens),
            *_boot_time([goldens[f"smp-{cpus}"] for cpus in CPUS]),
            *_rows(root, sentences),
            NOTES,
        )
    )


def _load(path: Path) -> Golden:
    golden = load(path)
    if golden is None:
        raise GoldenError("golden missing", path=path, hint="make golden ONLY=test_boot")
    return golden


# --- memory map ---------------------------------------------------------------------------------


def _memory_map(golden: Golden) -> Iterator[str]:
    yield "## The memory map\n"
    yield "As the kernel prints it on its 1 KiB (`make run LAB=boot.tiny`, here with `-smp 4`):\n"
    rows = [r for r in golden.records if r.area == ("boot-lab",) and r.words[:1] == ("map",)]
    lines = (("address range", "size", "what is there"), *map(_map_row, rows))
    yield _table(lines)


def _map_row(record: Record) -> tuple[str, str, str]:
    low, high = record.fields["from"], record.fields.get("to")
    if high is None:
        return f"from {_address(low)}", "as linked", record.prose
    last = hex(int(high, 16) - 1)
    return f"{_address(last)} - {_address(low)}", size(int(record.fields["size"])), record.prose


def _address(text: str) -> str:
    digits = f"{int(text, 16):016X}"
    return f"0x{digits[:8]}_{digits[8:]}"


def size(bytes_: int) -> str:
    """262144 → 256 KiB: the largest unit that leaves nothing over."""
    for factor, unit in UNITS:
        if bytes_ >= factor and bytes_ % factor == 0:
            return f"{bytes_ // factor} {unit}"
    return f"{bytes_} B"


# --- watermarks ---------------------------------------------------------------------------------


def _margins(goldens: Mapping[str, Golden]) -> Iterator[str]:
    yield "## Watermarks and margins\n"
    yield (
        "The deepest that any golden of these labs measured, on any CPU, overflows on purpose left"
        " out. What each can take at most, and the stack for faults in the light environment, which"
        " is not painted, stand with proof in [the stack report](stack-report.md):\n"
    )
    marks = [mark for name, golden in goldens.items() for mark in _marks(name, golden)]
    lines: list[tuple[str, ...]] = [("stack", "CPUs measured", "used", "of", "margin", "where")]
    lines += [
        _deepest(kind, [m for m in marks if m[1].partition(":")[0] == kind]) for kind in KINDS
    ]
    yield _table(lines)


Mark = tuple[str, str, int, int, int]  # golden, stack, used, size, CPUs


def _marks(name: str, golden: Golden) -> Iterator[Mark]:
    """Of a boot that no fault ended."""
    if any(record.area == ("EXC",) for record in golden.records):
        return
    for record in golden.records:
        if record.area == ("stack",):
            used, of = _number(record, "used"), _number(record, "size")
            yield name, record.words[0], used, of, int(record.fields.get("cpus", 1))


def _deepest(kind: str, marks: Sequence[Mark]) -> tuple[str, ...]:
    if not marks:
        raise HarnessError(f"no golden of golden/boot measures a stack {kind}:cpuN")
    name, stack, used, of, _ = max(marks, key=lambda mark: mark[2])
    cpus = sum(mark[4] for mark in marks)
    return kind, str(cpus), str(used), str(of), str(of - used), f"{stack}, {BOOT}/{name}.log"


def _number(record: Record, key: str) -> int:
    return int(split_band(record.fields[key])[0])


# --- boot time ----------------------------------------------------------------------------------


def _boot_time(goldens: Sequence[Golden]) -> Iterator[str]:
    yield "## Boot time against the number of CPUs\n"
    yield (
        "Retired instructions of all CPUs together, from `light_enter` on CPU 0 until the last one"
        " is here: paint 40 KiB, map 10 pages, one interrupt, each.\n"
    )
    rolls = [_roll(golden) for golden in goldens]
    one = _number(rolls[0], "instructions")
    lines = [("CPUs", "instructions", "a CPU", "against 1 CPU")]
    for roll in rolls:
        cpus, total = int(roll.fields["cpus"]), _number(roll, "instructions")
        lines.append((str(cpus), str(total), str(total // cpus), f"{total / one:.1f}"))
    yield _table(lines)
    yield TIMES


def _roll(golden: Golden) -> Record:
    found = (r for r in golden.records if r.area == ("boot-lab",) and r.words[:1] == ("roll",))
    return next(found)


# --- what fails, and who notices ----------------------------------------------------------------


def _rows(root: Path, sentences: Mapping[str, str]) -> Iterator[str]:
    yield "## What goes wrong, and who notices\n"
    yield "The columns are those of [the stack suite](stack-suite.md).\n"
    module = import_module(MODULE)
    yield stack_suite.table(
        [stack_suite.row(row, root, sentences) for row in stack_suite.scenarios(module)]
    )


def _table(lines: Iterable[Sequence[str]]) -> str:
    head, *rows = lines
    cells = (head, ["---"] * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


# --- wall time ----------------------------------------------------------------------------------


def measure(root: Path, times: int) -> Iterator[str]:
    """The rows of TIMES: interleaved, as only such runs compare on a shared machine."""
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
    root = Path.cwd()

    def lines() -> Iterable[str]:
        if arguments[:1] == ["--time"]:
            return (f"{row}\n" for row in measure(root, int(arguments[1])))
        return [document(root, stack_suite.catalogue(root))]

    return status_of(lambda: sys.stdout.writelines(lines()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
