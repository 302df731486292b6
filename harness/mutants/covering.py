"""A pytest plugin for one run on the tree as it is: which test executes what (reach.py reads it).

    pytest -p harness.mutants.covering --reach FOLDER

Python's lines are coverage.py's, one context a test; the kernel's are host/cover.c's, which knows
its test by PYTEST_CURRENT_TEST, so that a QEMU that a test's own child starts is counted, too. A
machine that boots warm counts for the test that started it: so none outlives its test.

In FOLDER: index.json is what earlier runs know; result.<pid>.jsonl gets a line for each test that
ends. What passed in either is left out. collected.json gets the names of all there are.
"""

import hashlib
import json
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import warm
from harness.deadline import Deadline
from harness.machine import MachineSpec

INDEX, COLLECTED = "index.json", "collected.json"
_QUIET = ["no-data-collected", "module-not-measured", "module-not-imported", "already-imported"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reach", type=Path, help="the folder of harness/mutants/reach.py")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Covering(config.getoption("reach"), config.rootpath))


class Covering:
    def __init__(self, folder: Path, root: Path) -> None:
        import coverage

        self._folder, self._root = folder, root
        self._known = _known(folder)
        self._coverage = coverage.Coverage(
            data_file=str(folder / "lines"),
            data_suffix=True,
            config_file=False,
            source=[str(root / "harness")],
            omit=[str(root / "harness/tests/*")],
        )
        self._coverage.set_option("run:disable_warnings", _QUIET)

    def pytest_sessionstart(self) -> None:
        self._pools = _watched_pools()
        self._coverage.start()

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        names = json.dumps([item.nodeid for item in items])
        (self._folder / COLLECTED).write_text(names, "utf-8")
        new = [item for item in items if not self._is_known(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in new])
        items[:] = new

    def _is_known(self, item: pytest.Item) -> bool:
        return self._known.get(item.nodeid) == file_hash(str(item.path))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")
            while self._pools:
                self._pools.pop().let_go()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or not report.passed:
            told = {
                "test": item.nodeid,
                "outcome": report.outcome,
                "seconds": round(call.duration, 3),
                "file": file_hash(str(item.path)),
            }
            with (self._folder / f"result.{os.getpid()}.jsonl").open("a") as results:
                results.write(json.dumps(told) + "\n")
        return report


@cache
def file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _watched_pools() -> set[warm.WarmPool]:
    """Those that have booted something, from now on."""
    booted: set[warm.WarmPool] = set()
    boot = warm.WarmPool.boot

    def noted(pool: warm.WarmPool, spec: MachineSpec, deadline: Deadline) -> warm.WarmBoot:
        booted.add(pool)
        return boot(pool, spec, deadline)

    warm.WarmPool.boot = noted  # type: ignore[method-assign, assignment]
    return booted


def results(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("result.*.jsonl")):
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def _known(folder: Path) -> dict[str, str]:
    """The tests that have passed, each with the hash of its file."""
    index = folder / INDEX
    told = dict(json.loads(index.read_text("utf-8"))) if index.exists() else {}
    passed = {test: row["file"] for test, row in told.items()}
    return passed | {
        row["test"]: row["file"] for row in results(folder) if row["outcome"] == "passed"
    }
