"""An address that one function computes, and another calls: each way to hand it on is run, and goes
deeper than what has its address taken."""

from pathlib import Path

import pytest

from harness.stackreport.image import Image, load
from harness.tests.stackreport import painted
from harness.tests.stackreport.conftest import bound, build

DEEP = 2048
# `small` returns at once; 4 bytes further, and 4 bytes before `base`, begins what is deep.
HEAD = """
	.balign	16
function small
	ret
	dive	2048
	add	sp, sp, #2048
	ret
done small
{table}	.section .rodata
	.balign	8
whole:	.quad	small, small
	.data
	.balign	8
four:	.quad	4
slot:	.quad	small
other:	.quad	0
record:	.quad	0, small, 0
pointer: .quad	record
	.text
"""

TABLE = """
	.section .rodata
	.balign	8
offsets: .word	small - offsets, small + 4 - offsets
	.text
"""

# What computes, and then what calls; x0 is 0 when the case begins.
HANDED = {
    "returned": ("bl make\n blr x0", "make: load x0, small\n b bump0\n"),
    "returned by a tail": ("bl make\n blr x0", "make: load x0, small\n b again\nagain: b bump0\n"),
    "in any register": ("bl make\n blr x13", "make: load x13, small\n bump x13\n ret\n"),
    "callee-saved": (
        "mov x27, x19\n bl make\n mov x9, x19\n mov x19, x27\n blr x9",
        "make: load x19, small\n bump x19\n ret\n",
    ),
    "argument changed": ("load x0, small\n bl bump0\n blr x0", ""),
    "argument": ("load x1, small\n bump x1\n bl calls1", ""),
    "callee-saved argument": (
        "mov x27, x19\n load x19, small\n bump x19\n bl make\n mov x19, x27",
        "make: str x30, [sp, #-16]!\n blr x19\n ldr x30, [sp], #16\n ret\n",
    ),
    "argument by a tail": ("bl make", "make: load x1, small\n bump x1\n b calls1\n"),
    "argument by a pointer": ("load x1, small\n bump x1\n load x10, calls1\n blr x10", ""),
    "stack argument": (
        "load x9, small\n bump x9\n str x9, [sp, #-16]!\n bl make\n add sp, sp, #16",
        "make: str x30, [sp, #-16]!\n ldr x9, [sp, #16]\n blr x9\n ldr x30, [sp], #16\n ret\n",
    ),
    "global": (
        "bl make\n load x9, other\n ldr x9, [x9]\n blr x9",
        "make: load x0, small\n bump x0\n load x9, other\n str x0, [x9]\n ret\n",
    ),
    "global changed": (
        "bl make\n load x9, slot\n ldr x9, [x9]\n blr x9",
        "make: load x9, slot\n ldr x0, [x9]\n bump x0\n str x0, [x9]\n ret\n",
    ),
    "global by a pointer": (
        "load x0, slot\n bl bump_at0\n load x9, slot\n ldr x9, [x9]\n blr x9",
        "",
    ),
    "record by pointers": (
        "load x9, pointer\n ldr x0, [x9]\n bl make\n load x9, pointer\n"
        " ldr x9, [x9]\n ldr x9, [x9, #8]\n blr x9",
        "make: ldr x1, [x0, #8]\n add x1, x1, #4\n str x1, [x0, #8]\n ret\n",
    ),
    "record by index": (
        "load x9, pointer\n ldr x0, [x9]\n mov x1, #1\n bl make\n"
        " load x9, pointer\n"
        " ldr x9, [x9]\n ldr x9, [x9, #8]\n blr x9",
        "make: ldr x2, [x0, x1, lsl #3]\n add x2, x2, #4\n str x2, [x0, x1, lsl #3]\n ret\n",
    ),
    "local by a pointer": (
        "sub sp, sp, #16\n load x9, small\n str x9, [sp, #8]\n add x0, sp, #8\n"
        " bl bump_at0\n ldr x9, [sp, #8]\n add sp, sp, #16\n blr x9",
        "",
    ),
    "filled by a pointer": (
        "sub sp, sp, #16\n add x0, sp, #8\n bl make\n ldr x9, [sp, #8]\n add sp, sp, #16\n blr x9",
        "make: load x1, small\n bump x1\n str x1, [x0]\n ret\n",
    ),
    "spilled": (
        "bl make\n str x0, [sp, #-16]!\n sub sp, sp, #16\n ldr x9, [sp, #16]\n"
        " add sp, sp, #32\n blr x9",
        "make: load x0, small\n b bump0\n",
    ),
    "pushed": (
        "bl make\n str x0, [sp, #-16]!\n ldr x9, [sp], #16\n blr x9",
        "make: load x0, small\n b bump0\n",
    ),
    "through a vector": (
        "bl make\n fmov x9, d0\n blr x9",
        "make: load x0, small\n bump x0\n fmov d0, x0\n ret\n",
    ),
    "vector in memory": (
        "bl make\n load x9, other\n ldr d0, [x9]\n fmov x9, d0\n blr x9",
        "make: load x0, small\n bump x0\n fmov d0, x0\n load x9, other\n str d0, [x9]\n ret\n",
    ),
    "table of differences": (
        "bl make\n blr x0",
        "make: mov x0, #1\n load x9, offsets\n ldrsw x10, [x9, x0, lsl #2]\n"
        " add x0, x9, x10\n ret\n",
    ),
    "table of differences, handed on": (
        "load x0, offsets\n mov x1, #1\n bl make\n blr x0",
        "make: ldrsw x10, [x0, x1, lsl #2]\n add x0, x0, x10\n ret\n",
    ),
    "table in the code": (
        "bl make\n blr x0",
        "make: adr x9, near\n ldrsw x10, [x9, x0, lsl #2]\n add x0, x9, x10\n ret\n"
        "near: .word small + 4 - near, 0\n",
    ),
    "difference of two": (
        "load x0, small\n bl make\n load x9, make\n add x9, x9, x0\n"
        " str x9, [sp, #-16]!\n bl pop\n blr x0",
        "make: load x9, make\n sub x0, x0, x9\n add x0, x0, #4\n ret\n"
        "pop: ldr x0, [sp], #16\n ret\n",
    ),
    "other arithmetic": ("bl make\n blr x0", "make: load x0, small\n orr x0, x0, #4\n ret\n"),
    "chosen": (
        "bl make\n cmp x0, #0\n csel x9, x0, x1, ne\n blr x9",
        "make: load x0, small\n mov x1, x0\n b bump0\n",
    ),
    "swapped": (
        "load x0, small\n bump x0\n bl make\n load x9, other\n ldr x9, [x9]\n blr x9",
        "make: load x9, other\n swp x0, x1, [x9]\n ret\n",
    ),
    "added in memory": (
        "bl make\n load x9, slot\n ldr x9, [x9]\n blr x9",
        "make: load x9, slot\n mov x0, #4\n ldadd x0, x1, [x9]\n ret\n",
    ),
    "jumped to": ("bl make\n bl jumps0", "make: load x0, small\n b bump0\njumps0: br x0\n"),
    "a return address": (
        "bl make\n cbnz x1, 1f\n bl calls0\n1: brk #0x3e8",
        "make: mov x0, x30\n mov x1, #0\n ret\ncalls0: dive 2048\n mov x1, #1\n blr x0\n",
    ),
}
HELPERS = """
	.macro	bump register
	load	x17, four
	ldr	x17, [x17]
	add	\\register, \\register, x17
	.endm
function bump0
	add	x0, x0, #4
	ret
done bump0
function bump_at0
	ldr	x1, [x0]
	add	x1, x1, #4
	str	x1, [x0]
	ret
done bump_at0
function calls1
	str	x30, [sp, #-16]!
	blr	x1
	ldr	x30, [sp], #16
	ret
done calls1
"""
CASE = """
function case0
	stp	x29, x30, [sp, #-32]!
	str	x27, [sp, #16]
	{first}
	ldr	x27, [sp, #16]
	ldp	x29, x30, [sp], #32
	ret
done case0
{more}
"""


