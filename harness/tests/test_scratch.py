"""Folders of runs that were killed are removed by the next one, and nothing else is."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import scratch
from harness.paths import ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels

OWNER = """
from harness.scratch import folder
with folder() as made:
    (made / "inside").write_text("x")
    print(made, flush=True)
    input()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of one's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratch.sweep_once.cache_clear()
    yield tmp_path
    scratch.sweep_once.cache_clear()


@pytest.fixture
def owner(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has one."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        (sys.executable, "-c", OWNER), cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_is_gone_after_its_block(place: Path) -> None:
    with scratch.folder() as made:
        assert made.parent == place
        assert made.name.startswith("highwater-")
        assert list(made.iterdir()) == []
        (made / "inside").touch()
        assert made.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_a_killed_owners_is_removed_by_the_next_run(
    owner: tuple[subprocess.Popen[str], Path], place: Path, kernels: Kernels, tmp_path: Path
) -> None:
    process, left = owner
    scratch.sweep()
    assert (left / "inside").exists(), "its owner lives"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left.exists()
    with Machine(MachineSpec(kernels("floor")), tmp_path / "artifacts"):
        assert not left.exists()


def test_the_pid_of_a_dead_owner_is_nobodys_proof(
    owner: tuple[subprocess.Popen[str], Path],
) -> None:
    """Its process is not even reaped: the pid is still taken."""
    process, left = owner
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{process.pid}").exists()
    scratch.sweep()
    assert not left.exists()


def test_a_program_that_the_owner_started_does_not_keep_it(place: Path) -> None:
    """QEMU, say: it inherits no lock."""
    with scratch.folder():
        (made,) = place.iterdir()
        with subprocess.Popen(("/bin/cat",), stdin=subprocess.PIPE) as child:
            held = [str(fd.readlink()) for fd in Path(f"/proc/{child.pid}/fd").iterdir()]
            child.kill()
    assert str(made) not in held


def test_what_is_not_ours_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be removed if it were ours: the last line shows it."""
    (elsewhere := place / "elsewhere").mkdir()
    (elsewhere / "precious").touch()
    (place / f"{scratch.PREFIX}link").symlink_to(elsewhere)
    (place / f"{scratch.PREFIX}file").touch()
    (place / "highwater-other").mkdir()
    (place / ".highwater-new-young").mkdir()
    (mine := place / f"{scratch.PREFIX}mine").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    before = sorted(place.rglob("*"))
    scratch.sweep()
    assert sorted(place.rglob("*")) == before
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    scratch.sweep()
    assert sorted(place.rglob("*")) == [path for path in before if path != mine]


def test_one_that_never_got_its_name_goes_when_it_is_old(place: Path) -> None:
    (old := place / ".highwater-new-old").mkdir()
    os.utime(old, (1, 1))
    scratch.sweep()
    assert not old.exists()


def test_nobody_makes_another_temporary_folder() -> None:
    """One that the next run would not know of."""
    makers = ("TemporaryDirectory(", "mkdtemp(")
    files = [path for path in (ROOT / "harness").rglob("*.py") if "tests" not in path.parts]
    found = {path.name for path in files if any(word in path.read_text() for word in makers)}
    assert found - {"scratch.py"} == set()
