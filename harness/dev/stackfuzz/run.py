"""Many batches: each tried, a failing one made smaller and kept, all of them counted.

What was found lies in build/stackfuzz/found/SEED: sources, notes, build.sh, the image, and
report.txt, which says what was measured, what the report says, and what to type.
"""

import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from os import cpu_count
from pathlib import Path

from harness.dev.stackfuzz import trial
from harness.dev.stackfuzz.model import Batch, batch, kinds
from harness.dev.stackfuzz.shrink import shrink
from harness.dev.stackfuzz.trial import BUILD, Measured, Outcome

ARGUMENTS = 40
SHRUNK_ARGUMENTS = 12
MOST_SHRINKING = 400


@dataclass
class Tally:
    """What was run, and how near the bounds are to what was measured."""

    images: int = 0
    runs: int = 0
    seconds: float = 0.0
    status: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    compilers: Counter[str] = field(default_factory=Counter)
    flags: set[str] = field(default_factory=set)
    ratios: list[float] = field(default_factory=list)
    near: int = 0
    unusable: list[int] = field(default_factory=list)  # seeds whose programs crash, or do not build

    def add(self, outcome: Outcome) -> None:
        tried = outcome.measured.batch
        self.images += 1
        self.runs += outcome.measured.runs
        self.compilers[tried.flags.compiler] += 1
        self.flags.add(str(tried.flags))
        self.kinds.update(kind for program in tried.programs for kind in kinds(program))
        self.status.update(row.bound.status for row in outcome.rows)
        for row in outcome.rows:
            if row.bound.proven and row.measured:
                self.ratios.append(row.bound.bytes / row.measured)
                self.near += row.bound.bytes - row.measured < 16

    def __str__(self) -> str:
        entries = self.status.total()
        compilers = ", ".join(f"{name} {n}" for name, n in sorted(self.compilers.items()))
        shares = ", ".join(
            f"{s} {_percent(self.status[s], entries)}" for s in ("≤", "≥", "unbounded")
        )
        return (
            f"{entries} programs in {self.images} images ({compilers}; {len(self.flags)} sets of"
            f" flags, {len(self.kinds)} kinds of statement), {self.runs} runs,"
            f" {self.seconds:.0f} s\n{shares}; where ≤: {self.tightness()}{self._unusable()}"
        )

    def _unusable(self) -> str:
        seeds = ", ".join(map(str, self.unusable))
        return (
            f"\nnot counted, as the generator wrote what cannot run: SEED {seeds}" if seeds else ""
        )

    def tightness(self) -> str:
        if not self.ratios:
            return "nothing was measured"
        ordered = sorted(self.ratios)
        exact = sum(ratio == 1 for ratio in ordered)
        return (
            f"bound / measured median {_at(ordered, 0.5):.2f}, p90 {_at(ordered, 0.9):.2f};"
            f" equal {_percent(exact, len(ordered))},"
            f" less than 16 bytes apart {_percent(self.near, len(ordered))}"
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.0f} %"


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.floor(share * len(ordered)))]


@dataclass(frozen=True)
class Found:
    """A failure, as small as it became, and where it lies."""

    batch: Batch
    outcome: Outcome
    tried: int
    folder: Path

    def __str__(self) -> str:
        return (self.folder / "report.txt").read_text("utf-8")


def hunt(first: int, seconds: float, tally: Tally) -> Found | None:
    """Seeds from the first on, until the time is over or one fails."""
    began = time.monotonic()
    with ThreadPoolExecutor(cpu_count()) as pool:
        for measured in _measured(pool, first, began + seconds):
            if isinstance(measured, int):
                tally.unusable.append(measured)
                continue
            outcome = trial.compare(measured)
            tally.add(outcome)
            tally.seconds = time.monotonic() - began
            if outcome.wrong:
                return keep(outcome)
            shutil.rmtree(measured.elf.parent)
    return None


def _measured(pool: ThreadPoolExecutor, first: int, until: float) -> Iterator[Measured | int]:
    """Compilers and emulators run beside the report, a few seeds ahead of it."""
    width = 2 * (cpu_count() or 1)
    ahead = [pool.submit(_measure, first)]  # however little time there is
    for seed in count(first + 1):
        while len(ahead) >= width or (ahead and time.monotonic() > until):
            yield ahead.pop(0).result()
        if time.monotonic() > until:
            return
        ahead.append(pool.submit(_measure, seed))


def _measure(seed: int) -> Measured | int:
    """The seed alone where the generator wrote what cannot run; its folder stays."""
    try:
        return trial.measure(batch(seed), BUILD / "now" / str(seed), ARGUMENTS)
    except trial.BadProgram:
        return seed


def rerun(seed: int) -> str:
    return f"  again: make fuzz FUZZ=stackreport SEED={seed} SECONDS=1"


def keep(outcome: Outcome, most: int = MOST_SHRINKING, kept: Path = BUILD / "found") -> Found:
    """Made smaller; what is left is built once more, where it stays."""
    seed = outcome.measured.batch.seed
    extra = tuple(row.argument for row in outcome.rows if row.wrong)[:1]
    kind = outcome.kind

    def fails(candidate: Batch) -> bool:
        try:
            return _again(candidate, BUILD / "now" / f"{seed}-less", extra).kind == kind
        except trial.BadProgram:
            return False

    less, tried = shrink(outcome.measured.batch, fails, most)
    folder = kept / str(seed)
    small = _again(less, folder, extra)
    (folder / "report.txt").write_text("\n".join(_said(small, tried)) + "\n", "utf-8")
    return Found(less, small, tried, folder)


def _again(candidate: Batch, folder: Path, extra: tuple[int, ...]) -> Outcome:
    return trial.compare(trial.measure(candidate, folder, SHRUNK_ARGUMENTS, extra))


def _said(small: Outcome, tried: int) -> Iterator[str]:
    measured = small.measured
    folder = measured.elf.parent
    yield f"stackreport, seed {measured.batch.seed}: {small.wrong}"
    yield f"  flags: {measured.batch.flags}"
    yield f"  made smaller in {tried} steps: {folder}/ has sources, notes, build.sh and the image"
    for row in small.rows:
        if row.wrong:
            noted = f"--notes {folder}/notes.toml --entry {row.entry}"
            yield f"  report: .venv/bin/python -m harness.stackreport --elf {measured.elf} {noted}"
    yield rerun(measured.batch.seed)
