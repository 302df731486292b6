"""The editor's way in: what .vscode/launch.json tells GDB, told to GDB without the editor."""

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.debugger import mi
from harness.paths import ROOT
from harness.tests.gone import is_gone
from harness.tools import find_gdb

LAUNCH = ROOT / ".vscode" / "launch.json"


@pytest.fixture
def launch() -> dict[str, Any]:
    """The first configuration. The file is JSON with comments."""
    text = re.sub(r"^\s*//.*$", "", LAUNCH.read_text(), flags=re.MULTILINE)
    configuration: dict[str, Any] = json.loads(text)["configurations"][0]
    return configuration


def commands(launch: dict[str, Any], lab: str) -> list[str]:
    texts = [step["text"] for step in launch["customLaunchSetupCommands"]]
    known = {"${input:lab}": lab, "${workspaceFolder}": str(ROOT)}
    for variable, value in known.items():
        texts = [text.replace(variable, value) for text in texts]
    return texts


def gdb(told: list[str], shell: str = "/bin/sh", **how: Any) -> subprocess.Popen[str]:
    words = [word for command in told for word in ("-ex", command)]
    argv = [str(find_gdb()), "-nx", "-q", *words]
    environment = {**os.environ, "BUILD": "build", "SHELL": shell}
    return subprocess.Popen(
        argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, env=environment, **how
    )


def test_it_names_a_gdb_that_is_there(launch: dict[str, Any]) -> None:
    assert shutil.which(launch["miDebuggerPath"])
    assert launch["program"] == "${workspaceFolder}/build/kernel.elf"
    assert (launch["type"], launch["MIMode"]) == ("cppdbg", "gdb")


