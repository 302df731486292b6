"""The stack report's parts: SP walked through small functions, notes, bounds of small programs."""

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from harness.errors import KernelNotBuilt
from harness.stackreport import diff, marks, notes, picture, report, text
from harness.stackreport.__main__ import main
from harness.stackreport.bounds import Bound, Graph, Program
from harness.stackreport.code import Walk
from harness.stackreport.image import Image, load
from harness.tools import cross_prefix

SMALL = """
	.macro	function name
	.global	\\name
	.type	\\name, %function
\\name:
	.endm
	.macro	done name
	.size	\\name, . - \\name
	.endm

	.text
function _start			// a tail call, and a call at another depth than the deepest
	bl	plain
	b	big
done _start

function plain
	stp	x29, x30, [sp, #-32]!
	mov	x29, sp
	bl	leaf
	sub	sp, sp, #64
	add	sp, sp, #64
	ldp	x29, x30, [sp], #32
	ret
done plain

function leaf
	sub	sp, sp, #16
	add	sp, sp, #16
	ret
done leaf

function big			// no immediate holds it
	mov	x12, #0x2410
	movk	x12, #1, lsl #16
	sub	sp, sp, x12
	bl	leaf
	mov	x12, #0x2410
	movk	x12, #1, lsl #16
	add	sp, sp, x12
	ret
done big

function probed			// -fstack-clash-protection's loop
	sub	x9, sp, #16, lsl #12
1:	sub	sp, sp, #1, lsl #12
	str	xzr, [sp, #1024]
	cmp	sp, x9
	b.ne	1b
	sub	sp, sp, #32
	bl	leaf
	add	sp, sp, #32
	add	sp, sp, #16, lsl #12
	ret
done probed

function dynamic
	stp	x29, x30, [sp, #-48]!
	mov	x29, sp
	sub	sp, sp, x0
	bl	leaf
	mov	sp, x29
	bl	leaf
	ldp	x29, x30, [sp], #48
	ret
done dynamic

function aligned		// an array aligned to more than 16
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
	and	sp, x29, #-64
	mov	sp, x29
	ldp	x29, x30, [sp], #16
	ret
done aligned

function diverging		// two paths meet at two depths
	cbz	x0, 1f
	sub	sp, sp, #16
1:	ret
done diverging

function unbalanced
	sub	sp, sp, #16
	ret
done unbalanced

function switching
	sub	sp, sp, #16
	mov	sp, x0
	bl	leaf
	ret
done switching

function jumping
	br	x1
label:	sub	sp, sp, #80
	add	sp, sp, #80
	ret
done jumping

function never
	sub	sp, sp, #16
1:	b	1b
done never

function after_never		// what stands behind a call that does not return is no path
	sub	sp, sp, #32
	cbz	x0, 1f
	bl	never
	sub	sp, sp, #4000
1:	add	sp, sp, #32
	ret
done after_never

function past			// post-index, single registers, caller-saved values die at a call
	str	x30, [sp, #-16]!
	mov	x1, sp
	bl	leaf
	mov	sp, x1
	ldr	x30, [sp], #16
	ret
done past

function again
	stp	x29, x30, [sp, #-16]!
	bl	again
	ldp	x29, x30, [sp], #16
	ret
done again

function even
	stp	x29, x30, [sp, #-16]!
	bl	odd
	ldp	x29, x30, [sp], #16
	ret
done even

function odd
	stp	x29, x30, [sp, #-32]!
	bl	even
	ldp	x29, x30, [sp], #32
	ret
done odd

function hook
	stp	x29, x30, [sp, #-16]!
	blr	x0
	ldp	x29, x30, [sp], #16
	ret
done hook

	.data
	.quad	leaf, big
"""

LINK = ["-nostdlib", "-static", "-x", "assembler", "-", "-Wl,--build-id=none"]


def build(folder: Path, source: str, *flags: str) -> Path:
    path = folder / "image.elf"
    command = [f"{cross_prefix()}gcc", *LINK, *flags, "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small"), SMALL, "-Wl,--emit-relocs")


@pytest.fixture(scope="module")
def image(small: Path) -> Image:
    return load(small)


def walk(image: Image, name: str, noted: str = "") -> Walk:
    return Program(image, notes.parse(noted)).walks[name]


def bound(image: Image, name: str, noted: str = "") -> Bound:
    return Graph(Program(image, notes.parse(textwrap.dedent(noted)))).bound(name)


# --- code.py


