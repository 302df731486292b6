"""Mutants that nothing can tell from the original, each with its reason:
kernel/mutants-accepted.toml.

    [[equivalent]]
    file = "kernel/mem/heap.c"
    in = "split"                   the function, "" outside of all
    text = "<"                     what stands there
    instead = "<="                 what the mutant has
    nth = 0                        which of those that look the same (0, if left out)
    why = "sizes are multiples of 16, and so is the bound"

Found by what stands there, not by a line's number. An entry that finds no mutant is an error: what
it spoke of has changed, and the reason has to be thought of again. Pure.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.dev.mutants.mutant import Mutant
from harness.errors import HarnessError

FILE = Path("kernel/mutants-accepted.toml")
_NEEDED = frozenset(("file", "in", "text", "instead", "why"))


class AcceptedError(HarnessError):
    """The file is malformed, or an entry finds no mutant."""


@dataclass(frozen=True)
class Entry:
    file: str
    function: str
    text: str
    instead: str
    nth: int
    why: str

    def finds(self, mutant: Mutant) -> bool:
        there = (mutant.path, mutant.function, mutant.old, mutant.new, mutant.nth)
        return there == (self.file, self.function, self.text, self.instead, self.nth)

    def __str__(self) -> str:
        place = f"{self.file}, in {self.function or 'no function'}"
        return f"{place}: {self.text!r} → {self.instead!r}"


def parse(text: str) -> list[Entry]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AcceptedError(f"{FILE} is not TOML: {error}", hint=f"mend {FILE}") from None
    if unknown := tables.keys() - {"equivalent"}:
        raise AcceptedError(f"{FILE}: [[{min(unknown)}]], expected [[equivalent]]")
    return [_entry(number, row) for number, row in enumerate(tables.get("equivalent", []), 1)]


def matched(entries: Sequence[Entry], mutants: Iterable[Mutant]) -> Mapping[str, Entry]:
    """By the mutant's key; AcceptedError names every entry that finds none."""
    by_file: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_file.setdefault(mutant.path, []).append(mutant)
    found, stale = {}, []
    for entry in entries:
        keys = [m.key for m in by_file.get(entry.file, ()) if entry.finds(m)]
        found.update(dict.fromkeys(keys, entry))
        if not keys:
            stale.append(str(entry))
    if stale:
        raise AcceptedError(
            f"{FILE}: {len(stale)} of {len(entries)} entries find no mutant",
            evidence=[("stale", "\n".join(stale))],
            hint=f"the code has changed: correct the entry in {FILE}, or take it out",
        )
    return found


def _entry(number: int, row: Mapping[str, object]) -> Entry:
    if missing := _NEEDED - row.keys():
        raise AcceptedError(f"{FILE}: entry {number} lacks {', '.join(sorted(missing))}")
    if unknown := row.keys() - _NEEDED - {"nth"}:
        raise AcceptedError(f"{FILE}: entry {number} has {', '.join(sorted(unknown))}")
    if not str(row["why"]).strip():
        raise AcceptedError(f"{FILE}: entry {number} gives no reason: write it into why =")
    nth = row.get("nth", 0)
    assert isinstance(nth, int)
    file, function, old, new = (str(row[name]) for name in ("file", "in", "text", "instead"))
    return Entry(file, function, old, new, nth, str(row["why"]))
