"""pytest wiring, and nothing else: scenarios become cases, a failed case becomes its own message.

    case    a test that takes it runs once per trigger and per control of its module's SCENARIOS
    walk    the fixture that runs a case (walk.py) and fails the test when it is not as it should be
    warm    the fixture that boots from snapshots (warm.py), for sweeps; --warm: for cases, too
    gdb     the fixture that opens a boot for a test's own script in GDB (session.py)

A module that holds something else than cases against goldens names their files in GOLDENS.
What `pytest -m` selects by is in marks.py.

Options: --golden-exact compares byte for byte under any toolchain (so that `make golden`
re-records), --golden-foreign FILE as under another one; --golden-accept accepts what this run
leaves pending; --golden-orphans FILE lists the goldens that no scenario writes, if this was a full,
unparallel, unfiltered run. The harness proper is imported by the first case that runs, not when
pytest starts.
"""

import os
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import pytest

from harness import lock
from harness.errors import HarnessError
from harness.scenario import marks

if TYPE_CHECKING:
    from _pytest._io import TerminalWriter
    from _pytest.mark.structures import ParameterSet

    from harness.qemu.fast.warm import WarmPool
    from harness.run.session import Open
    from harness.scenario import Case, Scenario, Walk

CASE = "case"
HYPOTHESIS = "hypothesispytest"  # its plugin's name
GOLDENS = "GOLDENS"  # of a module: goldens that no case writes
MESSAGE = "highwater_headline"  # on a report: its longrepr is one of our messages
UNJUDGED = "highwater_unjudged"  # a report's property: values of goldens not compared
CAUSE = "highwater_cause"  # beside it: what it may share with others; is a golden pending?


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("highwater", "Highwater: kernel scenarios against golden logs")
    group.addoption(
        "--golden-exact",
        action="store_true",
        help="compare every byte with the goldens, whatever the toolchain",
    )
    group.addoption(
        "--golden-foreign",
        type=Path,
        metavar="FILE",
        help="compare as under another toolchain; list in FILE what differs by that alone",
    )
    group.addoption(
        "--golden-accept",
        action="store_true",
        help="forget what is pending, and accept what this run leaves; orphans that it lists, too",
    )
    group.addoption(
        "--warm",
        action="store_true",
        help="boot from snapshots of living machines where nobody looks or types (faster)",
    )
    group.addoption(
        "--golden-orphans",
        type=Path,
        metavar="FILE",
        help="list unclaimed goldens in FILE (full, unparallel, unfiltered runs only)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in marks.lines({path.name for path in (config.rootpath / "golden").glob("*/")}):
        config.addinivalue_line("markers", line)
    kept = config.rootpath / "build" / "hypothesis"  # what it remembers of its failures
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(kept))
    config.pluginmanager.register(Messages(config), "highwater-messages")
    if not (hasattr(config, "workerinput") or config.getoption("collectonly")):
        config.pluginmanager.register(lock, "highwater-lock")
        if config.getoption("golden_accept"):
            config.pluginmanager.register(Accepting(config), "highwater-accepting")
    if config.getoption("golden_orphans"):
        config.pluginmanager.register(Orphans(config), "highwater-orphans")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hypothesis' plugin imports all of it only to sum up: 0.2 s, for nothing if no test has. (Of
    what xdist's workers have imported, the process that sums up knows nothing.)
    """
    plugins = session.config.pluginmanager
    alone = not session.config.getoption("numprocesses", None)
    if alone and "hypothesis" not in sys.modules and plugins.has_plugin(HYPOTHESIS):
        plugins.unregister(name=HYPOTHESIS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks are for -m alone: -k would find them, too, and `not gdb` is said of names."""
    if config.getoption("golden_accept"):  # no deselection: the run is as full as it was
        items[:] = [item for item in items if not item.get_closest_marker(marks.ACCEPTED[0])]
    if config.getoption("markexpr"):
        _mark(config, [(item, found) for item in items if (found := _case_of(item))])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if CASE in metafunc.fixturenames and hasattr(metafunc.module, "SCENARIOS"):
        cases = _cases(metafunc.module.SCENARIOS)
        metafunc.parametrize(CASE, [_parameter(case) for case in cases], ids=[c.id for c in cases])


@pytest.fixture
def case(request: pytest.FixtureRequest) -> "Case":
    """One row of the module's SCENARIOS by one trigger, or one of its controls."""
    return pytest.fail(f"{request.path.name} has no SCENARIOS for its tests", pytrace=False)


