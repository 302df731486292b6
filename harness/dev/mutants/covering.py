"""A pytest plugin for one run on the tree as it is: which test executes what (reach.py reads it).

    pytest -p harness.dev.mutants.covering --reach=FOLDER [--reach-lines]

Python's lines are coverage.py's, one context a test; the kernel's are host/cover.c's, which knows
its test by PYTEST_CURRENT_TEST, so that a QEMU that a test's own child starts is counted, too. A
machine that boots warm counts for the test that started it: so none outlives its test.

In FOLDER: index.json is what earlier runs know; result.<pid>.jsonl gets a line for each test that
ends. What passed in either is left out. collected.json gets the names of all there are.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.dev.mutants.index import COLLECTED, file_hash, is_asked, known
from harness.qemu.fast import warm
from harness.qemu.machine import MachineSpec

_QUIET = ["no-data-collected", "module-not-measured", "module-not-imported", "already-imported"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reach", type=Path, help="the folder of harness/dev/mutants/reach.py")
    parser.addoption("--reach-lines", action="store_true", help="Python's lines, too")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("reach")
    config.pluginmanager.register(Covering(folder))
    if config.getoption("reach_lines"):
        config.pluginmanager.register(Lines(folder, config.rootpath))


class Covering:
    def __init__(self, folder: Path) -> None:
        self._folder, self._known = folder, known(folder)
        self._pools = _watched_pools()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        every = items[:]
        items[:] = [item for item in items if is_asked(item.nodeid)]
        names = json.dumps([item.nodeid for item in items])
        (self._folder / COLLECTED).write_text(names, "utf-8")
        new = [item for item in items if not self._is_known(item)]
        config.hook.pytest_deselected(items=[item for item in every if item not in new])
        items[:] = new

    def _is_known(self, item: pytest.Item) -> bool:
        return self._known.get(item.nodeid) == file_hash(str(item.path))

    def pytest_runtest_logfinish(self) -> None:
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


class Lines:
    def __init__(self, folder: Path, root: Path) -> None:
        import coverage

        self._coverage = coverage.Coverage(
            data_file=str(folder / "lines"),
            data_suffix=True,
            config_file=False,
            source=[str(root / "harness")],
            omit=[str(root / "harness/tests/*")],
        )
        self._coverage.set_option("run:disable_warnings", _QUIET)

    def pytest_sessionstart(self) -> None:
        self._coverage.start()

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")


def _watched_pools() -> set[warm.WarmPool]:
    """Those that have booted something, from now on."""
    booted: set[warm.WarmPool] = set()
    boot = warm.WarmPool.boot

    def noted(pool: warm.WarmPool, spec: MachineSpec, deadline: Deadline) -> warm.WarmBoot:
        booted.add(pool)
        return boot(pool, spec, deadline)

    warm.WarmPool.boot = noted  # type: ignore[method-assign, assignment]
    return booted
