"""The editor's way in: what .vscode/launch.json tells GDB, told to GDB without the editor."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.tests.test_machine import _is_gone
from harness.tools import find_gdb

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / ".vscode" / "launch.json"


@pytest.fixture
def launch() -> dict[str, Any]:
    """The first configuration. The file is JSON with comments."""
    text = re.sub(r"^\s*//.*$", "", LAUNCH.read_text(), flags=re.MULTILINE)
    configuration: dict[str, Any] = json.loads(text)["configurations"][0]
    return configuration


def commands(launch: dict[str, Any], lab: str) -> list[str]:
    texts = [step["text"] for step in launch["customLaunchSetupCommands"]]
    return [text.replace("${input:lab}", lab) for text in texts]


def gdb(told: list[str], **how: Any) -> subprocess.Popen[str]:
    words = [word for command in told for word in ("-ex", command)]
    argv = [str(find_gdb()), "-nx", "-q", *words]
    environment = {**os.environ, "BUILD": "build"}
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
    assert "Temporary breakpoint 1, lab_main" in said
    assert "elr     recurse+0x0" in said
    assert "[lab] enter name=stack.recurse" in serial, "the serial port is in view"


def test_a_killed_editor_leaves_no_machine(launch: dict[str, Any]) -> None:
    told = [*commands(launch, "stack.recurse nonce=a-killed-editor"), "continue", "info inferiors"]
    with gdb(told, stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        while "process 1" not in child.stdout.readline():
            pass
        (machine,) = machines("a-killed-editor")
        watched = os.pidfd_open(machine)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert _is_gone(watched)


def machines(nonce: str) -> list[int]:
    """The QEMUs that boot with this nonce."""
    seen = subprocess.run(
        ["pgrep", "-f", f"^[^ ]*qemu-system-aarch64 .*nonce={nonce}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in seen.stdout.split()]
