"""What coverage.py saw: the lines of harness/, one context a test."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


class Lines:
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


def merge(folder: Path, into: Path) -> None:
    """What each worker has left."""
    import coverage

    data = coverage.CoverageData(basename=str(into))
    if into.exists():
        data.read()
    for part in folder.glob(f"{into.name}.*"):
        other = coverage.CoverageData(basename=str(part))
        other.read()
        data.update(other)
        other.close()
        part.unlink()
    data.write()


def _inside(name: str) -> str:
    """build/mutants/tree-0/harness/serial/log.py → harness/serial/log.py"""
    _, found, rest = name.rpartition("/harness/")
    return f"harness/{rest}" if found else name
