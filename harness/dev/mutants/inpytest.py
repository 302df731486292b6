"""A pytest plugin for a run on a mutant: these tests, in this order, until one fails.

    pytest -p harness.dev.mutants.inpytest --mutant-tests FILE --mutant-report FILE

--mutant-tests has a line for each test: how many seconds it may take, and its name, or that of a
file, which stands for all of its tests. --mutant-report
gets one line of JSON: the first test that failed, the class of its reason (CAUSES), its words.
This module is what judges, so it is not mutated itself.
"""

import json
import signal
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from harness.errors import HarnessError

CAUSES = {
    "verdict": "another [end] than the scenario's",
    "aborts": "QEMU counted other exceptions",
    "record": "a record of the log is not the golden's",
    "machine": "the harness says by name what is wrong with the machine or its log",
    "assertion": "a test's own assertion",
    "exception": "an exception that no test expects",
    "timeout": "a test took more than ten times its time, and a minute",
    "collection": "the tests could not be collected",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant-tests", type=Path)
    parser.addoption("--mutant-report", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(
        OnMutant(config.getoption("mutant_tests"), config.getoption("mutant_report"))
    )


class TookTooLong(BaseException):
    """No Exception, so that nothing under test takes it for its own."""


class OnMutant:
    def __init__(self, tests: Path, report: Path) -> None:
        rows = [line.split(" ", 1) for line in tests.read_text("utf-8").splitlines()]
        self._limits = {test: float(seconds) for seconds, test in rows}
        self._order = {test: place for place, test in enumerate(self._limits)}
        self._report = report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if self._name(item) in self._order]
        items[:] = sorted(wanted, key=lambda item: self._order[self._name(item)])

    def _name(self, item: pytest.Item) -> str:
        """As the listing has it."""
        return item.nodeid if item.nodeid in self._order else item.nodeid.partition("::")[0]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._tell(report.nodeid, "collection", str(report.longrepr).splitlines()[-1])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        before = signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, self._limits[self._name(item)])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo:
            self._tell(item.nodeid, *cause(call.excinfo.value))
        return report

    def _tell(self, test: str, kind: str, why: str) -> None:
        if not self._report.exists():
            told = {"test": test, "cause": kind, "why": why[:300]}
            self._report.write_text(json.dumps(told) + "\n", "utf-8")


def cause(error: BaseException) -> tuple[str, str]:
    """The class of a failure, and its one line."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    ours = getattr(error, "headline", "")
    if isinstance(error, TookTooLong):
        return "timeout", line
    if isinstance(error, HarnessError):
        return "machine", error.problem
    if isinstance(error, AssertionError) and ours:
        return _of_headline(ours), ours
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return "assertion", line
    return "exception", f"{type(error).__name__}: {line}"


def _of_headline(headline: str) -> str:
    if headline.startswith("expected "):
        return "verdict"
    return "aborts" if headline.startswith(("aborts:", "abort count")) else "record"


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong("it took more than its time")
