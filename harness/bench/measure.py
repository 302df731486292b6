"""Runs that take turns, and what is left of their times. Pure but for the clock."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One thing that is timed. floor: the row it is a multiple of; target: at most that many."""

    name: str
    run: Run
    floor: str = ""
    target: float | None = None


@dataclass(frozen=True)
class Times:
    """Wall-clock seconds, one a run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile: half of all runs lie between them."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class Result:
    """A row as it came out. ratio: of its median to the floor's; the floor itself has none."""

    name: str
    times: Times
    ratio: float | None = None
    target: float | None = None

    def as_json(self) -> dict[str, Any]:
        first, third = self.times.spread
        return {
            "name": self.name,
            "runs": len(self.times),
            "median_ms": round(self.times.median * 1e3, 3),
            "quartiles_ms": [round(first * 1e3, 3), round(third * 1e3, 3)],
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target,
        }


def take_turns(
    rows: Sequence[Row], rounds: int, *, tick: Callable[[], object] = lambda: None
) -> dict[str, Times]:
    """Each row once a round, after one round that is not counted; `tick` after each run."""
    seconds: dict[str, list[float]] = {row.name: [] for row in rows}
    for count in range(rounds + 1):
        for row in rows:
            began = time.perf_counter()
            row.run()
            if count:
                seconds[row.name].append(time.perf_counter() - began)
            tick()
    return {name: Times(tuple(all_of)) for name, all_of in seconds.items()}


def results(rows: Iterable[Row], times: Mapping[str, Times]) -> list[Result]:
    return [_result(row, times) for row in rows]


def _result(row: Row, times: Mapping[str, Times]) -> Result:
    own = times[row.name]
    ratio = own.median / times[row.floor].median if row.floor else None
    return Result(row.name, own, ratio, row.target)
