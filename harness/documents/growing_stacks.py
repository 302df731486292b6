"""The tables of docs/growing-stacks.md: what each way of growing costs, and what breaks it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.documents.page import Page, golden, number, size, spaced, table
from harness.errors import HarnessError
from harness.serial.log import Record, verdict_text
from harness.verdict.golden import Golden

PAGE_SIZE = 4096

# What breaks on each kind of stack: goldens, and what is done there.
BREAKS: Mapping[str, Sequence[tuple[str, str]]] = {
    "fixed": (
        ("fixed-64M", "more than there is RAM"),
        ("fixed-overflow", "its end"),
    ),
    "demand": (
        ("demand-overflow", "its end"),
        ("oom", "no page left"),
        ("masked", "interrupts masked"),
        ("locked-demand", "a lock held"),
        ("hole-control-probed-0", "an unprobed frame, in the middle"),
        ("jump-control-probed-0", "an unprobed frame, at the end"),
    ),
    "copy": (
        ("copy-limit", "its limit"),
        ("copy-oom", "no pages left"),
        ("masked-copy", "interrupts masked"),
        ("locked-copy", "a lock held"),
        ("handler", "in a handler"),
        ("stale", "a pointer kept elsewhere"),
        ("copy-frames", "pointers not rewritten"),
        ("lookalike", "an integer that looks like a pointer"),
        ("pac-control-resign-no", "signed return addresses"),
    ),
    "hooks": (("copy_frame-control-check-hooks", "a frame larger than the guard"),),
}

ALIKE = {
    "none": "as fixed",
    "nops": "as fixed",
    "check": "as fixed",
    "hooks": "as copy",
}

# The rows of grow.cost, in the order of reading: how= there, and what it is.
WAYS = (
    ("none", "no check, 1 MiB backed at once"),
    ("fixed", "**fixed**: no check, 64 MiB backed at once"),
    ("demand", "**demand**: no check, a page when it is touched, of 64 MiB"),
    ("nops", "two NOPs, no check patched in"),
    ("check", "the check patched in, never taken"),
    ("copy", "**copy**: the check, from 2 KiB to 1 MiB"),
    ("hooks", "`-finstrument-functions` instead of the check, from 2 KiB to 1 MiB"),
)


def read(root: Path, name: str) -> Golden:
    return golden(root, f"grow/{name}")


def record(of: Golden, *words: str, **fields: str) -> Record:
    """The one [grow] record that begins with these words and has these fields."""
    found = [
        r
        for r in of.records
        if r.area == ("grow",)
        and r.words[: len(words)] == words
        and fields.items() <= r.fields.items()
    ]
    if len(found) != 1:
        raise HarnessError(f"{of.lab}: {len(found)} records [grow] {' '.join(words)} {fields}")
    return found[0]


def verdict(root: Path, name: str) -> str:
    (end,) = (r for r in read(root, name).records if r.area == ("end",))
    return verdict_text(end)


def cost(root: Path, how: str) -> Record:
    return record(read(root, "cost"), "cost", how=how)


def breaks(root: Path, how: str) -> str:
    said = [
        f"{what}: [{verdict(root, name)}](../golden/grow/{name}.log)"
        for name, what in BREAKS.get(how, ())
    ]
    return "; ".join([*([ALIKE[how]] if how in ALIKE else []), *said])


def costs(root: Path) -> str:
    head = (
        "",
        "to make",
        "a call",
        "of it the check",
        "growths",
        "one",
        "a call, with growing",
        "memory at most",
        "what breaks",
    )
    return table([head, *(cost_row(root, how, what) for how, what in WAYS)])


def cost_row(root: Path, how: str, what: str) -> list[str]:
    row = cost(root, how)
    numbers = [spaced(number(row, key)) for key in ("setup", "per_call", "check", "growths")]
    one = number(row, "per_growth")
    grown = number(row, "per_call") + number(row, "amortised")
    peak = size(number(row, "peak") * PAGE_SIZE)
    return [what, *numbers, spaced(one) if one else "-", spaced(grown), peak, breaks(root, how)]


def backings(root: Path) -> str:
    """The 64 MiB of grow.fixed, both ways."""
    rows = []
    for name, what in (("fixed", "at once"), ("fixed-touch", "each page when it is touched")):
        told = read(root, name)
        made, descent = record(told, "made"), record(told, "descent")
        grown = record(told, "grown")
        rows.append(
            [
                what,
                spaced(number(made, "instructions")),
                size(number(made, "pages_used") * PAGE_SIZE),
                spaced(number(descent, "instructions")),
                spaced(number(descent, "again")),
                size(number(grown, "peak") * PAGE_SIZE),
            ]
        )
    head = ("backed", "to make", "memory then", "first descent", "second", "memory at most")
    return table([head, *rows])


def shrinks(root: Path) -> str:
    rows = []
    for shrink in ("reuse", "quarter"):
        told = read(root, f"shrink-{shrink}")
        rounds, grown = record(told, "shrunk"), record(told, "grown")
        rows.append(
            [
                f"`shrink={shrink}`",
                spaced(number(rounds, "instructions")),
                str(number(grown, "growths")),
                str(number(grown, "shrinks")),
                size(number(rounds, "held_bytes")),
                size(number(grown, "peak") * PAGE_SIZE),
            ]
        )
    head = ("", "instructions", "growths", "halvings", "held afterwards", "memory at most")
    return table([head, *rows])


PAGE = Page(
    Path("docs/growing-stacks.md"), {"costs": costs, "backings": backings, "shrinks": shrinks}
)
