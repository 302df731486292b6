"""ONLY, looked at before anything is built: does this pytest -k expression select any test?

    python -m harness.run.only EXPRESSION [FOLDER…]

The Makefile asks for test, golden and soak. Refused (status 2) are an expression that pytest cannot
read and one that selects nothing; for each word of it that no test has in its name, what is
similar. A lab that has no row in scenarios/ is named in any case: only a whole run has a test for
that.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import pytest

from harness.errors import HarnessError, status_of
from harness.scenario import Case

LABS = Path("kernel/labs")
SCENARIOS = "scenarios"
MOST = 8

_LAB = re.compile(r"^LAB(?:_ON_BOOT_STACK|_LIGHT)?\(\s*(\w+),\s*(\w+),", re.MULTILINE)
_WORD = re.compile(r"[\w.:+-]+")
_GRAMMAR = frozenset(("and", "or", "not"))


class Collected:
    """A pytest plugin that keeps what there is, and what was selected of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.rows: set[str] = set()
        self.selected = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            callspec = getattr(item, "callspec", None)
            case = callspec.params.get("case") if callspec else None
            if isinstance(case, Case):
                self.rows.add(case.scenario.lab)
                self.names.add(case.id)
            self.names.update((item.path.stem, item.name.partition("[")[0]))

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.selected = len(session.items)


def check(expression: str, folders: Sequence[str]) -> None:
    """HarnessError unless it selects something in one of these folders."""
    found = Collected()
    if _selects(expression, SCENARIOS, found):
        _name_labs_without(found.rows)
        return
    if any(_selects(expression, folder, found) for folder in folders if folder != SCENARIOS):
        return
    rowless = [lab for lab in labs() - found.rows if _has(lab, words(expression))]
    if rowless:
        missing = f"{', '.join(sorted(rowless))} has no row yet"
        raise HarnessError(f"ONLY={expression!r} selects no test: {missing}", hint=_ROW)
    raise HarnessError(f"ONLY={expression!r} selects no test", hint=_hint(expression, found.names))


_ROW = "add it to scenarios/: docs/adding-a-scenario.md"


def labs() -> set[str]:
    """As their sources name them; nothing is built yet."""
    files = LABS.rglob("*.c")
    return {".".join(name) for file in files for name in _LAB.findall(file.read_text("utf-8"))}


def words(expression: str) -> list[str]:
    return [word for word in _WORD.findall(expression) if word not in _GRAMMAR]


def similar(wanted: str, names: Iterable[str]) -> list[str]:
    """What a person may have meant; the closest first."""
    known = sorted(set(names))
    near = get_close_matches(wanted.lower(), known, n=MOST, cutoff=0.6)
    parts = get_close_matches(wanted.lower(), {part for name in known for part in name.split("-")})
    return (near or parts)[:MOST]


def _hint(expression: str, names: set[str]) -> str:
    unknown = [word for word in words(expression) if not any(_has(name, [word]) for name in names)]
    found = [f"{word}: similar: {', '.join(near)}" for word, near in _meant(unknown, names)]
    return "; ".join(found) or "pytest --collect-only -q lists them all"


def _meant(unknown: list[str], names: set[str]) -> Iterator[tuple[str, list[str]]]:
    yield from ((word, near) for word in unknown if (near := similar(word, names)))


def _has(name: str, wanted: Sequence[str]) -> bool:
    return any(word.lower() in name.lower() for word in wanted)


def _selects(expression: str, folder: str, found: Collected) -> bool:
    options = ["-qq", "--collect-only", "-p", "no:cacheprovider", "-k", expression]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main([folder, *options], plugins=[found])
    if status == pytest.ExitCode.USAGE_ERROR:
        wrong = said.getvalue().rpartition("ERROR: ")[2].partition("\n")[0]
        raise HarnessError(f"ONLY={expression!r}: {wrong}", hint="ONLY='recurse and not gdb'")
    # What cannot be collected is told by the run itself.
    return bool(found.selected) or status not in (pytest.ExitCode.OK, _NOTHING)


_NOTHING = pytest.ExitCode.NO_TESTS_COLLECTED


def _name_labs_without(rows: set[str]) -> None:
    if lonely := sorted(labs() - rows):
        sys.stderr.write(f"note: labs without a row: {', '.join(lonely)}; {_ROW}\n")


if __name__ == "__main__":
    sys.exit(status_of(lambda: check(sys.argv[1], sys.argv[2:])))
