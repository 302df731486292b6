"""A map in lines of source: which tests execute which line, and the text that these lines had.

    build/mutants/…/kept.json    tests: their names; lines: path → line → mask; texts: path → text

An image has addresses, its source has lines, and most lines outlive an edit. So the map of a tree
that has changed begins with what an earlier one knew (`carried`): each line keeps its tests where a
diff says that it is still there. A line that is new has none until a test is measured again, and is
tried on the tests of its function (reach.py). A test that is missing can only let a mutant live.
Bit n of a mask is tests[n]. Pure but for load and save.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Self

from harness.verdict.golden import write_atomic

Executed = Iterable[tuple[str, int, str]]  # path, line, test
_Masks = dict[str, dict[int, int]]
FILE = "kept.json"


@dataclass
class Kept:
    tests: list[str] = field(default_factory=list)
    lines: _Masks = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        told = json.loads(path.read_text("utf-8"))
        lines = {
            name: {int(line): int(mask, 16) for line, mask in masks.items()}
            for name, masks in told["lines"].items()
        }
        return cls(told["tests"], lines, told["texts"])

    def save(self, path: Path) -> None:
        lines = {
            name: {str(line): f"{mask:x}" for line, mask in masks.items()}
            for name, masks in self.lines.items()
        }
        told = {"tests": self.tests, "lines": lines, "texts": self.texts}
        write_atomic(path, json.dumps(told, ensure_ascii=False))

    def executing(self, path: str, lines: Iterable[int] | None) -> set[str]:
        known = self.lines.get(path, {})
        mask = 0
        for line in known if lines is None else lines:
            mask |= known.get(line, 0)
        return set(self._named(mask))

    def at_or_before(self, path: str, line: int) -> int:
        """The line whose instructions a line without any is part of: of an initializer, say."""
        return max((known for known in self.lines.get(path, ()) if known <= line), default=line)

    def weights(self, path: str) -> Mapping[str, int]:
        """How many lines of a file each test executes."""
        counted: Counter[int] = Counter(self.lines.get(path, {}).values())
        found: Counter[str] = Counter()
        for mask, times in counted.items():
            for test in self._named(mask):
                found[test] += times
        return found

    def carried(self, texts: Mapping[str, str]) -> "Kept":
        """The same, in the lines of other texts."""
        moved: _Masks = {}
        for path, masks in self.lines.items():
            if path not in texts:
                continue
            now = _moved(self.texts.get(path, ""), texts[path])
            moved[path] = {now[line]: mask for line, mask in masks.items() if line in now}
        return Kept([*self.tests], moved, dict(texts))

    def again(self, measured: Iterable[str], executed: Executed) -> "Kept":
        """With these tests measured anew: what was known of them is forgotten."""
        names, there = set(measured), set(self.tests)
        old = sum(1 << number for number, test in enumerate(self.tests) if test in names)
        lines: _Masks = {
            path: {line: kept for line, mask in masks.items() if (kept := mask & ~old)}
            for path, masks in self.lines.items()
        }
        tests = self.tests + sorted(names - there)
        bits = {test: 1 << number for number, test in enumerate(tests) if test in names}
        for path, line, test in executed:
            if test in bits:
                masks = lines.setdefault(path, {})
                masks[line] = masks.get(line, 0) | bits[test]
        return Kept(tests, lines, self.texts)

    def _named(self, mask: int) -> Iterable[str]:
        while mask:
            lowest = mask & -mask
            yield self.tests[lowest.bit_length() - 1]
            mask ^= lowest


def _moved(before: str, after: str) -> dict[int, int]:
    """Where each line that is still there stands now; both from 1."""
    if before == after:
        return {n: n for n in range(1, before.count("\n") + 2)}
    blocks = SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    return {
        block.a + n + 1: block.b + n + 1
        for block in blocks.get_matching_blocks()
        for n in range(block.size)
    }
