"""Where a macro, or what a header declares, takes effect: DWARF has no line for either. Pure.

A macro takes effect in every line that names it; in one that defines another macro, where that one
does. What else stands in a header without instructions of its own does so in the files that
include it, directly or not.
"""

import re
from collections.abc import Iterator, Mapping

Place = tuple[str, int]  # path and line
_DEFINE = re.compile(r"\s*#\s*define\s+(\w+)")


class Uses:
    """texts: the files of kernel/, by path."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._lines = {path: _logical(text) for path, text in texts.items()}

    def of_macro(self, name: str) -> set[Place]:
        """Empty for what is no macro."""
        found: set[Place] = set()
        waiting, seen = [name], {name} if self._is_macro(name) else set()
        while waiting and seen:
            for path, number, line in self._naming(waiting.pop()):
                other = _DEFINE.match(line)
                if not other:
                    found.add((path, number))
                elif other[1] not in seen:
                    seen.add(other[1])
                    waiting.append(other[1])
        return found

    def of_header(self, path: str) -> set[str]:
        found, waiting = {path}, [path]
        while waiting:
            included = f'#include "{waiting.pop().removeprefix("kernel/")}"'
            for other, lines in self._lines.items():
                if other not in found and any(line.startswith(included) for _, line in lines):
                    found.add(other)
                    waiting.append(other)
        return found

    def _is_macro(self, name: str) -> bool:
        return any((m := _DEFINE.match(line)) and m[1] == name for _, _, line in self._naming(name))

    def _naming(self, name: str) -> Iterator[tuple[str, int, str]]:
        word = re.compile(rf"\b{re.escape(name)}\b") if name else re.compile(r"(?!)")
        for path, lines in self._lines.items():
            for number, line in lines:
                if name in line and word.search(line):
                    yield path, number, line


def _logical(text: str) -> list[tuple[int, str]]:
    """With what a backslash continues: of a macro all lines are its first one's."""
    lines: list[tuple[int, str]] = []
    continued = False
    for number, line in enumerate(text.split("\n"), 1):
        if continued:
            lines[-1] = (lines[-1][0], lines[-1][1] + line)
        else:
            lines.append((number, line))
        continued = line.endswith("\\")
    return lines
