"""All mutants of a tree, those that FILES names, and a sample of them. Pure but for reading."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from random import Random

from harness.dev.mutants import inassembly, inc, inpython
from harness.dev.mutants.mutant import Mutant
from harness.errors import HarnessError

MAKERS: Mapping[str, Callable[[str, bytes], list[Mutant]]] = {
    ".c": inc.mutants,
    ".h": inc.mutants,
    ".S": inassembly.mutants,
    ".py": inpython.mutants,
}
ROOTS = ("kernel/", "harness/")
# Tests are what is measured; what runs inside GDB has a Python of its own; the rest judges.
LEFT_OUT = (
    "harness/tests/*",
    "harness/hw/*",
    "harness/host/*",
    "harness/dev/mutants/inpytest.py",
    "kernel/labs/mem/trace_recorded.h",
)
_LEAST = 2  # of each folder


def files(names: Sequence[str]) -> list[str]:
    """Those of a tree's files that mutants are made of."""
    return [name for name in names if _is_mutated(name)]


def mutants(root: Path, names: Sequence[str]) -> dict[str, list[Mutant]]:
    """By file."""
    return {
        name: MAKERS[Path(name).suffix](name, (root / name).read_bytes()) for name in files(names)
    }


def named(wanted: str, found: Mapping[str, list[Mutant]]) -> list[Mutant]:
    """FILES: files, lines of them, folders or patterns; all, if it says nothing."""
    chosen: dict[str, Mutant] = {}
    for word in wanted.split() or ("kernel", "harness"):
        pattern, _, line = word.partition(":")
        files = [name for name in found if _matches(name, pattern)]
        there = [m for name in files for m in found[name] if line in ("", str(m.line))]
        if not there and (wanted or not found):
            raise HarnessError(
                f"FILES={word} names nothing that mutants are made of",
                hint="name files, folders or patterns below kernel/ and harness/, such as"
                " kernel/mem/heap.c, kernel/mem/heap.c:118, kernel/mem, 'harness/*.py'",
            )
        chosen |= {mutant.key: mutant for mutant in there}
    return list(chosen.values())


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of each folder as its share is, two at least: the same for the same seed."""
    if count >= len(mutants):
        return list(mutants)
    folders: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        folders.setdefault(mutant.folder, []).append(mutant)
    chosen: list[Mutant] = []
    for folder, share in _shares({name: len(there) for name, there in folders.items()}, count):
        there = sorted(folders[folder], key=lambda mutant: mutant.key)
        chosen += Random(f"{seed} {folder}").sample(there, share)
    Random(seed).shuffle(chosen)
    return chosen


def _shares(sizes: Mapping[str, int], count: int) -> list[tuple[str, int]]:
    """Two of each folder, as far as there are, and the rest in proportion: to the folder that is
    farthest behind, one after the other.
    """
    shares = dict.fromkeys(sorted(sizes), 0)
    for _ in range(count):
        open_ = [name for name in shares if shares[name] < sizes[name]]
        few = [name for name in open_ if shares[name] < _LEAST]
        behind = min(few or open_, key=lambda name: ((shares[name] + 1) / sizes[name], name))
        shares[behind] += 1
    return list(shares.items())


def _is_mutated(name: str) -> bool:
    return (
        name.startswith(ROOTS)
        and Path(name).suffix in MAKERS
        and not any(fnmatch(name, pattern) for pattern in LEFT_OUT)
    )


def _matches(name: str, word: str) -> bool:
    word = word.removeprefix("./").rstrip("/")
    return name == word or name.startswith(word + "/") or fnmatch(name, word)