@pytest.mark.parametrize("way", HANDED)
def test_what_another_function_computes_may_be_any(tmp_path: Path, way: str) -> None:
    first, more = HANDED[way]
    head = HEAD.replace("{table}", TABLE if "differences" in way else "")
    path = painted.build(tmp_path, head + HELPERS + CASE.format(first=first, more=more))
    measured = painted.measure(path, ["case0"])["case0"]
    assert measured >= DEEP, "it was called"
    found = bound(load(path), "case0")
    assert not found.proven or found.bytes >= measured, found


# Whole addresses, handed on beside arithmetic that has to do with none of them.
WHOLE = {
    "returned": ("bl make\n blr x0", "make: load x0, small\n ret\n", 0),
    "argument": ("load x1, small\n add x2, x2, #8\n bl calls1", "", 16),
    "global": (
        "bl make\n load x9, slot\n ldr x9, [x9]\n blr x9",
        "make: load x9, other\n ldr x10, [x9]\n add x10, x10, #1\n str x10, [x9]\n ret\n",
        0,
    ),
    "global set": (
        "bl make\n load x9, other\n ldr x9, [x9]\n blr x9",
        "make: load x9, other\n load x10, small\n str x10, [x9]\n add x0, x0, #1\n ret\n",
        0,
    ),
    "counter in a record": (
        "load x9, pointer\n ldr x0, [x9]\n bl make\n load x9, pointer\n"
        " ldr x9, [x9]\n ldr x9, [x9, #8]\n blr x9",
        "make: ldr x1, [x0, #16]\n add x1, x1, #1\n str x1, [x0, #16]\n ret\n",
        0,
    ),
    "local": (
        "sub sp, sp, #16\n load x9, small\n str x9, [sp, #8]\n ldr x1, [sp]\n"
        " add x1, x1, #1\n"
        " str x1, [sp]\n ldr x9, [sp, #8]\n blr x9\n add sp, sp, #16",
        "",
        16,
    ),
    "table": ("load x9, whole\n and x0, x0, #1\n ldr x9, [x9, x0, lsl #3]\n blr x9", "", 0),
    "signed": ("bl make\n blr x0", "make: load x0, small\n pacia x0, sp\n autia x0, sp\n ret\n", 0),
}


@pytest.mark.parametrize("way", WHOLE)
def test_what_is_handed_on_whole_has_a_bound(tmp_path: Path, way: str) -> None:
    """Nothing but `small` has its address taken."""
    first, more, deeper = WHOLE[way]
    source = (
        painted.HEAD + HEAD.replace("{table}", "") + HELPERS + CASE.format(first=first, more=more)
    )
    start = "function _start\n1: b 1b\ndone _start\n"
    image: Image = load(build(tmp_path, source + start, "-Wl,--emit-relocs"))
    assert str(bound(image, "case0")) == f"≤ {32 + deeper}"
