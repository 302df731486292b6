"""From a line to the tests that execute it: measured once, then kept.

    build/mutants/kernel-<build-id>/      bits/: what cover.c saw of each test (bits.py)
    build/mutants/python-<hash>/          lines: what coverage.py saw (lines.py); the hash: harness/
        index.json                        each test that passes: seconds, and the hash of its file

A test that is new, or whose file has changed, is run again when a map is opened; one that fails on
the tree as it is tells nothing about a mutant, and is left out by name.

Which tests? Those that execute a line of the mutant's statement; of a macro, a line that uses it;
where there is no instruction, or none that anything executes, those that execute its function; else
(a table) its file, or (a header) the files that include it. A fuzzer of harness/host that includes
the file as it stands comes last. First come those that execute most of
the file for their time.
"""

import hashlib
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.errors import HarnessError, tail
from harness.mutants.bits import Bits, plugin_options
from harness.mutants.index import take_in
from harness.mutants.lines import Lines, merge
from harness.mutants.mutant import Mutant
from harness.mutants.tree import PYTEST, Tree, sources
from harness.mutants.uses import Uses
from harness.symbols import build_id
from harness.tools import find_qemu, plugin_file

_CODE = (".c", ".h", ".S")
_Place = tuple[str, Iterable[int] | None]  # a file, and lines of it; None: all
FUZZ_TEST = "harness/tests/test_host.py::test_the_fuzzer_finds_nothing[{}]"
FUZZ_SECONDS = 30.0
_SECONDS = 0.3  # what a test costs beside itself


class Seen(Protocol):
    def executing(self, path: str, lines: Iterable[int] | None) -> set[str]: ...

    def weights(self, path: str) -> dict[str, int]: ...


@dataclass(frozen=True)
class Chosen:
    """`by`: line, macro, function, file, includers; what it took to find any. host: none but the
    fuzzer's.
    """

    by: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Map:
    """What was seen, and of each test that may be asked how long it takes."""

    seen: Seen
    seconds: Mapping[str, float]


@dataclass
class Reach:
    """The maps of Python (True) and of the kernel (False), as far as they are needed."""

    maps: Mapping[bool, Map]
    uses: Uses
    fuzzers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _spans: dict[tuple[str, str], range] = field(default_factory=dict)

    def tests(self, mutant: Mutant) -> Chosen:
        known = self.maps[mutant.is_python]
        for by, places in self._places(mutant):
            seen = (known.seen.executing(path, lines) for path, lines in places)
            if found := set().union(*seen) & known.seconds.keys():
                return Chosen(by, _ranked(found, known, mutant.path) + self._fuzzed(mutant))
        return Chosen("host", self._fuzzed(mutant))

    def _fuzzed(self, mutant: Mutant) -> tuple[str, ...]:
        """Last, as the fuzzer has to be built."""
        return tuple(FUZZ_TEST.format(name) for name in self.fuzzers.get(mutant.path, ()))

    def _places(self, mutant: Mutant) -> Iterator[tuple[str, list[_Place]]]:
        """The nearest first."""
        path = mutant.path
        yield "line", [(path, range(mutant.first, mutant.last + 1))]
        uses = [(at, [line]) for at, line in sorted(self.uses.of_macro(mutant.function))]
        yield "macro", [*uses]
        yield "function", [(path, self._spans.get((path, mutant.function), ()))]
        yield "file", [(path, None)]
        if path.endswith(".h"):
            yield "includers", [(other, None) for other in sorted(self.uses.of_header(path))]

    def seconds(self, tests: Iterable[str]) -> float:
        known = {test: s for each in self.maps.values() for test, s in each.seconds.items()}
        return sum(known.get(test, FUZZ_SECONDS) for test in tests)

    def know_functions(self, mutants: Iterable[Mutant]) -> None:
        """Where functions stand, as far as their mutants say."""
        lines: dict[tuple[str, str], list[int]] = defaultdict(list)
        for mutant in mutants:
            if mutant.function:
                lines[mutant.path, mutant.function] += [mutant.first, mutant.last]
        self._spans = {place: range(min(seen), max(seen) + 1) for place, seen in lines.items()}


