"""The editor's other files: each task is a command that the Makefile has, each setting leads to
something that is there. (launch.json is followed in test_launch.py.)
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.paths import ROOT

FOLDER = ROOT / ".vscode"


def load(name: str) -> dict[str, Any]:
    """JSON with comments."""
    text = re.sub(r"^\s*//.*$", "", (FOLDER / name).read_text("utf-8"), flags=re.MULTILINE)
    found: dict[str, Any] = json.loads(text)
    return found


TASKS: list[dict[str, Any]] = load("tasks.json")["tasks"]
DEFAULTS = {"only": "recurse", "lab": "stack.recurse"}


def default_of(kind: str) -> list[str]:
    groups = ((task["label"], task.get("group", "")) for task in TASKS)
    return [label for label, group in groups if group == {"kind": kind, "isDefault": True}]


def test_what_is_launched_is_built_first() -> None:
    (launch,) = load("launch.json")["configurations"]
    assert launch["preLaunchTask"] == "build"
    assert (default_of("build"), default_of("test")) == (["build"], ["test"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["label"])
def test_a_task_is_a_target_of_the_makefile(task: dict[str, Any]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    target, *variables = task["args"]
    assert (task["type"], task["command"]) == ("shell", "make")
    assert re.search(rf"^{target}:.* ## ", makefile, re.MULTILINE), target
    for variable in variables:
        name, _, value = variable.partition("=")
        assert re.search(rf"^#   {name}\b", makefile, re.MULTILINE), name
        assert value == f"${{input:{name.lower()}}}"


def test_every_input_is_asked_for_with_a_default_that_works() -> None:
    asked = {found["id"]: found["default"] for found in load("tasks.json")["inputs"]}
    used = set(re.findall(r"\$\{input:(\w+)\}", json.dumps(TASKS)))
    assert asked == DEFAULTS
    assert used == set(asked)


def test_the_explorer_finds_what_pytest_finds() -> None:
    """With the interpreter, the folder and the runner of the settings."""
    settings = load("settings.json")
    known = settings["python.defaultInterpreterPath"].replace("${workspaceFolder}", str(ROOT))
    assert settings["python.testing.pytestEnabled"]
    assert not settings["python.testing.unittestEnabled"]
    found = subprocess.run(
        (known, "-m", "pytest", "--collect-only", "-q", "scenarios/test_crash.py"),
        cwd=settings["python.testing.cwd"].replace("${workspaceFolder}", str(ROOT)),
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "scenarios/test_crash.py::test_crash[" in found.stdout
    commands = settings["C_Cpp.default.compileCommands"]
    assert Path(commands.replace("${workspaceFolder}", str(ROOT))).is_file()
