"""docs/spawn-chains.md and its picture: the seed document's call chain, measured in every variant.

    make spawn-chains
    .venv/bin/python -m harness.documents.spawn_chains [FOLDER]     (docs)

Boots spawn.chain once for each variant and each size of kernel stack. Every frame comes twice, from
the live records and from the compiler (-fcallgraph-info, kept in the image), and the two must be
equal. Prose stands here; every number is measured. Its test holds the committed
files, the agreement and the targets against this.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import scratch
from harness.paths import KERNEL
from harness.run.boot import boot
from harness.serial.log import Log
from harness.stackreport import image
from harness.tools import toolchain

DOCS = Path("docs")
PAGE, PICTURE = "spawn-chains.md", "spawn-chains.svg"
VARIANTS = ("baseline", "boxed", "scratch", "flat", "mmap64", "mmap-indirect", "all")
STACKS_KIB = (8, 16, 32, 64)
KIB = 1024
SLOTS = 64

# The seed's functions from the outside in, and what each is called in the picture.
CHAIN = ("init_server", "finish_fs_launch", "spawn_user_elf_with_boot_channel", "new_user_elf")

CURES = {
    "baseline": "a process is built on the stack and moved twice; a message in every function",
    "boxed": "process and init's tables are written where they stay",
    "scratch": "one message buffer, passed down",
    "flat": "`spawn_user_elf_with_boot_channel` is part of `new_user_elf`",
    "mmap64": "64 mmap regions in a process, not 256",
    "mmap-indirect": "the regions on the heap, in a table that grows",
    "all": "boxed, scratch, flat and mmap-indirect; what the kernel itself uses",
}


@dataclass(frozen=True)
class Frame:
    """One function of the chain: its bytes between two live records, and as the compiler says."""

    function: str
    live: int
    compiled: int


@dataclass(frozen=True)
class Variant:
    """frames: outermost first. `used` and `instructions` are those on the largest stack."""

    name: str
    frames: tuple[Frame, ...]
    depth: int
    used: int
    instructions: int
    block: int
    survives_kib: tuple[int, ...]

    @property
    def smallest_kib(self) -> int:
        return min(self.survives_kib)

    @property
    def stacks(self) -> int:
        """Bytes of addresses for 64 slots, a guard page each, on the smallest stack."""
        return SLOTS * (self.smallest_kib * KIB + 4 * KIB)


def measure(kernel: Path, folder: Path) -> list[Variant]:
    compiled = image.load(kernel)
    asked = [(name, kib) for name in VARIANTS for kib in STACKS_KIB]

    def run(case: tuple[str, int]) -> Log:
        name, kib = case
        line = f"lab=spawn.chain variant={name} stack={kib}K cost=1"
        return boot(kernel, line, folder / f"{name}-{kib}").log

    with ThreadPoolExecutor(2) as pool:
        logs = dict(zip(asked, pool.map(run, asked), strict=True))
    return [
        _variant(name, {kib: logs[name, kib] for kib in STACKS_KIB}, compiled) for name in VARIANTS
    ]


def _variant(name: str, logs: dict[int, Log], compiled: Any) -> Variant:
    largest = logs[max(logs)]
    frames = [
        _frame(record.fields, name, compiled)
        for record in largest.select("spawn")
        if record.words == ("frame",)
    ]
    chain, cost, memory = (_fields(largest, word) for word in ("chain", "cost", "memory"))
    return Variant(
        name,
        tuple(reversed(frames)),
        int(chain["depth"]),
        int(chain["used"]),
        int(cost["instructions"]),
        int(memory["block"]),
        tuple(kib for kib, log in logs.items() if log.verdict == "ok"),
    )


def _fields(log: Log, word: str) -> dict[str, str]:
    (found,) = (dict(r.fields) for r in log.select("spawn") if r.words == (word,))
    return found


def _frame(fields: Any, variant: str, compiled: Any) -> Frame:
    function = fields["function"]
    file = "proc/spawn.c" if variant == "all" else f"labs/spawn_{variant.replace('-', '_')}.c"
    name = function if function in compiled.compiler else f"{function}@kernel/{file}"
    return Frame(function, int(fields["frame"]), compiled.compiler[name].bytes)


def _seed_name(function: str) -> str:
    return "init_server" if function.startswith("init_server") else function


# --- the page -----------------------------------------------------------------------------------


def page(variants: Sequence[Variant]) -> str:
    return "\n".join(_page(variants)) + "\n"


def _page(variants: Sequence[Variant]) -> Iterator[str]:
    baseline = next(v for v in variants if v.name == "baseline")
    cured = next(v for v in variants if v.name == "all")
    yield TOP.format(toolchain=toolchain())
    yield "## The chain, function by function\n"
    yield "Bytes of each frame. A function that is part of another has none.\n"
    yield from _table(
        ("variant", *(f"`{name}`" for name in CHAIN), "depth"),
        ([v.name, *_frames(v), f"{v.depth}"] for v in variants),
    )
    yield "\n![the stack of each variant](spawn-chains.svg)\n"
    yield "## What each cure saves\n"
    yield from _table(
        ("variant", "what is different", "depth", "painted", "survives on", "instructions", "of"),
        (
            [
                v.name,
                CURES[v.name],
                f"{v.depth}",
                f"{v.used}",
                f"{v.smallest_kib} KiB",
                f"{v.instructions}",
                f"{100 * v.instructions // baseline.instructions} %",
            ]
            for v in variants
        ),
    )
    yield MEANING
    yield "## Memory for 64 slots\n"
    yield from _table(
        ("variant", "stack and guard", "all 64", "a process", "all 64"),
        (
            [
                v.name,
                f"{v.smallest_kib} + 4 KiB",
                _mib(v.stacks),
                f"{v.block} B",
                _mib(SLOTS * v.block),
            ]
            for v in variants
        ),
    )
    yield MEMORY.format(
        before=_mib(baseline.stacks), after=_mib(cured.stacks), used=cured.used, size=8 * KIB
    )


def _frames(variant: Variant) -> list[str]:
    by_name = {_seed_name(frame.function): frame for frame in variant.frames}
    return [f"{by_name[name].live}" if name in by_name else "" for name in CHAIN]


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + " --- |" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _mib(count: int) -> str:
    return f"{count / KIB / KIB:.2f} MiB"


TOP = """\
# Deep spawn chains