@pytest.fixture(scope="session")
def walk(request: pytest.FixtureRequest) -> "Iterator[Walk]":
    """Run a case; raises ScenarioFailed, whose text is the whole message."""
    from harness.debugger.session import KeptGdb
    from harness.run.walk import Walker

    option = request.config.getoption
    with KeptGdb() as kept:
        warm = request.getfixturevalue("warm") if option("warm") else None
        accepting = _written(request.session) if option("golden_accept") else None
        yield Walker(
            request.config.rootpath,
            exact=option("golden_exact"),
            kept=kept,
            warm=warm,
            accepting=accepting,
            foreign=option("golden_foreign"),
        )


@pytest.fixture(scope="session")
def warm() -> "Iterator[WarmPool]":
    """Living machines that boot from a snapshot: warm.boot(MachineSpec(…), Deadline(…))."""
    from harness.qemu.fast.warm import WarmPool

    with WarmPool() as pool:
        yield pool


@pytest.fixture
def gdb(request: pytest.FixtureRequest) -> "Iterator[Open]":
    """gdb("stack.recurse stack=8K"): a session at the lab's entry; gone when the test ends."""
    from harness.paths import ARTIFACTS, KERNEL
    from harness.run.session import Session

    root = request.config.rootpath
    folder = root / ARTIFACTS / re.sub(r"[^\w.-]", "-", f"{request.path.stem}.{request.node.name}")
    with ExitStack() as sessions:

        def gdb(line: str, **how: Any) -> Session:
            return sessions.enter_context(Session(root / KERNEL, line, folder, **how))

        yield gdb


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the harness raises is a message for people: shown whole, without a traceback."""
    report = yield
    if counts := _taken(getattr(item, "funcargs", {}).get("walk")):
        report.user_properties.append((UNJUDGED, str(sum(counts))))
    error = call.excinfo.value if call.excinfo else None
    if ours := _headline(error):
        report.longrepr = str(error)
        setattr(report, MESSAGE, ours)
        setattr(report, CAUSE, (getattr(error, "cause", ""), getattr(error, "offered", False)))
    return report


@dataclass(frozen=True)
class Message:
    """A longrepr that paints itself on a terminal and is plain everywhere else."""

    text: str
    headline: str

    @property
    def reprcrash(self) -> "Message":
        return self

    @property
    def message(self) -> str:
        """What pytest shows in its short summary."""
        return self.headline

    def toterminal(self, writer: "TerminalWriter") -> None:
        from harness.verdict.failure import style

        for line in self.text.splitlines():
            writer.line(line, **style(line))

    def __str__(self) -> str:
        return self.text


class Messages:
    """Where the terminal is: a worker of xdist sends text, its controller paints."""

    def __init__(self, config: pytest.Config) -> None:
        self._worker = hasattr(config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        headline = getattr(report, MESSAGE, None)
        if headline and not self._worker:
            report.longrepr = Message(str(report.longrepr), headline)  # type: ignore[assignment]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """What many failed of is told once, by one of them; counted is each."""
        failed = terminalreporter.stats.get("failed", [])
        each = list(failed)
        told = _once(failed)
        failed[:] = [report for report, _ in told]
        yield
        failed[:] = each
        for _, alike in told:
            if alike:
                terminalreporter.write_line(alike, bold=True)
        if said := _not_judged(terminalreporter.stats.get("passed", [])):
            terminalreporter.write_line(said)


class Orphans:
    """Notes whether a run was full, and if it was, which goldens nobody claimed."""

    def __init__(self, config: pytest.Config) -> None:
        self._listing: Path = config.getoption("golden_orphans")
        self._root = config.rootpath
        self._partial = (
            hasattr(config, "workerinput")
            or bool(config.getoption("numprocesses", None))
            or any("::" in argument for argument in config.args)
        )
        self._claimed: set[Path] = set()
        self._modules: set[Path] = set()
        self._listing.unlink(missing_ok=True)

    def pytest_deselected(self) -> None:
        self._partial = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._modules = {item.path for item in session.items}
        self._claimed = set(_claimed(session, self._root / "golden"))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from harness.verdict.golden import orphans

        stopped = bool(session.shouldstop or session.shouldfail)
        if self._partial or stopped or not self._modules >= _scenario_files(self._root):
            return
        root = self._root / "golden"
        names = (str(path.relative_to(root)) for path in orphans(root, self._claimed))
        self._listing.parent.mkdir(parents=True, exist_ok=True)
        self._listing.write_text("".join(f"{name}\n" for name in names), "utf-8")


class Accepting:
    """Between the moment that lock.py lets this run in and the one that it lets the next one in."""

    def __init__(self, config: pytest.Config) -> None:
        listing = config.getoption("golden_orphans")
        self._goldens = config.rootpath / "golden"
        self._root = ("--root", os.path.relpath(self._goldens))
        self._orphans = ("--orphans", str(listing)) if listing else ()
        self._finished: pytest.Session | None = None

    def pytest_sessionstart(self) -> None:
        """After lock.py, which tries first, and before xdist starts its workers, last."""
        from harness.verdict.golden import discard

        discard(self._goldens)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """What failed is not pending. Any other status: it did not get through."""
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._finished = session

    def pytest_unconfigure(self) -> None:
        """Behind pytest's own summary. The lock is given back after it."""
        from harness.verdict.golden import main

        if self._finished:
            accepted = main(("accept", *self._root, *self._orphans))
            self._finished.exitstatus = accepted or self._finished.exitstatus


