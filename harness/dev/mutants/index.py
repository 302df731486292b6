"""Which tests a map knows (reach.py), in files of its folder: index.json has the tests of earlier
runs, result.<pid>.jsonl those of the one that goes on (covering.py), collected.json all names.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

# The first tries mutants itself, and takes minutes. Every case of test_warm.py is one of another
# file: cold, warm, and on RAM full of rubbish; three of them are enough.
_NOT_ASKED = ("harness/tests/dev/test_mutants.py::test_the_whole_chain", "scenarios/test_warm.py")
_ASKED = ("[stack.recurse]", "[spawn.hello]", "[pool.threads]")
INDEX, COLLECTED = "index.json", "collected.json"


def is_asked(test: str) -> bool:
    return not test.startswith(_NOT_ASKED) or test.endswith(_ASKED)


def measured(folder: Path) -> list[str]:
    """The tests that have passed in the run that goes on."""
    return sorted({told["test"] for told in _results(folder) if told["outcome"] == "passed"})


def take_in(folder: Path) -> dict[str, float]:
    """The results into the index. The tests that were asked for and pass, with their seconds."""
    index = json.loads(_text(folder / INDEX) or "{}")
    for told in _results(folder):
        index.pop(told["test"], None)
        if told["outcome"] == "passed":
            index[told["test"]] = {"seconds": told["seconds"], "file": told["file"]}
    (folder / INDEX).write_text(json.dumps(index), "utf-8")
    for path in folder.glob("result.*.jsonl"):
        path.unlink()
    collected = json.loads(_text(folder / COLLECTED) or "[]")
    return {test: float(index[test]["seconds"]) for test in collected if test in index}


def known(folder: Path) -> dict[str, str]:
    """The tests that have passed, each with the hash of its file."""
    told = json.loads(_text(folder / INDEX) or "{}")
    passed = {test: str(row["file"]) for test, row in told.items()}
    rows = (row for row in _results(folder) if row["outcome"] == "passed")
    return passed | {row["test"]: row["file"] for row in rows}


@cache
def file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _results(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("result.*.jsonl")):
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""
