"""The broken machines: built on demand from machines/*.S into build/test-machines/, once a
session."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.qemu.fast.starter import Starter, starter_of
from harness.tools import cross_prefix, find_qemu

SOURCES = Path(__file__).parent / "machines"
BUILD = ROOT / "build" / "test-machines"
FLAGS = [
    "-nostdlib",
    "-static",
    "-g",
    "-Wl,-Ttext=0x40200000,-z,max-page-size=4096,--build-id=none",
]

Kernels = Callable[[str], Path]


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    """kernels("floor") is the path of machines/floor.S, built."""
    BUILD.mkdir(parents=True, exist_ok=True)
    return _built


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Whatever the test did, no descriptor and no child process is left behind.

    There may be some before: the GDB and the machines that scenarios of this worker keep, and the
    QEMU that waits to be started.
    """
    waiting(str(find_qemu()))
    before, children = len(os.listdir("/proc/self/fd")), _children()
    yield
    assert len(os.listdir("/proc/self/fd")) == before
    assert _children() == children


def waiting(program: str) -> Starter | None:
    """Its starter, also if nobody has asked for it before."""
    return starter_of(program) or starter_of(program)


def _children() -> set[str]:
    """The processes whose parent this one is, also those that have ended and are not reaped."""
    return {stat.parent.name for stat in Path("/proc").glob("[0-9]*/stat") if _is_ours(stat)}


def _is_ours(stat: Path) -> bool:
    try:  # behind the name in brackets: the state, then the parent
        return int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid()
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return False


def _built(name: str) -> Path:
    source, kernel = SOURCES / f"{name}.S", BUILD / f"{name}.elf"
    with (BUILD / ".lock").open("w") as lock:  # several workers may want the same kernel
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_fresh(kernel, [source, SOURCES / "machine.h", Path(__file__)]):
            _build(source, kernel)
    return kernel


def _is_fresh(kernel: Path, sources: list[Path]) -> bool:
    return kernel.exists() and kernel.stat().st_mtime > max(s.stat().st_mtime for s in sources)


def _build(source: Path, kernel: Path) -> None:
    partial = kernel.with_suffix(".part")
    subprocess.run([f"{cross_prefix()}gcc", *FLAGS, "-o", partial, source], check=True)
    partial.rename(kernel)


@pytest.fixture(autouse=True, scope="session")
def _children_can_be_interrupted() -> None:
    """A job that a script starts with `&` ignores SIGINT, and its children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
