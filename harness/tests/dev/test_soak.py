"""harness.dev.soak, as make calls it, on a suite in a scratch folder that notes who ran what."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.tests.gone import is_gone

# Each repetition adds its worker to its case's file, as a walk would write artifacts.
SUITE = """
import os
import signal
from pathlib import Path

import pytest

def run(name, worker):
    with Path(name).open("a") as notes:
        notes.write(f"{worker}\\n")
    return len(Path(name).read_text().splitlines())

@pytest.mark.parametrize("case", ["one", "two-7", "three"])
def test_case(case, worker_id):
    run(case, worker_id)

def test_plain(worker_id):
    run("plain", worker_id)

def test_fails_at_the_third(worker_id):
    assert run("third", worker_id) != 3

def test_is_interrupted(worker_id):
    if run("interrupted", worker_id) == 2:
        Path("worker").write_text(str(os.getpid()))
        with Path("fifo").open("w"):
            os.kill(os.getppid(), signal.SIGINT)
            signal.pause()
"""
GOOD = "case or plain"

Soak = Callable[..., "subprocess.CompletedProcess[str]"]


def command(only: str, times: str, workers: str = "2") -> Sequence[str]:
    return [sys.executable, "-m", "harness.dev.soak", only, times, workers]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PYTEST")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/test_suite.py").write_text(SUITE)
    return tmp_path


@pytest.fixture
def soak(folder: Path) -> Soak:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments), cwd=folder, capture_output=True, text=True, check=False
        )

    return run


def workers_of(folder: Path) -> dict[str, list[str]]:
    names = ("one", "two-7", "three", "plain")
    return {name: (folder / name).read_text().split() for name in names}


def test_each_is_run_so_many_times_by_one_worker(soak: Soak, folder: Path) -> None:
    done = soak(GOOD, "6")
    assert done.returncode == 0, done.stdout
    assert "soak: 24 of 24 passed" in done.stdout.splitlines()
    workers = workers_of(folder)
    assert {name: (len(who), len(set(who))) for name, who in workers.items()} == dict.fromkeys(
        workers, (6, 1)
    )
    assert {who[0] for who in workers.values()} == {"gw0", "gw1"}


def test_once_is_a_number_of_times(soak: Soak) -> None:
    assert "soak: 4 of 4 passed" in soak(GOOD, "1").stdout.splitlines()


def test_the_first_failure_ends_it_and_what_it_left_stays(soak: Soak, folder: Path) -> None:
    done = soak("third", "6", "1")
    assert done.returncode == 1
    assert "soak: 2 of 6 passed" in done.stdout.splitlines()
    assert "test_fails_at_the_third[3-6]" in done.stdout
    assert len((folder / "third").read_text().split()) == 3


def test_it_is_interrupted(folder: Path) -> None:
    """By SIGINT, while a test runs: status 130, and no worker stays."""
    os.mkfifo(folder / "fifo")
    with subprocess.Popen(
        command("interrupted", "6"), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as run:
        with (folder / "fifo").open():
            worker = os.pidfd_open(int((folder / "worker").read_text()))
        said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    # The first one's report may still have been on its way.
    assert re.search(r"^soak: [01] of 6 passed$", said, re.MULTILINE)
    assert is_gone(worker)


@pytest.mark.parametrize("times", ["0", "-1", "1.5", "many", "", "08"])
def test_a_bad_number_of_times_is_refused_by_name(soak: Soak, folder: Path, times: str) -> None:
    done = soak(GOOD, times)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"TIMES={times!r} is no number of times" in done.stderr


def test_what_selects_nothing_is_refused_by_name(soak: Soak) -> None:
    done = soak("no_such", "6")
    assert done.returncode == 2
    assert "ONLY='no_such' selects no scenario" in done.stderr
