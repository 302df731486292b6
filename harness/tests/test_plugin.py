"""The plugin under a real pytest: which cases there are, how a failure looks, what is offered.

Every machine is faked (walk.Run.boot), so that nothing here needs QEMU or a kernel.
"""

import sys
from pathlib import Path

import pytest

from harness.paths import ARTIFACTS, ROOT
from harness.scenario import marks
from harness.tests.samples import GOLDEN_TEXT, write_golden

pytest_plugins = ["pytester"]

CONFTEST = '''
import os
import pytest
from harness.run import walk
from harness.verdict.judge import Build
from harness.tests import samples

pytest_plugins = ["harness.plugin"]


def boot(run):
    """What a good machine would have left, or what FAKE says."""
    serial = samples.SERIAL.replace(samples.NONCE.encode(), run.nonce.encode())
    for old, new in FAKE.items():
        serial = serial.replace(old.encode(), new.encode())
    if run.case.control:
        serial = serial.replace(b"caught by=guard-page", run.case.verdict.encode())
    (run.folder / "qemu-int.log").write_bytes(samples.INT_LOG)
    looks = (tuple(samples.look()),) if run.case.looks else None
    return walk.Evidence(serial, samples.INT_LOG, run.nonce, looks)


FAKE = %(fake)r


@pytest.fixture(autouse=True)
def _no_qemu(monkeypatch):
    monkeypatch.setattr(walk.Run, "boot", boot)
    monkeypatch.setattr(walk.Symbols, "from_elf", lambda path: samples.NAMES)
    monkeypatch.setattr(walk.Walker, "build", samples.BUILD)
'''
SCENARIOS = """
from harness.scenario import Case, Control, Scenario, Walk
from harness.run import walk
from harness.tests.samples import SCENARIO

SCENARIOS = [SCENARIO, *MORE]

def test_stack(case: Case, walk: Walk) -> None:
    walk(case)
"""
TRACEBACK = r".*\.py:\d+: "
PASSES = ["recurse", "recurse-serial", "recurse-gdb", "recurse-control-no-guard"]


@pytest.fixture(autouse=True)
def _no_real_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process may have collected the checkout's own scenarios, under the very same names."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "scenarios"]:
        monkeypatch.delitem(sys.modules, name)


