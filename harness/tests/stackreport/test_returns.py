"""A `ret` goes back where its function was called from, if x30 comes from where it was saved, and
from nowhere else. Each way to miss that is run, and goes deeper than the function's own code."""

from pathlib import Path

import pytest

from harness.stackreport.image import Image, load
from harness.tests.stackreport import painted
from harness.tests.stackreport.conftest import bound

DEEP = 4096

# x9 is the address of `deep`, which never comes back; x30 stands at [sp, #8].
MISSED = {
    "store": "str x9, [sp, #8]\n ldp x29, x30, [sp], #48",
    "pair": "stp x29, x9, [sp]\n ldp x29, x30, [sp], #48",
    "unscaled": "stur x9, [sp, #8]\n ldp x29, x30, [sp], #48",
    "frame pointer": "str x9, [x29, #8]\n ldp x29, x30, [sp], #48",
    "copy": "mov x10, sp\n str x9, [x10, #8]\n ldp x29, x30, [sp], #48",
    "write-back": "mov x10, sp\n str x9, [x10, #8]!\n ldp x29, x30, [sp], #48",
    "after write-back": "mov x10, sp\n str x29, [x10], #8\n str x9, [x10]\n"
    " ldp x29, x30, [sp], #48",
    "number": "mov x10, #8\n str x9, [sp, x10]\n ldp x29, x30, [sp], #48",
    "half": "str w9, [sp, #8]\n ldp x29, x30, [sp], #48",
    "quarters": "strh w9, [sp, #8]\n lsr w10, w9, #16\n strh w10, [sp, #10]\n"
    " ldp x29, x30, [sp], #48",
    "double": "fmov d0, x9\n str d0, [sp, #8]\n ldp x29, x30, [sp], #48",
    "vector": "fmov d0, x29\n mov v0.d[1], x9\n str q0, [sp]\n ldp x29, x30, [sp], #48",
    "lane": "fmov d0, x9\n add x10, sp, #8\n st1 {v0.d}[0], [x10]\n ldp x29, x30, [sp], #48",
    "whole vector": "fmov d0, x29\n mov v0.d[1], x9\n mov x10, sp\n st1 {v0.2d}, [x10]\n"
    " ldp x29, x30, [sp], #48",
    "two vectors": "fmov d0, x29\n fmov d1, x9\n mov x10, sp\n st2 {v0.d, v1.d}[0], [x10]\n"
    " ldp x29, x30, [sp], #48",
    "release": "add x10, sp, #8\n stlr x9, [x10]\n ldp x29, x30, [sp], #48",
    "exclusive": "add x10, sp, #8\n1: ldxr x11, [x10]\n stxr w11, x9, [x10]\n cbnz w11, 1b\n"
    " ldp x29, x30, [sp], #48",
    "swap": "add x10, sp, #8\n swp x9, x11, [x10]\n ldp x29, x30, [sp], #48",
    "compare and swap": "add x10, sp, #8\n ldr x11, [x10]\n cas x11, x9, [x10]\n"
    " ldp x29, x30, [sp], #48",
    "one path": "cbnz x0, 1f\n str x9, [sp, #8]\n1: ldp x29, x30, [sp], #48",
    "callee": "add x0, sp, #8\n bl writes\n ldp x29, x30, [sp], #48",
    "callee above": "bl writes_above\n ldp x29, x30, [sp], #48",
    "callee's callee": "bl writes_far_above\n ldp x29, x30, [sp], #48",
    "callee's tail": "bl jumps_to_writer\n ldp x29, x30, [sp], #48",
    "pointer": "load x10, writes_above\n blr x10\n ldp x29, x30, [sp], #48",
    "beside": "str x9, [sp, #24]\n ldr x30, [sp, #24]\n ldr x29, [sp], #48",
    "other of a pair": "stp x9, x30, [sp]\n ldp x30, x11, [sp], #48",
    "moved frame pointer": "str x9, [sp, #24]\n add x29, x29, #16\n ldp x10, x30, [x29]\n"
    " ldp x29, x11, [sp], #48",
    "moved copy": "str x9, [sp, #24]\n add x10, sp, #16\n ldr x30, [x10, #8]\n"
    " ldp x29, x11, [sp], #48",
    "callee-saved": "stp x19, x20, [sp, #16]\n mov x19, x30\n bl thief\n mov x30, x19\n"
    " ldp x19, x20, [sp, #16]\n ldp x29, x10, [sp], #48",
    "jump": "str x9, [sp, #8]\n ldp x29, x30, [sp], #48\n br x30",
    "lost pair": "ldp x29, x30, [sp, #32]\n mov x30, x9\n ldr x29, [sp], #48",
    "longjmp": "load x10, buffer\n mov x11, sp\n add x11, x11, #48\n stp x9, x11, [x10]\n"
    " ldp x30, x11, [x10]\n mov sp, x11",
}

