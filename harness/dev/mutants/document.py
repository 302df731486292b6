"""What a campaign leaves to read: the survivors with their diffs, and docs/trust.md. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harness.dev.mutants.inpytest import CAUSES
from harness.dev.mutants.mutant import OPERATORS, Mutant
from harness.dev.mutants.outcome import LIVING, STATUSES, Outcome, Score, by_group
from harness.documents.page import table

Pair = tuple[Mutant, Outcome]
_HEAD = ("of", "tried", *STATUSES, "score", "95 %")


@dataclass(frozen=True)
class Measured:
    """What the figures are of. `commit`: with "+" behind it, where files differed from it.
    `population`: how many mutants there are in each folder.
    """

    commit: str
    command: str
    population: dict[str, int]
    pairs: Sequence[Pair]
    toolchain: str
    qemu: str


def survivors(pairs: Sequence[Pair], root: Path) -> str:
    """path:line, which a terminal makes a link; what was changed, what tried it, the diff."""
    return "\n".join(_survivor(m, o, root) for m, o in _living(pairs))


def page(pairs: Sequence[Pair], root: Path) -> str:
    rows = "".join(
        f"<h3><a href='{escape((root / m.path).resolve().as_uri())}'>{escape(str(m))}</a></h3>"
        f"<p>{escape(_tried(o))}</p><pre>{escape(m.diff((root / m.path).read_bytes()))}</pre>"
        for m, o in _living(pairs)
    )
    return (
        "<!doctype html><meta charset='utf-8'><title>Surviving mutants</title>"
        f"<h1>Surviving mutants</h1>{rows or '<p>None.</p>'}"
    )


def summary(pairs: Sequence[Pair]) -> str:
    """For the terminal."""
    number = Counter(outcome.status for _, outcome in pairs)
    told = ", ".join(f"{number[status]} {status}" for status in STATUSES if number[status])
    return f"mutants: {len(pairs)} tried: {told}\nscore: {Score.of(o.status for _, o in pairs)}"


def trust(measured: Measured) -> str:
    """docs/trust.md."""
    return "\n".join(_trust(measured)) + "\n"


def _trust(measured: Measured) -> Iterator[str]:
    pairs = measured.pairs
    score = Score.of(outcome.status for _, outcome in pairs)
    yield from (
        "# How far the suite can be trusted",
        "",
        f"Made by `{measured.command}` from"
        f" commit {measured.commit} ({measured.toolchain}, QEMU {measured.qemu}); do not edit."
        " docs/harness.md says how mutants are made and judged.",
        "",
        f"A test that names the thing kills **{score}** of the mutants that count;"
        f" {score.counted} are killed only by a number. The goal is 95 % and none.",
        "",
        "Each row is a sample of a folder's mutants, drawn by the seed in proportion to how many"
        " there are, two at least. The interval is Wilson's.",
        "",
    )
    groups = by_group(pairs, "folder")
    yield from _table("folder", groups, measured.population)
    yield from ("", "By what was changed:", "")
    yield from _table("operator", by_group(pairs, "operator"), {})
    yield from ("", "What told the killed, in the order of how often:", "")
    causes = Counter(o.cause for _, o in pairs if o.status in ("killed", "timeout"))
    for cause, count in causes.most_common():
        yield f"- {count} {cause}: {CAUSES[cause]}"
    yield from ("", "Alive in this sample:", "")
    alive = [f"- `{m}`: {o.status}" for m, o in _living(pairs)]
    yield from alive or ["- none"]
    yield from ("", "The operators:", "")
    yield from (f"- {name}: {what}" for name, what in OPERATORS.items())


def _table(
    name: str, groups: Iterator[tuple[str, list[str]]], population: dict[str, int]
) -> Iterator[str]:
    rows: list[Sequence[str]] = [(name, *_HEAD)]
    everything: list[str] = []
    for group, statuses in groups:
        rows.append(_row(group, population.get(group), statuses))
        everything += statuses
    rows.append(_row("all", sum(population.values()) or None, everything))
    yield table(rows).rstrip("\n")


def _row(name: str, of: int | None, statuses: Sequence[str]) -> list[str]:
    score, number = Score.of(statuses), Counter(statuses)
    low, high = score.interval()
    counts = [str(number[status]) for status in STATUSES]
    cells = [name, str(of or "–"), str(len(statuses)), *counts]
    told = [f"{score.percent:.0f} %", f"{low:.0f}–{high:.0f}"] if score.all else ["–", "–"]
    return cells + told


def _living(pairs: Sequence[Pair]) -> list[Pair]:
    found = [(m, o) for m, o in pairs if o.status in LIVING]
    return sorted(found, key=lambda pair: (pair[0].path, pair[0].line))


def _survivor(mutant: Mutant, outcome: Outcome, root: Path) -> str:
    diff = mutant.diff((root / mutant.path).read_bytes())
    return f"{mutant}\n    {_tried(outcome)}\n{diff}\n"


def _tried(outcome: Outcome) -> str:
    if outcome.status == "counted":
        return f"only a number tells it: {outcome.by}: {outcome.why}"
    if outcome.status == "unreached":
        return "no test executes its line, its function or its file"
    return f"survived {outcome.tests} tests, all that execute its {outcome.reach}"
