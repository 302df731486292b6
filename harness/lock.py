"""One pytest run in a tree at a time: two would read each other's artifacts and not know it, and
forget or accept each other's goldens.

A pytest plugin that plugin.py registers. The lock is flock's, on $BUILD/pytest.lock: it is gone
with the process that has it, whatever ends that. The file stays, with the number of the last one
that had it. Workers of xdist run under their controller's; who only collects needs none.
"""

import fcntl
import os
from typing import TextIO

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist starts its workers
def pytest_sessionstart(session: pytest.Session) -> None:
    build = session.config.rootpath / (os.environ.get("BUILD") or "build")
    build.mkdir(parents=True, exist_ok=True)
    lock = (build / "pytest.lock").open("a+", encoding="ascii")
    session.config.add_cleanup(lock.close)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise pytest.UsageError(_refusal(lock)) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def _refusal(lock: TextIO) -> str:
    lock.seek(0)
    return (
        f"another pytest runs in this tree (process {lock.read().strip()} has {lock.name}), and "
        "the two would read each other's artifacts\n"
        "  next: wait for it, or use a tree of your own: git worktree add"
    )
