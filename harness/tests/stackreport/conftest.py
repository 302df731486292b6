"""A small program of all that SP can do, and what the tests ask about it."""

import subprocess
import textwrap
from pathlib import Path

import pytest

from harness.stackreport import notes
from harness.stackreport.bounds import Bound, Graph, Program
from harness.stackreport.code import Walk
from harness.stackreport.image import Image, load
from harness.tools import cross_prefix

# What each piece of assembly here begins and ends a function with.
MACROS = """
	.macro	function name
	.global	\\name
	.type	\\name, %function
\\name:
	.endm
	.macro	done name
	.size	\\name, . - \\name
	.endm
"""

SMALL = (
    MACROS
    + """

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
	str	x30, [sp]
	bl	leaf
	ldr	x30, [sp]
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
	str	x30, [sp]
	bl	leaf
	ldr	x30, [sp]
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
	str	x30, [sp]
	bl	leaf
	ldr	x30, [sp]
	ret
done switching

function jumping
	br	x1
label:	sub	sp, sp, #80
	add	sp, sp, #80
	ret
done jumping

function tabled			// a table of differences inside the function
	adr	x1, 1f
	add	x0, x1, w0, sxtb #2
	br	x0
1:	ret
done tabled

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

function trapping		// __builtin_trap: GCC's and Clang's
	sub	sp, sp, #16
	cbz	x0, 1f
	brk	#0x3e8
	sub	sp, sp, #4000
1:	brk	#1
done trapping

function stepped		// a trap of the program's own may come back
	brk	#0x800
	sub	sp, sp, #48
	add	sp, sp, #48
	ret
done stepped

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
)

LINK = ["-nostdlib", "-static", "-x", "assembler", "-", "-Wl,--build-id=none"]


def build(folder: Path, source: str, *flags: str) -> Path:
    path = folder / "image.elf"
    command = [f"{cross_prefix()}gcc", *LINK, *flags, "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small"), SMALL, "-Wl,--emit-relocs")


@pytest.fixture(scope="session")
def image(small: Path) -> Image:
    return load(small)


def walk(image: Image, name: str, noted: str = "") -> Walk:
    return Program(image, notes.parse(noted)).walks[name]


def bound(image: Image, name: str, noted: str = "") -> Bound:
    program = Program(image, notes.parse(textwrap.dedent(noted)))
    return Graph(program).bound(program.find(name))