def _cases(scenarios: "list[Scenario]") -> "list[Case]":
    from harness.scenario import duplicates

    if twice := duplicates(scenarios):
        names = ", ".join(twice)
        pytest.fail(f"two cases are called {names}: give one row a name=", pytrace=False)
    return [case for scenario in scenarios for case in scenario.cases()]


def _taken(walk: object) -> list[int]:
    """What the walks of this test did not judge; the next test's begin anew."""
    counts: list[int] = getattr(walk, "unjudged", [])
    taken, counts[:] = list(counts), []
    return taken


def _not_judged(passed: list[pytest.TestReport]) -> str:
    """What a run says of goldens that another compiler or QEMU made."""
    properties = [pair for report in passed for pair in report.user_properties]
    counts = [int(str(value)) for key, value in properties if key == UNJUDGED]
    if not counts:
        return ""
    return (
        f"goldens of another compiler or QEMU: {len(counts)} cases were judged by their facts, and"
        f" {sum(counts)} values that those decide were not (harness/verdict/facts.py)"
    )


def _once(failed: list[pytest.TestReport]) -> list[tuple[pytest.TestReport, str]]:
    """One report of each cause (of those whose golden is pending the first, if there is one), and
    which others there are, in words.
    """
    alike: dict[str, list[pytest.TestReport]] = {}
    for report in failed:
        cause, _ = getattr(report, CAUSE, ("", False))
        alike.setdefault(cause or report.nodeid, []).append(report)
    return [_of_many(cause, reports) for cause, reports in alike.items()]


def _of_many(cause: str, reports: list[pytest.TestReport]) -> tuple[pytest.TestReport, str]:
    told = next((report for report in reports if getattr(report, CAUSE, ("", 0))[1]), reports[0])
    message: object = told.longrepr
    if len(reports) == 1 or not isinstance(message, Message):
        return told, ""
    names = ", ".join(re.sub(r".*\[(.*)\]$", r"\1", report.nodeid) for report in reports)
    headline = f"{cause} in {len(reports)} scenarios"
    shown = copy(told)
    shown.longrepr = Message(str(message), headline)  # type: ignore[assignment]
    return shown, f"{headline}: {names}"


def _mark(config: pytest.Config, cases: "list[tuple[pytest.Item, Case]]") -> None:
    for family in {case.scenario.family for _, case in cases}:  # one that has no golden yet, too
        config.addinivalue_line("markers", f"{family}: a case {marks.FAMILY}")
    for item, case in cases:
        for mark in marks.of_case(case):
            item.add_marker(mark)


def _written(session: pytest.Session) -> frozenset[PurePath]:
    """The goldens of which this session's cases leave a `.new` when they differ."""
    cases = (case for item in session.items if (case := _case_of(item)))
    return frozenset(case.golden for case in cases if case.records and case.golden)


def _case_of(item: pytest.Item) -> "Case | None":
    from harness.scenario import Case

    callspec = getattr(item, "callspec", None)
    case = callspec.params.get(CASE) if callspec else None
    return case if isinstance(case, Case) else None


def _parameter(case: "Case") -> "Case | ParameterSet":
    """A case that is about another QEMU or compiler is skipped, and says so."""
    from harness.scenario import is_elsewhere
    from harness.tools import VERSIONS, qemu_version, toolchain

    only = case.scenario.only
    if not is_elsewhere(only, VERSIONS):
        return case
    here = f"QEMU {qemu_version()}, {toolchain()}"
    return pytest.param(case, marks=pytest.mark.skip(reason=f"only {only}: this is {here}"))


def _headline(error: BaseException | None) -> str:
    if isinstance(error, HarnessError):
        return error.problem
    headline = getattr(error, "headline", "")
    return headline if isinstance(error, AssertionError) and isinstance(headline, str) else ""


def _claimed(session: pytest.Session, root: Path) -> Iterator[Path]:
    for item in session.items:
        if (case := _case_of(item)) and case.golden:
            yield root / case.golden
        module = item.getparent(pytest.Module)
        yield from (root / name for name in getattr(module and module.obj, GOLDENS, ()))


def _scenario_files(root: Path) -> set[Path]:
    return set((root / "scenarios").glob("test_*.py"))
