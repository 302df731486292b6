"""Many mutants, over the cores: each worker has a tree of its own, and what is known is not tried
again."""

import queue
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.dev.mutants.accepted import Entry
from harness.dev.mutants.attempt import Attempt
from harness.dev.mutants.mutant import Mutant
from harness.dev.mutants.outcome import LIVING, Outcome
from harness.dev.mutants.reach import Reach
from harness.dev.mutants.store import Store
from harness.dev.mutants.tree import Tree

Pair = tuple[Mutant, Outcome]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Campaign:
    root: Path
    folder: Path
    store: Store
    accepted: Mapping[str, Entry]
    jobs: int
    say: Say

    def run(self, mutants: Sequence[Mutant], reach: Callable[[Tree], Reach]) -> list[Pair]:
        """In the order of `mutants`. KeyboardInterrupt: what was found until then is kept."""
        known = {m.key: found for m in mutants if (found := self._known(m))}
        left = [m for m in mutants if m.key not in known]
        progress = Progress(len(mutants), known.values())
        if left:
            self._try(left, known, reach, progress)
        progress.end()
        return [(mutant, known[mutant.key]) for mutant in mutants]

    def _known(self, mutant: Mutant) -> Outcome | None:
        if entry := self.accepted.get(mutant.key):
            return Outcome(mutant.key, "accepted", why=entry.why)
        return self.store.get(mutant.key)

    def _try(
        self,
        left: Sequence[Mutant],
        known: dict[str, Outcome],
        reach: Callable[[Tree], Reach],
        progress: "Progress",
    ) -> None:
        with ExitStack() as stack:
            trees = [
                stack.enter_context(Tree(self.root, self.folder / f"tree-{number}"))
                for number in range(min(self.jobs, len(left)))
            ]
            measured = reach(trees[0])
            crew = Crew([Attempt(tree, measured, trees[0].image()) for tree in trees], left)
            for mutant, outcome in crew.outcomes():
                self.store.put(outcome)
                known[mutant.key] = outcome
                progress.add(outcome)
                if outcome.status in LIVING:
                    self.say(f"{mutant}\n    {outcome}")


class Crew:
    """A thread for each tree, and one queue for what they found."""

    def __init__(self, attempts: Sequence[Attempt], mutants: Sequence[Mutant]) -> None:
        self._attempts = attempts
        self._waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Pair | BaseException | None] = queue.SimpleQueue()
        for mutant in mutants:
            self._waiting.put(mutant)

    def outcomes(self) -> Iterator[Pair]:
        """As they come. Whatever ends this early ends what runs."""
        threads = [threading.Thread(target=self._work, args=(each,)) for each in self._attempts]
        for thread in threads:
            thread.start()
        try:
            yield from self._until_all_end(len(threads))
        finally:
            for attempt in self._attempts:
                attempt.stop()
            for thread in threads:
                thread.join()

    def _until_all_end(self, running: int) -> Iterator[Pair]:
        while running:
            found = self._found.get()
            if found is None:
                running -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found

    def _work(self, attempt: Attempt) -> None:
        try:
            while not attempt.stopped:
                mutant = self._waiting.get_nowait()
                self._found.put((mutant, attempt(mutant)))
        except queue.Empty:
            pass
        except BaseException as error:  # raised again by the thread that waits for it
            self._found.put(error)
        self._found.put(None)


class Progress:
    """One line, rewritten, on a terminal only."""

    def __init__(self, of: int, known: Iterable[Outcome]) -> None:
        self._of, self._shown = of, sys.stderr.isatty()
        self._counted = Counter(outcome.status for outcome in known)
        self._lock = threading.Lock()

    def add(self, outcome: Outcome) -> None:
        with self._lock:
            self._counted[outcome.status] += 1
            if self._shown:
                told = ", ".join(f"{n} {status}" for status, n in sorted(self._counted.items()))
                done = sum(self._counted.values())
                sys.stderr.write(f"\r\x1b[K  MUTANTS {done} of {self._of}: {told}")
                sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
