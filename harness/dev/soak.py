"""`make soak`: the scenarios that ONLY selects, TIMES times, until one fails.

    python -m harness.dev.soak ONLY TIMES WORKERS

pytest-repeat makes TIMES tests of each, in one pytest, so that nothing is started or collected
twice. All repetitions of a test are one piece of work for one worker, since they write into one
folder of artifacts; so what the first failure leaves is there when all has ended.

The exit status: 0 when all passed, 1 when one failed, 2 for what stands in the way, 130 after
Ctrl-C.
"""

import re
import signal
import sys
from collections.abc import Sequence
from typing import Any

import pytest

# pytest-repeat's part of a test's name, the last one: test_stack[recurse-3-50], test_other[3-50]
_REPETITION = re.compile(r"-?\d+-\d+\]$")


class Soak:
    """A pytest plugin of the controller: where the workers' reports come together."""

    def __init__(self) -> None:
        self._selected = 0
        self._interrupted = False

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object:
        """By tests. Not --dist loadgroup: xdist 3.8 writes a test's group where pytest 9.2 does not
        read it."""
        # Only now: pytest wants to be there before its plugins.
        from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

        scheduling = LoadScopeScheduling(config, log)
        scheduling._split_scope = lambda test: _REPETITION.sub("", test)
        return scheduling

    @pytest.hookimpl
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._selected = len(ids)

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # A subclass is xdist's way to stop at the first failure.
        self._interrupted = excinfo.type is KeyboardInterrupt

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._interrupted:
            session.exitstatus = 128 + signal.SIGINT
        elif session.testsfailed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        passed = len(terminalreporter.getreports("passed"))
        terminalreporter.write_line(f"soak: {passed} of {self._selected} passed")


# ----------------------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    only, times, workers = arguments
    if not re.fullmatch("[1-9][0-9]*", times):
        print(f"TIMES={times!r} is no number of times: 1 or more", file=sys.stderr)
        return 2
    chosen = ["-k", only] if only else []
    options = ["-q", "--no-header", "-x", "-n", workers, "--count", times]
    status = pytest.main(["scenarios", *options, *chosen], plugins=[Soak()])
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        print(f"ONLY={only!r} selects no scenario; see pytest --co -q", file=sys.stderr)
        return 2
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
