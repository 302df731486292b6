"""Dependency directions: who may include or import whom, as tables, and nothing that escapes them.

    kernel    labs -> proc -> mem -> core -> arch, never back
    Python    scenarios -> plugin -> walk -> machine | gdb | judge -> console | golden -> log

`make lint` calls it as `python -m harness.lint`. It reads text only: C by its #include lines,
Python by ast. A file that has no row is an error too ("place it"). Not here: style, types, bugs;
other tools know those better.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import while_read

# --- the kernel -------------------------------------------------------------------------------

# Folder of kernel/ -> the folders it may include from.
C_LAYERS = {
    "arch": ("arch",),
    "core": ("core", "arch"),
    "mem": ("mem", "core", "arch"),
    "proc": ("proc", "mem", "core", "arch"),
    "labs": ("labs", "proc", "mem", "core", "arch"),
    "user": ("user",),  # EL0 programs: they share nothing with the kernel but the rows below
}

# Headers that any folder may include, wherever they stand.
C_EVERYONE = {
    "core/upcall.h": "the named entries by which arch calls up",
    "proc/abi.h": "what EL0 and EL1 agree on",
    "arch/asm.h": "assembler macros; no word of any layer",
}

# Files that may include anything.
C_ROOTS = {
    "core/main.c": "the composition root: its work is to know everybody",
}

# What a freestanding compiler brings.
C_SYSTEM = frozenset({"limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h"})

# --- Python -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A module may import rows of a lower rank only; a pure one also nothing that acts."""

    rank: int
    pure: bool = False


