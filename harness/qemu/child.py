"""A process that cannot outlive its owner. Only drain.py starts one; QEMU and GDB are both started
here.

The kernel sends the child SIGKILL when the *thread* that started it ends (PR_SET_PDEATHSIG), so
`spawn` is called from the drain thread, which lives until the child has been reaped: then only the
end of this process can end it.

What is started again and again (QEMU) is cloned from one that waits (starter.py): 12 ms less.

Why not subprocess' preexec_fn for the others: it runs Python between fork and exec, which may
deadlock where other threads exist (they do: one a machine), and it forbids vfork, so that every
start would pay for copying this process. setpriv and sh do the same in the child with no Python at
all, and cost 1.5 ms. The order matters: first the signal is asked for, then the parent is compared;
an owner that died in between is seen, and nothing is started. starter.c does it in the same order.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from harness.qemu.fast.starter import StarterError, starter_of
from harness.tools import find_setpriv

BLOCK = 512  # what sh's ulimit -f counts in

# $0 is the owner's pid, $@ the real command line.
_SCRIPT = '[ "$PPID" = "$0" ] || exit 125; ulimit -f {blocks} && exec "$@"'


def owned(argv: Sequence[str], *, owner: int, file_limit: int) -> list[str]:
    """argv, wrapped so that it dies with `owner` and writes no file beyond `file_limit` bytes."""
    script = _SCRIPT.format(blocks=file_limit // BLOCK)
    kill_with_owner = [str(find_setpriv()), "--pdeathsig", "KILL", "--"]
    return [*kill_with_owner, "/bin/sh", "-c", script, str(owner), *argv]


class Child(Protocol):
    """What drain.py asks of one; subprocess.Popen is one, too."""

    pid: int
    returncode: int | None

    def wait(self) -> int: ...
    def kill(self) -> None: ...


class Clone:
    """A child that starter.py started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def spawn(
    argv: Sequence[str],
    *,
    stdio: tuple[int, int, int],
    pass_fds: Sequence[int],
    file_limit: int,
    often: bool,
) -> Child:
    """Start argv, owned by the calling thread; in a session of its own, so that Ctrl-C is ours
    alone. often: argv[0] is worth a process that waits to be started.
    """
    environment = {k: v for k, v in os.environ.items() if k != "DEBUGINFOD_URLS"}
    if often and (starter := starter_of(argv[0])):
        fds = {**dict(enumerate(stdio)), **{fd: fd for fd in pass_fds}}
        with suppress(StarterError):
            return Clone(
                starter.start(
                    argv,
                    fds=fds,
                    environment=environment,
                    file_limit=file_limit,
                )
            )
    stdin, stdout, stderr = stdio
    return subprocess.Popen(
        owned(argv, owner=os.getpid(), file_limit=file_limit),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
        env=environment,
    )