@pytest.mark.parametrize(
    ("name", "frame", "calls"),
    [
        ("_start", 0, [0, 0]),
        ("plain", 96, [32]),
        ("leaf", 16, []),
        ("big", 0x12410, [0x12410]),
        ("probed", 0x10020, [0x10020]),
        ("dynamic", 48, [48, 48]),
        ("switching", 16, [0]),
        ("never", 16, []),
        ("after_never", 32, [32]),
    ],
)
def test_depth_at_the_deepest_and_at_each_call(
    image: Image, name: str, frame: int, calls: list[int]
) -> None:
    seen = walk(image, name)
    assert (seen.frame, [call.depth for call in seen.calls]) == (frame, calls)
    assert not seen.problems


def test_what_only_the_running_program_knows_is_said(image: Image) -> None:
    dynamic = {name for name in image.functions if walk(image, name).dynamic}
    assert dynamic == {"dynamic", "aligned", "diverging"}
    assert [call.dynamic for call in walk(image, "dynamic").calls] == [True, False]
    switched = {name for name in image.functions if walk(image, name).switched}
    assert switched == {"switching", "past"}


def test_functions_that_never_return_are_found(image: Image) -> None:
    stuck = {name for name in image.functions if not walk(image, name).returns}
    assert stuck == {"never"}


def test_an_unbalanced_return_is_a_problem(image: Image) -> None:
    assert walk(image, "unbalanced").problems == ("returns at 0x4 with SP 16 bytes too low",)


def test_a_computed_jump_goes_where_its_note_says(image: Image) -> None:
    assert walk(image, "jumping").jumps
    noted = '[[assembly]]\nfunction = "jumping"\njumps = ["label"]\nwhy = "test"'
    assert walk(image, "jumping", noted).frame == 80
    assert not walk(image, "jumping", noted).jumps


# --- image.py


def test_taken_addresses_come_from_relocations_not_from_branches(image: Image) -> None:
    assert sorted(image.taken or ()) == ["big", "leaf"]


def test_without_relocations_nobody_knows(tmp_path: Path) -> None:
    bare = load(build(tmp_path, SMALL))
    assert bare.taken is None
    assert str(bound(bare, "hook")) == "≥ 16 (indirect call in hook)"


def test_what_is_no_image_is_refused(tmp_path: Path, small: Path) -> None:
    for path, why in ((tmp_path / "none", "cannot be read"), (Path(__file__), "not an ELF")):
        with pytest.raises(KernelNotBuilt, match=why):
            load(path)
    stripped = tmp_path / "stripped"
    subprocess.run([f"{cross_prefix()}strip", "-o", stripped, small], check=True)
    with pytest.raises(KernelNotBuilt, match="symbol table"):
        load(stripped)


# --- bounds.py


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "≤ 96"),
        ("_start", f"≤ {0x12410 + 16}"),
        ("probed", f"≤ {0x10020 + 16}"),
        ("hook", f"≤ {16 + 0x12410 + 16}"),  # every function whose address is taken
        ("again", "unbounded (recursion in again)"),
        ("even", "unbounded (recursion in even → odd)"),
        ("odd", "unbounded (recursion in even → odd)"),
        ("dynamic", "≥ 64 (dynamic frame in dynamic)"),
        ("switching", "≥ 16 (SP is loaded in switching)"),
        ("jumping", "≥ 0 (computed jump in jumping)"),
    ],
)
def test_no_number_without_its_status(image: Image, name: str, expected: str) -> None:
    assert str(bound(image, name)) == expected


@pytest.mark.parametrize(
    ("name", "kind", "values", "expected"),
    [
        ("hook", "indirect", 'in = "hook"\ntargets = ["leaf"]', "≤ 32"),
        ("again", "recursion", 'function = "again"\ndepth = 5', "≤ 80"),
        ("even", "recursion", 'function = "odd"\ndepth = 2', f"≤ {16 + 32 + 16 + 32 + 16}"),
        ("dynamic", "dynamic", 'function = "dynamic"\nbytes = 1000', "≤ 1064"),
        ("switching", "assembly", 'function = "switching"\nswitches = true', "≤ 16"),
    ],
)
def test_a_note_decides(image: Image, name: str, kind: str, values: str, expected: str) -> None:
    assert str(bound(image, name, f'[[{kind}]]\n{values}\nwhy = "test"')) == expected


def test_the_chain_adds_up_to_the_bound(image: Image) -> None:
    for name in ("_start", "hook", "plain"):
        found = bound(image, name)
        assert sum(step.bytes for step in found.chain) == found.bytes


