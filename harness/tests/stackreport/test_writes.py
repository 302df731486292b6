"""What an instruction writes is followed no more, and SP goes where a write-back takes it."""

import subprocess

import pytest

from harness.stackreport.image import Image, load
from harness.stackreport.instruction import Instruction, decode
from harness.tests.stackreport.conftest import bound, build
from harness.tools import cross_prefix

# Instruction -> the registers that it writes; the report may add some, being unsure.
WRITES = {
    "mov x9, x1": "x9",
    "mov w9, #1": "x9",
    "movk x9, #1": "x9",
    "csel x9, x1, x2, eq": "x9",
    "mrs x9, tpidr_el0": "x9",
    "msr tpidr_el0, x9": "",
    "cmp x9, #1": "",
    "ccmp x9, #1, #0, eq": "",
    "tst x9, x1": "",
    "ldr x9, [x1]": "x9",
    "ldrb w9, [x1]": "x9",
    "ldrsw x9, [x1]": "x9",
    "ldp x9, x10, [x1]": "x9 x10",
    "ldpsw x9, x10, [x1]": "x9 x10",
    "ldnp x9, x10, [x1]": "x9 x10",
    "ldr x1, [x9], #8": "x1 x9",
    "ldr x1, [x9, #8]!": "x1 x9",
    "ldr d0, [x9], #8": "x9",
    "ldp q0, q1, [x9], #-64": "x9",
    "stp q0, q1, [x9, #-512]!": "x9",
    "str b0, [x9], #1": "x9",
    "strh w1, [x9, #2]!": "x9",
    "str x9, [x1]": "",
    "stp x9, x10, [sp]": "",
    "stp x9, x10, [sp, #-16]!": "sp",
    "ld1 {v0.16b}, [x9], #16": "x9",
    "ld1 {v0.16b, v1.16b}, [x9], x1": "x9",
    "ld1 {v0.s}[1], [x9], #4": "x9",
    "ld1r {v0.4s}, [x9], #4": "x9",
    "st1 {v0.16b}, [x9], #16": "x9",
    "st4 {v0.b, v1.b, v2.b, v3.b}[3], [x9], x2": "x9",
    "swp x1, x9, [x2]": "x9",
    "swpal w1, w9, [x2]": "x9",
    "cas x9, x1, [x2]": "x9",
    "casp x8, x9, x2, x3, [x4]": "x8 x9",
    "ldadd x1, x9, [x2]": "x9",
    "ldumaxal x1, x9, [x2]": "x9",
    "ldclrb w1, w9, [x2]": "x9",
    "stadd x9, [x2]": "x9",  # it reads only, and nobody here is sure
    "ldxr x9, [x2]": "x9",
    "ldaxp x9, x10, [x2]": "x9 x10",
    "ldar x9, [x2]": "x9",
    "ldapr x9, [x2]": "x9",
    "stxr w9, x1, [x2]": "x9",
    "stlxr w9, x1, [x2]": "x9",
    "stxrb w9, w1, [x2]": "x9",
    "stxp w9, x1, x3, [x2]": "x9",
    "stlr x9, [x2]": "",
    "irg x9, x1": "x9",
    "addg x9, x1, #16, #1": "x9",
    "ldg x9, [x1]": "x9",
    "stg x1, [x9], #16": "x9",
    "stgp x1, x2, [x9, #-32]!": "x9",
    "st2g sp, [x9]": "",
    "autia1716": "x17",
    "paciasp": "",
    "autiasp": "",
    "xpaci x9": "x9",
    "svc #0": "x0 x8 x9 x17",
    "fmov x9, d0": "x9",
    "umov w9, v0.h[1]": "x9",
    "mov x9, v0.d[1]": "x9",
    "fcvtzs x9, d0": "x9",
    "incb x9": "x9",
    "cntb x9": "x9",
    "addvl x9, x9, #1": "x9",
    "addvl sp, sp, #-1": "sp",
    "rdvl x9, #1": "x9",
    "lasta x9, p0, z0.d": "x9",
    "clasta x9, p0, x9, z0.d": "x9",
    "sqincw x9, w9": "x9",
    "ctermeq x9, x1": "x9",  # likewise
    "whilelo p0.b, x9, x1": "",
    "ld1b {z0.b}, p0/z, [x9]": "",
    "mov z0.s, #1": "",
    "dup v0.2d, x9": "",
    "add sp, sp, x9": "sp",
    "and sp, x9, #-16": "sp",
    "mov sp, x9": "sp",
    "adr x9, .": "x9",
    "adrp x9, .": "x9",
    "bfi x9, x1, #0, #8": "x9",
    "madd x9, x1, x2, x3": "x9",
    "cinc x9, x1, eq": "x9",
    "cset w9, eq": "x9",
    "prfm pldl1keep, [x9]": "",
    "dc cvac, x9": "",
    ".inst 0xd4e00c1f": "x0 x9 x18 x30 sp",
    ".inst 0x1d010c40": "x0 x1 x2",  # cpyfp [x0]!, [x1]!, x2!
}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Instruction]:
    folder = tmp_path_factory.mktemp("writes")
    source = ".arch armv8.5-a+sve+memtag\n" + "\n".join(WRITES) + "\n"
    for command in (
        [f"{cross_prefix()}as", "-o", "writes.o", "-"],
        [f"{cross_prefix()}objcopy", "-O", "binary", "-j", ".text", "writes.o", "writes.bin"],
    ):
        subprocess.run(command, cwd=folder, input=source, text=True, check=True)
    read = [instruction for _, instruction in decode((folder / "writes.bin").read_bytes(), 4096)]
    assert len(read) == len(WRITES)
    return dict(zip(WRITES, read, strict=True))


