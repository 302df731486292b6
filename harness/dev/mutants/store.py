"""What became of each mutant, kept in build/mutants/results.jsonl, a line as soon as it is known.

An outcome holds for the tree that it was found in: its key is the mutant's and that of all sources
together. So the same command after Ctrl-C, or with a larger COUNT, tries only what is not known.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.dev.mutants.outcome import Outcome
from harness.errors import HarnessError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One campaign at a time in a build folder: two would change each other's trees."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HarnessError(
                f"another `make mutants` runs here: process {lock.read().strip()}",
                hint=f"wait for it, or end it; it has {lock.name}",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


class Store:
    def __init__(self, file: Path, tree: str) -> None:
        self._file, self._tree = file, tree
        self._lock = threading.Lock()
        self._known = dict(self._read())

    def get(self, key: str) -> Outcome | None:
        return self._known.get(key)

    def put(self, outcome: Outcome) -> None:
        line = json.dumps({"tree": self._tree, **outcome.told()}, ensure_ascii=False)
        with self._lock:
            self._known[outcome.key] = outcome
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _read(self) -> Iterator[tuple[str, Outcome]]:
        if not self._file.exists():
            return
        for line in self._file.read_text("utf-8").splitlines():
            try:
                told = json.loads(line)
            except json.JSONDecodeError:  # a run that was killed while it wrote
                continue
            if told.pop("tree") == self._tree:
                outcome = Outcome.of(told)
                yield outcome.key, outcome
