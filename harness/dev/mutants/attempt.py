"""One mutant in one tree: built, told from the original, tried until a test fails.

A kernel's mutant is judged as under another compiler (--golden-foreign): a test that fails then
names the thing. What only exact numbers tell is listed on the way and makes it `counted`.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.dev.mutants import reach
from harness.dev.mutants.mutant import Mutant
from harness.dev.mutants.outcome import Outcome
from harness.dev.mutants.reach import Chosen, Reach
from harness.dev.mutants.tree import PYTEST, BuildFailed, Tree

FIRST = 24  # tests of the first pytest; most mutants do not get beyond
MOST = 120  # a mutant of a line that every boot executes would cost a whole `make test`
_LEAST_SECONDS = 60.0
_TIMES = 10  # what a test may take of what it took
_PYTEST_SECONDS = 120.0


@dataclass
class Attempt:
    """Mutants in one tree, one after the other. `stop()` ends the one that runs."""

    tree: Tree
    reach: Reach
    original: str
    stopped: bool = False
    _running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __call__(self, mutant: Mutant) -> Outcome:
        began = time.monotonic()
        try:
            self.tree.put(mutant)
            outcome = self._outcome(mutant)
        finally:
            self.tree.take_back()
        return replace(outcome, seconds=round(time.monotonic() - began, 1))

    def stop(self) -> None:
        self.stopped = True
        if running := self._running:
            _end(running)

    def _outcome(self, mutant: Mutant) -> Outcome:
        if not mutant.is_python:
            try:
                self.tree.build()
            except BuildFailed as error:
                return Outcome(mutant.key, "build-failed", why=str(error).splitlines()[-1])
            if self.tree.image() == self.original:
                return Outcome(mutant.key, "equivalent")
        chosen = self.reach.tests(mutant)
        if not chosen.tests:
            return Outcome(mutant.key, "unreached")
        found = self._tried(mutant, chosen)
        return replace(found, tests=len(chosen.tests), reach=chosen.by)

    def _tried(self, mutant: Mutant, chosen: Chosen) -> Outcome:
        numbers = self._made("foreign")
        tests = reach.first(chosen.tests, MOST)
        for part in (tests[:FIRST], tests[FIRST:]):
            if part and (found := self._failed(mutant, part, numbers)):
                return found
        if numbers.exists():
            first = numbers.read_text("utf-8").splitlines()[0]
            name, _, why = first.partition(": ")
            return Outcome(mutant.key, "counted", by=name, cause="number", why=why)
        return Outcome(mutant.key, "survived")

    def _failed(self, mutant: Mutant, tests: Sequence[str], numbers: Path) -> Outcome | None:
        report, listing = self._made("report"), self._made("tests")
        limits = ((max(_LEAST_SECONDS, _TIMES * self.reach.seconds([t])), t) for t in tests)
        listing.write_text("".join(f"{limit:.0f} {test}\n" for limit, test in limits), "utf-8")
        files = sorted({test.partition("::")[0] for test in tests})
        # fmt: off
        command = [
            *PYTEST, "-x", "-p", "harness.dev.mutants.inpytest",
            f"--mutant-tests={listing}", f"--mutant-report={report}", *files,
        ]
        # fmt: on
        if not mutant.is_python:
            command += ["--warm", f"--golden-foreign={numbers}"]
        status, said = self._run(command, _PYTEST_SECONDS + _TIMES * self.reach.seconds(tests))
        if report.exists():
            told = json.loads(report.read_text("utf-8"))
            kind = "timeout" if told["cause"] == "timeout" else "killed"
            return Outcome(mutant.key, kind, told["test"], told["cause"], told["why"])
        if status is None:
            return Outcome(mutant.key, "timeout", "pytest", "timeout", "pytest did not end")
        if status in (0, 5):
            return None
        return Outcome(mutant.key, "killed", "pytest", "collection", said)

    def _run(self, command: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """The status, None for one that did not end, and pytest's last line."""
        output = self._made("output")
        with output.open("wb") as file:
            self._running = subprocess.Popen(
                command,
                cwd=self.tree.folder,
                env=self.tree.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
            if self.stopped:
                _end(self._running)
            try:
                status: int | None = self._running.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(self._running)
                self._running = None
        if self.stopped:
            raise KeyboardInterrupt
        return status, output.read_text("utf-8", "replace").strip().rpartition("\n")[2]

    def _made(self, name: str) -> Path:
        """A file for this mutant, not there yet."""
        path = (self.tree.folder / "build" / f"mutant-{name}").resolve()
        path.unlink(missing_ok=True)
        return path


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its whole group: what it has started, too. QEMU ends with its owner."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
