"""The tables of docs/spawn-chains.md and its picture: the seed's call chain, in every variant.

Boots spawn.chain once for each variant and each size of kernel stack. Every frame comes twice, from
the live records and from the compiler (-fcallgraph-info, kept in the image), and the two must be
equal: a test holds the agreement and the targets.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness import scratch
from harness.documents.page import Page, Part, recorded_by, table
from harness.paths import KERNEL
from harness.run.boot import boot
from harness.serial.log import Log
from harness.stackreport import image
from harness.tools import toolchain

PICTURE = Path("docs/spawn-chains.svg")
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
    file = "proc/spawn.c" if variant == "all" else f"labs/spawn/spawn_{variant.replace('-', '_')}.c"
    name = function if function in compiled.compiler else f"{function}@kernel/{file}"
    return Frame(function, int(fields["frame"]), compiled.compiler[name].bytes)


def _seed_name(function: str) -> str:
    return "init_server" if function.startswith("init_server") else function


# --- the tables ---------------------------------------------------------------------------------


def chain(variants: Sequence[Variant]) -> str:
    head = ("variant", *(f"`{name}`" for name in CHAIN), "depth")
    return table([head, *([v.name, *_frames(v), f"{v.depth}"] for v in variants)])


def cures(variants: Sequence[Variant]) -> str:
    head = ("variant", "what is different", "depth", "painted", "survives on", "instructions", "of")
    return table([head, *(_cure(v, variants[0].instructions) for v in variants)])


def _cure(v: Variant, baseline: int) -> list[str]:
    percent = f"{100 * v.instructions // baseline} %"
    on = f"{v.smallest_kib} KiB"
    return [v.name, CURES[v.name], f"{v.depth}", f"{v.used}", on, f"{v.instructions}", percent]


def memory(variants: Sequence[Variant]) -> str:
    head = ("variant", "stack and guard", "all 64", "a process", "all 64")
    return table([head, *(_memory(v) for v in variants)])


def _memory(v: Variant) -> list[str]:
    stack = f"{v.smallest_kib} + 4 KiB"
    return [v.name, stack, _mib(v.stacks), f"{v.block} B", _mib(SLOTS * v.block)]


def _frames(variant: Variant) -> list[str]:
    by_name = {_seed_name(frame.function): frame for frame in variant.frames}
    return [f"{by_name[name].live}" if name in by_name else "" for name in CHAIN]


def _mib(count: int) -> str:
    return f"{count / KIB / KIB:.2f} MiB"


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


# --- the page -----------------------------------------------------------------------------------


@cache
def measured(root: Path) -> tuple[Variant, ...]:
    with scratch.folder() as place:
        return tuple(measure(root / KERNEL, place))


def _part(make: Callable[[Sequence[Variant]], str]) -> Part:
    """Frames belong to one compiler, that of the goldens; under another the page stays."""
    return lambda root: make(measured(root)) if toolchain() == recorded_by(root) else None


PAGE = Page(
    Path("docs/spawn-chains.md"),
    {"chain": _part(chain), "cures": _part(cures), "memory": _part(memory)},
    {PICTURE: _part(picture)},
    slow=True,
)
