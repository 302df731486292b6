"""The kernel that is tested, held against its own stack report: every bound, every measurement.

Goldens belong to one toolchain; under another only live runs are compared.
"""

import cProfile
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from harness import paths, tools
from harness.documents.page import recorded_by
from harness.paths import ROOT
from harness.run.boot import boot
from harness.stackreport import beside, marks, notes, report
from harness.stackreport.__main__ import main
from harness.stackreport.bounds import Graph, Program, decode
from harness.stackreport.code import Code
from harness.stackreport.image import Image, load
from harness.stackreport.marks import Mark
from harness.stackreport.notes import Note, Notes, bare
from harness.stackreport.rows import Report

KERNEL = ROOT / paths.KERNEL
NOTES = ROOT / "kernel/stack-notes.toml"
PAGE = 4096
MEASURE = "kernel/labs/stack/stack_measure.c"
GOLDEN_TOOLCHAIN = recorded_by(ROOT)

# Boot lines that reach stacks which no golden measures, or reach them deeper.
LIVE = [
    "lab=crash.hang watchdog=50",
    "lab=stack.registers points=20",
    "lab=stack.emergency",
    "lab=grow.handler",
    "lab=spawn.crasher",
    "lab=pool.exhaust",
    "lab=list",
]

# Of each bound, how much was ever measured, at least: a bound that gets looser shows here.
# Every path that prints an address may look up a name of EL0's code, and only a process's does.
TIGHT = {
    "boot:cpu0": 0.28,
    "irq:cpu*": 0.80,
    "emergency:cpu*": 0.75,
    "thread:lab": 0.30,
}


@pytest.fixture(scope="module")
def image() -> Image:
    return load(KERNEL)


@pytest.fixture(scope="module")
def codes(image: Image) -> dict[str, Code]:
    return decode(image)


@pytest.fixture(scope="module")
def golden() -> list[Mark]:
    same = tools.toolchain() == GOLDEN_TOOLCHAIN
    return marks.read(ROOT / "golden") if same else []


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> list[Mark]:
    folder = tmp_path_factory.mktemp("live")
    found: list[Mark] = []
    for line in LIVE:
        serial = boot(KERNEL, f"{line} stacks=all", folder).serial.decode("ascii")
        found += marks.parse(serial, line)
    return found


@pytest.fixture(scope="module")
def made(image: Image, codes: dict[str, Code], golden: list[Mark]) -> Report:
    return report.make(image, _noted(image), golden, codes=codes)


def _noted(image: Image) -> Notes:
    """Anew for each report, which marks what it needed."""
    return beside.read(image, notes.parse(NOTES.read_text("utf-8")))


def _without_marks(problems: tuple[str, ...]) -> list[str]:
    """Under another toolchain there are no goldens to need [[mark]] notes."""
    same = tools.toolchain() == GOLDEN_TOOLCHAIN
    return [p for p in problems if same or not p.startswith("note mark ")]


# --- bounds, measurements, notes


def test_every_stack_holds_and_no_golden_contradicts(made: Report) -> None:
    assert not _without_marks(made.problems), "\n".join(made.problems)
    for stack in made.stacks:
        fits = stack.bound.bytes <= (stack.least_size or stack.bound.bytes)
        assert stack.unbounded or (stack.bound.proven and fits)


def test_no_live_run_contradicts_and_how_tight_the_bounds_are(
    image: Image, codes: dict[str, Code], golden: list[Mark], live: list[Mark]
) -> None:
    made = report.make(image, _noted(image), [*golden, *live], codes=codes)
    assert not _without_marks(made.problems), "\n".join(made.problems)
    seen = {stack.name: stack.tightness or 0 for stack in made.stacks}
    slack = 0.0 if tools.toolchain() == GOLDEN_TOOLCHAIN else 0.05
    loose = {n: seen[n] for n, least in TIGHT.items() if not least - slack <= seen[n] <= 1}
    assert not loose, f"bounds whose tightness left its band: {loose}"


