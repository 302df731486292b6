"""What coverage.py saw: the lines of harness/, one context a test."""

from collections.abc import Iterator
from pathlib import Path


def executed(folder: Path, name: str) -> Iterator[tuple[str, int, str]]:
    """Path, line and test, from what each worker has left as name.*; that is taken away."""
    import coverage

    for part in sorted(folder.glob(f"{name}.*")):
        data = coverage.CoverageData(basename=str(part))
        data.read()
        for file in data.measured_files():
            for line, tests in data.contexts_by_lineno(file).items():
                yield from ((_inside(file), line, test) for test in tests if test)
        data.close()
        part.unlink()


def _inside(name: str) -> str:
    """build/mutants/tree-0/harness/serial/log.py → harness/serial/log.py"""
    _, found, rest = name.rpartition("/harness/")
    return f"harness/{rest}" if found else name