class Project:
    """A checkout with one family of scenarios, its golden, and machines that only pretend."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.root = pytester.path
        self.golden = write_golden(self.root / "golden")
        self.fake({})
        pytester.makefile(".ini", pytest="[pytest]\naddopts = --import-mode=importlib\n")
        self.scenarios()

    def fake(self, replacements: dict[str, str]) -> None:
        self.pytester.makeconftest(CONFTEST % {"fake": replacements})

    def scenarios(self, more: str = "[]") -> None:
        folder = self.root / "scenarios"
        folder.mkdir(exist_ok=True)
        (folder / "test_stack.py").write_text(SCENARIOS.replace("MORE", more))

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.run_cached("-p", "no:cacheprovider", *arguments)

    def run_cached(self, *arguments: str) -> pytest.RunResult:
        """In this process, unless there are workers: starting pytest costs half a second."""
        workers = "-n" in arguments
        run = self.pytester.runpytest_subprocess if workers else self.pytester.runpytest_inprocess
        return run(*arguments)

    def artifact(self, case: str, name: str) -> Path:
        return self.root / ARTIFACTS / case / name


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("BUILD", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Project(pytester)


def _ids(result: pytest.RunResult) -> list[str]:
    return [line[line.index("[") + 1 : -1] for line in result.outlines if "::test_stack[" in line]


def test_rows_become_cases_with_readable_ids(project: Project) -> None:
    result = project.run("--collect-only", "-q")
    assert _ids(result) == [*PASSES, "recurse-control-no-guard-no-sentinel"]


@pytest.mark.parametrize(
    ("expression", "count"),
    [("recurse", 5), ("recurse-gdb", 1), ("control", 2), ("no-guard and not no-sentinel", 1)],
)
def test_cases_are_selected_by_k(project: Project, expression: str, count: int) -> None:
    assert len(_ids(project.run("--collect-only", "-q", "-k", expression))) == count


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_good_runs_pass(project: Project, workers: tuple[str, ...]) -> None:
    project.run(*workers).assert_outcomes(passed=5)
    assert not list(project.root.rglob("*.new"))


def test_last_failed_runs_only_what_failed(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    project.run_cached().assert_outcomes(passed=2, failed=3)
    project.fake({})
    project.run_cached("--lf").assert_outcomes(passed=3)


def test_a_good_run_keeps_the_cheap_artifacts(project: Project) -> None:
    project.run("-k", "recurse-gdb")
    kept = {path.name for path in (project.root / "build/artifacts/stack.recurse-gdb").iterdir()}
    assert kept == {"serial.log", "canonical.log", "reopen"}
    assert project.artifact("stack.recurse-gdb", "canonical.log").read_text() in GOLDEN_TEXT
    assert project.artifact("stack.recurse-gdb", "reopen").read_text() == (
        "make replay CAPSULE=build/artifacts/stack.recurse-gdb\n"
    )


def test_a_failure_keeps_all_and_the_next_run_clears_it(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    project.run("-k", "recurse-gdb")
    diff = project.artifact("stack.recurse-gdb", "golden.diff")
    assert "frame grew 32 → 64 (recurse_thread)" in diff.read_text()
    assert project.artifact("stack.recurse-gdb", "qemu-int.log").exists()
    project.fake({})
    project.run("-k", "recurse-gdb")
    assert not diff.exists()
    assert not project.artifact("stack.recurse-gdb", "qemu-int.log").exists()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_failure_is_the_message_and_nothing_else(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.fake({"frame=32": "frame=64"})
    result = project.run(*workers, "-k", "recurse-serial")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "scenario  stack.recurse (recurse-serial), by serial",
            "verdict   expected  caught by=guard-page",
            "golden    golden/stack/recurse.log: 1 difference",
            "  frame grew 32 → 64 (recurse_thread)",
            "reopen    make replay CAPSULE=build/artifacts/stack.recurse-serial",
            "FAILED *recurse-serial* - golden: *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_re_match_line(TRACEBACK)
    result.stdout.no_fnmatch_line("*\x1b*")


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_terminal_gets_colour(project: Project, workers: tuple[str, ...]) -> None:
    project.fake({"frame=32": "frame=64"})
    result = project.run("--color=yes", *workers, "-k", "recurse-serial")
    assert any("\x1b[31m" in line and "- [bt] #340" in line for line in result.outlines)
    assert any("\x1b[1m" in line and "reopen" in line for line in result.outlines)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_one_case_offers_the_new_golden(project: Project, workers: tuple[str, ...]) -> None:
    project.golden.unlink()
    result = project.run(*workers)
    result.assert_outcomes(passed=2, failed=3)
    assert [path.name for path in project.root.rglob("*.new")] == ["recurse.log.new"]
    result.stdout.fnmatch_lines(
        ["*pending in golden/stack/recurse.log.new*make golden ONLY=recurse"]
    )
    (project.root / "golden/stack/recurse.log.new").rename(project.golden)
    assert project.golden.read_text() == GOLDEN_TEXT
    project.run(*workers).assert_outcomes(passed=5)


def test_a_run_with_the_wrong_verdict_offers_nothing(project: Project) -> None:
    project.fake({"[end] caught by=guard-page": "[end] survived"})
    result = project.run("-k", "recurse-gdb")
    result.stdout.fnmatch_lines(["*expected  caught by=guard-page", "*seen      survived"])
    assert not list(project.root.rglob("*.new"))


def test_a_passing_run_takes_its_pending_golden_back(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    project.run()
    assert list(project.root.rglob("*.new"))
    project.fake({})
    project.run()
    assert not list(project.root.rglob("*.new"))


def test_exact_records_what_another_toolchain_compiled(project: Project) -> None:
    project.golden.write_text(GOLDEN_TEXT.replace("gcc 12.2.0", "gcc 13.1.0"))
    project.fake({"frame=32": "frame=33"})
    project.run().assert_outcomes(passed=5)
    project.run("--golden-exact").assert_outcomes(passed=2, failed=3)
    assert list(project.root.rglob("*.new"))


def test_a_corrupt_golden_is_told_without_a_traceback(project: Project) -> None:
    project.golden.write_text("garbage\n")
    result = project.run("-k", "recurse-serial")
    result.stdout.fnmatch_lines(["corrupt golden, line 1: expected*", "  next: restore it*"])
    result.stdout.no_re_match_line(TRACEBACK)


def test_a_kernel_that_is_not_built_is_told_once_a_case(project: Project) -> None:
    project.pytester.makeconftest('pytest_plugins = ["harness.plugin"]')
    result = project.run("-k", "recurse-serial")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["kernel *build/kernel.elf does not exist", "  next: run: make"])
    result.stdout.no_re_match_line(TRACEBACK)
    assert str(result.stdout).count("next: run: make") == 1


def test_ordinary_failures_keep_their_traceback(project: Project) -> None:
    project.pytester.makepyfile("def test_x():\n    assert 1 == 2")
    project.run("test_ordinary_failures_keep_their_traceback.py").stdout.fnmatch_lines(
        ["*assert 1 == 2", "*.py:2: AssertionError"]
    )


def test_rows_with_one_name_are_refused_by_name(project: Project) -> None:
    project.scenarios("[SCENARIO]")
    result = project.run()
    result.stdout.fnmatch_lines(["*two cases are called stack.recurse,*give one row a name=*"])
    assert result.ret != 0


def test_a_module_without_rows_is_told_so(project: Project) -> None:
    project.pytester.makepyfile("def test_x(case):\n    pass")
    result = project.run("test_a_module_without_rows_is_told_so.py")
    result.stdout.fnmatch_lines(["*test_a_module_without_rows_is_told_so.py has no SCENARIOS*"])


MARKED = """[
    Scenario("demo.other", "ok", cpus=2, uncontrolled="x"),
    Scenario("demo.tagged", "ok", cpu="max", mte=True, uncontrolled="x"),
]"""


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("gdb and stack", ["recurse-gdb"]),
        ("stack and not control", ["recurse", "recurse-serial", "recurse-gdb"]),
        ("serial", ["recurse-serial"]),
        ("control and stack", ["recurse-control-no-guard", "recurse-control-no-guard-no-sentinel"]),
        ("smp", ["other"]),
        ("mte", ["tagged"]),
        ("demo", ["other", "tagged"]),
        ("warm and demo", ["other", "tagged"]),
        ("warm and serial", []),
    ],
)
def test_marks_come_from_the_row(project: Project, expression: str, selected: list[str]) -> None:
    project.scenarios(MARKED)
    assert _ids(project.run("--collect-only", "-q", "-m", expression)) == selected


def test_names_are_what_they_were_without_marks(project: Project) -> None:
    """-k finds marks, too: `-k warm` would be every case that can be, and `not gdb` leave out more
    than what is called so.
    """
    project.scenarios(MARKED)
    assert _ids(project.run("--collect-only", "-q", "-k", "warm or smp or mte")) == []


def test_every_mark_is_told_and_no_other_is_known(project: Project) -> None:
    told = str(project.run("--markers").stdout)
    for mark in (*marks.MARKS, marks.ACCEPTED[0], "stack"):
        assert f"@pytest.mark.{mark}: " in told
    project.pytester.makepyfile("import pytest\n@pytest.mark.gdbb\ndef test_x(): pass")
    result = project.run("--strict-markers", "test_every_mark_is_told_and_no_other_is_known.py")
    result.stdout.fnmatch_lines(["*'gdbb' not found in `markers` configuration option*"])


ORPHANS = "--golden-orphans=build/orphans"


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        ((), True),
        (("scenarios",), True),
        (("-k", "recurse"), True),  # deselects nothing here
        (("-k", "serial"), False),
        (("-n", "2"), False),
        (("-x",), True),
        (("scenarios/test_stack.py::test_stack[recurse]",), False),
        (("scenarios/test_stack.py",), True),  # the only module
    ],
)
def test_orphans_are_listed_by_full_runs_only(
    project: Project, arguments: tuple[str, ...], listed: bool
) -> None:
    (project.root / "golden/stack/old.log").write_text(GOLDEN_TEXT)
    project.run(ORPHANS, *arguments)
    listing = project.root / "build/orphans"
    assert listing.exists() is listed
    assert not listed or listing.read_text() == "stack/old.log\n"


def test_accepting_takes_what_the_run_leaves_and_no_more(project: Project) -> None:
    earlier = project.golden.with_name("earlier.log.new")
    earlier.write_text(GOLDEN_TEXT)
    (project.root / "golden/stack/old.log").write_text(GOLDEN_TEXT)
    project.fake({"frame=32": "frame=64"})
    result = project.run("--golden-accept", ORPHANS)
    assert result.ret == 0
    result.assert_outcomes(passed=5)
    for word in ("FAILED", "failed", "discarded", "difference"):
        result.stdout.no_fnmatch_line(f"*{word}*")
    assert "+++ golden/stack/recurse.log" in result.outlines
    assert result.outlines[-1] == "golden: 1 accepted, 1 orphans removed"
    assert "frame=64" in project.golden.read_text()
    assert [path.name for path in project.golden.parent.iterdir()] == [project.golden.name]


def test_what_is_not_as_its_row_says_fails_while_the_rest_is_accepted(project: Project) -> None:
    other = "Scenario('stack.other', verdict='survived', uncontrolled='x')"
    project.scenarios(f"[{other}]")
    project.fake({"frame=32": "frame=64"})
    result = project.run("--golden-accept")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["FAILED *other* - expected survived, seen c*"])
    assert result.outlines[-1] == "golden: 1 accepted, 0 orphans removed"


def test_a_case_that_only_compares_does_not_pass_alone_while_accepting(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    result = project.run("--golden-accept", "-k", "recurse-serial")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*another trigger of this scenario records it*"])
    assert project.golden.read_text() == GOLDEN_TEXT


def test_what_holds_the_accepted_is_not_asked_while_accepting(project: Project) -> None:
    """And the run stays a full one: it may remove orphans."""
    (project.root / "scenarios/test_stack.py").write_text(
        f"{SCENARIOS.replace('MORE', '[]')}\n"
        "import pytest\n"
        "@pytest.mark.accepted\n"
        "def test_missing(): assert False\n"
    )
    (project.root / "golden/stack/old.log").write_text(GOLDEN_TEXT)
    result = project.run("--golden-accept", ORPHANS)
    assert result.ret == 0
    assert result.outlines[-1] == "golden: 0 accepted, 1 orphans removed"
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_many_failed_of_is_told_once(project: Project, workers: tuple[str, ...]) -> None:
    """By the one whose golden is pending; each is counted."""
    project.fake({"used=16384 size": "used=16392 size"})
    result = project.run(*workers)
    result.assert_outcomes(failed=3, passed=2)
    told = [line for line in result.outlines if line.startswith("FAILED")]
    assert len(told) == 1
    (alike,) = (line for line in result.outlines if line.startswith("used grew by 8 in 3 scen"))
    assert {*alike.rpartition(": ")[2].split(", ")} == {"recurse", "recurse-serial", "recurse-gdb"}
    (scenario,) = (line for line in result.outlines if line.startswith("scenario  "))
    assert scenario == "scenario  stack.recurse (recurse-gdb), by gdb"


def test_what_failed_of_different_things_is_told_apart(project: Project) -> None:
    other = "Scenario('stack.other', verdict='survived', uncontrolled='x')"
    project.scenarios(f"[{other}]")
    project.fake({"used=16384 size": "used=16392 size"})
    told = [line for line in project.run().outlines if line.startswith("FAILED")]
    assert len(told) == 2


def test_a_run_that_did_not_get_through_accepts_nothing(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    (project.root / "scenarios/test_wrong.py").write_text("not python")
    assert project.run("--golden-accept").ret == pytest.ExitCode.INTERRUPTED
    (project.root / "scenarios/test_wrong.py").unlink()
    result = project.run("--golden-accept", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.golden.read_text() == GOLDEN_TEXT


def test_a_corrupt_pending_golden_fails_the_accepting_run(project: Project) -> None:
    (project.root / "scenarios/test_x.py").write_text(
        "from pathlib import Path\n"
        "def test_x():\n"
        "    Path('golden/stack/x.log.new').write_text('cut off')"
    )
    result = project.run("--golden-accept")
    assert result.ret == 2
    assert "x.log.new" in str(result.stderr)


def test_a_module_left_out_makes_a_run_partial(project: Project) -> None:
    (project.root / "scenarios/test_pool.py").write_text("def test_x(): pass")
    project.run(ORPHANS, "scenarios/test_stack.py")
    assert not (project.root / "build/orphans").exists()


def test_a_stopped_run_is_partial(project: Project) -> None:
    project.fake({"frame=32": "frame=64"})
    project.run(ORPHANS, "-x")
    assert not (project.root / "build/orphans").exists()


def test_pytest_starts_without_the_harness_proper(project: Project) -> None:
    project.pytester.makeconftest('pytest_plugins = ["harness.plugin"]')
    project.pytester.makepyfile(
        "import sys, json\n"
        "def test_x():\n"
        "    names = ('pexpect', 'elftools', 'harness.qemu.machine', 'harness.run.walk')\n"
        "    assert not set(names) & set(sys.modules), json.dumps(sorted(sys.modules))"
    )
    name = "test_pytest_starts_without_the_harness_proper.py"
    project.pytester.runpytest_subprocess(name).assert_outcomes(passed=1)


@pytest.mark.parametrize("uses", ["", "import hypothesis"])
def test_hypothesis_is_imported_by_who_uses_it(project: Project, uses: str) -> None:
    """Its own plugin would import it to sum up."""
    project.pytester.makepyfile(
        "import atexit, sys\n"
        "atexit.register(lambda: print('imported:', 'hypothesis.core' in sys.modules))\n"
        f"{uses}\n"
        "def test_x(): pass"
    )
    run = project.pytester.runpytest_subprocess("test_hypothesis_is_imported_by_who_uses_it.py")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines([f"imported: {bool(uses)}"])


# --- a compiler or a QEMU that nobody has a golden of -------------------------------------------

UNKNOWN = {
    "a compiler": ("aarch64-linux-gnu-gcc 12.2.0", "some-cc 99.1.0"),
    "a qemu": ("# qemu: 7.2", "# qemu: 99.0"),
}
# What neither of them decides: the run has it, and the golden says otherwise.
NOBODYS = {
    "the side of the guard": ("guard=below", "guard=above"),
    "the class": ("[EXC] overflow stack=", "[EXC] stray stack="),
    "whose stack": ("far=thread:victim", "far=thread:witness"),
    "the order of functions": ("#0 recurse+0x0", "#0 thread_start+0x0"),
    "how the walk ended": ("why=entry", "why=backwards"),
    "what was asked for": ("stack=16384 past", "stack=8192 past"),
    "the count of aborts": ("data=1", "data=2"),
}


def _made_by_another(project: Project, made: str, *change: str) -> None:
    text = project.golden.read_text()
    for old, new in (UNKNOWN[made], change) if change else (UNKNOWN[made],):
        assert old in text
        text = text.replace(old, new)
    project.golden.write_text(text)


@pytest.mark.parametrize("made", UNKNOWN)
def test_it_is_judged_by_facts_and_what_was_not_judged_is_said(project: Project, made: str) -> None:
    project.fake({"frame=48": "frame=96", "recurse+0x2c": "recurse+0x40"})
    assert project.run("-k", "recurse and not gdb and not control").ret != pytest.ExitCode.OK
    _made_by_another(project, made)
    result = project.run("-k", "recurse and not gdb and not control")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.re_match_lines(
        r"goldens of another compiler or QEMU: 2 cases were judged by their facts, and \d+ values"
        r" that those decide were not"
    )


@pytest.mark.parametrize("made", UNKNOWN)
@pytest.mark.parametrize("what", NOBODYS)
def test_what_nobody_decides_still_fails(project: Project, made: str, what: str) -> None:
    _made_by_another(project, made, *NOBODYS[what])
    result = project.run("-k", "recurse and not gdb and not control and not serial")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("*in what neither compiler nor QEMU decides*")


def test_under_its_own_maker_a_run_has_nothing_to_say(project: Project) -> None:
    result = project.run("-k", "recurse and not gdb and not control")
    result.stdout.no_fnmatch_line("*goldens of another compiler*")