HELPERS = """
function deep
	dive	4096
	brk	#0x3e8
done deep
function writes
	str	x9, [x0]
	ret
done writes
function writes_above
	str	x9, [sp, #8]
	ret
done writes_above
function writes_far_above
	str	x30, [sp, #-16]!
	str	x9, [sp, #24]
	ldr	x30, [sp], #16
	ret
done writes_far_above
function jumps_to_writer
	b	writes_above
done jumps_to_writer
function thief				// restores x19 from another place
	stp	x19, x20, [sp, #-32]!
	stp	x9, x9, [sp, #16]
	ldr	x19, [sp, #16]
	add	sp, sp, #32
	ret
done thief
	.bss
	.balign	16
buffer:	.skip	32
	.text
"""

CASE = """
function case{number}
	stp	x29, x30, [sp, #-48]!
	mov	x29, sp
	load	x9, deep
	{text}
	ret
done case{number}
"""

# The same done right, and how deep that is.
KEPT = {
    "as saved": ("ldp x29, x30, [sp], #48", 48),
    "one by one": ("ldr x29, [sp]\n ldr x30, [sp, #8]\n add sp, sp, #48", 48),
    "by the frame pointer": ("mov x10, x29\n ldp x29, x30, [x10]\n add sp, sp, #48", 48),
    "moved and back": ("sub sp, sp, #32\n add x10, sp, #32\n ldr x30, [x10, #8]\n"
    " ldr x29, [sp, #32]\n add sp, sp, #80", 80),
    "in a register": ("stp x19, x20, [sp, #16]\n mov x19, x30\n bl fine\n mov x30, x19\n"
    " ldp x19, x20, [sp, #16]\n ldr x29, [sp], #48", 64),
    "saved twice": ("str x30, [sp, #24]\n str x9, [sp, #8]\n ldr x30, [sp, #24]\n"
    " ldr x29, [sp], #48", 48),
    "beside it": ("str x9, [sp, #16]\n stp q0, q1, [sp, #16]\n strb w9, [sp, #16]\n"
    " ldp x29, x30, [sp], #48", 48),
    "an array": ("add x10, sp, x0\n str x9, [x10, #16]\n str x9, [sp, x0]\n str x30, [sp, #8]\n"
    " ldp x29, x30, [sp], #48", 48),
    "signed": ("pacia x30, sp\n str x30, [sp, #8]\n ldp x29, x30, [sp]\n autia x30, sp\n"
    " add sp, sp, #48", 48),
    "a callee that keeps to itself": ("bl fine\n ldp x29, x30, [sp], #48", 64),
}  # fmt: skip
FINE = """
function fine
	sub	sp, sp, #16
	str	x9, [sp, #8]
	add	sp, sp, #16
	ret
done fine
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [*MISSED.values(), *(text for text, _ in KEPT.values())]
    source = [CASE.format(number=n, text=text) for n, text in enumerate(texts)]
    return painted.build(tmp_path_factory.mktemp("returns"), HELPERS + FINE + "".join(source))


@pytest.fixture(scope="module")
def image(cases: Path) -> Image:
    return load(cases)


@pytest.fixture(scope="module")
def measured(cases: Path) -> dict[str, int]:
    return painted.measure(cases, [f"case{n}" for n in range(len(MISSED))])


@pytest.mark.parametrize("way", MISSED)
def test_a_return_to_another_place_has_no_bound(
    image: Image, measured: dict[str, int], way: str
) -> None:
    name = f"case{list(MISSED).index(way)}"
    assert measured[name] >= DEEP, "it went there"
    found = bound(image, name)
    assert not found.proven or found.bytes >= measured[name], found


@pytest.mark.parametrize("way", KEPT)
def test_a_return_from_where_it_was_saved_has_one(image: Image, way: str) -> None:
    name = f"case{len(MISSED) + list(KEPT).index(way)}"
    assert str(bound(image, name)) == f"≤ {KEPT[way][1]}"
