"""The build: what no golden may depend on, and the gate that no frame passes.

Each test works in a copy of the tracked tree, with kernel/build.mk alone.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness import tools
from harness.paths import KERNEL, ROOT
from harness.serial.symbols import build_id

PARTS = ("kernel", "harness", "scenarios", "golden", "conftest.py", "pytest.ini")

UNRELATED = """\
#include "lab/lab.h"
#include "report/report.h"

static char ballast[5000];

LAB(aaa, unrelated, "nothing to do with anything", NO_PARAMS)
{
	for (unsigned int i = 0; i < sizeof(ballast); i++)
		ballast[i] = (char)i;
	end("ok");
}
"""

# One case of every row; not what compares no golden.
EVERY_GOLDEN = (
    "(test_stack or test_pool or test_crash or (test_boot and not test_boot_line))"
    " and not (control or serial or gdb or wherever or overflow_changes)"
)

# Assembly that is never in a backtrace: it has no stack, or never comes back to one.
NOPS = 8  # bytes, of -fpatchable-function-entry=2
WITHOUT_FRAME = {
    "early_vectors",
    "early_fault",
    "last_hex",
    "last_off",
    "last_puts",
    "last_registers",
    "last_report",
    "secondary_start",
    "light_start",
    "light_leave",
    "light_vectors",
    "vectors_classic",
    "lab_partner",
}

FAT = """\
int fat(void);
int fat(void)
{
	volatile char buffer[%d];

	__asm__ volatile("" : : "r"(buffer) : "memory"); /* or clang keeps one byte of it */
	buffer[0] = 0;
	return buffer[0];
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """In a folder of somebody's own naming."""
    tree = tmp_path / "mein Ordner, größer"
    tree.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tree / part)
    mini = f"CROSS_COMPILE := {tools.cross_prefix()}\ninclude kernel/build.mk\n"
    mini += "include harness/host/build.mk\n"
    (tree / "mini.mk").write_text(mini)
    return tree


