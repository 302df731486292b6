"""From a line to the tests that execute it: measured once, then kept.

    build/mutants/kernel-<build-id>/      bits/: what cover.c saw of each test (bits.py)
    build/mutants/python-<hash>/          lines.*: what coverage.py saw (lines.py); of harness/
        index.json                        each test that passes: seconds, and the hash of its file
        kept.json                         the lines that each executes (kept.py)

The kernel is tried on scenarios, the harness on its own tests, unless TESTS names others. One that
is new, or whose file has changed, is run again when a map is opened; one that fails on the tree as
it is tells nothing about a mutant, and is left out by name. What an earlier image or harness has
shown is carried on, in the lines that are still there.

Which tests? Those that execute a line of the mutant's statement; of a macro, a line that uses it;
where there is no instruction, or none that anything executes, those that execute its function; else
(a table) its file, or (a header) the files that include it. Last comes what reads the image
(IMAGE_TESTS), and a fuzzer of harness/host that includes the file as it stands. First come those
that execute most of the file (of a macro: of the files that use it) for their time, one of each
file of tests.
"""

import hashlib
import re
import shlex
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.dev.mutants import bits, lines
from harness.dev.mutants.bits import plugin_options
from harness.dev.mutants.index import INDEX, measured, take_in
from harness.dev.mutants.kept import FILE as KEPT
from harness.dev.mutants.kept import Kept
from harness.dev.mutants.mutant import Mutant
from harness.dev.mutants.tree import PYTEST, Tree, sources
from harness.dev.mutants.uses import Uses
from harness.errors import HarnessError, tail
from harness.serial.symbols import build_id
from harness.tools import find_qemu, plugin_file

_CODE = (".c", ".h", ".S")
_Place = tuple[str, Iterable[int] | None]  # a file, and lines of it; None: all
FUZZ_TEST = "harness/tests/dev/test_host.py::test_the_fuzzer_finds_nothing[{}]"
_FUZZ = FUZZ_TEST.partition("[")[0]
FUZZ_SECONDS = 30.0
# No map has what is not executed: barriers and saved registers are read in the image.
IMAGE_TESTS = (
    "harness/tests/dev/test_barriers.py::test_each_barrier_stands_where_it_is_demanded",
    "harness/tests/dev/test_saved.py::test_what_is_saved_is_given_back",
    "scenarios/test_parameters.py::test_the_catalogue_is_its_golden",
)
# Files of tests that build a file of the kernel for this machine, whole: a bit less than a fuzzer.
HOST_TESTS = {"kernel/report/prologue.c": ("harness/tests/hw/test_prologue.py",)}
LINES = "lines"  # of Python, as coverage.py leaves them
_SECONDS = 0.3  # what a test costs beside itself


class Seen(Protocol):
    def executing(self, path: str, lines: Iterable[int] | None) -> set[str]: ...

    def at_or_before(self, path: str, line: int) -> int: ...

    def weights(self, path: str) -> Mapping[str, int]: ...


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
                paths = {path for path, _ in places}
                return Chosen(by, _ranked(found, known, paths) + self._without_boot(mutant))
        return Chosen("host", self._fuzzed(mutant))

    def _without_boot(self, mutant: Mutant) -> tuple[str, ...]:
        if mutant.is_python:
            return ()
        return (*IMAGE_TESTS, *HOST_TESTS.get(mutant.path, ()), *self._fuzzed(mutant))

    def _fuzzed(self, mutant: Mutant) -> tuple[str, ...]:
        """Last, as the fuzzer has to be built."""
        return tuple(FUZZ_TEST.format(name) for name in self.fuzzers.get(mutant.path, ()))

    def _places(self, mutant: Mutant) -> Iterator[tuple[str, list[_Place]]]:
        """The nearest first."""
        path = mutant.path
        yield "line", [(path, range(mutant.first, mutant.last + 1))]
        uses = sorted(self.uses.of_macro(mutant.function))
        seen = self.maps[mutant.is_python].seen
        yield "macro", [(at, [seen.at_or_before(at, line)]) for at, line in uses]
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


def _ranked(tests: Iterable[str], known: Map, paths: Iterable[str]) -> tuple[str, ...]:
    """The best of each file of tests, then the second best: another file looks at other things."""
    weight: Counter[str] = Counter()
    for path in paths:
        weight.update(known.seen.weights(path))
    best = sorted(tests, key=lambda t: (-weight[t] / (known.seconds[t] + _SECONDS), t))
    place: Counter[str] = Counter()
    rank = {}
    for number, test in enumerate(best):
        file = test.partition("::")[0]
        rank[test] = (place[file], number)
        place[file] += 1
    return tuple(sorted(best, key=lambda test: rank[test]))


