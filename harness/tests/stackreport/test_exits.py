"""Every place that is branched to is walked, and every way back is seen."""

import subprocess
from pathlib import Path

import pytest

from harness.stackreport.image import Image, load
from harness.tests.stackreport.conftest import MACROS, bound, build, walk
from harness.tools import cross_prefix

SOURCE = MACROS
SOURCE += """
	.macro	deep name, bytes
function \\name
	sub	sp, sp, #\\bytes
	add	sp, sp, #\\bytes
	ret
done \\name
	.endm
	.macro	enter name, bytes = 16
function \\name
	stp	x29, x30, [sp, #-\\bytes]!
	.endm
	.macro	leave name, bytes = 16
	ldp	x29, x30, [sp], #\\bytes
	ret
done \\name
	.endm

	.text
function _start
1:	b	1b
done _start
deep deep, 2048
function ok
	ret
done ok

	/* The only way back leaves the function. */
function by_cbz
	cbz	x0, ok
1:	b	1b
done by_cbz
function by_tbz
	tbz	x0, #3, ok
1:	b	1b
done by_tbz
function by_condition
	cmp	x0, #1
	b.eq	ok
1:	b	1b
done by_condition
function by_part
	cbz	x0, part
1:	b	1b
done by_part
part:	ret
function by_falling
	nop
done by_falling
function fallen_into
	ret
done fallen_into
function by_eret
	eret
done by_eret
function by_br_x30
	br	x30
done by_br_x30
function by_copy
	mov	x16, x30
	ret	x16
done by_copy
function by_jump			// to where nobody knows
	br	x0
done by_jump
function never
1:	wfe
	b	1b
done never
function never_again
	cbz	x0, never
	b	never
done never_again
	.irp	way, cbz, tbz, condition, part, falling, eret, br_x30, copy, jump
enter after_by_\\way
	bl	by_\\way
	bl	deep
leave after_by_\\way
	.endr
enter after_never
	bl	never_again
	bl	deep
leave after_never

	/* Places that are no function's start. */
enter to_part, 32			// a part elsewhere, which comes back
	cbz	x0, cold_part
back:	nop
leave to_part, 32
enter to_local
	bl	local
leave to_local
enter to_middle
	bl	middle
leave to_middle
	.type	cold_part, %function
cold_part:
	sub	sp, sp, #512
	add	sp, sp, #512
	b	back
	.size	cold_part, . - cold_part
local:	sub	sp, sp, #1024
	add	sp, sp, #1024
	ret
function around
	sub	sp, sp, #4096
	b	1f
middle:	sub	sp, sp, #256
	add	sp, sp, #256
	ret
1:	add	sp, sp, #4096
	ret
done around
	.global	unsized
	.type	unsized, %function
unsized:				// no size: to the next function
	stp	x29, x30, [sp, #-16]!
	bl	deep
	ldp	x29, x30, [sp], #16
	ret
	.global	untyped
untyped:
	stp	x29, x30, [sp, #-16]!
	bl	deep
	ldp	x29, x30, [sp], #16
	ret

	/* ret, and what it does not return by. */
function ret_other
	ldr	x9, [x0]
	ret	x9
done ret_other
function ret_address
	adr	x30, 1f
	ret
1:	sub	sp, sp, #64
2:	b	2b
done ret_address
function ret_loaded
	ldr	x30, [x0]
	ret
done ret_loaded
enter ret_called
	bl	ok
	add	sp, sp, #16
	ret				// x30 is not the caller's
done ret_called
function ret_saved			// in a register that calls keep
	stp	x19, x20, [sp, #-16]!
	mov	x19, x30
	bl	deep
	mov	x30, x19
	ldp	x19, x20, [sp], #16
	ret
done ret_saved

	/* What a callee should give back, and does not. */
function thief
	mov	x20, x0
	ret
done thief
enter robbed, 32
	str	x20, [sp, #16]
	mov	x20, sp
	bl	thief
	mov	sp, x20
	ldr	x20, [sp, #16]
leave robbed, 32
function thief_by_tail
	b	thief
done thief_by_tail
enter robbed_by_tail, 32
	str	x20, [sp, #16]
	mov	x20, sp
	bl	thief_by_tail
	mov	sp, x20
	ldr	x20, [sp, #16]
leave robbed_by_tail, 32

enter robbed_by_pointer, 32
	str	x21, [sp, #16]
	mov	x21, sp
	adr	x9, thief_of_21
	str	x9, [x1]
	ldr	x9, [x1]
	blr	x9
	mov	sp, x21
	ldr	x21, [sp, #16]
leave robbed_by_pointer, 32
function thief_of_21
	sub	x21, x21, #512
	ret
done thief_of_21

	/* Stubs of linkers, and constants. */
function far_stub
	adrp	x16, deep
	add	x16, x16, :lo12:deep
	br	x16
done far_stub
function long_stub
	ldr	x16, 1f
	adr	x17, .
	add	x16, x16, x17
	br	x16
1:	.quad	deep - (. - 12)
done long_stub
function literal_stub
	ldr	x16, =deep
	br	x16
	.ltorg
done literal_stub
enter by_constant
	movz	x8, #:abs_g1:deep
	movk	x8, #:abs_g0_nc:deep
	blr	x8
leave by_constant

	/* Backwards by a comparison with SP, and no probe loop. */
	.type	no_probe, %function
	.global	no_probe
2:	sub	sp, sp, #3072
	b	2b
no_probe:
	mov	x9, sp
	sub	sp, sp, #16
	cmp	sp, x9
	b.ne	2b
	add	sp, sp, #16
	ret
	.size	no_probe, . - no_probe

	/* A loop down to a comparison that SP has already passed, or that it steps over. */
	.macro	loop name, room, step, late = 0
function \\name
	sub	x9, sp, #\\room
	sub	sp, sp, #16
1:	sub	sp, sp, #\\step
	str	xzr, [sp]
	cmp	sp, x9
	.if	\\late
	sub	sp, sp, #16
	.endif
	b.ne	1b
	add	sp, sp, #\\room
	ret
done \\name
	.endm
	loop	probing, 2048 + 16, 1024
	loop	passing, 4000, 1024
	loop	above, 0, 1024
	loop	late, 2048 + 16, 1024, 1

function ret_pushed
	str	x0, [sp, #-16]!
	ldr	x30, [sp], #16
	ret
done ret_pushed

	/* Jumps in a circle take no stack. */
function ping
	cbz	x0, ok
	b	pong
done ping
function pong
	sub	sp, sp, #80
	add	sp, sp, #80
	b	ping
done pong

	.arch	armv8-a+sve
function unknown
	.inst	0xd4e00c1f		// nothing has this encoding
	ret
done unknown
enter calls_unknown
	bl	unknown
	bl	deep
leave calls_unknown
function vector
	mov	z0.s, #1
	mov	z0.s, p0/m, #1
	mov	p1.b, p0/z, p2.b
	add	z0.s, z0.s, #1
	ret
done vector
function scaled
	addvl	sp, sp, #-2
	addvl	sp, sp, #2
	ret
done scaled
"""