def test_the_labs_victims_are_the_only_ones_without_a_bound(made: Report) -> None:
    assert {s.name for s in made.stacks if s.unbounded} == {
        "thread:victim",
        "thread:cpu*",
        "thread:grower",
        "thread:early",
        "thread:here",
        "thread:there",
    }


def test_no_frame_steps_over_a_guard_but_in_labs(made: Report) -> None:
    outside = [f for f in made.functions if not f.unit.startswith("kernel/labs/")]
    assert max(f.frame for f in outside) <= PAGE
    assert not [f.name for f in outside if f.dynamic]
    assert max(f.frame for f in made.functions) > PAGE, "a lab breaks the rule on purpose"


def test_the_emergency_frame_is_as_large_as_the_kernel_says(image: Image) -> None:
    header = (ROOT / "kernel/arch/frame.h").read_text("utf-8")
    (size,) = re.findall(r"^#define FRAME_SIZE (\d+)$", header, re.MULTILINE)
    reserved = {note["entry"]: note["reserved"] for note in _noted(image).of("exception")}
    assert reserved == {"exception_entry": 0, "syscall_start": 0, "emergency_exception": int(size)}


# --- where a depth is fully determined, bound and measurement are equal

DETERMINED = [
    ("lab=stack.watermark depth=100 budget=64K", {"watermark": "descend"}),
    (
        "lab=stack.watermark_levels depth=100 budget=64K",
        {level: f"descend_{level}" for level in ("O0", "O1", "O2", "O3", "Os")},
    ),
    ("lab=stack.watermark_untouched touch=1 budget=64K", {"untouched": "promise"}),
    ("lab=stack.watermark_lookalike lookalike=0 budget=64K", {"lookalike": "write_paint"}),
]


@pytest.mark.parametrize(("line", "functions"), DETERMINED, ids=[row[0] for row in DETERMINED])
def test_a_determined_lab_measures_exactly_its_bound(
    line: str, functions: dict[str, str], image: Image, codes: dict[str, Code], tmp_path: Path
) -> None:
    measured = _deepest(line, tmp_path)
    assert measured.keys() == functions.keys()
    for what, function in functions.items():
        assert _measured_bound(_noted(image), function, image, codes) == f"≤ {measured[what]}", what


def _deepest(line: str, folder: Path) -> dict[str, int]:
    """What each measurement of a boot found; at -O0 the last call is deeper than SP was seen."""
    log = boot(KERNEL, line, folder).log
    found = {r.words[0]: r.fields for r in log.select("stack-lab") if "lowest_sp" in r.fields}
    return {what: max(int(r["lowest_sp"]), int(r["used"])) for what, r in found.items()}


def _measured_bound(noted: Notes, function: str, image: Image, codes: dict[str, Code]) -> str:
    """Down to the function's deepest frame: what measure() calls besides is not entered."""
    besides = ["report", "thread_exit", "__stack_chk_fail"]
    (measure,) = (
        f.name for f in image.functions.values() if (f.unit, bare(f.name)) == (MEASURE, "measure")
    )
    starts = {"thread_start": [measure], measure: [f"kernel/labs/*.c:{function}"]}
    graph = Graph(Program(image, noted, codes), "thread:victim", starts, besides)
    return str(graph.bound("thread_start"))


FRAME = re.compile(r"^\[bt\] #(\d+) ([\w.]+)\+\S+ frame=(\d+)\S* stack=(\S+)(.*)$", re.MULTILINE)


def _backtraces() -> Iterator[list[tuple[str, int, str, str]]]:
    """Of every golden: function, frame, stack, rest of the line; innermost first."""
    if tools.toolchain() != GOLDEN_TOOLCHAIN:
        return
    for path in sorted((ROOT / "golden").rglob("*.log")):
        rows: list[tuple[str, int, str, str]] = []
        for number, function, frame, stack, rest in FRAME.findall(path.read_text("utf-8")):
            if number == "0" and rows:
                yield rows
                rows = []
            rows.append((function, int(frame), stack, rest))
        if rows:
            yield rows


