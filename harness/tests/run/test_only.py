"""ONLY is refused before anything is built, and says what was meant."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.only import labs, similar, words

ROWS = """
import pytest
from harness.scenario import Case, Scenario

SCENARIOS = [Scenario("demo.guard_touch", "ok", uncontrolled="x", triggers=("boot", "gdb"))]

@pytest.mark.parametrize("case", [c for s in SCENARIOS for c in s.cases()], ids=lambda c: c.id)
def test_demo(case: Case) -> None: ...
"""
LABS = """
LAB(demo, guard_touch, "a sentence", NO_PARAMS)
LAB_ON_BOOT_STACK(demo, lonely, "a sentence", PARAMS)
LAB_WORDS(how, "none", "no lab")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "kernel/labs/demo.c": LABS,
        "scenarios/test_demo.py": ROWS,
        "harness/tests/test_lock.py": "def test_two_at_once(): ...",
        "pytest.ini": "[pytest]",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def only(tree: Path, expression: str, *folders: str) -> tuple[int, str]:
    command = (sys.executable, "-m", "harness.run.only", expression, *folders)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout == ""
    return run.returncode, run.stderr


NOTE = "note: labs without a row: demo.lonely; add it to scenarios/: docs/adding-a-scenario.md\n"


@pytest.mark.parametrize("expression", ["guard_touch", "gdb", "test_demo and not gdb", "GUARD"])
def test_what_selects_a_scenario_goes_on_and_names_labs_without_a_row(
    tree: Path, expression: str
) -> None:
    assert only(tree, expression, "scenarios") == (0, NOTE)


def test_soak_and_golden_have_the_scenarios_alone(tree: Path) -> None:
    assert only(tree, "two_at_once", "scenarios", "harness/tests") == (0, "")
    assert only(tree, "two_at_once", "scenarios")[0] == 2


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("gaurd_touch", "next: gaurd_touch: similar: guard_touch, guard_touch-gdb"),
        ("two_at_onze", "similar: test_two_at_once"),
        ("gdb and gaurd_touch", "next: gaurd_touch: similar: guard_touch"),
        ("xyzzy", "next: pytest --collect-only -q lists them all"),
        ("guard_touch and test_lock", "next: pytest --collect-only -q"),
        ("lonely", "selects no test: demo.lonely has no row yet\n  next: add it to scenarios/"),
        ("demo.lonely", "demo.lonely has no row yet"),
        ("gdb and", "Wrong expression passed to '-k': gdb and: at column 8: expected"),
    ],
)
def test_what_selects_nothing_is_refused(tree: Path, expression: str, said: str) -> None:
    status, told = only(tree, expression, "scenarios", "harness/tests")
    assert status == 2
    assert told.startswith(f"ONLY={expression!r}")
    assert said in told


def test_what_cannot_be_collected_is_left_to_the_run(tree: Path) -> None:
    (tree / "scenarios/test_wrong.py").write_text("not python")
    assert only(tree, "guard_touch", "scenarios")[0] == 0


def test_the_labs_of_the_sources_are_the_kernels() -> None:
    """Each has a record of its own in the image, lab_FAMILY_NAME its function."""
    image = (ROOT / KERNEL).read_bytes()
    entries = {f"lab_{lab.replace('.', '_')}".encode() for lab in labs()}
    assert len(entries) > 100
    assert {entry for entry in entries if b"\0" + entry + b"\0" not in image} == set()


def test_words_and_what_they_may_mean() -> None:
    assert words("not (recurse-gdb or smp) and x.y") == ["recurse-gdb", "smp", "x.y"]
    assert similar("recurze", ["recurse", "other"]) == ["recurse"]
    assert similar("gaurd", ["no-guard-no-sentinel"]) == ["guard"]
    assert similar("qqq", ["recurse"]) == []


@pytest.mark.parametrize("goal", ["test", "golden", "soak"])
def test_make_refuses_before_it_makes_anything(goal: str) -> None:
    ours = ("MAKE", "MFLAGS", "PYTEST", "ONLY")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    run = subprocess.run(
        ("make", goal, "ONLY=it's recurze"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert re.search(r"^ONLY=.it's recurze", run.stderr, re.MULTILINE), run.stderr