def first(tests: Sequence[str], most: int) -> Sequence[str]:
    """So many at most; what boots nothing stays, it is what stands last."""
    host = [test for tests in HOST_TESTS.values() for test in tests]
    apart = [test for test in tests if test in (*IMAGE_TESTS, *host) or test.startswith(_FUZZ)]
    booting = [test for test in tests if test not in apart]
    return [*booting[:most], *apart]


def opened(root: Path, tree: Tree, jobs: int, asked: Sequence[str], kinds: Iterable[bool]) -> Reach:
    """The maps of the tree as it is; what they lack is measured first. asked: TESTS."""
    kernel = [name for name in sources(root) if name.startswith("kernel/") and name[-2:] in _CODE]
    texts = {name: (root / name).read_text("utf-8") for name in kernel}
    folders = {kind: _folder(tree, _NAMES[kind](root, tree)) for kind in sorted(set(kinds))}
    kept = {kind: _kept(folder, _now(kind, root, texts)) for kind, folder in folders.items()}
    for kind, folder in folders.items():
        _measure(kind, tree, folder, jobs, asked)
    maps = {kind: _taken_in(kind, tree, folder, kept[kind]) for kind, folder in folders.items()}
    return Reach(maps, Uses(texts), fuzzers(root))


def _now(is_python: bool, root: Path, kernel: Mapping[str, str]) -> Mapping[str, str]:
    """The texts whose lines a map has."""
    if not is_python:
        return kernel
    return {name: (root / name).read_text("utf-8") for name in _harness(root)}


def _kept(folder: Path, texts: Mapping[str, str]) -> Kept:
    """What was known before: of this tree, or of another one, in the lines of this one."""
    if (folder / KEPT).exists():
        return Kept.load(folder / KEPT)
    kind = folder.name.partition("-")[0]
    others = sorted(folder.parent.glob(f"{kind}-*/{KEPT}"), key=lambda path: path.stat().st_mtime)
    if not others:
        return Kept(texts=dict(texts))
    (folder / INDEX).write_text((others[-1].parent / INDEX).read_text("utf-8"), "utf-8")
    found = Kept.load(others[-1]).carried(texts)
    found.save(folder / KEPT)
    return found


def _taken_in(is_python: bool, tree: Tree, folder: Path, kept: Kept) -> Map:
    new = measured(folder)
    if new:
        seen = lines.executed(folder, LINES) if is_python else _bits(tree, folder, new)
        kept = kept.again(new, seen)
        kept.save(folder / KEPT)
    return Map(kept, take_in(folder))


def _bits(tree: Tree, folder: Path, new: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    return bits.executed(folder / "bits", tree.kernel, new)


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


def _measure(is_python: bool, tree: Tree, folder: Path, jobs: int, asked: Sequence[str]) -> None:
    # With "=", or pytest takes the folder for a place of tests.
    command = [*PYTEST, "-p", "harness.dev.mutants.covering", f"--reach={folder}", "-n", str(jobs)]
    environment = {}
    if is_python:
        for left in (*folder.glob("result.*"), *folder.glob(f"{LINES}.*")):
            left.unlink()  # of a run that was cut short: what passed in it has left no lines
        command += ["--reach-lines"]
    else:
        (folder / "bits").mkdir(exist_ok=True)
        environment = {"HIGHWATER_QEMU": str(_covering_qemu(tree, folder))}
    done = subprocess.run(
        [*command, *_asked(is_python, asked)],
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


def _asked(is_python: bool, asked: Sequence[str]) -> list[str]:
    """Of TESTS: its options, and of the tests that it names those of the kind, if there are any.
    All of the kind, if it names none.
    """
    own = "harness/tests" if is_python else "scenarios"
    named = [word for word in asked if not word.startswith("-")]
    options = [word for word in asked if word.startswith("-")]
    return options + ([word for word in named if word.startswith(own)] or named or [own])


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
    hashed = hashlib.sha256()
    for name in _harness(root):
        hashed.update(name.encode() + b"\0" + (root / name).read_bytes())
    return hashed.hexdigest()[:16]


def _harness(root: Path) -> Iterator[str]:
    left_out = ("harness/tests/", "harness/host/")
    for name in sources(root):
        if name.startswith("harness/") and not name.startswith(left_out) and name.endswith(".py"):
            yield name


_NAMES: Mapping[bool, Callable[[Path, Tree], str]] = {
    True: lambda root, _tree: f"python-{_harness_hash(root)}",
    False: lambda _root, tree: f"kernel-{build_id(tree.kernel)[:16]}",
}