# --- notes.py


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("[[indirect]", "not TOML"),
        ("[[indirects]]\nwhy = 'x'", "have no 'indirects'"),
        ("[[indirect]]\nin = 'a'\ntargets = ['b']", "has no why"),
        ("[[indirect]]\nin = 'a'\ntargets = ['b']\nwhy = ' '", "has no why"),
        ("[[indirect]]\nin = 'a'\nwhy = 'x'", "has no targets"),
        ("[[indirect]]\nin = 'a'\ntargets = []\nwhy = 'x'", "not what belongs there"),
        ("[[recursion]]\nfunction = 'a'\ndepth = -1\nwhy = 'x'", "not what belongs there"),
        ("[[recursion]]\nfunction = 'a'\ndepth = 1\ntimes = 2\nwhy = 'x'", "no key 'times'"),
    ],
)
def test_broken_notes_are_refused_by_name(broken: str, why: str) -> None:
    with pytest.raises(notes.NotesError, match=why):
        notes.parse(broken)


@pytest.mark.parametrize(
    ("noted", "problem"),
    [
        ('[[recursion]]\nfunction = "plain"\ndepth = 1', "recursion function=plain is not needed"),
        ('[[dynamic]]\nfunction = "gone"\nbytes = 1', "dynamic function=gone is not needed"),
        ('[[indirect]]\nin = "plain"\ntargets = ["leaf"]', "indirect in=plain is not needed"),
        ('[[indirect]]\nin = "hook"\ntargets = ["leaf", "x"]', "no x has its address taken"),
        ('[[indirect]]\nin = "hook"\ntargets = ["leaf"]', "big: its address is taken, and no"),
        ('[[exception]]\nentry = "leaf"\non = ["y"]\nlevels = 1\nreserved = 0', "no [[stack]] y"),
        ('[[stack]]\nname = "t"\nsize = 90\nentry = "plain"', "t: ≤ 96 does not fit 90"),
        ('[[stack]]\nname = "t"\nsize = 90\nentry = "again"', "t: unbounded (recursion in again)"),
        (
            '[[stack]]\nname = "t"\nsize = 900\nentry = "plain"\nbudget = 64',
            "t: ≤ 96 is over its budget of 64",
        ),
        (
            '[[stack]]\nname = "t"\nsize = 900\nentry = "plain"\nunbounded = "so"',
            "t: noted as unbounded, but it is ≤ 96",
        ),
    ],
)
def test_what_the_notes_get_wrong_is_a_problem(image: Image, noted: str, problem: str) -> None:
    made = report.make(image, notes.parse(f'{noted}\nwhy = "test"'))
    assert any(problem in line for line in made.problems), made.problems


EXCEPTIONS = """
[[stack]]
name = "t"
size = 4096
entry = "plain"
why = "test"

[[stack]]
name = "u"
size = 4096
entry = "plain"
why = "test"

[[exception]]
entry = "leaf"
on = ["t"]
levels = 3
reserved = 100
why = "test"
"""


def test_exceptions_add_to_the_stack_that_carries_them_and_to_no_other(image: Image) -> None:
    made = report.make(image, notes.parse(EXCEPTIONS))
    assert [str(stack.bound) for stack in made.stacks] == [f"≤ {96 + 3 * 116}", "≤ 96"]
    for stack in made.stacks:
        assert sum(step.bytes for step in stack.bound.chain) == stack.bound.bytes


# --- marks.py

GOLDEN = """\
[bt] #0 recurse+0x0 frame=0~25% stack=thread:victim
[bt] #1 a_victim+0x40 frame=32~25% stack=thread:victim
[bt] #2 thread_start+0x8 frame=0~25% stack=thread:victim
[bt] end why=entry frames=3 depth=96
[stack] thread:victim used=96~25% size=4096 guard=ok lowest_sp=112~25%
[stack] t used=90~25% size=4096 margin=1 guard=ok
"""


def test_a_mark_knows_where_its_thread_began() -> None:
    first, second = marks.parse(GOLDEN, "x.log")
    assert (first.start, first.used, first.lowest, first.deepest) == ("a_victim", 96, 112, 112)
    assert (second.start, second.deepest, second.size) == ("", 90, 4096)


def test_a_measurement_above_the_bound_is_a_problem(image: Image, tmp_path: Path) -> None:
    noted = '[[stack]]\nname = "t"\nsize = 4096\nentry = "plain"\nwhy = "test"'
    for used, expected in ((96, 0), (112, 1)):
        line = f"[stack] t used={used} size=4096 guard=ok"
        made = report.make(image, notes.parse(noted), list(marks.parse(line, "x.log")))
        found = [problem for problem in made.problems if "more than the bound" in problem]
        assert len(found) == expected
    (stack,) = made.stacks
    assert stack.tightness == 112 / 96


def test_a_measurement_of_no_known_stack_is_a_problem(image: Image) -> None:
    line = "[stack] other used=1 size=4096 guard=ok"
    made = report.make(image, notes.parse(""), list(marks.parse(line, "x.log")))
    assert made.problems == ("x.log: other used=1 lowest_sp=0: no [[stack]] note has that name",)


# --- outputs