def test_every_frame_of_every_golden_backtrace_is_the_one_computed(made: Report) -> None:
    """Between two frame records lies the callee's whole frame. An interrupted prologue, a chain
    that a lab broke, and assembly say nothing about that."""
    frames = {f.name: f for f in made.functions if f.compiler is not None}
    checked = set()
    for rows in _backtraces():
        for function, frame, stack, rest in rows[1:]:
            row = frames.get(function)
            # break_chain() points its own record elsewhere; unchecked, that is a frame's end.
            if function == "break_chain" or "via=lr" in rest or stack == "frame":
                continue
            if row and not row.dynamic and frame:
                assert frame == row.frame, f"{function}: {frame} measured, {row.frame} computed"
                checked.add(function)
    assert len(checked) > 10 or tools.toolchain() != GOLDEN_TOOLCHAIN


def test_every_call_of_every_golden_backtrace_is_an_edge(
    image: Image, codes: dict[str, Code]
) -> None:
    graph = Graph(Program(image, _noted(image), codes))
    for rows in _backtraces():
        for (callee, _, stack, how), (caller, _, below, _) in pairwise(rows):
            known = callee in image.compiler and caller in image.functions
            told_by_lr = callee == caller and "via=lr" in how  # a stale x30: itself
            if known and stack == below and not told_by_lr and caller != "thread_start":
                targets = {edge.target for edge in graph.edges(caller)}
                assert callee in targets or _is_site(caller, callee), f"{caller} → {callee}"


def _is_site(caller: str, callee: str) -> bool:
    """A chain that a lab broke shows what lies on the stack, not who called whom."""
    return "chain" in caller or callee.startswith("to_")


# --- the notes can fail: each of these changes must be noticed


def _change(kind: str, key: str, name: str, **values: object) -> Callable[[Notes], Notes]:
    def change(old: Notes) -> Notes:
        hit = [note for note in old.of(kind) if note[key] == name]
        assert len(hit) == 1, f"{kind} {name}: the mutation has lost its note"
        return Notes(Note(n.kind, {**n.values, **values}) if n in hit else n for n in old)

    return change


def _drop(kind: str, key: str, name: str) -> Callable[[Notes], Notes]:
    def drop(old: Notes) -> Notes:
        kept = [note for note in old if note.kind != kind or note[key] != name]
        assert len(kept) == len(list(old)) - 1, f"{kind} {name}: the mutation has lost its note"
        return Notes(kept)

    return drop


MUTATIONS = {
    "a target dropped": _change(
        "indirect",
        "in",
        "kernel/report/exception.c:dispatch",
        targets=["kernel/labs/stack/stack_labs.c:overflow_irq_stack"],
    ),
    "an ignored target dropped": _change(
        "indirect",
        "in",
        "kernel/report/exception.c:dispatch",
        targets=["kernel/labs/stack/stack_sweep.c:note_landing"],
    ),
    "all targets dropped": _drop("indirect", "in", "kernel/report/fault.c:report_finding"),
    "a depth of nothing": _change(
        "recursion", "function", "kernel/report/where.c:where_*", depth=0
    ),
    "recursion forgotten": lambda old: Notes(n for n in old if n.kind != "recursion"),
    "nesting forgotten": _change("exception", "entry", "exception_entry", levels=0),
    "nesting dropped": _drop("exception", "entry", "exception_entry"),
    "nesting on another stack": _change("exception", "entry", "exception_entry", on=["thread:lab"]),
    "alloca halved": _change(
        "dynamic", "function", "kernel/labs/stack/stack_frames.c:stand_low", bytes=8192
    ),
    "alloca forgotten": _drop("dynamic", "function", "kernel/labs/stack/stack_frames.c:stand_low"),
    "assembly forgotten": _drop("assembly", "function", "_start"),
    "a jump forgotten": _change("assembly", "function", "_start", jumps=["start_low"]),
    "an overflow counted": _drop("ignore", "from", "kernel/proc/sched.c:idle"),
    "a stack smaller than its bound": _change("stack", "name", "thread:idle", size=1024),
    "a stack of the wrong size": _change("stack", "name", "thread:idle", size=8192),
    "a thread forgotten": _change(
        "stack", "name", "thread:victim", starts=["kernel/labs/stack/stack_labs.c:recurse_victim"]
    ),
    "a stack forgotten": _drop("stack", "name", "thread:witness"),
    "a budget halved": _change("stack", "name", "boot:cpu0", budget=512),
}


