"""harness.lock: a second pytest in a tree is refused, by name, and only while there is a first."""

import sys

import pytest

from harness.paths import ROOT
from harness.tests.samples import GOLDEN_TEXT

pytest_plugins = ["pytester"]

# A test that starts pytest in its own tree, on another file, and notes what came of it.
STARTS_ANOTHER = f"""
import os
import subprocess
from pathlib import Path

def test_starts_another():
    command = [{sys.executable!r}, "-m", "pytest", "-p", "no:cacheprovider", "test_idle.py"]
    command += os.environ["OPTIONS"].split()
    done = subprocess.run(command, capture_output=True, text=True)
    holder = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    Path("came").write_text(f"{{done.returncode}} {{holder}}\\n{{done.stderr}}")
"""
ACCEPTS_AND_STARTS_ANOTHER = """
import pytest
from test_first import test_starts_another

pytest_plugins = ["harness.plugin"]

@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if config.getoption("golden_accept"):
        test_starts_another()
"""
DIES = "import os, signal\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"


@pytest.fixture
def tree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OPTIONS", "")
    for name in ("BUILD", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\n")
    pytester.makeconftest('pytest_plugins = ["harness.plugin"]')
    pytester.makepyfile(
        test_idle="def test_idle(): pass", test_first=STARTS_ANOTHER, test_dies=DIES
    )
    return pytester


def run(tree: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return tree.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def came(tree: pytest.Pytester) -> tuple[int, str, str]:
    """Of the second run: its status, the process that it should name, what it said."""
    head, _, said = (tree.path / "came").read_text().partition("\n")
    status, holder = head.split()
    return int(status), holder, said


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one", "workers"])
@pytest.mark.parametrize("options", ["", "-n 1"], ids=["one", "workers"])
def test_a_second_run_is_refused_and_says_who_runs(
    tree: pytest.Pytester, workers: tuple[str, ...], options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIONS", options)
    run(tree, *workers, "test_first.py").assert_outcomes(passed=1)
    status, holder, said = came(tree)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"another pytest runs in this tree (process {holder} has " in said
    assert "Traceback" not in said


def test_what_is_pending_is_left_to_the_run_that_made_it(
    tree: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of `make golden`: the second forgets nothing before it is refused."""
    monkeypatch.setenv("OPTIONS", "--golden-accept")
    new = tree.path / "golden/stack/recurse.log.new"
    new.parent.mkdir(parents=True)
    new.write_text(GOLDEN_TEXT)
    run(tree, "test_first.py").assert_outcomes(passed=1)
    assert came(tree)[0] == pytest.ExitCode.USAGE_ERROR
    assert new.exists()


def test_no_other_runs_before_all_is_accepted(tree: pytest.Pytester) -> None:
    (tree.path / "golden").mkdir()
    tree.makeconftest(ACCEPTS_AND_STARTS_ANOTHER)
    assert run(tree, "--golden-accept", "test_idle.py").outlines[-1].endswith("0 orphans removed")
    assert came(tree)[0] == pytest.ExitCode.USAGE_ERROR


def test_who_only_collects_is_let_in(
    tree: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIONS", "--collect-only")
    run(tree, "test_first.py").assert_outcomes(passed=1)
    assert came(tree)[0] == pytest.ExitCode.OK


def test_another_tree_has_another_lock(
    tree: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTIONS", "--rootdir=elsewhere")
    (tree.path / "elsewhere").mkdir()
    run(tree, "test_first.py").assert_outcomes(passed=1)
    assert came(tree)[0] == pytest.ExitCode.OK


@pytest.mark.parametrize("first", ["test_idle.py", "test_dies.py"])
def test_whatever_ended_the_first_the_next_runs(tree: pytest.Pytester, first: str) -> None:
    run(tree, first)
    run(tree, "test_idle.py").assert_outcomes(passed=1)
