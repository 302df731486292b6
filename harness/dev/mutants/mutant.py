"""A mutant: one place of one file, what stands there, and what is to stand there instead.

Offsets are bytes of UTF-8. A mutant never moves a line: what it takes away it replaces by as many
line ends, so that debug information, __LINE__ and the map of tests (reach.py) stay true. Pure.
"""

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

OPERATORS = {
    "condition": "a condition negated, == for !=, and for or",
    "boundary": "< for <=, > for >=, and back",
    "constant": "a number one larger",
    "call": "a call removed",
    "barrier": "a barrier, or a TLB or cache maintenance, removed",
    "bit": "one term of an or taken out: a permission, a flag",
    "return": "another value returned",
    "assignment": "an assignment removed",
}


@dataclass(frozen=True)
class Mutant:
    """`function`: where it stands, "" outside of all. `first`, `last`: the lines of its statement.
    `nth`: which of those in one function that look the same.
    """

    path: str
    operator: str
    function: str
    line: int
    first: int
    last: int
    start: int
    end: int
    old: str
    new: str
    nth: int = 0

    @property
    def key(self) -> str:
        """The same wherever the line has moved to."""
        told = (self.path, self.operator, self.function, self.old, self.new, str(self.nth))
        return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        return str(PurePosixPath(self.path).parent)

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    def applied(self, source: bytes) -> bytes:
        old = source[self.start : self.end]
        if old != self.old.encode():
            raise ValueError(f"{self.path}:{self.line}: {old!r} stands there, not {self.old!r}")
        lost = self.old.count("\n") - self.new.count("\n")
        return source[: self.start] + self.new.encode() + b"\n" * lost + source[self.end :]

    def diff(self, source: bytes) -> str:
        before, after = (text.decode().splitlines() for text in (source, self.applied(source)))
        lines = difflib.unified_diff(before, after, self.path, self.path, n=2, lineterm="")
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.operator}: {_short(self.old)} → {_short(self.new)}"


def numbered(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """In the order of the text, each change once, and those that look the same told apart."""
    ordered = sorted(mutants, key=lambda m: (m.start, m.end, m.operator, m.new))
    seen: set[tuple[int, int, str]] = set()
    alike: Counter[str] = Counter()
    for mutant in ordered:
        place = (mutant.start, mutant.end, mutant.new)
        if place in seen or mutant.old == mutant.new:
            continue
        seen.add(place)
        yield replace(mutant, nth=alike[mutant.key])
        alike[mutant.key] += 1


def _short(text: str, most: int = 48) -> str:
    words = " ".join(text.split()) or "(nothing)"
    return words if len(words) <= most else words[: most - 1] + "…"