PYTHON = {
    "harness": Row(0, pure=True),
    "harness.errors": Row(0, pure=True),
    "harness.deadline": Row(1, pure=True),
    "harness.chains": Row(9),
    "harness.initrd": Row(1),
    "harness.lint": Row(1),
    "harness.lock": Row(1),
    "harness.producer": Row(0, pure=True),
    "harness.log": Row(1, pure=True),
    "harness.mi": Row(1, pure=True),
    "harness.owned": Row(1, pure=True),
    "harness.pane": Row(1),
    "harness.similar": Row(1, pure=True),
    "harness.stackreport": Row(1, pure=True),
    "harness.qcow2": Row(1),
    "harness.scratch": Row(1),
    "harness.starter": Row(1),
    "harness.symbols": Row(1, pure=True),
    "harness.tidyflags": Row(1, pure=True),
    "harness.vmstate": Row(1, pure=True),
    "harness.tools": Row(1),
    "harness.channel": Row(2),
    "harness.child": Row(2),
    "harness.compare": Row(2, pure=True),
    "harness.intlog": Row(2, pure=True),
    "harness.scenario": Row(2, pure=True),
    "harness.views": Row(2, pure=True),
    "harness.canon": Row(3, pure=True),
    "harness.marks": Row(3, pure=True),
    "harness.only": Row(3),
    "harness.catalogue": Row(3, pure=True),
    "harness.drain": Row(3),
    "harness.fuzz": Row(10),
    "harness.facts": Row(3, pure=True),
    "harness.golden": Row(4, pure=True),
    "harness.console": Row(4),
    "harness.gdbchild": Row(4),
    "harness.qmp": Row(4),
    "harness.rsp": Row(4),
    "harness.gdb": Row(5),
    "harness.judge": Row(5, pure=True),
    "harness.machine": Row(5),
    "harness.capsule": Row(6),
    "harness.rewind": Row(6),
    "harness.screen": Row(6),
    "harness.stub": Row(6),
    "harness.failure": Row(6, pure=True),
    "harness.warm": Row(7),
    "harness.boot": Row(8),
    "harness.walk": Row(8),
    "harness.debug": Row(10),
    "harness.refused": Row(9),
    "harness.run": Row(10),
    "harness.waiting": Row(1),
    "harness.wanted": Row(6),
    "harness.tables": Row(9),
    "harness.session": Row(7),
    "harness.plugin": Row(9),
    # The static stack report: a ladder of its own, beside the machine's.
    "harness.stackreport.instruction": Row(0, pure=True),
    "harness.stackreport.effects": Row(1, pure=True),
    "harness.stackreport.marks": Row(1, pure=True),
    "harness.stackreport.notes": Row(1, pure=True),
    "harness.stackreport.memory": Row(2, pure=True),
    "harness.stackreport.code": Row(3, pure=True),
    "harness.stackreport.relocations": Row(3, pure=True),
    "harness.stackreport.image": Row(4, pure=True),
    "harness.stackreport.origin": Row(4, pure=True),
    "harness.stackreport.beside": Row(5, pure=True),
    "harness.stackreport.bounds": Row(5, pure=True),
    "harness.stackreport.findings": Row(6, pure=True),
    "harness.stackreport.rows": Row(6, pure=True),
    "harness.stackreport.advice": Row(6, pure=True),
    "harness.stackreport.asjson": Row(7, pure=True),
    "harness.stackreport.report": Row(7, pure=True),
    "harness.stackreport.text": Row(7, pure=True),
    "harness.stackreport.diff": Row(8, pure=True),
    "harness.stackreport.picture": Row(8, pure=True),
    "harness.stackreport.__main__": Row(9),
    "harness.bench": Row(0, pure=True),
    "harness.bench.measure": Row(1, pure=True),
    "harness.bench.rows": Row(9),
    "harness.bench.document": Row(10),
    "harness.bench.inpytest": Row(10),
    "harness.bench.__main__": Row(12),
    # Mutants: made from the text, tried in a copy of the tree.
    "harness.mutants": Row(0, pure=True),
    "harness.mutants.mutant": Row(1, pure=True),
    "harness.mutants.accepted": Row(2, pure=True),
    "harness.mutants.inassembly": Row(2, pure=True),
    "harness.mutants.inc": Row(2, pure=True),
    "harness.mutants.inpython": Row(2, pure=True),
    "harness.mutants.outcome": Row(2, pure=True),
    "harness.mutants.inpytest": Row(2, pure=True),
    "harness.mutants.document": Row(3, pure=True),
    "harness.mutants.made": Row(3, pure=True),
    "harness.mutants.store": Row(3),
    "harness.mutants.tree": Row(3),
    "harness.mutants.bits": Row(3),
    "harness.mutants.lines": Row(3),
    "harness.mutants.uses": Row(1, pure=True),
    "harness.mutants.index": Row(2),
    "harness.mutants.covering": Row(8),
    "harness.mutants.reach": Row(8),
    "harness.mutants.attempt": Row(9),
    "harness.mutants.campaign": Row(10),
    "harness.mutants.__main__": Row(12),
    "conftest": Row(10),
    "harness.cli": Row(11),
    "harness.costs": Row(10),
    "harness.growth": Row(9),
    "harness.memorydocs": Row(10),
    "harness.pages": Row(11),
    "harness.soak": Row(9),
    "harness.suite": Row(9),
    "harness.traces": Row(9),
    "harness.bootstacks": Row(10),
    # The fuzzer of that report: it makes programs, and holds its word against what they do.
    "harness.stackfuzz": Row(0, pure=True),
    "harness.stackfuzz.flags": Row(0, pure=True),
    "harness.stackfuzz.model": Row(1, pure=True),
    "harness.stackfuzz.names": Row(2, pure=True),
    "harness.stackfuzz.shrink": Row(2, pure=True),
    "harness.stackfuzz.assembly": Row(3, pure=True),
    "harness.stackfuzz.c": Row(3, pure=True),
    "harness.stackfuzz.trial": Row(8),
    "harness.stackfuzz.run": Row(9),
}

# Folders whose every file has the same row. Nobody imports from them but their own files.
PYTHON_FOLDERS = {
    "scenarios": Row(10),  # one file a family
    "harness/tests": Row(12),  # tests may look at everything
    "harness/gdb": Row(1),  # sourced inside GDB: sees errors at most
    "kernel/tools": Row(0),  # run by the build, before there is a harness
}

# What a pure module must not import.
ACTING = frozenset(
    "asyncio concurrent multiprocessing pexpect selectors socket subprocess threading".split()
)


@dataclass(frozen=True)
class Problem:
    """One line of the report: where, what, what is allowed, what to do."""

    path: Path
    line: int
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}\n    {self.do}"


# --- C ----------------------------------------------------------------------------------------

_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<(?P<system>[^>]+)>|"(?P<own>[^"]+)"|(?P<odd>\S.*))')


def check_c(root: Path) -> Iterator[Problem]:
    kernel = root / "kernel"
    for path in sorted(p for p in kernel.rglob("*") if p.suffix in {".c", ".h", ".S", ".ld"}):
        inside = path.relative_to(kernel).as_posix()
        shown = path.relative_to(root)
        layer = inside.split("/")[0] if "/" in inside else ""
        if layer not in C_LAYERS and path.suffix != ".ld":
            yield Problem(shown, 1, f"kernel/{layer} has no row", _place("C_LAYERS"))
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = _INCLUDE.match(line)
            fault = _include_fault(kernel, inside, layer, match) if match else None
            if fault:
                yield Problem(shown, number, *fault)


