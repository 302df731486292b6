"""Scenarios on every other compiler that this machine has, in the same run: what holds for one
compiler only, of a golden or of the kernel, is seen at once.

A cheap choice of each kind; `make test CC=clang` runs all of it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.paths import BUILD, ROOT
from harness.producer import named
from harness.tools import cross_prefix, output, toolchain

LEAST = 12  # of GCC, as harness/setup.sh has it; it looks at clang itself

CHOSEN = (
    "boot.py::test_boot[light-hang]",
    "boot.py::test_boot[smp-2]",
    "boot.py::test_boot[tiny-local]",
    "crash.py::test_crash[exec_stack]",
    "crash.py::test_crash[low_half]",
    "flips.py::test_canary_of_the_thread",
    "grow_copy.py::test_grow_copy[pac]",
    "heap.py::test_heap[overflow]",
    "pool.py::test_pool[overflow]",
    "spawn.py::test_spawn[user_code]",
    "stack.py::test_stack[printing]",
    "stack.py::test_stack[recurse]",
    "stack_detect.py::test_stack_detect[canary]",
    "stack_measure.py::test_stack_measure[watermark]",
)


def others() -> list[str]:
    """One command for each compiler that is not the one that made the kernel."""
    prefix = cross_prefix()
    names = [f"{prefix}gcc", *(f"{prefix}gcc-{n}" for n in range(LEAST, 30)), "clang"]
    found = {who(Path(path)): name for name in reversed(names) if (path := shutil.which(name))}
    return sorted(found[compiler] for compiler in found if compiler != toolchain())


def who(compiler: Path) -> str:
    """As the images that it makes will say."""
    line = output(compiler, "--version").partition("\n")[0]
    return named(re.sub(r"^\S*gcc\S* \(", "GCC: (", line))


def run(*command: str, **environment: str) -> str:
    """All that it said, at once; it has to end well."""
    dropped = ("PYTEST", "MAKE", "MFLAGS", "CC", "KERNEL_CC")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    done = subprocess.run(
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("compiler", others() or [""])
def test_the_same_goldens_hold(compiler: str) -> None:
    if not compiler:
        pytest.skip(f"this machine has no other compiler than {toolchain()}: apt install clang")
    folder = f"{BUILD}/{compiler}"
    run("make", "-s", f"CC={compiler}", f"BUILD={folder}", "build")
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    said = run(*pytest_, *(f"scenarios/test_{case}" for case in CHOSEN), BUILD=folder)
    assert f"\n{len(CHOSEN)} passed" in said, said