A seed document of this project tells how init starts a program from the file system: four
functions, each with a frame of some KiB, overflow a 32 KiB kernel stack; 64 KiB stacks were the
stopgap, and five cures were proposed. Here is that system, each cure alone, and all of them
together. The same source, `kernel/proc/spawn_chain.h`, is compiled once for each; `spawn.chain
variant=… stack=…` runs one, checks that the program ran, gave its exit code and left nothing
behind, and measures.

Written by `make spawn-chains`; a test fails when this is not what that prints.
Compiler: {toolchain}. Each frame is what the kernel measured between two frames, and what the
compiler says in its call graph; both are the same, or the test fails. Instructions are retired
ones (PMCCNTR_EL0 under `-icount shift=0`) of the second launch, from the request to the answer,
fs server included, on 64 KiB stacks.
"""

MEANING = """
- **depth**: from the top of init's stack to the lowest frame of the chain.
- **painted**: the high-water mark of the same stack, with what the chain calls below it.
- **survives on**: the smallest of 8, 16, 32 and 64 KiB. On the next smaller one the chain
  overflows: one abort, caught by the guard page, the chain in the backtrace
  (`golden/spawn/chain-*.log`; `make run LAB='spawn.chain variant=baseline'`).
- **instructions**: most of what a launch costs the baseline is not work. It clears and copies
  what is too large.

The seed speaks of 37.3 KiB, where its own table, from one backtrace, adds up to 30.4. Neither
is copied here: this kernel's structures are its own, in C, and the sizes are what its compiler
makes of them.
"""

MEMORY = """
Stacks are counted in addresses, as the seed counts them; the guard page has no memory behind it.
The stopgap takes {before}, the cured chain {after}. With every cure on, each spawn lab leaves at
least a quarter of 8 KiB free, and ends the boot where it does not (`[spawn] stacks`); this chain
uses {used} of {size} bytes. `boxed` alone fits on 8 KiB, too, but with less than that to spare
(`quarter=1` asks for it; the control of `chain-all-8k-quarter`). With `mmap-indirect` a process
has no regions of its own: they come from a heap, 8 rows at first.
"""


# --- the picture --------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP_EDGE, COLUMN = 860, 470, 60, 30, 112
COLOURS = dict(zip(CHAIN, ("#4477aa", "#66ccee", "#ee6677", "#ccbb44"), strict=True))
LEGEND = (60, 160, 290, 530)  # where each colour's name begins
SCALE_KIB = 36


def picture(variants: Sequence[Variant]) -> str:
    return "\n".join(_picture(variants)) + "\n"


def _y(count: int) -> float:
    return round(TOP_EDGE + count * (HEIGHT - TOP_EDGE - 70) / (SCALE_KIB * KIB), 1)


def _picture(variants: Sequence[Variant]) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    for number, variant in enumerate(variants):
        yield from _column(variant, LEFT + number * COLUMN + 10)
    for kib in STACKS_KIB[:-1]:
        y = _y(kib * KIB)
        yield f'<path d="M{LEFT - 5} {y}H{WIDTH - 10}" stroke="#b00020" stroke-dasharray="4 3"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{kib} KiB</text>'
    for number, variant in enumerate(variants):
        yield from _labels(variant, LEFT + number * COLUMN + 50)
    y = HEIGHT - 14
    for name, x in zip(CHAIN, LEGEND, strict=True):
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 17}" y="{y}">{name}</text>'
    yield "</svg>"


def _column(variant: Variant, x: int) -> Iterator[str]:
    at = 0
    for frame in variant.frames:
        name = _seed_name(frame.function)
        top, bottom = _y(at), _y(at + frame.live)
        at += frame.live
        yield (
            f'<rect x="{x}" y="{top}" width="80" height="{max(bottom - top, 0.5):.1f}"'
            f' fill="{COLOURS[name]}"><title>{name}: {frame.live} bytes</title></rect>'
        )


def _labels(variant: Variant, x: int) -> Iterator[str]:
    """Over everything else, on white, since a line of a stack's size may run through them."""
    yield f'<text x="{x}" y="{TOP_EDGE - 10}" text-anchor="middle">{variant.name}</text>'
    below = _y(variant.depth)
    for text, line in ((f"{variant.depth} B", 15), (f"on {variant.smallest_kib} KiB", 30)):
        yield (
            f'<text x="{x}" y="{below + line:.1f}" text-anchor="middle" stroke="white"'
            f' stroke-width="5" paint-order="stroke">{text}</text>'
        )


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0]) if arguments else DOCS
    with scratch.folder() as place:
        variants = measure(KERNEL, place)
    (folder / PAGE).write_text(page(variants), "utf-8")
    (folder / PICTURE).write_text(picture(variants), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