def _include_fault(
    kernel: Path, inside: str, layer: str, match: re.Match[str]
) -> tuple[str, str] | None:
    """What is wrong with one include line and what to do about it, or None."""
    if match["odd"]:
        return f"includes {match['odd']}, which cannot be checked", "write the header's name there"
    if match["system"]:
        if match["system"] in C_SYSTEM:
            return None
        allowed = ", ".join(sorted(C_SYSTEM))
        return f"includes <{match['system']}>", f"a freestanding compiler brings only: {allowed}"
    header = match["own"]
    if not (kernel / header).is_file():
        return f'includes "{header}": no such file', f"name it from kernel/ on: kernel/{header}"
    allowed_from = C_LAYERS.get(layer, tuple(C_LAYERS))
    owner = header.split("/")[0]
    if owner in allowed_from or header in C_EVERYONE or inside in C_ROOTS:
        return None
    return (
        f'{layer} includes "{header}", but may include only from: {", ".join(allowed_from)}',
        "take it as an argument, move one of the two, or call up through core/upcall.h",
    )


# --- Python -----------------------------------------------------------------------------------


def check_python(root: Path) -> Iterator[Problem]:
    for path in sorted(_python_files(root)):
        shown = path.relative_to(root)
        name = _module_name(shown)
        row = _row_of(shown)
        if row is None:
            yield Problem(shown, 1, f"{name} has no row", _place("PYTHON"))
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(shown))
        for line, wanted in _imports(tree, name, shown.name == "__init__.py"):
            fault = _import_fault(root, shown, row, wanted)
            if fault:
                yield Problem(shown, line, *fault)


def _python_files(root: Path) -> Iterator[Path]:
    """Every .py of the repository; what is made (build/, .venv/, any dot folder) is not of it."""
    for entry in root.iterdir():
        if entry.suffix == ".py":
            yield entry
        elif entry.is_dir() and not entry.name.startswith(".") and entry.name != "build":
            yield from entry.rglob("*.py")


def _module_name(shown: Path) -> str:
    parts = shown.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _folder_of(shown: Path) -> str | None:
    return next((f for f in PYTHON_FOLDERS if shown.is_relative_to(f)), None)


def _row_of(shown: Path) -> Row | None:
    folder = _folder_of(shown)
    return PYTHON_FOLDERS[folder] if folder else PYTHON.get(_module_name(shown))


def _imports(tree: ast.Module, name: str, package: bool) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that is imported anywhere in a file, relative names resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")
            above = above[: len(above) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _import_fault(root: Path, shown: Path, row: Row, wanted: str) -> tuple[str, str] | None:
    """What is wrong with one import and what to do about it, or None."""
    name = _module_name(shown)
    top = wanted.split(".")[0]
    if row.pure and top in ACTING:
        return (
            f"{name} is pure, but imports {top}",
            "let the caller act and pass the result in, or move this to a module that acts",
        )
    target = _find(root, shown, wanted)
    if target is None or target == shown:
        return None
    folder = _folder_of(target)
    if folder:
        return None if folder == _folder_of(shown) else _private(name, target, folder)
    other = PYTHON.get(_module_name(target))
    if other is None:
        return None  # reported once, where that file itself has no row
    if row.pure and not other.pure:
        return (
            f"{name} is pure, but imports {_module_name(target)}, which is not",
            "move what both need to a pure module",
        )
    if other.rank < row.rank or _module_name(target) == "harness":
        return None
    return (
        f"{name} (rank {row.rank}) imports {_module_name(target)} (rank {other.rank})",
        f"allowed are ranks below {row.rank}: take it as an argument, or move it down",
    )


def _private(name: str, target: Path, folder: str) -> tuple[str, str]:
    return (
        f"{name} imports {target}, but only files of {folder}/ may",
        f"move what both need out of {folder}/",
    )


def _find(root: Path, shown: Path, wanted: str) -> Path | None:
    """The repository's file behind a dotted name (`harness.log.parse` is harness/log.py), if any.

    Names are looked up from the top and beside the importing file, the way scripts see each other.
    """
    parts = wanted.split(".")
    for start in (Path(), shown.parent):
        for length in range(len(parts), 0, -1):
            stem = start.joinpath(*parts[:length])
            for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
                if (root / candidate).is_file():
                    return candidate
    return None


def _place(table: str) -> str:
    return f"place it: add a row to {table} in harness/lint.py"


def check(root: Path) -> list[Problem]:
    return [*check_c(root), *check_python(root)]


def main() -> int:
    problems = check(Path.cwd())
    with while_read():
        for problem in problems:
            print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