def test_front_end(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, page = tmp_path / "r.json", tmp_path / "r.html"
    call = ["--elf", str(small), "--json", str(written), "--html", str(page)]
    assert main([*call, "--entry", "hook", "--entry", "again"]) == 0
    said = capsys.readouterr().out
    assert f"≤ {16 + 0x12410 + 16}" in said
    assert "unbounded (recursion in again)" in said
    assert "<svg" in page.read_text("utf-8")

    old = json.loads(written.read_text("utf-8"))
    assert diff.compare(old, old) == []
    (leaf,) = (row for row in old["functions"] if row["name"] == "leaf")
    leaf["frame"] -= 16
    written.write_text(json.dumps(old), "utf-8")
    assert main(["--elf", str(small), "--diff", str(written)]) == 0
    assert "frame leaf: 0 → 16 (+16)" in capsys.readouterr().out

    assert main(["--elf", str(small), "--entry", "nobody"]) == 2
    assert "no such function" in capsys.readouterr().err


def test_the_picture_is_scaled_to_each_stack_and_marks_what_was_measured(image: Image) -> None:
    noted = '[[stack]]\nname = "t"\nsize = 192\nentry = "plain"\nbudget = 96\nwhy = "test"'
    line = "[stack] t used=48 size=192 guard=ok"
    made = report.make(image, notes.parse(noted), list(marks.parse(line, "x.log")))
    page = picture.page(made)
    assert '<rect x="0.00" width="500.00"' in page  # 96 of 192 bytes, of 1000
    assert "<title>plain: 96 bytes, 96 from the top</title>" in page
    assert '<line x1="500.00"' in page
    assert '<polygon points="250.00,' in page


def test_the_text_folds_recursion() -> None:
    made = text.chain([*([("f", 16)] * 3), ("g@file.c", 8)])  # type: ignore[list-item]
    assert made == "f 16 ×3 → g 8"


# --- a program that is not this kernel, built with the same two flags

FOREIGN = """
typedef int (*compare)(const void *, const void *);
static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static int by_depth(const void *a, const void *b) { volatile char c[500]; c[0] = 1; return a < b; }
compare order = by_depth;
__attribute__((noinline)) static void sort(int *v, long n, compare less)
{
	for (long i = 1; i < n; i++)
		for (long k = i; k && less(&v[k], &v[k - 1]) < 0; k--)
			v[k] ^= v[k - 1];
}
__attribute__((noinline)) static int sum(const int *v, int n)
{
	volatile int copy[64]; int s = 0;
	for (int i = 0; i < n && i < 64; i++) { copy[i] = v[i]; s += copy[i]; }
	return s;
}
__attribute__((noinline)) static int down(int n)
{
	volatile int here = n;
	return n ? down(n - 1) + here : 0;
}
void _start(void)
{
	int v[4] = { 3, 1, 2, 0 };
	sort(v, 4, order); sort(v, 4, by_value);
	v[0] = sum(v, 4) + down(v[1]);
	for (;;) ;
}
"""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "main.c").write_text(FOREIGN)
    prefix = cross_prefix()
    flags = ("-O1", "-g", "-ffreestanding", "-fno-pie", "-fstack-usage", "-fcallgraph-info=su")
    link = ("-nostdlib", "-static", "-no-pie", "-Wl,--emit-relocs")
    for command in (
        (f"{prefix}gcc", *flags, "-c", "main.c"),
        (f"{prefix}objcopy", "--add-section", ".GNU.callgraph=main.ci", "main.o"),
        (f"{prefix}gcc", *link, "main.o", "-o", "main"),
    ):
        subprocess.run(command, cwd=folder, check=True)
    return load(folder / "main")


def test_a_foreign_program_is_read_as_well(foreign: Image) -> None:
    assert sorted(foreign.taken or ()) == ["by_depth", "by_value"]
    assert sorted(foreign.compiler) == ["_start", "by_depth", "by_value", "down", "sort", "sum"]
    assert not report.make(foreign, notes.parse("")).problems, "compiler and machine code agree"


def test_a_foreign_program_has_statuses_too(foreign: Image) -> None:
    frames = {name: view.bytes for name, view in foreign.compiler.items()}
    assert str(bound(foreign, "sum")) == f"≤ {frames['sum']}"
    assert str(bound(foreign, "sort")) == f"≤ {frames['sort'] + frames['by_depth']}"
    assert str(bound(foreign, "_start")) == "unbounded (recursion in down)"
    noted = '[[recursion]]\nfunction = "down"\ndepth = 5\nwhy = "test"'
    deepest = max(frames["sort"] + frames["by_depth"], 5 * frames["down"], frames["sum"])
    assert str(bound(foreign, "_start", noted)) == f"≤ {frames['_start'] + deepest}"