def test_its_commands_lead_to_the_fault(launch: dict[str, Any]) -> None:
    told = [*commands(launch, "stack.recurse nonce=an-editor"), "continue", "continue", "hw fault"]
    with gdb([*told, "quit"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        said, serial = child.communicate(timeout=20)
    assert "Temporary breakpoint 1, lab_main" in said, serial
    assert re.search(r"elr     recurse\+0x\w+$", said, re.M)
    assert "[lab] enter name=stack.recurse" in serial, "the serial port is in view"


def test_a_machine_that_takes_its_time(launch: dict[str, Any]) -> None:
    """GDB asks again after 2 s unless it is told to wait, and then takes two answers for wrong."""
    told = [text.replace("exec ", "sleep 3; exec ") for text in commands(launch, "stack.recurse")]
    with gdb([*told, "continue", "quit"], stdin=subprocess.DEVNULL) as child:
        said, _ = child.communicate(timeout=30)
    assert "Temporary breakpoint 1, lab_main" in said


# --- as the C/C++ extension's adapter does it ---------------------------------------------------


class Adapter:
    """GDB as Microsoft's MIEngine (cppdbg) drives it: in MI, from wherever it happens to stand;
    each setup command through `-interpreter-exec console`, or as it is when it begins with a dash.
    """

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.said = ""
        self._tokens = itertools.count(1001)

    def send(self, command: str) -> mi.Result:
        """The answer to a command, which is no error."""
        token = next(self._tokens)
        assert self.child.stdin is not None
        self.child.stdin.write(f"{token}{command}\n")
        self.child.stdin.flush()
        while not isinstance(record := self._next(), mi.Result) or record.token != token:
            pass
        assert record.kind != "error", record
        return record

    def setup(self, text: str) -> mi.Result:
        """A command of launch.json."""
        console = f"-interpreter-exec console {mi.quote(text)}"
        return self.send(text if text.startswith("-") else console)

    def stopped(self) -> dict[str, mi.Value]:
        """The frame of the next stop."""
        while not isinstance(record := self._next(), mi.Async) or record.kind != "stopped":
            pass
        frame = record.results["frame"]
        assert isinstance(frame, dict)
        return frame

    def _next(self) -> mi.Record | None:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "GDB has ended"
        try:
            record = mi.parse(line.rstrip("\n"))
        except mi.MiError:  # the serial port, or Python, on GDB's own output
            return None
        if isinstance(record, mi.Text):
            self.said += record.text
        return record


def test_the_adapter_is_told_what_it_does_not_ask_for(launch: dict[str, Any]) -> None:
    """With a launch of one's own it looks neither for the architecture nor for the directory."""
    assert launch["targetArchitecture"] == "arm64"
    assert commands(launch, "")[0] == f"cd {ROOT}"
    assert launch["launchCompleteCommand"] == "exec-continue"


def test_the_adapters_way_leads_to_the_fault(launch: dict[str, Any], tmp_path: Path) -> None:
    nonce, source = secrets.token_hex(8), ROOT / "kernel/labs/lib/recurse.c"
    line = next(
        n for n, text in enumerate(source.read_text().splitlines(), 1) if "recurse(" in text
    )
    argv = [str(find_gdb()), "-nx", "--interpreter=mi"]
    with subprocess.Popen(
        argv,
        cwd=tmp_path,
        text=True,
        env={**os.environ, "BUILD": "build"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        adapter = Adapter(child)
        adapter.setup("set pagination off")
        adapter.send("-gdb-set auto-solib-add on")
        for text in commands(launch, f"stack.recurse nonce={nonce}"):
            adapter.setup(text)
        point = adapter.send(f"-break-insert -f {mi.quote(f'{source}:{line}')}").results["bkpt"]
        assert isinstance(point, dict)
        assert point["fullname"] == str(source), "not pending: the editor's own breakpoint"
        assert adapter.send("-exec-continue").kind == "running"
        at_lab = adapter.stopped()
        assert at_lab["func"] == "lab_main"
        assert at_lab["fullname"] == str(ROOT / "kernel" / "lab" / "lab.c")
        adapter.send("-exec-continue")
        assert adapter.stopped()["func"] == "recurse"
        adapter.send("-break-delete " + str(point["number"]))
        adapter.send("-exec-continue")
        assert adapter.stopped()["func"] == "debugger_fault_hook"
        adapter.setup("hw fault")
        assert re.search(r"elr     recurse\+0x\w+$", adapter.said, re.M)
        machine = [os.pidfd_open(pid) for pid in machines(nonce)]
        adapter.send("-gdb-exit")
        assert [is_gone(pidfd) for pidfd in machine] == [True]


# --- an editor that is killed -------------------------------------------------------------------


@dataclass(frozen=True)
class Left:
    """What stands when GDB is about to be killed. machine: watched."""

    gdb: subprocess.Popen[str]
    pid: int
    machine: int

    @property
    def keeper(self) -> int:
        (pid,) = children(self.pid)
        return pid


@contextlib.contextmanager
def at_a_lab(launch: dict[str, Any], shell: str = "/bin/sh") -> Iterator[Left]:
    nonce = secrets.token_hex(8)
    told = [*commands(launch, f"stack.recurse nonce={nonce}"), "continue", "info inferiors"]
    with gdb(told, stdin=subprocess.PIPE, shell=shell) as child:
        try:
            assert child.stdout is not None
            while "process 1" not in child.stdout.readline():
                pass
            (machine,) = machines(nonce)
            yield Left(child, machine, os.pidfd_open(machine))
        finally:
            child.kill()
            for pid in machines(nonce):  # whatever was not killed as it should have been
                os.kill(pid, signal.SIGKILL)


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # what GDB finds in $SHELL
def test_a_killed_editor_leaves_no_machine(launch: dict[str, Any], shell: str) -> None:
    with at_a_lab(launch, shell) as left:
        keeper = os.pidfd_open(left.keeper)
        kill(left.gdb)
        assert is_gone(left.machine)
        assert is_gone(keeper)


def test_the_kernel_alone_ends_a_machine_that_nobody_holds(launch: dict[str, Any]) -> None:
    """The first lifeline: its keeper is dead."""
    with at_a_lab(launch) as left:
        os.kill(left.keeper, signal.SIGKILL)
        kill(left.gdb)
        assert is_gone(left.machine)


def test_the_keeper_alone_ends_a_machine_that_nobody_holds(
    launch: dict[str, Any], tmp_path: Path
) -> None:
    """The second: a shell stands between GDB and the machine, and outlives GDB."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\n/bin/sh "$@"\nexit $?\n')
    shell.chmod(0o755)
    with at_a_lab(launch, str(shell)) as left:
        between = parent(left.pid)
        assert between != left.gdb.pid
        kill(left.gdb)
        assert is_gone(left.machine)


def test_a_machine_that_ends_takes_its_keeper_with_it(launch: dict[str, Any]) -> None:
    with at_a_lab(launch) as left:
        keeper = os.pidfd_open(left.keeper)
        os.kill(left.pid, signal.SIGKILL)
        assert is_gone(left.machine)
        assert is_gone(keeper)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def machines(nonce: str) -> list[int]:
    """The QEMUs that boot with this nonce. (A minimal Debian has no pgrep.)"""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            program, *arguments = path.read_bytes().split(b"\0")
            if program.endswith(b"qemu-system-aarch64") and nonce.encode() in b" ".join(arguments):
                found.append(int(path.parent.name))
    return found