@pytest.fixture(scope="module")
def exits(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return load(build(tmp_path_factory.mktemp("exits"), SOURCE, "-Wl,--emit-relocs"))


WAYS = "cbz tbz condition part falling eret br_x30 copy".split()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_back_is_one(exits: Image, way: str) -> None:
    assert walk(exits, f"by_{way}").returns
    assert str(bound(exits, f"after_by_{way}")) == f"≤ {16 + 2048}"


def test_a_jump_to_nobody_knows_where_may_come_back(exits: Image) -> None:
    assert bound(exits, "after_by_jump").bytes >= 16 + 2048


def test_what_never_returns_has_nothing_after_it(exits: Image) -> None:
    assert str(bound(exits, "after_never")) == "≤ 16"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("to_part", f"≤ {32 + 512}"),
        ("to_local", f"≤ {16 + 1024}"),
        ("to_middle", f"≤ {16 + 256}"),
        ("unsized", f"≤ {16 + 2048}"),
        ("untyped", f"≤ {16 + 2048}"),
        ("ret_address", "≤ 64"),
        ("ret_saved", f"≤ {16 + 2048}"),
        ("by_copy", "≤ 0"),
        ("robbed", "≥ 32 (SP is loaded in robbed)"),
        ("robbed_by_tail", "≥ 32 (SP is loaded in robbed_by_tail)"),
        ("far_stub", "≤ 2048"),
        ("long_stub", "≤ 2048"),
        ("literal_stub", "≤ 2048"),
        ("by_constant", f"≤ {16 + 2048}"),
        ("no_probe", "≥ 3088 (dynamic frame in no_probe)"),
        ("probing", "≤ 2064"),
        ("ping", "≤ 80"),
        ("pong", "≤ 80"),
        (
            "calls_unknown",
            f"≥ {16 + 2048} (unknown has an instruction that is not known at 0x0)",
        ),
        ("vector", "≤ 0"),
        ("scaled", "≥ 0 (dynamic frame in scaled)"),
    ],
)
def test_what_is_reached_is_counted(exits: Image, name: str, expected: str) -> None:
    assert str(bound(exits, name)) == expected


