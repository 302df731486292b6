"""A pytest plugin for the bench: how long each test took, set-up and tear-down included, and how
long the floor took right after it.

    pytest -p harness.bench.inpytest --bench-floor build/floor.elf --bench-to FILE …
    pytest -p harness.bench.inpytest --bench-cases …

FILE gets one JSON object: the tests with their times, the floors, and the most memory that pytest
itself ever had, in KiB.
"""

import json
import resource
import time
from collections.abc import Generator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench")
    group.addoption("--bench-floor", type=Path, help="a kernel that powers off at once")
    group.addoption("--bench-to", type=Path, metavar="FILE")
    group.addoption("--bench-cases", action="store_true", help="only scenarios and their controls")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("bench_to"):
        config.pluginmanager.register(Clock(config), "bench-clock")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("bench_cases"):
        items[:] = [item for item in items if _kind(item) != "other"]


class Clock:
    def __init__(self, config: pytest.Config) -> None:
        self._to: Path = config.getoption("bench_to")
        self._floor: Path | None = config.getoption("bench_floor")
        self._tests: list[dict[str, object]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        began = time.perf_counter()
        result = yield
        took = time.perf_counter() - began
        self._tests.append({"kind": _kind(item), "seconds": took, "floor": self._time_floor()})
        return result

    def pytest_sessionfinish(self) -> None:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._to.write_text(json.dumps({"tests": self._tests, "most_kib": most}), "utf-8")

    def _time_floor(self) -> float:
        from harness.bench.rows import bare
        from harness.qemu.machine import MachineSpec

        if not self._floor:
            return 0.0
        run = bare(MachineSpec(self._floor))
        began = time.perf_counter()
        run()
        return time.perf_counter() - began


def _kind(item: pytest.Item) -> str:
    """What kind of boot a case is: "gdb" looks, "serial" types, "boot" does neither."""
    from harness.scenario import Case

    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec else None
    if not isinstance(case, Case):
        return "other"
    return "gdb" if case.looks or case.trigger == "gdb" else str(case.trigger)
