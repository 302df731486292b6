"""Dependency directions: who may include or import whom, as tables, and nothing that escapes them.

    kernel    labs -> lab -> proc -> mem -> light -> report -> base -> arch, never back
    Python    the rooms of harness/ in the order of one case's walk, and no circle in a room

`make lint` calls it as `python -m harness.dev.lint`. It reads text only: C by its #include lines,
Python by ast. A file that has no place is an error too ("place it"). Not here: style, types, bugs;
other tools know those better.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from harness.errors import while_read

# --- the kernel -------------------------------------------------------------------------------

# The folders of kernel/, lowest first: each may include from itself and from those before it.
C_LAYERS = ("arch", "base", "report", "light", "mem", "proc", "lab", "labs")
# EL0's programs share nothing with the kernel but the rows below.
C_APART = "user"

# Headers that any folder may include, wherever they stand.
C_EVERYONE = {
    "report/upcall.h": "the named entries by which what is lower calls up",
    "proc/abi.h": "what EL0 and EL1 agree on",
    "arch/asm.h": "assembler macros; no word of any layer",
}

# Files that may include anything.
C_ROOTS = {
    "main.c": "the composition root: its work is to know everybody",
    "machine.c": "it asks the device tree for several of them at once",
    "machine.h": "machine.c says it to main.c",
}

# What a freestanding compiler brings.
C_SYSTEM = frozenset({"limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h"})

# --- Python -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """A package, or a module beside them. Pure: nothing in it acts, and all it imports is pure."""

    name: str
    pure: bool = False
    modules: str = ""  # of a package whose every module is named here; else all that is in it

    def holds(self, module: str) -> bool:
        if self.modules:
            named = {f"{self.name}.{one}" for one in self.modules.split()}
            return module == self.name or module in named
        return f"{module}.".startswith(f"{self.name}.")


# The walk of one case. A room may import from those above it; its own modules may import each
# other, as long as that does not go round.
ROOMS = (
    Room("harness.errors", pure=True),
    Room("harness.paths", pure=True),
    Room("harness.markers", pure=True),
    Room("harness.producer", pure=True),
    Room("harness", modules="deadline lock owned scratch similar tools"),
    Room("harness.serial", pure=True),
    Room("harness.scenario", pure=True),
    Room("harness.verdict", pure=True),
    Room("harness.stackreport", pure=True),
    Room("harness.qemu"),
    Room("harness.debugger"),
    Room("harness.run"),
    Room("harness.live"),
    Room("harness.documents"),
    Room("harness.bench"),
    Room("harness.dev"),
    Room("harness.plugin"),
    Room("harness.cli"),
    Room("conftest"),
)

# Folders that nobody imports from but their own files, and the last room that they may look into.
FOLDERS = {
    "scenarios": "harness.documents",  # one file a family
    "harness/tests": "conftest",  # tests may look at everything
    "harness/hw": "harness.errors",  # sourced inside GDB, which has no .venv
    "kernel/tools": "",  # run by the build, before there is a harness
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
        placed = layer in (*C_LAYERS, C_APART) or inside in C_ROOTS
        if not placed and path.suffix != ".ld":
            yield Problem(shown, 1, f"kernel/{layer} has no row", _place("C_LAYERS"))
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = _INCLUDE.match(line)
            fault = _include_fault(kernel, inside, layer, match) if match else None
            if fault:
                yield Problem(shown, number, *fault)


def _below(layer: str) -> tuple[str, ...]:
    """What a folder may include from; a file of no folder (kernel.ld) from all."""
    if layer in C_LAYERS:
        return C_LAYERS[: C_LAYERS.index(layer) + 1]
    return (layer,) if layer else C_LAYERS


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
    allowed_from = _below(layer)
    owner = header.split("/")[0]
    if owner in allowed_from or header in C_EVERYONE or inside in C_ROOTS:
        return None
    return (
        f'{layer} includes "{header}", but may include only from: {", ".join(allowed_from)}',
        "take it as an argument, move one of the two, or call up through report/upcall.h",
    )


# --- Python -----------------------------------------------------------------------------------


def check_python(root: Path) -> Iterator[Problem]:
    graph: dict[Path, set[Path]] = {}
    for path in sorted(_python_files(root)):
        shown = path.relative_to(root)
        rank = _rank_of(shown)
        if rank is None:
            what = f"{_module_name(shown)} has no room"
            yield Problem(
                shown, 1, what, "place it: a package or a row of ROOMS in harness/dev/lint.py"
            )
            continue
        graph[shown] = set()
        for line, wanted in _imported(path, shown):
            target = _find(root, shown, wanted)
            if target and target != shown:
                graph[shown].add(target)
            fault = _import_fault(shown, rank, wanted, target)
            if fault:
                yield Problem(shown, line, *fault)
    yield from _round(graph)


def _round(graph: dict[Path, set[Path]]) -> Iterator[Problem]:
    """The modules that import each other in a circle, if any do."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        circle = [str(path) for path in e.args[1]]
        what = f"imports go round: {' <- '.join(circle)}"
        yield Problem(Path(circle[0]), 1, what, "move what both need to a module of its own")


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
    return next((f for f in FOLDERS if shown.is_relative_to(f)), None)


def _rank_of(shown: Path) -> int | None:
    """Where its room stands in ROOMS; a folder's files stand right after what they may look into"""
    folder = _folder_of(shown)
    if folder is not None:
        return next((n + 1 for n, room in enumerate(ROOMS) if room.name == FOLDERS[folder]), 0)
    name = _module_name(shown)
    return next((n for n, room in enumerate(ROOMS) if room.holds(name)), None)


def _imported(path: Path, shown: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(shown))
    return _imports(tree, _module_name(shown), shown.name == "__init__.py")


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


def _import_fault(
    shown: Path, rank: int, wanted: str, target: Path | None
) -> tuple[str, str] | None:
    """What is wrong with one import and what to do about it, or None."""
    name, folder = _module_name(shown), _folder_of(shown)
    pure = folder is None and ROOMS[rank].pure
    top = wanted.split(".")[0]
    if pure and top in ACTING and shown.name != "__main__.py":
        return (
            f"{name} is pure, but imports {top}",
            "let the caller act and pass the result in, or move this to a module that acts",
        )
    if target is None or target == shown:
        return None
    if _folder_of(target):
        theirs = str(_folder_of(target))
        return None if theirs == folder else _private(name, target, theirs)
    other = _rank_of(target)
    if other is None or _module_name(target) == "harness":
        return None  # without a room: reported once, where that file is looked at
    if pure and not ROOMS[other].pure:
        return (
            f"{name} is pure, but imports {_module_name(target)}, which is not",
            "move what both need to a pure module",
        )
    if other < rank or (other == rank and folder is None):
        return None
    return (
        f"{name} imports {_module_name(target)}, of {ROOMS[other].name}, which comes later",
        "take it as an argument, or move it up in ROOMS of harness/dev/lint.py",
    )


def _private(name: str, target: Path, folder: str) -> tuple[str, str]:
    return (
        f"{name} imports {target}, but only files of {folder}/ may",
        f"move what both need out of {folder}/",
    )


def _find(root: Path, shown: Path, wanted: str) -> Path | None:
    """The repository's file of a dotted name (`harness.errors.HarnessError`), if there is one.

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
    return f"place it: add a row to {table} in harness/dev/lint.py"


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