def test_what_a_pointer_reaches_may_rob_as_well(exits: Image) -> None:
    assert "SP is loaded in robbed_by_pointer" in bound(exits, "robbed_by_pointer").reasons


@pytest.mark.parametrize("name", ["passing", "above", "late"])
def test_a_loop_that_misses_its_end_is_no_probe(exits: Image, name: str) -> None:
    assert f"dynamic frame in {name}" in str(bound(exits, name))


@pytest.mark.parametrize("name", ["ret_other", "ret_loaded", "ret_called", "ret_pushed"])
def test_a_ret_through_anything_else_is_a_computed_jump(exits: Image, name: str) -> None:
    assert walk(exits, name).jumps
    assert not bound(exits, name).proven or bound(exits, name).bytes >= 2048


def test_a_veneer_of_the_linker_is_no_recursion(tmp_path: Path) -> None:
    """The erratum's load moves into a veneer, which jumps back into the function."""
    source = """
	.text
	.p2align 12
	.global _start
	.type _start, %function
_start:	b	entry
	.size _start, . - _start
	.type leafy, %function
leafy:	ret
	.size leafy, . - leafy
	.skip	0xff8 - (. - _start) - 8
	.type entry, %function
entry:	str	x30, [sp, #-16]!
	nop
	adrp	x0, thing
	ldr	x1, [x1]
	ldr	x2, [x0, :lo12:thing]
	bl	leafy
	ldr	x30, [sp], #16
	ret
	.size entry, . - entry
	.data
thing:	.quad	0
"""
    path = build(tmp_path, source, "-Wl,--emit-relocs,--fix-cortex-a53-843419,-Tdata=0x4000000")
    dump = subprocess.run(
        [f"{cross_prefix()}nm", path], capture_output=True, text=True, check=True
    ).stdout
    assert "e843419" in dump, "the linker made a veneer"
    assert str(bound(load(path), "entry")) == "≤ 16"


C_COLD = """
void leave(void) __attribute__((noreturn));
static volatile int sink;
__attribute__((noinline, cold, noreturn)) void small(void) { leave(); }
__attribute__((noinline, cold, noreturn)) void large(void)
{ volatile char b[8000]; for (int i = 0; i < 8000; i++) b[i] = i; sink = b[77]; leave(); }
__attribute__((noinline)) int work(long x)
{ if (x == 1) small(); if (x == 2) large(); sink = x; return x * 3; }
void entry(long x) { sink = work(x); }
void _start(void) { entry(sink); for (;;) ; }
void leave(void) { for (;;) ; }
"""


def test_each_part_of_what_is_cold_is_walked(tmp_path: Path) -> None:
    source = tmp_path / "cold.c"
    source.write_text(C_COLD)
    command = [f"{cross_prefix()}gcc", "-O2", "-ffreestanding", "-freorder-blocks-and-partition"]
    link = ["-static", "-nostdlib", "-Wl,--emit-relocs,--build-id=none"]
    subprocess.run([*command, *link, source, "-o", tmp_path / "cold.elf"], check=True)
    image = load(tmp_path / "cold.elf")
    assert any(name.endswith(".cold") for name in image.functions), "it was split"
    found = bound(image, "entry")
    assert found.proven
    assert 8000 < found.bytes < 8200