def test_a_depth_halved_is_noticed(image: Image, codes: dict[str, Code], tmp_path: Path) -> None:
    line, _ = DETERMINED[0]
    halved = _change("recursion", "function", "kernel/labs/*.c:descend*", depth=50)(_noted(image))
    bound = _measured_bound(halved, "descend", image, codes)
    assert int(bound.removeprefix("≤ ")) < _deepest(line, tmp_path)["watermark"]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_note_is_noticed(
    mutation: str, image: Image, codes: dict[str, Code], golden: list[Mark], live: list[Mark]
) -> None:
    if mutation == "alloca halved" and not golden:
        pytest.skip("only a golden's mark comes so deep, and the goldens are another compiler's")
    wrong = MUTATIONS[mutation](_noted(image))
    try:
        made = report.make(image, wrong, [*golden, *live], codes=codes)
    except notes.NotesError:
        return
    assert _without_marks(made.problems)


# --- the tool can fail: what each step is for shows when it is left out


def _by_frames_alone(self: Graph, name: str) -> Iterator[object]:
    """What .su files alone would give: nothing below any function."""
    return iter(())


def test_a_tool_that_forgets_calls_is_noticed(
    image: Image, golden: list[Mark], live: list[Mark], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Graph, "_calls", _by_frames_alone)
    made = report.make(image, _noted(image), [*golden, *live])
    assert any("more than the bound" in problem for problem in made.problems)


def test_a_tool_that_misses_sp_is_noticed(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.stackreport import effects
    from harness.stackreport.effects import Value

    monkeypatch.setattr(effects, "_moved_base", lambda *_: Value("sp", 0))
    made = report.make(image, _noted(image))
    assert any("the compiler says" in problem for problem in made.problems)


def test_a_tool_that_takes_end_for_returning_is_noticed(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Code.walk
    monkeypatch.setattr(
        Code, "walk", lambda self, calls: plain(self, calls._replace(never=frozenset()))
    )
    assert report.make(image, _noted(image)).problems


# --- the compiler's side


def test_compiler_and_machine_code_agree(image: Image, made: Report) -> None:
    assert len(image.compiler) > 250
    assert [line.partition(":")[0] for line in made.findings] == ["promise", "write_paint"]


def test_stack_sizes_say_what_was_computed(image: Image, made: Report) -> None:
    """What `llvm-readelf --stack-sizes` reads: every function of C with a fixed frame."""
    sizes = {image.functions[f.name].start: f for f in made.functions if f.compiler is not None}
    static = {start for start, f in sizes.items() if image.compiler[f.name].qualifier == "static"}
    assert image.stack_sizes.keys() == static
    assert all(size == sizes[start].frame for start, size in image.stack_sizes.items())


def test_llvm_reads_them_too(image: Image) -> None:
    command = ("llvm-readelf", "--stack-sizes", str(KERNEL))
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = re.findall(r"^\s*(\d+)\s+(\S+)$", run.stdout, re.MULTILINE)
    assert len(rows) == len(image.stack_sizes)
    sizes: dict[str, set[int]] = {}
    for function in image.functions.values():
        if function.start in image.stack_sizes:
            sizes.setdefault(bare(function.name), set()).add(image.stack_sizes[function.start])
    for size, name in rows:
        assert int(size) in sizes.get(name, {int(size)})


# --- how long it takes


def test_it_is_quick(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """In calls, Python's and C's, not in seconds: those depend on the machine and its other work.
    It makes 174 for each instruction of the image, from cold caches: 145 before labs had notes of
    its own and what is saved on a stack was followed."""
    profile = cProfile.Profile()
    profile.runcall(main, [f"--elf={KERNEL}", f"--notes={NOTES}", f"--marks={ROOT / 'golden'}"])
    assert "boot:cpu0" in capsys.readouterr().out
    calls = sum(entry.callcount for entry in profile.getstats())
    instructions = sum(len(data) // 4 for _, data in image.code)
    assert calls < 180 * instructions
