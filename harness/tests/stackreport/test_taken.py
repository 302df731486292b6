"""Whose address is taken: by relocations of every kind, by code, by data, by other objects. Where
the set is not complete the answer is ≥."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.stackreport.image import Image, load
from harness.tests.stackreport.conftest import bound, build
from harness.tools import cross_prefix

HEAD = """
	.text
	.global	_start
	.type	_start, %function
_start:	b	_start
	.size	_start, . - _start
	.global	entry
	.type	entry, %function
entry:	stp	x29, x30, [sp, #-16]!
	bl	prepare
	adrp	x9, pointer
	ldr	x9, [x9, :lo12:pointer]
	blr	x9
	ldp	x29, x30, [sp], #16
	ret
	.size	entry, . - entry
	.type	prepare, %function
	.type	small, %function
small:	ret
	sub	sp, sp, #2048
	add	sp, sp, #2048
	ret
	.size	small, . - small
	.data
	.balign	8
pointer: .quad	small
	.text
"""
DEEP = """
	.text
deep:	sub	sp, sp, #2048
	add	sp, sp, #2048
	ret
"""
TYPED = "\t.type deep, %function\n\t.size deep, 12\n"
SET = """
	adrp	x1, pointer
	str	x0, [x1, :lo12:pointer]
	ret
	.size	prepare, . - prepare
"""

# How a program takes the address of something, and hides it from whoever reads relocations alone.
WAYS = {
    "adrp": "prepare: adrp x0, deep\n add x0, x0, :lo12:deep\n" + SET + DEEP + TYPED,
    "untyped": "prepare: adrp x0, deep\n add x0, x0, :lo12:deep\n" + SET + DEEP,
    "sizeless": "prepare: adrp x0, deep\n add x0, x0, :lo12:deep\n"
    + SET
    + DEEP
    + "\t.type deep, %function\n",
    "object": "prepare: adrp x0, deep\n add x0, x0, :lo12:deep\n"
    + SET
    + DEEP
    + "\t.type deep, %object\n",
    "addend": "prepare: adrp x0, small + 4\n add x0, x0, :lo12:small + 4\n" + SET,
    "adr": "prepare: adr x0, deep\n" + SET + DEEP + TYPED,
    "local adr": "prepare: adr x0, 1f\n" + SET + "1:" + DEEP,
    "literal": "prepare: ldr x0, =deep\n" + SET + "\t.ltorg\n" + DEEP + TYPED,
    "movz": "prepare: movz x0, #:abs_g1:deep\n movk x0, #:abs_g0_nc:deep\n" + SET + DEEP + TYPED,
    "got": "prepare: adrp x0, :got:deep\n ldr x0, [x0, :got_lo12:deep]\n" + SET + DEEP + TYPED,
    "constant": "prepare: mov x0, #0x800000\n"
    + SET
    + '\t.section .fixed, "ax"\n'
    + DEEP.lstrip().replace(".text", "").lstrip(),
    "absolute": "prepare: adrp x0, where\n add x0, x0, :lo12:where\n"
    + SET
    + "\t.global where\n\t.set where, 0x800000\n"
    + '\t.section .fixed, "ax"\n'
    + DEEP.replace(".text", ""),
    "word": "prepare: mov x0, x30\n ret\n .size prepare, . - prepare\n .data\n .quad 0x800000\n"
    + '\t.section .fixed, "ax"\n'
    + DEEP.replace(".text", ""),
    "difference": "prepare: ret\n .size prepare, . - prepare\n .section .rodata\n"
    + "table: .word 0, deep - table\n"
    + DEEP
    + TYPED,
    "difference of a section": "prepare: ret\n .size prepare, . - prepare\n .section .rodata\n"
    + "table: .word 0, .text + (deep - _start) - table\n"
    + DEEP
    + TYPED,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_address_that_is_taken_is_found(tmp_path: Path, way: str) -> None:
    flags = ("-Wl,--emit-relocs", "-Wl,--section-start=.fixed=0x800000")
    image = load(
        build(tmp_path, HEAD + WAYS[way], *(flags if ".fixed" in WAYS[way] else flags[:1]))
    )
    found = bound(image, "entry")
    assert not found.proven or found.bytes >= 16 + 2048


def test_these_are_proven(tmp_path: Path) -> None:
    """Where nothing is in doubt the bound is exact, and none of the above is a mere shrug."""
    for way in ("adrp", "adr", "literal", "movz", "got", "untyped", "constant", "absolute", "word"):
        flags = ("-Wl,--emit-relocs", "-Wl,--section-start=.fixed=0x800000")
        folder = tmp_path / way
        folder.mkdir()
        source = HEAD + WAYS[way]
        image = load(build(folder, source, *(flags if ".fixed" in source else flags[:1])))
        assert str(bound(image, "entry")) == f"≤ {16 + 2048}", way


def test_no_candidate_is_no_bound(tmp_path: Path) -> None:
    source = """
	.text
	.global _start
	.type _start, %function
_start:	stp	x29, x30, [sp, #-16]!
	bl	other
	blr	x0
	ldp	x29, x30, [sp], #16
	ret
	.size _start, . - _start
	.type other, %function
other:	ret
	.size other, . - other
	.data
	.quad	_start - 0x10000000
"""
    image = load(build(tmp_path, source, "-Wl,--emit-relocs"))
    assert not image.taken
    text = "≥ 16 (indirect call in _start, and no function has its address taken)"
    assert str(bound(image, "_start")) == text


def test_a_note_that_names_nobody_is_no_bound(image: Image) -> None:
    noted = '[[indirect]]\nin = "hook"\ntargets = ["nobody"]\nwhy = "test"'
    assert str(bound(image, "hook", noted)).startswith("≥ 16 (indirect call in hook, and nothing")


COMPUTED = """
	.section .rodata
	.p2align 2
table:	.word	f0 - table, f1 - table
	.macro	frame name, bytes
	.text
	.global	\\name
	.type	\\name, %function
\\name:	sub	sp, sp, #\\bytes
	add	sp, sp, #\\bytes
	ret
	.size	\\name, . - \\name
	.endm
	frame	f0, 16
	frame	f1, 2048
	.global	_start
	.type	_start, %function
_start:	stp	x29, x30, [sp, #-16]!
	adrp	x9, table
	add	x9, x9, :lo12:table
	ldrsw	x10, [x9, x0, lsl #2]
	add	x9, x9, x10
	blr	x9
	ldp	x29, x30, [sp], #16
	ret
	.size	_start, . - _start
	.data
	.quad	f0
"""


def test_an_address_that_is_computed_may_be_any(tmp_path: Path) -> None:
    image = load(build(tmp_path, COMPUTED, "-Wl,--emit-relocs"))
    found = bound(image, "_start")
    assert found.bytes == 16 + 2048
    assert "call of a computed address in _start" in str(found)


PLAIN = "ldrsw x10, [x9, x0, lsl #2]\n\tadd\tx9, x9, x10"
HIDDEN = {
    "moved": f"{PLAIN}\n mov x1, x9\n mov x9, x1",
    "chosen": f"{PLAIN}\n cmp x0, #1\n csel x9, x9, x1, eq",
    "stored": f"{PLAIN}\n str x9, [sp, #-16]!\n ldr x9, [sp], #16",
    "kept over a call": f"{PLAIN}\n mov x19, x9\n bl f0\n mov x9, x19",
    "on one path": "ldr x10, [x1]\n mov x11, x9\n mov x9, x10\n cbz x0, 1f\n add x9, x11, x10\n1:",
}


@pytest.mark.parametrize("way", HIDDEN)
def test_a_sum_stays_one(tmp_path: Path, way: str) -> None:
    source = COMPUTED.replace("ldrsw	x10, [x9, x0, lsl #2]\n	add	x9, x9, x10", HIDDEN[way])
    assert source != COMPUTED
    found = bound(load(build(tmp_path, source, "-Wl,--emit-relocs")), "_start")
    assert "call of a computed address in _start" in str(found)


def test_a_sum_that_is_dropped_is_none(tmp_path: Path) -> None:
    source = COMPUTED.replace("blr	x9", "ldr	x9, [x9]\n	blr	x9")
    found = bound(load(build(tmp_path, source, "-Wl,--emit-relocs")), "_start")
    assert "computed address" not in str(found)


WRITTEN = """
	.section {section}
	.balign	8
slot:	.quad	small
	.text
	.macro	frame name, bytes
	.global	\\name
	.type	\\name, %function
\\name:	sub	sp, sp, #\\bytes
	add	sp, sp, #\\bytes
	ret
	.size	\\name, . - \\name
	.endm
	frame	small, 16
	frame	large, 2048
	.global	_start
	.type	_start, %function
_start:	stp	x29, x30, [sp, #-16]!
	adrp	x9, slot
	ldr	x9, [x9, :lo12:slot]
	blr	x9
	adrp	x9, large
	add	x9, x9, :lo12:large
	ldp	x29, x30, [sp], #16
	ret
	.size	_start, . - _start
"""


@pytest.mark.parametrize(
    ("section", "bytes_"), [(".data", 2048), (".rodata", 16), ('.data.rel.ro, "aw"', 16)]
)
def test_only_what_nobody_writes_is_what_it_was(tmp_path: Path, section: str, bytes_: int) -> None:
    """A load from data that the program may write can find any address that is taken."""
    source = WRITTEN.replace("{section}", section)
    image = load(build(tmp_path, source, "-Wl,--emit-relocs,-z,relro"))
    assert str(bound(image, "_start")) == f"≤ {16 + bytes_}"


# --- C, by the flags that hide a call ------------------------------------------------------------

DEEPER = """
static volatile int sink;
#define DEEP(name) __attribute__((noinline, noclone)) void name(void) \\
{ volatile char b[5000]; for (int i = 0; i < 5000; i++) b[i] = i; sink = b[77]; }
typedef void (*fn)(void);
"""
SUMS = (
    DEEPER
    + """
DEEP(deep)
DEEP(none)
extern const int table[];
__asm__(".section .rodata\\n.globl table\\ntable: .word none - table, deep - table\\n.text");
void entry(long i) { fn f = (fn)((long)table + table[i]); f(); sink = 1; }
void _start(void) { entry(sink); for (;;) ; }
"""
)
OTHER = DEEPER + "DEEP(other)\nfn give(void) { return other; }\nvoid take(fn f) { f(); }\n"
MAIN = (
    DEEPER
    + """
void other(void); fn give(void); void take(fn f);
DEEP(mine)
static volatile fn f;
__attribute__((noinline)) static void set(fn g) { f = g; }
void calls_other(void) { other(); sink = 1; }
void calls_given(void) { set(give()); f(); sink = 1; }
void gives(void) { take(mine); sink = 1; }
void calls_mine(void) { mine(); sink = 1; }
void _start(void) { calls_other(); calls_given(); gives(); calls_mine(); for (;;) ; }
"""
)
LONELY = (
    DEEPER
    + """
static DEEP(deep)
static volatile fn f;
__attribute__((noinline)) static void set(void) { f = deep; }
void _start(void) { set(); f(); sink = 3; for (;;) ; }
"""
)

Compile = Callable[..., Path]


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    def run(name: str, source: str, *flags: str) -> Path:
        (tmp_path / f"{name}.c").write_text(source)
        command = [f"{cross_prefix()}gcc", "-ffreestanding", "-nostdlib", "-w", *flags]
        subprocess.run([*command, f"{name}.c", "-o", name], cwd=tmp_path, check=True)
        return tmp_path / name

    return run


@pytest.mark.parametrize("plt", [(), ("-fno-plt",)], ids=["plt", "no-plt"])
def test_what_other_objects_do_is_not_known(
    compiled: Compile, tmp_path: Path, plt: tuple[str, ...]
) -> None:
    compiled("libother.so", OTHER, "-O2", "-fPIC", "-shared")
    rest = ("-Wl,--emit-relocs,-z,now", "-L.", "-l:libother.so")
    (tmp_path / "main.c").write_text(MAIN)
    command = [f"{cross_prefix()}gcc", "-O2", "-fPIE", "-pie", "-nostdlib", "-w", *plt]
    subprocess.run([*command, "main.c", *rest, "-o", "main"], cwd=tmp_path, check=True)
    image = load(tmp_path / "main")
    for name, missing in (("calls_other", "other"), ("calls_given", "give"), ("gives", "take")):
        found = bound(image, name)
        assert found.status == "≥"
        assert f"{missing} is not in this image" in " ".join(found.reasons), found
    assert bound(image, "calls_mine").proven


def test_a_library_is_called_with_anything(compiled: Compile) -> None:
    image = load(compiled("lib.so", OTHER, "-O2", "-fPIC", "-shared", "-Wl,--emit-relocs"))
    assert "it is a shared library" in str(bound(image, "take"))


@pytest.mark.parametrize(
    "flags",
    [
        ("-O0",),
        ("-O2",),
        ("-Os",),
        ("-O2", "-mcmodel=tiny"),
        ("-O2", "-mcmodel=large", "-fno-pie"),
        ("-O2", "-fPIE", "-static-pie"),
        ("-O2", "-fPIE", "-pie"),
        ("-O2", "-fno-plt"),
        ("-O2", "-fPIC"),
        ("-O2", "-mharden-sls=all"),
        ("-O2", "-mbranch-protection=standard"),
        ("-O2", "-flto"),
    ],
    ids=" ".join,
)
def test_a_static_function_is_found_whatever_the_flags(
    compiled: Compile, flags: tuple[str, ...]
) -> None:
    static = () if flags[-1] in ("-pie", "-static-pie") else ("-static", "-no-pie")
    found = bound(load(compiled("main", LONELY, *static, *flags, "-Wl,--emit-relocs")), "_start")
    assert found.bytes >= 5000
    assert found.proven
    assert found.bytes < 5200


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os"])
def test_differences_are_sums_at_every_level(compiled: Compile, level: str) -> None:
    image = load(
        compiled("main", SUMS, level, "-static", "-no-pie", "-fno-pie", "-Wl,--emit-relocs")
    )
    found = bound(image, "entry")
    assert not found.proven, found


@pytest.mark.parametrize("flags", [("-static", "-no-pie"), ("-fPIE", "-pie")], ids=" ".join)
def test_without_relocations_a_computed_call_is_never_proven(
    compiled: Compile, flags: tuple[str, ...]
) -> None:
    found = bound(load(compiled("main", LONELY, "-O1", *flags)), "_start")
    assert found.status == "≥"
    assert "indirect call in _start" in found.reasons


def test_a_function_that_is_chosen_at_start_is_named(compiled: Compile) -> None:
    source = (
        DEEPER
        + """
DEEP(one)
fn pick(void) { return one; }
void chosen(void) __attribute__((ifunc("pick")));
void _start(void) { chosen(); for (;;) ; }
"""
    )
    found = bound(load(compiled("main", source, "-O2", "-static", "-Wl,--emit-relocs")), "_start")
    assert found.status == "≥"
    assert "chosen when the program starts" in str(found)
