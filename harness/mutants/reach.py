"""From a line to the tests that execute it: made once for an image and a harness, then kept.

    build/mutants/reach-<key>/
        index.json      each test that passes: seconds, and the hash of its file
        bits/           what cover.c saw of each test
        lines           coverage.py's data, one context a test

The key is the image's build-id and the harness' sources. A test that is new, or whose file has
changed, is run again when the map is opened; one that fails on the tree as it is tells nothing
about a mutant, and is left out by name.

Which tests? Those that execute a line of the mutant's statement; where it has no instruction of its
own, or none that anything executes, those that execute its function; else (a table, a macro) its
file. First come those that execute most of the file for their time.
"""

import hashlib
import json
import os
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, tail
from harness.mutants.covering import COLLECTED, INDEX, results
from harness.mutants.mutant import Mutant
from harness.mutants.tree import PYTEST, Tree, sources
from harness.symbols import build_id, programs
from harness.tools import find_qemu

NOT_ASKED = ("harness/tests/test_mutants",)  # they try mutants themselves
_SECONDS = 0.3  # what a test costs beside itself
_Lines = dict[tuple[str, int], set[int]]  # path and line → numbers of bits


@dataclass(frozen=True)
class Chosen:
    """`by`: line, function or file; what it took to find any."""

    by: str
    tests: tuple[str, ...]


class Reach:
    def __init__(self, folder: Path, kernel: Path, asked: frozenset[str]) -> None:
        self._folder, self._kernel = folder, kernel
        known = self._index().items()
        self._seconds = {test: float(told["seconds"]) for test, told in known if test in asked}

    def tests(self, mutant: Mutant) -> Chosen:
        of = self._python if mutant.is_python else self._compiled
        for by, lines in (
            ("line", range(mutant.first, mutant.last + 1)),
            ("function", self._function_lines(mutant)),
            ("file", None),
        ):
            weight = of.weights(mutant.path)
            if found := of.executing(mutant.path, lines) & self._seconds.keys():
                ranked = sorted(
                    found, key=lambda t: (-weight.get(t, 0) / (self._seconds[t] + _SECONDS), t)
                )
                return Chosen(by, tuple(ranked))
        return Chosen("nothing", ())

    def seconds(self, tests: Iterable[str]) -> float:
        return sum(self._seconds[test] for test in tests)

    @property
    def all_tests(self) -> frozenset[str]:
        return frozenset(self._seconds)

    def _function_lines(self, mutant: Mutant) -> list[int] | None:
        span = self._spans.setdefault(mutant.path, {})
        return span.get(mutant.function)

    @cached_property
    def _spans(self) -> dict[str, dict[str, list[int]]]:
        return {}

    def know_functions(self, path: str, mutants: Iterable[Mutant]) -> None:
        """Where the functions of a file stand, as far as its mutants say."""
        lines: dict[str, list[int]] = defaultdict(list)
        for mutant in mutants:
            if mutant.function:
                lines[mutant.function] += [mutant.first, mutant.last]
        self._spans[path] = {
            name: list(range(min(seen), max(seen) + 1)) for name, seen in lines.items()
        }

    def _index(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads((self._folder / INDEX).read_text("utf-8")))

    @cached_property
    def _python(self) -> "_Python":
        return _Python(self._folder / "lines")

    @cached_property
    def _compiled(self) -> "_Compiled":
        return _Compiled(self._folder / "bits", self._kernel, tuple(self._seconds))


class _Python:
    def __init__(self, data: Path) -> None:
        import coverage

        self._data = coverage.CoverageData(basename=str(data))
        self._data.read()
        self._files = {_inside(name): name for name in self._data.measured_files()}
        self._known: dict[str, dict[int, list[str]]] = {}

    def executing(self, path: str, lines: Iterable[int] | None) -> set[str]:
        known = self._contexts(path)
        chosen = known if lines is None else [line for line in lines if line in known]
        return {test for line in chosen for test in known[line] if test}

    def weights(self, path: str) -> dict[str, int]:
        counted: dict[str, int] = defaultdict(int)
        for tests in self._contexts(path).values():
            for test in tests:
                counted[test] += 1
        return counted

    def _contexts(self, path: str) -> dict[int, list[str]]:
        if path not in self._known:
            name = self._files.get(path)
            self._known[path] = self._data.contexts_by_lineno(name) if name else {}
        return self._known[path]


class _Compiled:
    """The kernel and the programs of its initrd."""

    def __init__(self, folder: Path, kernel: Path, tests: tuple[str, ...]) -> None:
        self._reached = {test: _bits(folder / bits_name(test)) for test in tests}
        self._lines = dict(_lines(kernel))

    def executing(self, path: str, lines: Iterable[int] | None) -> set[str]:
        wanted = None if lines is None else set(lines)
        mask = self._mask(path, wanted)
        return {test for test, bits in self._reached.items() if bits & mask}

    def weights(self, path: str) -> dict[str, int]:
        mask = self._mask(path, None)
        return {test: (bits & mask).bit_count() for test, bits in self._reached.items()}

    def _mask(self, path: str, lines: set[int] | None) -> int:
        return sum(
            1 << bit
            for bit in set().union(
                *(
                    bits
                    for (name, line), bits in self._lines.items()
                    if name == path and (lines is None or line in lines)
                )
            )
        )


def opened(root: Path, tree: Tree, jobs: int, asked: Sequence[str] = ()) -> Reach:
    """The map of the tree as it is; what it lacks is measured first. asked: these tests only."""
    key = f"{build_id(tree.kernel)[:12]}-{_harness_hash(root)}"
    folder = (tree.folder.parent / f"reach-{key}").resolve()
    (folder / "bits").mkdir(parents=True, exist_ok=True)
    _measure(tree, folder, jobs, asked, qemu=_covering_qemu(tree, folder))
    if _failed(folder):  # a few tests look at QEMU itself, which is another one here
        _measure(tree, folder, jobs, asked, qemu=None)
    return Reach(folder, tree.kernel, _take_in(folder))


