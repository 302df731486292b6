"""harness.dev.lint on small trees with one broken direction each; `make lint` runs it here."""

from pathlib import Path

import pytest

from harness.dev.lint import C_LAYERS, FOLDERS, ROOMS, check
from harness.paths import ROOT


def problems(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [str(problem) for problem in check(root)]


@pytest.mark.parametrize(
    ("above", "below"), [("labs", "proc"), ("lab", "mem"), ("mem", "base"), ("base", "arch")]
)
def test_c_may_include_downward_and_not_upward(tmp_path: Path, above: str, below: str) -> None:
    headers = {f"kernel/{layer}/x.h": "" for layer in C_LAYERS}
    down = {f"kernel/{above}/a.c": f'#include "{below}/x.h"\n'}
    assert problems(tmp_path, headers | down) == []
    (found,) = problems(tmp_path, {f"kernel/{below}/b.c": f'\n#include "{above}/x.h"\n'})
    assert found.startswith(f'kernel/{below}/b.c:2: {below} includes "{above}/x.h"')
    assert "call up through report/upcall.h" in found


def test_a_hash_apart_from_its_include_is_seen_and_assembler_too(tmp_path: Path) -> None:
    header = {"kernel/base/x.h": ""}
    assert problems(tmp_path, header | {"kernel/arch/a.S": '  #  include "base/x.h"\n'})


def test_upcalls_and_the_composition_root_may_go_against_the_stream(tmp_path: Path) -> None:
    files = {
        "kernel/report/upcall.h": "",
        "kernel/labs/x.h": "",
        "kernel/arch/a.c": '#include "report/upcall.h"\n',
        "kernel/main.c": '#include "labs/x.h"\n',
    }
    assert problems(tmp_path, files) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("#include <stdio.h>", "a freestanding compiler brings only"),
        ('#include "x.h"', "no such file"),
        ("#include HEADER", "cannot be checked"),
    ],
)
def test_c_includes_that_cannot_be_right(tmp_path: Path, line: str, said: str) -> None:
    (found,) = problems(tmp_path, {"kernel/base/a.c": f"{line}\n", "kernel/base/x.h": ""})
    assert found.startswith("kernel/base/a.c:1: ")
    assert said in found


@pytest.mark.parametrize(
    "name",
    [
        "kernel/net/a.c",
        "kernel/a.c",
        "harness/stray.py",
        "harness/attic/stray.py",
        "stray.py",
        "tools/stray.py",
    ],
)
def test_a_file_without_a_room_is_told_where_to_get_one(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, {name: ""})
    assert found.startswith(f"{name}:1: ")
    assert "harness/dev/lint.py" in found


@pytest.mark.parametrize(
    "line",
    [
        "import harness.run.walk",
        "from harness.run import walk",
        "from harness.run.walk import Walker",
        "from ..run import walk",
        "from ..run.walk import Walker",
        "def f() -> None:\n    import harness.run.walk",
    ],
)
def test_python_may_not_import_upward_however_it_is_written(tmp_path: Path, line: str) -> None:
    files = {
        "harness/__init__.py": "",
        "harness/run/walk.py": "",
        "harness/qemu/drain.py": line,
    }
    (found,) = problems(tmp_path, files)
    assert "harness.qemu.drain" in found
    assert "imports harness.run.walk, of harness.run, which comes later" in found


def test_the_modules_of_a_room_see_each_other_but_not_in_a_circle(tmp_path: Path) -> None:
    files = {
        "harness/qemu/machine.py": "from harness.qemu import drain\n",
        "harness/qemu/drain.py": "",
    }
    assert problems(tmp_path, files) == []
    (found,) = problems(tmp_path, {"harness/qemu/drain.py": "import harness.qemu.machine\n"})
    assert "imports go round" in found
    assert "drain.py" in found
    assert "machine.py" in found


def test_python_may_import_downward(tmp_path: Path) -> None:
    files = {
        "harness/__init__.py": "",
        "harness/errors.py": "import sys\n",
        "harness/qemu/machine.py": "import socket\nfrom harness import errors\n",
        "conftest.py": "import harness.qemu.machine\n",
        "scenarios/test_stack.py": "from harness.qemu.machine import Machine\nimport helper\n",
        "scenarios/helper.py": "",
    }
    assert problems(tmp_path, files) == []


@pytest.mark.parametrize("line", ["import socket", "from concurrent import futures"])
def test_a_pure_module_does_not_act(tmp_path: Path, line: str) -> None:
    (found,) = problems(tmp_path, {"harness/serial/canon.py": f"{line}\n"})
    assert found.startswith("harness/serial/canon.py:1: harness.serial.canon is pure, but imports ")


def test_a_pure_module_imports_only_pure_ones(tmp_path: Path) -> None:
    files = {
        "harness/serial/canon.py": "from harness.tools import find_qemu\n",
        "harness/tools.py": "",
    }
    (found,) = problems(tmp_path, files)
    assert "which is not" in found


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_imports_from_a_folder_of_scripts(tmp_path: Path, folder: str) -> None:
    line = f"import {folder.replace('/', '.')}.hw\n"
    (found,) = problems(tmp_path, {"conftest.py": line, f"{folder}/hw.py": ""})
    assert f"only files of {folder}/ may" in found


def test_this_tree_keeps_its_directions() -> None:
    assert check(ROOT) == []


def test_every_room_is_there_and_every_folder_looks_into_one() -> None:
    for room in ROOMS:
        path = ROOT / room.name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), room.name
    assert set(FOLDERS.values()) - {""} <= {room.name for room in ROOMS}
