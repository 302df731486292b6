"""The bench: what is computed of times, and that each part runs. No time is right or wrong here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.bench import rows
from harness.bench.document import document
from harness.bench.measure import Result, Row, Times, results, take_turns
from harness.errors import HarnessError
from harness.paths import BUILD, ROOT
from harness.tests.conftest import Kernels


def test_rows_take_turns() -> None:
    order: list[str] = []
    wanted = [Row("a", lambda: order.append("a")), Row("b", lambda: order.append("b"), "a")]
    ticks: list[None] = []
    times = take_turns(wanted, 2, tick=lambda: ticks.append(None))
    assert order == ["a", "b"] * 3
    assert len(ticks) == 6
    assert [len(times[name]) for name in "ab"] == [2, 2]  # the first round is not counted


def test_a_ratio_is_of_two_medians() -> None:
    wanted = [Row("floor", lambda: None), Row("it", lambda: None, "floor", 1.5)]
    times = {"floor": Times((1.0, 2.0, 9.0)), "it": Times((3.0, 5.0, 4.0))}
    floor, it = results(wanted, times)
    assert (floor.ratio, it.ratio, it.target) == (None, 2.0, 1.5)
    assert it.as_json() == {
        "name": "it",
        "runs": 3,
        "median_ms": 4000.0,
        "quartiles_ms": [3500.0, 4500.0],
        "ratio": 2.0,
        "target": 1.5,
    }


def test_one_run_is_its_own_spread() -> None:
    assert Result("it", Times((2.0,))).times.spread == (2.0, 2.0)


PLACE = "<!-- bench: x: begin -->\nold\n<!-- bench: x: end -->\n"


def test_the_document_has_what_was_measured() -> None:
    it = Result("it", Times((1.0, 3.0)), 2.0, 1.5)
    assert document(f"before\n{PLACE}after\n", {"x": [it.as_json()], "load_before": 1.0}) == (
        "before\n<!-- bench: x: begin -->\n\n"
        "|  | runs | median ms | quartiles ms | of the floor | target |\n"
        "| --- | ---: | ---: | --- | ---: | --- |\n"
        "| it | 2 | 2000.0 | 1500.0 – 2500.0 | 2.00 | ≤ 1.5 |\n\n"
        "<!-- bench: x: end -->\nafter\n"
    )
    told = document(PLACE, {"x": {"n_2": {"seconds": 3}}})
    assert "| n 2 | seconds 3 |" in told
    with pytest.raises(HarnessError, match="no place for bench: y"):
        document(PLACE, {"y": {}})


@pytest.fixture
def wanted(kernels: Kernels, tmp_path: Path) -> Iterator[list[Row]]:
    with rows.one_scenario(kernels("floor"), ROOT, tmp_path) as wanted:
        yield wanted


def test_every_row_runs(wanted: list[Row]) -> None:
    times = take_turns(wanted, 2)
    assert [result.name for result in results(wanted, times)] == [row.name for row in wanted]
    assert {row.floor for row in wanted} == {"", rows.FLOOR}


def test_every_number_of_cpus_has_a_floor(kernels: Kernels, tmp_path: Path) -> None:
    wanted = list(rows.many_cpus(kernels("floor"), ROOT, tmp_path))
    assert [row.floor for row in wanted[1::2]] == [row.name for row in wanted[::2]]
    for row in wanted[:4]:
        row.run()


@pytest.fixture
def build(tmp_path: Path, kernels: Kernels) -> Path:
    """A build folder of its own: the run that this test is part of has the tree's."""
    for name in ("kernel.elf", "user"):
        (tmp_path / name).symlink_to(ROOT / BUILD / name)
    (tmp_path / "floor.elf").symlink_to(kernels("floor"))
    return tmp_path


def run(build: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment | {"BUILD": str(build)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_and_the_file(build: Path) -> None:
    """In a pipe: no colour, no progress bar."""
    done = run(build, "harness.bench", "--only", "scenario", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "of the floor" in done.stdout
    found = json.loads((build / "bench.json").read_text())
    floor, by_hand, *_ = found["scenario"]
    assert (floor["ratio"], floor["runs"]) == (None, 2)
    assert by_hand["ratio"] == pytest.approx(by_hand["median_ms"] / floor["median_ms"], rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--rounds", "1"), "--rounds: at least 2, or there is no median"),
        (("--rounds", "many"), "invalid int value: 'many'"),
        (("--only", "nothing"), "invalid choice: 'nothing'"),
    ],
)
def test_what_is_refused(build: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run(build, "harness.bench", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_times_of_tests_and_their_floors(build: Path) -> None:
    """The plugin: each test's kind, its time, and the floor's after it; only cases if asked."""
    to, floor = build / "times.json", build / "floor.elf"
    plugin = ["-p", "harness.bench.inpytest", "--bench-cases", "--bench-floor", str(floor)]
    plugin += ["--bench-to", str(to), "-p", "no:cacheprovider"]
    chosen = ["scenarios/test_stack_sweep.py", "-k", "registers and not shift"]
    done = run(build, "pytest", "-q", *plugin, *chosen)
    assert done.returncode == 0, done.stdout
    found = json.loads(to.read_text())
    assert {test["kind"] for test in found["tests"]} == {"boot"}
    assert all(test["seconds"] > 0 < test["floor"] for test in found["tests"])
    assert found["most_kib"] > 1000
