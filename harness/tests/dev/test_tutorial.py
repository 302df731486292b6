"""docs/adding-a-scenario.md, done literally: files written, commands run, outputs compared.

The blocks of the document, in their order:

    ```c file=PATH, ```python file=PATH    the whole of a new file
    ```sh                                  commands, which must succeed; ```sh fails: must fail
    ```text                                all that the commands above print; … stands for anything

All of it happens once, in a copy of the tree, where set-up is left out and `.venv/bin` leads to the
Python that runs this. Then labs of other kinds are added as the document says (newcomer/kinds.c),
and all of `make test` that a new lab can turn red is run there: AFFECTED. The table of what a
forgotten step says is held against the same tree.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import tools
from harness.paths import ROOT

DOCUMENT = (ROOT / "docs/adding-a-scenario.md").read_text("utf-8")
PARTS = (
    *("Makefile", "kernel", "harness", "scenarios", "golden", "docs", "README.md"),
    *("conftest.py", "pytest.ini", ".clang-format", ".clang-tidy", ".ruff.toml", ".mypy.ini"),
)
ROW, GOLDEN = Path("scenarios/test_demo.py"), Path("golden/demo/off_by_one.log")
CATALOGUE = Path("scenarios/test_catalogue.py")
SECONDS = 300.0

# Labs of other kinds, by somebody who knows the tutorial: threads of their own, a recursion, a
# table of functions, a choice of victims, a frame of variable size, static names that the kernel
# has, too.
NEWCOMER = Path(__file__).parent / "newcomer/kinds.c"
KINDS = """\
\"\"\"Labs of a newcomer: harness/tests/dev/newcomer/kinds.c.\"\"\"

from harness.scenario import Case, Scenario, Walk

WHY = "nothing is broken: what is shown is that all of make test stays green"
SCENARIOS = [
    Scenario("kinds.courier", verdict="ok", uncontrolled=WHY),
    Scenario("kinds.sum", verdict="ok", uncontrolled=WHY),
    Scenario("kinds.steps", verdict="ok", uncontrolled=WHY),
    Scenario("kinds.choice", verdict="survived", uncontrolled=WHY),
]


def test_kinds(case: Case, walk: Walk) -> None:
    walk(case)
"""
# What looks at labs, rows, goldens, pages, the stack report, or the layout of sources. Left out is
# what tests the tools themselves, on inputs of their own or by mutations: no lab reaches that.
AFFECTED = (
    *("scenarios/test_demo.py", "scenarios/test_kinds.py", "scenarios/test_catalogue.py"),
    *("scenarios/test_readme.py", "harness/tests/stackreport/test_kernel.py"),
    *("harness/tests/documents/test_stack_suite.py", "harness/tests/documents/test_boot_stacks.py"),
    *(
        "harness/tests/documents/test_growing_stacks.py",
        "harness/tests/documents/test_memory_labs.py",
    ),
    *("harness/tests/documents/test_costs.py", "harness/tests/documents/test_spawn_chains.py"),
    *("-k", "not wrong_note and not a_tool_that and not is_quick"),
)
NEW = ("demo", "kinds")
MORE = {
    "make golden": ("make", "golden", "ONLY=test_kinds"),
    "make lint: layout, directions": ("make", "lint-format", "lint-directions"),
    "make lint: likely bugs": ("make", *(f"build/lint/labs/{name}.tidied" for name in NEW)),
    "make lint: rows": (".venv/bin/python", "-m", "ruff", "check", "-q", "scenarios"),
    "make lint: types": (
        *(".venv/bin/python", "-m", "mypy", "--no-error-summary"),
        *(f"scenarios/test_{name}.py" for name in NEW),
    ),
    "make test": (".venv/bin/python", "-m", "pytest", "-q", *AFFECTED),
}

TYPES = "build/mypy_cache"
_BLOCK = re.compile(r"^```(?P<kind>\w+) ?(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
_FORGOTTEN = re.compile(r"^\| (?P<what>[^|]+) \| `(?P<says>[^|]+)` \|$", re.M)


@dataclass(frozen=True)
class Write:
    path: Path
    text: str


@dataclass(frozen=True)
class Run:
    commands: str
    fails: bool
    prints: str = "…\n"


def steps(document: str) -> list[Write | Run]:
    """The document's blocks as things to do. A block that is none of them is an error."""
    found: list[Write | Run] = []
    for block in _BLOCK.finditer(document):
        kind, info, text = block["kind"], block["info"], block["text"]
        last = found[-1] if found else None
        if kind in ("c", "python") and info.startswith("file="):
            found.append(Write(Path(info.removeprefix("file=")), text))
        elif kind == "sh" and info in ("", "fails"):
            found.append(Run(text, fails=info == "fails"))
        elif kind == "text" and isinstance(last, Run):
            found[-1] = Run(last.commands, last.fails, text)
        else:
            raise ValueError(f"a block that is nothing to do: ```{kind} {info}")
    return found