@pytest.mark.parametrize("line", WRITES)
def test_what_is_written_is_known(decoded: dict[str, Instruction], line: str) -> None:
    assert set(WRITES[line].split()) <= decoded[line].writes


@pytest.mark.parametrize("line", [line for line, written in WRITES.items() if not written])
def test_what_only_reads_writes_nothing(decoded: dict[str, Instruction], line: str) -> None:
    assert not decoded[line].writes


# x9 is SP - 64 before each line; afterwards SP is loaded with it, and 16 bytes more are used.
FOLLOWED = {
    "nop": 80,
    "str x0, [x9, #-112]!": 192,
    "stp q0, q1, [x9, #-512]!": 592,
    "ldr x0, [x9], #-112": 192,
    "strb w0, [x9], #-5": 85,
    "ldr h0, [x9], #-112": 192,
    "ldp x0, x1, [x9], #-256": 336,
    "st1 {v0.16b}, [x9], #16": 64,
    "add x9, x9, #32": 48,
    "sub x9, x9, #1, lsl #12": 4176,
    "ldr x9, [x0]": None,
    "swp x0, x9, [x1]": None,
    "ldadd x0, x9, [x1]": None,
    "cas x9, x0, [x1]": None,
    "stxr w9, x0, [x1]": None,
    "ld1 {v0.16b}, [x9], x0": None,
    "mrs x9, tpidr_el0": None,
    "mov x9, v0.d[0]": None,
    "add w9, w9, #0": None,
    "mov w9, w9": None,
    "svc #0": None,
    "bl callee": None,
}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Image:
    source = ".arch armv8.5-a+sve\n.text\n.type callee, %function\ncallee: ret\n.size callee, 4\n"
    for number, line in enumerate(FOLLOWED):
        source += f"""
	.global f{number}
	.type	f{number}, %function
f{number}:	mov	x10, x30
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
	sub	x9, sp, #48
	{line}
	mov	sp, x9
	sub	sp, sp, #16
	mov	sp, x29
	ldp	x29, x30, [sp], #16
	ret
	.size	f{number}, . - f{number}
"""
    return load(build(tmp_path_factory.mktemp("followed"), source, "-Wl,--emit-relocs,-e,f0"))


@pytest.mark.parametrize("line", FOLLOWED)
def test_a_copy_of_sp_is_followed_or_dropped(followed: Image, line: str) -> None:
    found = str(bound(followed, f"f{list(FOLLOWED).index(line)}"))
    depth = FOLLOWED[line]
    if depth is None:
        assert found.startswith("≥"), found
    else:
        assert found == f"≤ {depth}"
