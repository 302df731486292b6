"""Does a process end? Watched by descriptor, and when it lives on, everything is shown that may say
why.
"""

import os
import re
import select
import sys
from pathlib import Path

SECONDS = 10


def is_gone(pidfd: int) -> bool:
    """Wait until a process has ended, and give the descriptor back; False: it lives on."""
    ended, _, _ = select.select([pidfd], [], [], SECONDS)
    if not ended:
        sys.stdout.write(_still_there(pidfd))
    os.close(pidfd)
    return bool(ended)


def _still_there(pidfd: int) -> str:
    """The process in the kernel's words: state, parent, signals, and where each thread sleeps."""
    told = re.search(r"^Pid:\s*(\d+)$", Path(f"/proc/self/fdinfo/{pidfd}").read_text(), re.M)
    if told is None:
        return "it has ended meanwhile"
    process = Path("/proc") / told[1]
    status = (process / "status").read_text()
    parent = re.search(r"^PPid:\s*(\d+)$", status, re.M)
    over = Path("/proc") / parent[1] / "cmdline" if parent else process
    sleeping = [f"{task.name} {(task / 'wchan').read_text()}" for task in process.glob("task/*")]
    return "\n".join([status, f"parent: {over.read_text(errors='replace')}", *sleeping])