STEPS = steps(DOCUMENT)
RUNS = [step for step in STEPS if isinstance(step, Run)]
FORGETTING = DOCUMENT.partition("## What a forgotten step says")[2]
SAYS = {row["what"]: row["says"] for row in _FORGOTTEN.finditer(FORGETTING)}


@dataclass(frozen=True)
class Done:
    """The tree after the last step, and what each Run came to: status and output; then MORE."""

    tree: Path
    results: list[tuple[int, str]]

    @property
    def more(self) -> dict[str, tuple[int, str]]:
        return dict(zip(MORE, self.results[len(RUNS) :], strict=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The tutorial, done once, whichever of several workers comes first."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    results = base / "tutorial.json"
    with (base / "tutorial.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not results.exists():
            results.write_text(json.dumps(list(do_all(base / "tutorial"))))
    return Done(base / "tutorial", [tuple(result) for result in json.loads(results.read_text())])


def do_all(tree: Path) -> Iterator[tuple[int, str]]:
    shutil.rmtree(tree, ignore_errors=True)  # another worker may have failed half-way
    copy(ROOT, tree)
    (tree / "harness/setup.sh").write_text("#!/bin/sh\n")  # what it installs is here already
    for name in ("python", "pytest"):
        command = tree / ".venv/bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        module = " -m pytest" if name == "pytest" else ""
        command.write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n')
        command.chmod(0o755)
    for name in ("clang-format", "clang-tidy"):  # of PyPI, beside the interpreter
        (tree / ".venv/bin" / name).symlink_to(Path(sys.executable).with_name(name))
    for step in STEPS:
        if isinstance(step, Write):
            (tree / step.path).write_text(step.text, "utf-8")
        else:
            yield run(tree, "bash", "-e", "-o", "pipefail", "-c", step.commands)
    shutil.copy(NEWCOMER, tree / "kernel/labs")
    (tree / "scenarios/test_kinds.py").write_text(KINDS)
    if (ROOT / TYPES).is_dir():
        shutil.copytree(ROOT / TYPES, tree / TYPES)  # or mypy reads all of the harness again
    for words in MORE.values():
        yield run(tree, *words)


def copy(source: Path, target: Path) -> None:
    """The tree without what is made, pending goldens included."""
    target.mkdir()
    made = shutil.ignore_patterns("__pycache__", "*.new")
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, ignore=made)
        else:
            shutil.copy(source / part, target / part)


def run(tree: Path, *command: str) -> tuple[int, str]:
    """As a user's shell would: nothing of the make and the pytest that run this test."""
    ours = ("PYTEST", "MAKE", "MFLAGS", "BUILD", "LAB", "ONLY", "SMP", "CPU", "MEM", "MTE")
    ran = subprocess.run(
        command,
        cwd=tree,
        env={k: v for k, v in os.environ.items() if not k.startswith(ours)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ran.returncode, ran.stdout


def as_pattern(printed: str, *, numbers: bool = True) -> str:
    """An output block as a regular expression: a line … is any lines, a … in a line anything.
    Without its numbers, where those are another compiler's.
    """
    lines = (
        "(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n"
        for line in printed.splitlines()
    )
    pattern = "".join(lines)
    return pattern if numbers else re.sub(r"0x[0-9a-f]+|\d+", r"[0-9a-fx]+", pattern)


@pytest.mark.parametrize("number", range(len(RUNS)), ids=lambda n: RUNS[n].commands.split("\n")[0])
def test_a_command_does_what_the_document_says(number: int, done: Done) -> None:
    expected, (status, output) = RUNS[number], done.results[number]
    recorded = re.findall(r"# (?:toolchain|qemu): (.*)$", DOCUMENT, re.M)
    same = {*recorded} == {tools.toolchain(), tools.qemu_version()}
    assert (status != 0) == expected.fails, output
    if not same and "# toolchain: " in expected.prints:
        pytest.skip(f"the golden that it shows was made with {', '.join(recorded)}")
    if not re.fullmatch(as_pattern(expected.prints, numbers=same), output):
        pytest.fail(
            f"docs/adding-a-scenario.md says that\n\n{expected.commands}\nprints\n\n"
            f"{expected.prints}\nbut it prints\n\n{output}",
            pytrace=False,
        )


@pytest.mark.parametrize("what", MORE)
def test_all_that_a_new_lab_can_touch_is_green(what: str, done: Done) -> None:
    """One function, one row, one golden; whatever the lab is."""
    status, output = done.more[what]
    assert status == 0, output


# --- what a forgotten step says -----------------------------------------------------------------


def edit(old: str, new: str) -> Callable[[Path], None]:
    """Change the row: `old` is a pattern that must be there once."""

    def apply(tree: Path) -> None:
        text, count = re.subn(old, new, (tree / ROW).read_text("utf-8"), flags=re.S)
        assert count == 1, old
        (tree / ROW).write_text(text, "utf-8")

    return apply


def forget_row(tree: Path) -> None:
    (tree / ROW).unlink()
    (tree / GOLDEN).unlink()


FORGET: dict[str, Callable[[Path], None]] = {
    "the row": forget_row,
    "the control": edit(r" *controls=\(.*?\n        \),\n", ""),
    "the golden": lambda tree: (tree / GOLDEN).unlink(),
    "the aborts": edit(" *aborts=1,\n", ""),
    "the lab, misspelt in the row": edit(r"demo\.off_by_one", "demo.of_by_one"),
    "a parameter, misspelt": edit("aborts=1,", 'aborts=1,\n        args="sample=4",'),
    "a verdict, misspelt": edit("caught by=guard-page", "caught by guard-page"),
}


@pytest.fixture
def finished(done: Done, tmp_path: Path) -> Path:
    """A tree of one's own in which nothing is forgotten, and its kernel."""
    copy(done.tree, tmp_path / "tree")
    (tmp_path / "tree/build").mkdir()
    shutil.copy(done.tree / "build/kernel.elf", tmp_path / "tree/build")
    return tmp_path / "tree"


def check(tree: Path) -> tuple[int, str]:
    """What `make test` would say of this family."""
    files = [str(file) for file in (ROW, CATALOGUE) if (tree / file).exists()]
    return run(tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files)


def test_when_nothing_is_forgotten_none_of_it_is_said(finished: Path) -> None:
    """Else the messages would prove nothing. What the catalogue says of others is its own test."""
    _, output = check(finished)
    assert not [what for what, says in SAYS.items() if says in output], output


# Not as the table says it: ONLY= finds a test by its id, too, and is to find none by that word.
@pytest.mark.parametrize("what", FORGET, ids=lambda what: what.replace("misspelt", "wrong"))
def test_a_forgotten_step_is_named(what: str, finished: Path) -> None:
    FORGET[what](finished)
    status, output = check(finished)
    assert status != 0, f"nobody missed {what}"
    assert SAYS[what] in output, output


def test_every_forgotten_step_of_the_table_is_tried() -> None:
    assert set(SAYS) == set(FORGET)


# --- the convention itself ----------------------------------------------------------------------


def test_a_block_that_is_nothing_to_do_is_refused() -> None:
    with pytest.raises(ValueError, match="```c "):
        steps("```c\nint x;\n```\n")
    with pytest.raises(ValueError, match="```text"):
        steps("```c file=x.c\nint x;\n```\n\n```text\nout\n```\n")


def test_an_output_block_is_held_to_the_letter() -> None:
    pattern = as_pattern("first\n…\n[end] caught by=… : x\n")
    assert re.fullmatch(pattern, "first\nany\nlines\n[end] caught by=guard-page : x\n")
    assert not re.fullmatch(pattern, "first\n[end] caught by=guard-page : y\n")
    assert not re.fullmatch(pattern, "first\n[end] caught by=guard-page : x\nmore\n")
