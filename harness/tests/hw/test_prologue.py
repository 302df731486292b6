"""Where a frame ends, by its function's own code: report/prologue.c and harness/hw/prologue.py.

Held against what the compiler wrote about every function of the image (-fstack-usage), whichever
compiler built it, and against each other.
"""

import ctypes
import importlib.util
import os
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from harness.paths import ROOT
from harness.stackreport.image import Image, load


def _python() -> ModuleType:
    """It lies in a folder for GDB's inside, which nobody imports from."""
    spec = importlib.util.spec_from_file_location("prologue", ROOT / "harness/hw/prologue.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ours = _python()


class Prologue(ctypes.Structure):
    """struct prologue of report/prologue.h."""

    _fields_ = (
        ("taken", ctypes.c_size_t),
        ("record", ctypes.c_size_t),
        ("made", ctypes.c_bool),
        ("over", ctypes.c_bool),
        ("at_target", ctypes.c_bool),
        ("constant_in", ctypes.c_uint),
        ("target_in", ctypes.c_uint),
        ("constant", ctypes.c_uint64),
        ("target", ctypes.c_size_t),
        ("before", ctypes.c_size_t),
    )


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """report/prologue.c, built for this machine."""
    library = tmp_path_factory.mktemp("prologue") / "prologue.so"
    compiler = os.environ.get("HOST_CC", "clang")
    flags = ["-shared", "-fPIC", "-std=gnu11", "-Iharness/host/include", "-Ikernel"]
    command = [compiler, *flags, "kernel/report/prologue.c", "-o", str(library)]
    subprocess.run(command, cwd=ROOT, check=True)
    loaded = ctypes.CDLL(str(library))
    for name in ("prologue_is_undone_by", "prologue_ends_line"):
        getattr(loaded, name).restype = ctypes.c_bool
        getattr(loaded, name).argtypes = [ctypes.c_uint32]
    return loaded


@pytest.fixture(scope="module")
def image() -> Image:
    return load(ROOT / os.environ.get("BUILD", "build") / "kernel.elf")


def code(image: Image, name: str) -> tuple[int, ...]:
    function = image.functions[name]
    (data,) = (
        bytes_[function.start - start :][: function.size]
        for start, bytes_ in image.code
        if start <= function.start < start + len(bytes_)
    )
    return struct.unpack(f"<{len(data) // 4}I", data)


def test_every_frame_is_as_large_as_the_compiler_says(image: Image) -> None:
    wrong = {
        name: (view.bytes, taken)
        for name, view in image.compiler.items()
        if (taken := ours.Prologue(code(image, name)).taken) != view.bytes
    }
    assert len(image.compiler) > 500
    assert wrong == {}


def test_every_function_has_a_record_within_its_frame(image: Image) -> None:
    for name in image.compiler:
        prologue = ours.Prologue(code(image, name))
        assert prologue.made, name
        assert 0 <= prologue.below <= prologue.taken - 16, name


def test_kernel_and_gdb_decode_the_same_at_every_instruction(
    image: Image, kernels: ctypes.CDLL
) -> None:
    for name in image.compiler:
        theirs, mine = Prologue(constant_in=32, target_in=32), ours.Prologue()
        for word in code(image, name):
            kernels.prologue_step(ctypes.byref(theirs), word)
            mine.step(word)
            assert (theirs.taken, theirs.made, theirs.over) == (mine.taken, mine.made, mine.over)
            assert not theirs.made or theirs.record == mine.record, name
            assert kernels.prologue_is_undone_by(word) == ours.undoes(word), name
            assert kernels.prologue_ends_line(word) == ours.ends_line(word), name


# --- shapes that the image at hand need not have, made by the assembler

SHAPES = {
    "gcc 12: the record is lowest": ("stp x29, x30, [sp, #-96]!; mov x29, sp", 96, 0),
    "gcc 14, a canary: the record is on top": (
        "sub sp, sp, #96; stp x29, x30, [sp, #80]; add x29, sp, #80; mov x1, sp",
        96,
        80,
    ),
    "clang: locals are taken after the record": (
        "stp x29, x30, [sp, #-32]!; str x28, [sp, #16]; mov x29, sp; sub sp, sp, #1024",
        1056,
        1024,
    ),
    "arguments on the stack": (
        "stp x29, x30, [sp, #-48]!; mov x29, sp; sub sp, sp, #16",
        48 + 16,
        16,
    ),
    "a large frame, by a constant": (
        "mov x12, #0x2450; sub sp, sp, x12; stp x29, x30, [sp]; mov x29, sp",
        0x2450,
        0,
    ),
    "two halves of a constant": (
        "mov x12, #0x10; movk x12, #1, lsl #16; sub sp, sp, x12; stp x29, x30, [sp]; mov x29, sp",
        0x10010,
        0,
    ),
    "probes in a row": (
        "sub sp, sp, #4096; str xzr, [sp, #1024]; sub sp, sp, #512;stp x29, x30, [sp]; mov x29, sp",
        4608,
        0,
    ),
    "probes in a loop": (
        "mov x12, #0x8000; sub x9, sp, x12; 1: sub sp, sp, #4096; str xzr, [sp, #1024];"
        "cmp sp, x9; b.ne 1b; sub sp, sp, #32; stp x29, x30, [sp]; mov x29, sp",
        0x8020,
        0,
    ),
    "an alloca is no prologue": (
        "stp x29, x30, [sp, #-32]!; mov x29, sp; sub sp, sp, x0; sub sp, sp, #64",
        32,
        0,
    ),
    "clang 19: the probe takes a part": (
        "stp x29, x30, [sp, #-32]!; mov x29, sp; sub sp, sp, #4096; str xzr, [sp], #-240",
        4368,
        4336,
    ),
    "clang 19: an alloca is probed in a loop": (
        "stp x29, x30, [sp, #-16]!; mov x29, sp; str xzr, [sp, #-16]!; mov x8, sp; sub x8, x8, x0;"
        "1: sub sp, sp, #4096; cmp sp, x8; b.le 2f; str xzr, [sp]; b 1b; 2: mov sp, x8",
        32,
        16,
    ),
    "SP is compared with what is no target of its own": (
        "stp x29, x30, [sp, #-96]!; mov x29, sp; str x0, [sp, #16]; cmp sp, x0; b.hi 1f; 1: nop",
        96,
        0,
    ),
    "nor is what follows a branch": (
        "stp x29, x30, [sp, #-32]!; mov x29, sp; cbz x0, 1f; sub sp, sp, #64; 1: nop",
        32,
        0,
    ),
    "a call before the record, as a patched entry has it": (
        "mov x9, x30; bl 1f; stp x29, x30, [sp, #-32]!; mov x29, sp; 1: nop",
        32,
        0,
    ),
    "a short function is not read beyond its end": (
        "stp x29, x30, [sp, #-16]!; mov x29, sp; ldp x29, x30, [sp], #16; sub sp, sp, #64",
        16,
        0,
    ),
}


def assembled(text: str, tmp_path: Path) -> tuple[int, ...]:
    source, result = tmp_path / "shape.s", tmp_path / "shape.o"
    source.write_text(text.replace(";", "\n") + "\n", encoding="utf-8")
    clang = os.environ.get("HOST_CC", "clang")
    command = [clang, "--target=aarch64-none-elf", "-c", str(source), "-o", str(result)]
    subprocess.run(command, check=True)
    dumped = tmp_path / "shape.bin"
    subprocess.run(
        ["llvm-objcopy", "-O", "binary", "--only-section=.text", str(result), str(dumped)],
        check=True,
    )
    data = dumped.read_bytes()
    return struct.unpack(f"<{len(data) // 4}I", data)


@pytest.mark.parametrize(("text", "taken", "below"), SHAPES.values(), ids=SHAPES.keys())
def test_a_shape(text: str, taken: int, below: int, tmp_path: Path) -> None:
    prologue = ours.Prologue(assembled(text, tmp_path))
    assert (prologue.taken, prologue.below) == (taken, below)


RECORD = "stp x29, x30, [sp, #-32]!; mov x29, sp; "
POINTS = {
    "before anything has run": ("", False),
    "the record is stored, x29 is the caller's": ("stp x29, x30, [sp, #-32]!", False),
    "x29 is set": (RECORD + "nop", True),
    "the epilogue has restored x29 and goes on": (
        RECORD + "ldp x29, x30, [sp], #32; str x0, [x1]",
        False,
    ),
    "restored at an offset": (RECORD + "ldp x29, x30, [sp, #16]; add sp, sp, #32", False),
    "one way out is behind us": (RECORD + "ldp x29, x30, [sp], #32; ret; str x0, [x1]", True),
    "one way out, by a tail call": (RECORD + "ldp x29, x30, [sp], #32; b .; nop", True),
    "a call after it is no way out": (RECORD + "blr x1; nop", True),
}


@pytest.mark.parametrize(("text", "made"), POINTS.values(), ids=POINTS.keys())
def test_whose_record_x29_leads_to(text: str, made: bool, tmp_path: Path) -> None:
    words = assembled(text, tmp_path) if text else ()
    assert ours.prologue_until(words).made is made
