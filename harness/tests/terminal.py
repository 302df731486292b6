"""`make debug` and `make replay` on a pty: typing commands at GDB's prompt, reading its answers.
And any command with nobody who reads.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect

from harness.paths import ROOT

SECONDS = 20
CLI = (sys.executable, "-m", "harness.cli")
PROMPT = r"\(gdb\) (\x1b\[\?2004h)?"  # not at the end: the serial port may print behind it


def unread(*command: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """`python -m harness.… | head`, with a head that is always the faster one."""
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    with os.fdopen(output, "wb") as broken:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=broken,
            stderr=subprocess.PIPE,
            check=False,
        )


@contextmanager
def terminal(
    *arguments: str, build: Path, program: tuple[str, ...] = CLI
) -> Iterator["pexpect.spawn[str]"]:
    """`python -m harness.cli …` on a pty of 200 columns. It is gone afterwards in any case, and its
    temporary files. (A socket's path has at most 107 bytes.)
    """
    environment = {**os.environ, "BUILD": str(build), "TERM": "dumb", "DEBUGINFOD_URLS": ""}
    environment.pop("TMUX", None)  # whoever runs the tests keeps an unsplit window
    with TemporaryDirectory(prefix="hw-") as short:
        child = pexpect.spawn(
            program[0],
            [*program[1:], *arguments],
            cwd=str(ROOT),
            env={**environment, "TMPDIR": short},
            encoding="utf-8",
            timeout=SECONDS,
            dimensions=(50, 200),
        )
        child.delaybeforesend = None
        try:
            yield child
        finally:
            child.close(force=True)


def ask(child: "pexpect.spawn[str]", command: str) -> str:
    """Type a command at the prompt; its answer, up to the next prompt."""
    child.sendline(command)
    child.expect(PROMPT)
    return str(child.before)


def leave(child: "pexpect.spawn[str]", mark: str) -> None:
    """Quit GDB; neither socket nor process is left behind."""
    folder = stub_folder(child)
    assert folder.stat().st_mode & 0o777 == 0o700, "the stub is its owner's alone"
    assert processes_with(mark)
    child.sendline("quit")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    assert not folder.exists()
    assert not processes_with(mark)


def stub_folder(child: "pexpect.spawn[str]") -> Path:
    """Where the stub's socket lies, as GDB at its prompt has it."""
    (socket,) = re.findall(r"remote (/\S+)", ask(child, "info connections"))
    return Path(socket).parent


def processes_with(mark: str) -> dict[int, str]:
    """Command lines that hold this word, by process."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            found[int(file.parent.name)] = file.read_text(errors="replace")
    return {process: line for process, line in found.items() if mark in line}