def _ranked(tests: Iterable[str], known: Map, path: str) -> tuple[str, ...]:
    weight = known.seen.weights(path)
    return tuple(
        sorted(tests, key=lambda t: (-weight.get(t, 0) / (known.seconds[t] + _SECONDS), t))
    )


def opened(root: Path, tree: Tree, jobs: int, asked: Sequence[str], kinds: Iterable[bool]) -> Reach:
    """The maps of the tree as it is; what they lack is measured first. asked: these tests only."""
    opening = {True: _python, False: _kernel}
    maps = {kind: opening[kind](root, tree, jobs, asked) for kind in sorted(set(kinds))}
    kernel = [name for name in sources(root) if name.startswith("kernel/") and name[-2:] in _CODE]
    uses = Uses({name: (root / name).read_text("utf-8") for name in kernel})
    return Reach(maps, uses, fuzzers(root))


def _kernel(_root: Path, tree: Tree, jobs: int, asked: Sequence[str]) -> Map:
    folder = _folder(tree, f"kernel-{build_id(tree.kernel)[:16]}")
    (folder / "bits").mkdir(exist_ok=True)
    _measure(tree, folder, jobs, asked, {"HIGHWATER_QEMU": str(_covering_qemu(tree, folder))})
    seconds = take_in(folder)
    return Map(Bits(folder / "bits", tree.kernel, tuple(seconds)), seconds)


def _python(root: Path, tree: Tree, jobs: int, asked: Sequence[str]) -> Map:
    folder = _folder(tree, f"python-{_harness_hash(root)}")
    for left in (*folder.glob("result.*"), *folder.glob("lines.*")):
        left.unlink()  # of a run that was cut short: what passed in it has left no lines
    _measure(tree, folder, jobs, [*asked, "--reach-lines"], {})
    merge(folder, folder / "lines")
    seconds = take_in(folder)
    return Map(Lines(folder / "lines"), seconds)


def fuzzers(root: Path) -> Mapping[str, list[str]]:
    """Which fuzzers of harness/host include a file of the kernel as it stands."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in sorted(root.glob("harness/host/fuzz_*.c")):
        for name in re.findall(r'^#include "(\S+\.c)"', source.read_text("utf-8"), re.MULTILINE):
            found[f"kernel/{name}"].append(source.stem.removeprefix("fuzz_"))
    return found


def _folder(tree: Tree, name: str) -> Path:
    folder = (tree.folder.parent / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _measure(
    tree: Tree, folder: Path, jobs: int, asked: Sequence[str], environment: Mapping[str, str]
) -> None:
    # With "=", or pytest takes the folder for a place of tests.
    command = [*PYTEST, "-p", "harness.mutants.covering", f"--reach={folder}", "-n", str(jobs)]
    command += asked
    done = subprocess.run(
        command,
        cwd=tree.folder,
        env={**tree.environment, **environment},
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
    """The few tests that look at QEMU's own file fail with it, and are left out."""
    plugin = str(tree.folder.resolve() / "build" / plugin_file("cover")).replace(",", ",,")
    options = plugin_options(tree.kernel, folder / "bits")
    words = shlex.join([str(find_qemu()), "-plugin", f"{plugin},{options}"])
    script = folder / "qemu"
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', "utf-8")
    script.chmod(0o755)
    return script


def _harness_hash(root: Path) -> str:
    left_out = ("harness/tests/", "harness/mutants/", "harness/host/")
    hashed = hashlib.sha256()
    for name in sources(root):
        if name.startswith("harness/") and not name.startswith(left_out):
            hashed.update(name.encode() + b"\0" + (root / name).read_bytes())
    return hashed.hexdigest()[:16]
