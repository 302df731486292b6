"""A process that cannot outlive its owner. Only drain.py starts one; QEMU and GDB are both started
here.

The kernel sends the child SIGKILL when the *thread* that started it ends (PR_SET_PDEATHSIG), so
`spawn` is called from the drain thread, which lives until the child has been reaped: then only the
end of this process can end it.

Why not subprocess' preexec_fn: it runs Python between fork and exec, which may deadlock where other
threads exist (they do: one a machine), and it forbids vfork, so that every start would pay for
copying this process. setpriv and sh do the same in the child with no Python at all, and cost 1 ms.
The order matters: first the signal is asked for, then the parent is compared; an owner that died in
between is seen, and nothing is started.
"""

import os
import subprocess
from collections.abc import Sequence

from harness.tools import find_setpriv

BLOCK = 512  # what sh's ulimit -f counts in

# $0 is the owner's pid, $@ the real command line.
_SCRIPT = '[ "$PPID" = "$0" ] || exit 125; ulimit -f {blocks} && ulimit -S -t {cpu} && exec "$@"'


def owned(argv: Sequence[str], *, owner: int, file_limit: int, cpu_limit: int | None) -> list[str]:
    """argv, wrapped so that it dies with `owner`, writes no file beyond `file_limit` bytes, and
    gets SIGXCPU after `cpu_limit` seconds of CPU time.
    """
    script = _SCRIPT.format(blocks=file_limit // BLOCK, cpu=cpu_limit or "unlimited")
    kill_with_owner = [str(find_setpriv()), "--pdeathsig", "KILL", "--"]
    return [*kill_with_owner, "/bin/sh", "-c", script, str(owner), *argv]


def spawn(
    argv: Sequence[str],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int],
    file_limit: int,
    cpu_limit: int | None,
) -> subprocess.Popen[bytes]:
    """Start argv, owned by the calling thread; in a session of its own, so that Ctrl-C is ours
    alone.
    """
    return subprocess.Popen(
        owned(argv, owner=os.getpid(), file_limit=file_limit, cpu_limit=cpu_limit),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if k != "DEBUGINFOD_URLS"},
    )
