"""python -m harness.bench: see __init__.py. `--only NAME` takes one part; `--rounds N` more runs.

Parts: scenario (one scenario by every way), pytest (the same through pytest), cpus (1 to 256),
growth (10, 100, 1000 scenarios), suite (all of them, -n 1 and -n 2), sweep (two processes at once),
make (what `make test` does besides QEMU when nothing changed).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from harness import scratch
from harness.bench import rows
from harness.bench.document import document
from harness.bench.measure import Result, Row, Times, results, take_turns
from harness.errors import while_read
from harness.live.output import Output
from harness.paths import BUILD, KERNEL, ROOT

FLOOR = ROOT / BUILD / "floor.elf"
OUT = ROOT / BUILD / "bench.json"
ROUNDS = 21
GROWTH = (10, 100, 1000)
SWEEP_SECONDS = 5.0
# A module with one case, which nobody looks at, to be repeated: of a whole module, most of the
# memory would be that of the cases that are not run.
REPEATED = """\
from harness.scenario import Case, Walk
from scenarios.test_stack_measure import SCENARIOS as ALL

SCENARIOS = [row for row in ALL if row.title == "watermark-within"]


def test_again(case: Case, walk: Walk) -> None:
    walk(case)
"""

Part = Callable[["Bench"], list[Result] | dict[str, Any]]


class Bench:
    def __init__(self, rounds: int, console: Console, progress: Progress, folder: Path) -> None:
        self.rounds, self.console, self.progress, self.folder = rounds, console, progress, folder

    def turns(self, title: str, wanted: list[Row], rounds: int | None = None) -> list[Result]:
        rounds = rounds or self.rounds
        task = self.progress.add_task(title, total=(rounds + 1) * len(wanted))
        times = take_turns(wanted, rounds, tick=lambda: self.progress.advance(task))
        return results(wanted, times)

    def pytest(self, title: str, *arguments: str, floor: bool = False) -> dict[str, Any]:
        """A pytest of its own with the plugin; what that wrote, and the wall time."""
        to = self.folder / "pytest.json"
        plugin = ["-p", "harness.bench.inpytest", "--bench-to", str(to)]
        plugin += ["--bench-floor", str(FLOOR)] if floor else []
        task = self.progress.add_task(title, total=1)
        seconds = self.timed(sys.executable, "-m", "pytest", "-q", *plugin, *arguments)
        self.progress.advance(task)
        found: dict[str, Any] = json.loads(to.read_text("utf-8")) if to.exists() else {}
        return found | {"seconds": seconds}

    def timed(self, *argv: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        return time.perf_counter() - began


def scenario(bench: Bench) -> list[Result]:
    with rows.one_scenario(FLOOR, ROOT, bench.folder) as wanted:
        return bench.turns("one scenario", wanted)


def through_pytest(bench: Bench) -> list[Result]:
    """Every case of the first family: nobody looks, GDB looks, and warm where that can be."""
    family = "scenarios/test_stack.py"
    cold = bench.pytest("through pytest", family, floor=True)["tests"]
    warm = bench.pytest("through pytest, warm", family, "--warm", floor=True)["tests"]
    boots = [test for test in warm if test["kind"] == "boot"]
    return [
        *_against_floor("pytest", [t for t in cold if t["kind"] in ("boot", "serial")], 1.6),
        *_against_floor("pytest, GDB looks", [t for t in cold if t["kind"] == "gdb"], 3.5),
        *_against_floor("pytest --warm", boots, None),
    ]


def _against_floor(name: str, tests: list[dict[str, Any]], target: float | None) -> list[Result]:
    own = Times(tuple(test["seconds"] for test in tests))
    floor = Times(tuple(test["floor"] for test in tests))
    return [
        Result(f"floor beside: {name}", floor),
        Result(name, own, own.median / floor.median, target),
    ]


def cpus(bench: Bench) -> list[Result]:
    return bench.turns("CPUs", list(rows.many_cpus(FLOOR, ROOT, bench.folder)), bench.rounds // 2)


def growth(bench: Bench) -> dict[str, Any]:
    """Boots a second and memory of pytest as the scenarios become more."""
    found = {}
    module = FLOOR.parent / "bench" / "test_again.py"
    module.parent.mkdir(exist_ok=True)
    module.write_text(REPEATED, "utf-8")
    for count in GROWTH:
        run = bench.pytest(f"{count} scenarios", str(module), f"--count={count}")
        inside = sum(test["seconds"] for test in run["tests"])
        found[str(count)] = {
            "boots_a_second": round(count / inside, 1),
            "most_mib": round(run["most_kib"] / 1024, 1),
        }
    return found


def suite(bench: Bench) -> dict[str, Any]:
    """Every scenario and control; boots are its cases."""
    boots = sum(1 for _ in _cases())
    found: dict[str, Any] = {"boots": boots}
    for workers in (1, 2):
        task = bench.progress.add_task(f"all scenarios, -n {workers}", total=1)
        argv = ["-m", "pytest", "-q", "-p", "harness.bench.inpytest", "--bench-cases"]
        seconds = bench.timed(sys.executable, *argv, "scenarios", "-n", str(workers))
        bench.progress.advance(task)
        found[f"n{workers}"] = {
            "seconds": round(seconds, 1),
            "seconds_for_500_boots": round(seconds / boots * 500, 1),
        }
    return found


def _cases() -> Iterator[object]:
    from importlib import import_module

    for path in sorted((ROOT / "scenarios").glob("test_*.py")):
        for row in getattr(import_module(f"scenarios.{path.stem}"), "SCENARIOS", ()):
            yield from row.cases()


def sweep(bench: Bench) -> dict[str, Any]:
    """Steps of a sweep a second, by two processes at once."""
    task = bench.progress.add_task("sweep", total=1)
    with ProcessPoolExecutor(2) as workers:
        steps = sum(workers.map(_sweep, [SWEEP_SECONDS] * 2))
    bench.progress.advance(task)
    return {"steps_a_second": round(steps / SWEEP_SECONDS, 1), "target": 150}


def _sweep(seconds: float) -> int:
    with rows.swept(ROOT / KERNEL) as step:
        step()
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            step()
            steps += 1
    return steps


def make(bench: Bench) -> list[Result]:
    """What `make test` does besides running tests, when nothing has changed."""
    collect = (sys.executable, "-m", "pytest", "-q", "--co")
    wanted = [
        Row("make build", lambda: bench.timed("make", "build")),
        Row("make lint", lambda: bench.timed("make", "lint")),
        Row("imports of pytest", lambda: bench.timed(sys.executable, "-c", "import pytest")),
        Row("collection, scenarios", lambda: bench.timed(*collect, "scenarios")),
        Row("collection, everything", lambda: bench.timed(*collect)),
    ]
    return bench.turns("make", wanted, 3)


PARTS: dict[str, Part] = {
    "scenario": scenario,
    "pytest": through_pytest,
    "cpus": cpus,
    "growth": growth,
    "sweep": sweep,
    "make": make,
    "suite": suite,
}


def table(title: str, found: list[Result]) -> Table:
    shown = Table(title=title, title_justify="left")
    shown.add_column("")
    for heading in ("runs", "median ms", "quartiles ms", "of the floor", "target"):
        shown.add_column(heading, justify="right")
    for result in found:
        first, third = result.times.spread
        shown.add_row(
            result.name,
            str(len(result.times)),
            f"{result.times.median * 1e3:.1f}",
            f"{first * 1e3:.1f} – {third * 1e3:.1f}",
            "" if result.ratio is None else f"{result.ratio:.2f} ×",
            "" if result.target is None else f"≤ {result.target:g} ×",
        )
    return shown


def show(console: Console, name: str, found: list[Result] | dict[str, Any]) -> None:
    with while_read():
        if isinstance(found, list):
            console.print(table(name, found))
            return
        console.print(name)
        for key, value in found.items():
            console.print(f"  {key}: {value}", highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--docs", type=Path, help="a document whose tables are rewritten")
    chosen = parser.parse_args()
    if chosen.rounds < 2:
        parser.error("--rounds: at least 2, or there is no median")
    console = Output(highlight=False, width=None if sys.stdout.isatty() else 100)
    everything: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": os.cpu_count()}
    with (
        scratch.folder() as folder,
        Progress(console=console, transient=True, disable=not sys.stdout.isatty()) as progress,
    ):
        bench = Bench(chosen.rounds, console, progress, folder)
        for name in chosen.only or PARTS:
            found = PARTS[name](bench)
            show(console, name, found)
            raw = [result.as_json() for result in found] if isinstance(found, list) else found
            everything[name] = raw
    everything["load_after"] = os.getloadavg()[0]
    OUT.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    if chosen.docs:
        chosen.docs.write_text(document(chosen.docs.read_text("utf-8"), everything), "utf-8")
    console.print(f"load {everything['load_before']:.1f} → {everything['load_after']:.1f}; {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
