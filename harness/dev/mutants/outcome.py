"""What became of a mutant, and the score of many. Pure.

    killed         a test failed that names the thing: a verdict, a record, a class, an assertion
    counted        only an exact number told it: what goldens forgive under another compiler
    timeout        a test did not end
    survived       no test that executes it failed
    unreached      no test executes it
    equivalent     the image is the same, byte for byte
    accepted       kernel/mutants-accepted.toml says why nothing can tell it
    build-failed   the compiler or a gate of the build refused it

The score is the killed and timed-out of all but the last three.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Self

from harness.dev.mutants.mutant import Mutant

STATUSES = (
    "killed", "timeout", "counted", "survived", "unreached", "equivalent", "accepted",
    "build-failed",
)  # fmt: skip
NAMED = frozenset(("killed", "timeout"))
UNCOUNTED = frozenset(("equivalent", "accepted", "build-failed"))
LIVING = frozenset(("counted", "survived", "unreached"))
_Z = 1.96  # of 95 %


@dataclass(frozen=True)
class Outcome:
    """`by`: the test; `cause`: the class of its reason; `why`: in words. `tests`: how many ran or
    would have; `reach`: what they were chosen by.
    """

    key: str
    status: str
    by: str = ""
    cause: str = ""
    why: str = ""
    tests: int = 0
    reach: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        return cls(**told)

    def told(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        how = f" by {self.by} ({self.cause}: {self.why})" if self.by else ""
        return f"{self.status}{how}"


@dataclass(frozen=True)
class Score:
    """Of the mutants that count: how many a test names."""

    named: int
    counted: int
    all: int

    @classmethod
    def of(cls, statuses: Iterable[str]) -> Self:
        number = Counter(statuses)
        counting = sum(count for status, count in number.items() if status not in UNCOUNTED)
        return cls(sum(number[s] for s in NAMED), number["counted"], counting)

    @property
    def percent(self) -> float:
        return 100 * self.named / self.all if self.all else 100.0

    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, in percent."""
        if not self.all:
            return 0.0, 100.0
        share, square = self.named / self.all, _Z * _Z
        middle = share + square / (2 * self.all)
        half = _Z * sqrt(share * (1 - share) / self.all + square / (4 * self.all * self.all))
        below = 1 + square / self.all
        return 100 * max(0.0, middle - half) / below, 100 * min(below, middle + half) / below

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.percent:.0f} % ({self.named} of {self.all}; 95 %: {low:.0f} to {high:.0f})"


def by_group(
    pairs: Iterable[tuple[Mutant, Outcome]], group: str
) -> Iterator[tuple[str, list[str]]]:
    """The statuses of each folder, or of each operator."""
    found: dict[str, list[str]] = {}
    for mutant, outcome in pairs:
        found.setdefault(getattr(mutant, group), []).append(outcome.status)
    yield from sorted(found.items())
