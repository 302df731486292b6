"""The tables of docs/performance.md that say what the guest's jobs cost.

Everything is retired instructions, exact under icount (labs/cost/cost.h). Jobs and protections
come from the goldens. The phases of the boot come from a boot: a lab more, or a variable, moves
them, so no golden has them. What a job took before it was made cheaper stands here, as this kernel
cannot tell it: measured by the same labs in the kernel of commit de9ff3c.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import scratch
from harness.documents.page import Page, Row, fields, records, table
from harness.errors import HarnessError
from harness.paths import KERNEL
from harness.run.boot import boot
from harness.serial.log import Record

LIMIT = 150  # hundredths of the least
NONCE = "01234567"  # it is read and printed: always as long
PAGE_FILL = 4096 // 16  # one store of two registers for each 16 bytes


@dataclass(frozen=True)
class Job:
    """One job, as its record calls it."""

    name: str
    golden: str
    shown: str
    before: int
    limited: bool = False

    def cost(self, root: Path) -> tuple[int, int]:
        """Instructions, and the least."""
        took, least = fields(_only(root, self.golden, "job", self.name), "instructions least")
        return int(took), int(least)


JOBS = (
    Job("pool.alloc", "cost/alloc", "pool alloc, 32 bytes", 152, limited=True),
    Job("pool.free", "cost/alloc", "pool free, 32 bytes", 248, limited=True),
    Job("heap.alloc", "cost/alloc", "first-fit alloc, in the second block", 80, limited=True),
    Job("tick.check", "cost/switch", "the tick's check of a thread's stack", 83, limited=True),
    Job("exception", "cost/switch", "exception to the first line of C, and back", 60, True),
    Job("switch", "cost/switch", "context switch, yield to yield", 225, limited=True),
    Job("ipc", "cost/switch", "IPC round trip, 64 bytes", 563),
    Job("watermark.kib", "cost/scan", "watermark scan, a KiB", 768),
    Job("backtrace.frame", "cost/scan", "backtrace, a frame", 211),
    Job("symbol.find", "cost/scan", "symbol lookup", 150),
    Job("page.map", "cost/scan", "page map, its tables there", 114),
    Job("spawn", "cost/spawn", "spawn, request to answer", 75184),
)
GROWTH_BEFORE = 2502

# Of the boot: what each phase does, and what it took before.
PHASES = {
    "bss": (".bss zeroed", 26827),
    "paint": ("the boot stack painted", 3081),
    "tables": ("translation tables built", 39327),
    "mmu-on": ("the MMU switched on", 31),
    "console": ("CPU 0's stacks named, the console", 526),
    "device-tree": ("the device tree read", 237607),
    "boot-line": ("the boot line read, four records printed", 17390),
    "stacks": ("guard words and paint of the other two stacks", 12378),
    "devices": ("other CPUs counted, the GIC", 84),
    "ram": ("RAM mapped, the page allocator", 6136),
    "window": ("the stack window", 65598),
    "scheduler": ("the pool of threads, the idle thread", 46542),
    "lab-thread": ("the lab's thread", 11877),
    "all": ("first instruction to the lab's thread", 467404),
}

# Of mem/switches.log: the switch, and what it is called here.
POOL_CHECKS = {"-pool-link": "pool link", "-poison": "poison", "-redzone": "redzone"}
# Of grow/cost.log.
PROLOGUES = {
    "nops": "prologue, patchable, not patched",
    "check": "prologue check, patched in",
    "hooks": "prologue check, by hooks",
}
# Of cost/protect.log.
COMPILED = {
    "canary": "canary, a function with an array",
    "pac": "signed return address",
    "mte.alloc": "memory tags, pool alloc",
    "mte.free": "memory tags, pool free",
}


def jobs(root: Path) -> Iterator[Row]:
    yield ("job", "before", "now", "least", "now : least", "limit")
    for job in JOBS:
        took, least = job.cost(root)
        limit = _ratio(LIMIT, 100) if job.limited else ""
        yield (job.shown, str(job.before), str(took), str(least), _ratio(took, least), limit)
    took, least = growth(root)
    yield (
        *("demand-paged growth, a page", str(GROWTH_BEFORE), str(took), str(least)),
        *(_ratio(took, least), ""),
    )


def growth(root: Path) -> tuple[int, int]:
    """A growth is an exception and its return, a page mapped, and that page painted."""
    (took,) = fields(_only(root, "grow/cost", "how", "demand"), "per_growth")
    parts = [job.cost(root)[1] for job in JOBS if job.name in ("exception", "page.map")]
    return int(took), sum(parts) + PAGE_FILL


def protections(root: Path) -> Iterator[Row]:
    yield ("protection", "with", "without", "adds")
    for name, shown in COMPILED.items():
        yield (
            shown,
            *fields(_only(root, "cost/protect", "protect", name), "with without adds"),
        )
    (plain,) = fields(_only(root, "grow/cost", "how", "none"), "per_call")
    for how, shown in PROLOGUES.items():
        record = _only(root, "grow/cost", "how", how)
        yield (f"{shown}, a call", *fields(record, "per_call"), plain, *fields(record, "check"))
    yield from _pool_checks(root)


def _pool_checks(root: Path) -> Iterator[Row]:
    rows = {r.words[0]: r for r in records(root, "mem/switches", "mem-lab")}
    for switch, shown in POOL_CHECKS.items():
        for key, call in (("again_max", "alloc"), ("free_max", "free")):
            (on,), (off,) = fields(rows["all-on"], key), fields(rows[switch], key)
            if on != off:
                yield (f"{shown}, pool {call}", on, off, str(int(on) - int(off)))


def phases(root: Path) -> Iterator[Row]:
    with scratch.folder() as folder:
        log = boot(root / KERNEL, "lab=cost.boot", folder, nonce=NONCE).log
    yield from phase_rows(log.records)


def phase_rows(told: Iterable[Record]) -> Iterator[Row]:
    yield ("phase", "before", "now")
    told = [r for r in told if "phase" in r.fields]
    if [r.fields["phase"] for r in told] != list(PHASES):
        raise HarnessError(
            f"the phases of the boot have changed: {', '.join(r.fields['phase'] for r in told)}",
            hint="say in harness/documents/costs.py what each does",
        )
    for record in told:
        shown, before = PHASES[record.fields["phase"]]
        yield (shown, str(before), *fields(record, "instructions"))


def _only(root: Path, golden: str, key: str, value: str) -> Record:
    (record,) = (
        r for r in records(root, golden, golden.split("/")[0]) if r.fields.get(key) == value
    )
    return record


def _ratio(took: int, least: int) -> str:
    return f"{took / least:.2f}"


PAGE = Page(
    Path("docs/performance.md"),
    {
        "costs-jobs": lambda root: table(jobs(root)),
        "costs-protections": lambda root: table(protections(root)),
        "costs-boot": lambda root: table(phases(root)),
    },
    near={"costs-boot": 0.05},
)