def bits_name(test: str) -> str:
    """FNV-1a of the name, as cover.c has it."""
    value = 0xCBF29CE484222325
    for byte in test.encode():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def _measure(
    tree: Tree, folder: Path, jobs: int, asked: Sequence[str], *, qemu: Path | None
) -> None:
    # With "=", or pytest takes the folder for a place of tests.
    command = [*PYTEST, "-p", "harness.mutants.covering", f"--reach={folder}", "-n", str(jobs)]
    environment = tree.environment | ({"HIGHWATER_QEMU": str(qemu)} if qemu else {})
    command += [f"--ignore-glob=*/{Path(name).name}*" for name in NOT_ASKED] + list(asked)
    done = subprocess.run(
        command,
        cwd=tree.folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 1, 5):
        raise HarnessError(
            "which test executes which line could not be measured",
            evidence=[("pytest said", tail(done.stdout + done.stderr, 20))],
            hint="make the tree pass `make test`, and run it again",
        )


def _covering_qemu(tree: Tree, folder: Path) -> Path:
    plugin = str(tree.folder.resolve() / "build/cover.so").replace(",", ",,")
    ranges = ",".join(f"range={base:#x}+{size:#x}" for _, base, size in _ranges(tree.kernel))
    words = [str(find_qemu()), "-plugin", f"{plugin},to={folder / 'bits'},{ranges}"]
    script = folder / "qemu"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
    script.chmod(0o755)
    return script


def _ranges(kernel: Path) -> Iterator[tuple[Path, int, int]]:
    """What can be executed: of the kernel where it is linked and where it is loaded, and of each
    program.
    """
    from elftools.elf.elffile import ELFFile

    for path in (kernel, *programs(kernel)):
        with path.open("rb") as file:
            for part in ELFFile(file).iter_segments("PT_LOAD"):
                if part["p_flags"] & 1:
                    yield path, part["p_vaddr"], part["p_memsz"]
                    if part["p_paddr"] != part["p_vaddr"]:
                        yield path, part["p_paddr"], part["p_memsz"]


def _lines(kernel: Path) -> Iterator[tuple[tuple[str, int], set[int]]]:
    """The bits of each line, from DWARF's line tables."""
    ranges = list(_ranges(kernel))
    found: _Lines = defaultdict(set)
    for path in (kernel, *programs(kernel)):
        for start, end, name, line in _rows(path):
            for address in range(start, end, 4):
                found[name, line] |= set(_bits_of(address, path, kernel, ranges))
    yield from found.items()


def _bits_of(
    address: int, path: Path, kernel: Path, ranges: list[tuple[Path, int, int]]
) -> Iterator[int]:
    """Both places of the kernel: before the MMU is on it runs where it was loaded."""
    before, offset = 0, None
    for of, base, size in ranges:
        if of == path:
            if offset is None and base <= address < base + size:
                offset = address - base
            if offset is not None:
                yield (before + offset) // 4
        before += size


def _rows(path: Path) -> Iterator[tuple[int, int, str, int]]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            previous = None
            for entry in program.get_entries() if program else ():
                state = entry.state
                if state is None:
                    continue
                if previous is not None and previous.line:
                    name = _file_name(program, previous.file)
                    yield previous.address, state.address, name, previous.line
                previous = None if state.end_sequence else state


def _file_name(program: Any, number: int) -> str:
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    entry = header["file_entry"][number - first]
    folders = header["include_directory"]
    folder = b"" if not entry.dir_index else folders[entry.dir_index - first]
    return os.path.normpath(b"/".join((folder, entry.name)).decode())


def _take_in(folder: Path) -> frozenset[str]:
    """The results into the index, the lines of all workers into one file. The tests asked for."""
    import coverage

    index = json.loads(_text(folder / INDEX) or "{}")
    collected = set(json.loads(_text(folder / COLLECTED) or "[]"))
    for told in results(folder):
        if told["outcome"] == "passed":
            index[told["test"]] = {"seconds": told["seconds"], "file": told["file"]}
    (folder / INDEX).write_text(json.dumps(index), "utf-8")
    parts = [str(path) for path in folder.glob("lines.*")]
    if parts:
        data = coverage.CoverageData(basename=str(folder / "lines"))
        if (folder / "lines").exists():
            data.read()
        for part in parts:
            other = coverage.CoverageData(basename=part)
            other.read()
            data.update(other)
            other.close()
            Path(part).unlink()
        data.write()
    for path in folder.glob("result.*.jsonl"):
        path.unlink()
    return frozenset(collected)


def _failed(folder: Path) -> bool:
    return any(told["outcome"] == "failed" for told in results(folder))


def _harness_hash(root: Path) -> str:
    hashed = hashlib.sha256()
    for name in sources(root):
        if name.startswith("harness/") and not name.startswith(
            ("harness/tests/", "harness/mutants/")
        ):
            hashed.update(name.encode() + b"\0" + (root / name).read_bytes())
    return hashed.hexdigest()[:12]


def _bits(path: Path) -> int:
    try:
        return int.from_bytes(path.read_bytes(), "little")
    except FileNotFoundError:
        return 0


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _inside(name: str) -> str:
    """build/mutants/tree-0/harness/log.py → harness/log.py"""
    _, found, rest = name.rpartition("/harness/")
    return f"harness/{rest}" if found else name