def make(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("make", "-f", "mini.mk", *arguments)
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def test_no_golden_depends_on_link_order_build_folder_or_other_labs(tree: Path) -> None:
    (tree / "kernel/labs/aaa.c").write_text(UNRELATED)
    what = ("kernel", "else/where/limit.so")
    made = make(tree, "-j2", "BUILD=else/where", "LINK_ORDER=reverse", *what)
    assert made.returncode == 0, made.stderr
    assert build_id(tree / "else/where/kernel.elf") != build_id(ROOT / KERNEL)

    run = subprocess.run(
        (sys.executable, "-m", "pytest", "scenarios", "-q", "-p", "no:cacheprovider"),
        cwd=tree,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        | {"BUILD": "else/where", "PYTEST_ADDOPTS": f"-k '{EVERY_GOLDEN} or recurse-gdb'"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert " passed" in run.stdout


def test_a_frame_above_the_gate_does_not_build(tree: Path) -> None:
    (tree / "kernel/base/fat.c").write_text(FAT % 2048)
    made = make(tree, "BUILD=build", "build/kernel/base/fat.c.o")
    assert made.returncode != 0
    assert "stack usage" in made.stderr

    (tree / "kernel/base/fat.c").write_text(FAT % 512)
    assert make(tree, "BUILD=build", "build/kernel/base/fat.c.o").returncode == 0


def test_a_big_frame_is_probed_page_by_page(tree: Path) -> None:
    """Labs may take more; then -fstack-clash-protection must touch every 4 KiB on the way down."""
    (tree / "kernel/labs/fat.c").write_text(FAT % 9216)
    made = make(tree, "BUILD=build", "build/kernel/labs/fat.c.o")
    assert made.returncode == 0, made.stderr
    objdump = (f"{tools.cross_prefix()}objdump", "-d", "build/kernel/labs/fat.c.o")
    code = subprocess.run(objdump, cwd=tree, capture_output=True, text=True, check=True).stdout
    assert code.count("str\txzr, [sp") >= 2, code


def test_a_folder_that_the_build_cannot_have_is_named(tmp_path: Path) -> None:
    for name in ("it's", 'a "b"', "a$b", "a:b", "a`b"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / "Makefile", tmp_path / name)
        command = ("make", "-C", str(tmp_path / name), "help")
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 2
        (told,) = [line for line in made.stderr.splitlines() if "***" in line]
        assert " in its name, which the build cannot have. Move the checkout" in told


TOO_MUCH = re.compile(r"boot path: leave_boot_stack takes (\d+) bytes, and a boot stack has (\d+)")


def test_a_boot_path_above_its_stack_does_not_link(tree: Path) -> None:
    """Not one frame counts but the sum along the chain: 16 bytes more in one are too much."""
    light = tree / "kernel/light/light.h"
    text = light.read_text()
    assert "#define LIGHT_LINE_BYTES 144\n" in text

    def made_with(line_bytes: int) -> subprocess.CompletedProcess[str]:
        light.write_text(text.replace("LINE_BYTES 144\n", f"LINE_BYTES {line_bytes}\n"))
        return make(tree, "-j2", "BUILD=build", "kernel")

    def refused(line_bytes: int) -> tuple[int, int]:
        made = made_with(line_bytes)
        assert made.returncode != 0
        assert "-> say_map " in made.stderr
        assert not (tree / "build/kernel.elf").exists()
        found = TOO_MUCH.search(made.stderr)
        assert found is not None, made.stderr
        return int(found[1]), int(found[2])

    takes, budget = refused(1024)
    fits = 1024 - (takes - budget)
    assert refused(fits + 16) == (budget + 16, budget)
    assert made_with(fits).returncode == 0
    path = (tree / "build/kernel/boot-path").read_text()
    assert path.startswith(f"leave_boot_stack {budget} of {budget}: ")


# A compiler's call graph in small: what the gate makes of it, with `entry` to begin at.
NODE = 'node: {{ title: "{0}" label: "{0}\\nx.c:1:1\\n{1} bytes ({2})\\n0 dynamic objects" }}\n'
EDGE = 'edge: {{ sourcename: "{0}" targetname: "{1}" label: "x.c:1:1" }}\n'
GATE = ROOT / "kernel/tools/stackgate.awk"


def gate(folder: Path, graph: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "x.ci").write_text(graph)
    given = {"entries": "entry", "budget": "100"} | variables
    settings = (word for key, value in given.items() for word in ("-v", f"{key}={value}"))
    command = ("awk", "-f", str(GATE), *settings, str(folder / "x.ci"))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def graph(*frames: tuple[str, int], calls: tuple[tuple[str, str], ...]) -> str:
    nodes = "".join(NODE.format(name, size, "static") for name, size in frames)
    return nodes + "".join(EDGE.format(*call) for call in calls)


CHAIN = graph(
    ("entry", 16), ("x.c:low", 80), ("high", 32), calls=(("entry", "high"), ("entry", "x.c:low"))
)


def test_the_gate_takes_the_deepest_chain(tmp_path: Path) -> None:
    made = gate(tmp_path, CHAIN)
    assert (made.returncode, made.stdout) == (0, "entry 96 of 100: entry 16 -> low 80\n")


REFUSED = {
    "too large": (CHAIN, {"budget": "95"}, "takes 96 bytes, and a boot stack has 95"),
    "no such entry": (CHAIN, {"entries": "entri"}, "is no function of the kernel"),
    "calls itself": (
        graph(("entry", 16), ("x", 16), calls=(("entry", "x"), ("x", "x"))),
        {},
        "x: it calls itself",
    ),
    "a circle": (
        graph(("entry", 16), ("x", 16), calls=(("entry", "x"), ("x", "entry"))),
        {},
        "it calls itself (called by x)",
    ),
    "a pointer": (
        graph(("entry", 16), calls=(("entry", "__indirect_call"),)),
        {},
        "a computed call (called by entry)",
    ),
    "assembly": (graph(("entry", 16), calls=(("entry", "asm"),)), {}, "says nothing of it"),
    "alloca": (NODE.format("entry", 16, "dynamic"), {}, "its frame is (dynamic)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_gate_refuses(case: str, tmp_path: Path) -> None:
    text, variables, why = REFUSED[case]
    made = gate(tmp_path, text, **variables)
    assert made.returncode == 1
    assert made.stderr.startswith("boot path: entr")
    assert why in made.stderr


def test_the_gate_knows_exceptions_by_name(tmp_path: Path) -> None:
    asm = graph(("entry", 16), calls=(("entry", "asm"),))
    assert gate(tmp_path, asm, assembly="asm=48").stdout == "entry 64 of 100: entry 16 -> asm 48\n"
    assert gate(tmp_path, CHAIN, without="low").stdout == "entry 48 of 100: entry 16 -> high 32\n"


CLANGS_ASSEMBLY = """\
\t.globl\tentry
\t.type\tentry,@function
entry:                                  // @entry
\tbl\tlow
\tbl\tmemcpy
\tb.ne\t.LBB0_2
\tb\t.LBB0_2
\tblr\tx8
\t.type\tlow,@function
low:
\tb\tother                           // a tail call
"""
CLANGS_SIZES = "x.c:3:entry\t48\tstatic\nx.c:1:low\t16\tdynamic\n"


def test_a_call_graph_is_read_from_assembly(tmp_path: Path) -> None:
    """Of a compiler that writes none: in the form that the gate above and the report read."""
    (tmp_path / "x.s").write_text(CLANGS_ASSEMBLY)
    (tmp_path / "x.su").write_text(CLANGS_SIZES)
    awk = ("awk", "-f", str(ROOT / "kernel/tools/callgraph.awk"), "-v", "unit=x.c", "x.s", "x.su")
    made = subprocess.run(awk, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r'title: "([^"]*)" label: "[^"]*\\n(.*?)"', made) == [
        ("entry", "48 bytes (static)"),
        ("x.c:low", "16 bytes (dynamic)"),
    ]
    assert re.findall(r'sourcename: "([^"]*)" targetname: "([^"]*)"', made) == [
        ("entry", "x.c:low"),
        ("entry", "memcpy"),
        ("entry", "__indirect_call"),
        ("x.c:low", "other"),
    ]


def test_clangs_boot_path_and_frames_are_held_like_gccs(tree: Path) -> None:
    """A frame above the gate does not compile, and the graph of its objects comes to the gate."""
    clang = f"CC={os.environ.get('HOST_CC', 'clang')}"
    (tree / "kernel/base/fat.c").write_text(FAT % 2048)
    made = make(tree, clang, "BUILD=build", "build/kernel/base/fat.c.o")
    assert made.returncode != 0
    assert "stack frame size" in made.stderr

    (tree / "kernel/base/fat.c").write_text(FAT % 512)
    assert make(tree, clang, "BUILD=build", "build/kernel/base/fat.c.o").returncode == 0
    graph_of_it = (tree / "build/kernel/base/fat.c.ci").read_text()
    made = gate(tree, graph_of_it, entries="fat", without="__stack_chk_fail")
    assert made.returncode == 1
    assert re.search(r"fat takes 5\d\d bytes, and a boot stack has 100: fat 5\d\d", made.stderr)


def git(tree: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    subprocess.run(("git", *who, *arguments), cwd=tree, capture_output=True, check=True)


def commit(tree: Path) -> None:
    git(tree, "add", "kernel", "harness")
    git(tree, "commit", "-q", "-m", "x")


def kernel_of(tree: Path) -> str:
    made = make(tree, "-j2", "BUILD=build", "kernel")
    assert made.returncode == 0, made.stderr
    return build_id(tree / "build/kernel.elf")


def mentions(tree: Path, word: str) -> dict[str, bool]:
    """Which of what a build leaves know of it."""
    build = tree / "build"
    readelf = _readelf("-sW", str(build / "kernel.elf"))
    return {
        "symbols": any(f"lab_{word}_unrelated" in line for line in readelf),
        "initrd": f"{word}\0".encode() in (build / "user/initrd.cpio").read_bytes(),
        "for GDB": (build / f"user/{word}.elf").exists(),
        "commands": f"/{word}.c" in (build / "compile_commands.json").read_text(),
    }


def test_the_image_is_the_branchs_own(tree: Path) -> None:
    """A lab and a program that only another branch has are gone with it; the program comes first,
    so that each of the others has another address there.
    """
    git(tree, "init", "-q", "-b", "main")
    commit(tree)
    git(tree, "checkout", "-q", "-b", "other")
    (tree / "kernel/labs/aaa.c").write_text(UNRELATED)
    shutil.copy(tree / "kernel/user/hello.c", tree / "kernel/user/aaa.c")
    commit(tree)

    git(tree, "checkout", "-q", "main")
    first = kernel_of(tree)
    assert not any(mentions(tree, "aaa").values())
    before = (tree / "build/kernel.elf").stat().st_mtime_ns
    kernel_of(tree)
    assert (tree / "build/kernel.elf").stat().st_mtime_ns == before, "a second make does nothing"

    git(tree, "checkout", "-q", "other")
    assert kernel_of(tree) != first
    assert all(mentions(tree, "aaa").values())
    git(tree, "checkout", "-q", "main")
    assert kernel_of(tree) == first
    assert not any(mentions(tree, "aaa").values())

    (tree / "kernel/labs/aaa.c").write_text(UNRELATED)
    assert kernel_of(tree) != first
    (tree / "kernel/labs/aaa.c").unlink()
    assert kernel_of(tree) == first


COMPILER = """\
#!/bin/sh
[ "$1" = --version ] && exec cat {version}
exec {real} "$@"
"""
OBJECT = "build/kernel/base/string.c.o"
SHARED = "build/limit.so"


def test_what_is_made_follows_flags_and_compilers(tree: Path, tmp_path: Path) -> None:
    """A compiler of the same name, too, that says another version."""
    version, compiler = tmp_path / "version", tmp_path / "bin" / "x-gcc"
    compiler.parent.mkdir()
    compiler.write_text(COMPILER.format(version=version, real=f"{tools.cross_prefix()}gcc"))
    compiler.chmod(0o755)
    (compiler.parent / "x-ld").symlink_to(compiler)
    host = tmp_path / "bin" / "host-cc"
    host.write_text(COMPILER.format(version=version, real="clang"))
    host.chmod(0o755)

    def made(*arguments: str) -> tuple[int, int]:
        tools_used = (f"CROSS_COMPILE={compiler.parent}/x-", f"HOST_CC={host}")
        done = make(tree, "BUILD=build", *tools_used, *arguments, OBJECT, SHARED)
        assert done.returncode == 0, done.stderr
        dates = [(tree / what).stat().st_mtime_ns for what in (OBJECT, SHARED)]
        return dates[0], dates[1]

    version.write_text("1")
    first = made()
    assert made() == first
    version.write_text("2")
    second = made()
    assert second[0] > first[0]
    assert second[1] > first[1]
    assert made("LINK_ORDER=reverse")[0] > second[0]
    assert made("HOST_INCLUDES=-Iother")[1] > second[1]


def test_every_function_has_a_dwarf_frame() -> None:
    """Or GDB's view is a guess from the prologue, and no third view at all. GCC begins it behind
    the two NOPs that a check can be patched into (kernel/proc/patch.c).
    """
    kernel = str(ROOT / KERNEL)
    functions = {
        int(row[1], 16): row[7]
        for row in map(str.split, _readelf("-sW", kernel))
        if len(row) == 8 and row[3] == "FUNC" and row[6] != "ABS"
    }
    frames = re.findall(r"pc=([0-9a-f]+)\.\.", "\n".join(_readelf("--debug-dump=frames", kernel)))
    starts = {int(pc, 16) for pc in frames}
    starts |= {entry for entry in _patchable(kernel) if entry + NOPS in starts}
    bare = {functions[start] for start in functions.keys() - starts}
    assert bare == WITHOUT_FRAME


def _patchable(kernel: str) -> set[int]:
    with Path(kernel).open("rb") as file:
        table = ELFFile(file).get_section_by_name("__patchable_function_entries").data()
    return {entry for (entry,) in struct.iter_unpack("<Q", table)}


def _readelf(*arguments: str) -> list[str]:
    command = (f"{tools.cross_prefix()}readelf", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_stack_has_a_guard_between_it_and_the_next() -> None:
    """kernel.ld's own arithmetic, read from the linked image: no two stacks touch."""
    with (ROOT / KERNEL).open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        values = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}
    stacks = ["boot_stack", "irq_stack", "emergency_stack"]
    edges = [(values[f"{name}_base"], values[f"{name}_top"]) for name in stacks]
    assert values["__guard_boot_low"] + 4096 == edges[0][0]
    assert all(low[1] + 4096 == high[0] for low, high in pairwise(edges))
    assert edges[-1][1] + 4096 == values["__guard_last_end"]
    assert [top - base for base, top in edges] == [0x4000, 0x4000, 0x2000]


def test_a_run_writes_nothing_beside_the_sources() -> None:
    """Caches, too, are in build/: pytest's, Hypothesis', ruff's, mypy's, and what Python compiled,
    in the harness and in GDB.
    """
    known = {".venv", ".git", "build"}
    folders = {"__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache"}
    roots = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in known]
    below = [path for root in roots for path in [root, *root.rglob("*")] if path.is_dir()]
    beside = sorted(str(path.relative_to(ROOT)) for path in below if path.name in folders)
    assert beside == [], f"left by an older checkout? then: rm -r {' '.join(beside)}"
