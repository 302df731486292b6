"""The golden store: what each scenario printed when somebody last looked and agreed.

A golden is a header and the canonical records of one scenario (canon.py), one file for all its
triggers:

    # highwater golden 1
    # lab: stack.recurse
    # boot: lab=stack.recurse
    # toolchain: aarch64-linux-gnu-gcc 12.2.0
    # qemu: 7.2
    [lab] enter name=stack.recurse …
    …
    [gdb] #0 recurse+0x0
    [qemu] aborts data=1 …

Nothing updates itself. A comparison that fails leaves `<golden>.new` beside the golden; it
becomes the golden only by

    python -m harness.verdict.golden accept [--orphans FILE]
    python -m harness.verdict.golden discard                    forget the pending

`make golden` ends with the one and begins with the other, and nobody else runs in between: see
plugin.py's --golden-accept.
Exactly one case of a scenario writes its `.new` (scenario.Case.records), so workers never race
for it; every write is a temporary file, fsync, rename. The [gdb] records are compared only by a
case that looked through GDB. How two lists of records compare is compare.py, and under another
compiler or QEMU facts.py; this module imports no process, socket or thread.
"""

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GoldenError, LogError, while_read
from harness.serial.log import Record, parse_line
from harness.verdict.compare import Difference, carry_bands, differences
from harness.verdict.facts import Judged, judge

MAGIC = "# highwater golden 1"
HEADER = ("lab", "boot", "toolchain", "qemu")
PENDING = ".new"


@dataclass(frozen=True)
class Golden:
    """One golden file, or the run that wants to become one."""

    lab: str
    boot: str
    toolchain: str
    qemu: str
    records: tuple[Record, ...]

    @property
    def maker(self) -> tuple[str, str]:
        """What made it: under another compiler or QEMU only facts are compared (facts.py)."""
        return self.toolchain, self.qemu

    def text(self) -> str:
        header = [f"# {key}: {getattr(self, key)}" for key in HEADER]
        return "\n".join([MAGIC, *header, *map(str, self.records)]) + "\n"


@dataclass(frozen=True)
class Comparison:
    """A run beside its golden; `candidate` is what acceptance would write."""

    path: Path
    candidate: Golden
    missing: bool
    exact: bool
    differences: tuple[Difference, ...]
    unjudged: int = 0  # values that another compiler or QEMU may change, and that were not compared

    @property
    def same(self) -> bool:
        return not self.missing and not self.differences

    def reasons(self) -> list[str]:
        """One heading, then every difference with its reason and both lines."""
        if self.missing:
            return [
                f"{self.path.name} does not exist: nobody has accepted a golden for this scenario"
            ]
        if self.same:
            return []
        count = len(self.differences)
        how = "" if self.exact else " in what neither compiler nor QEMU decides: others made it"
        heading = f"{count} difference{'s' if count > 1 else ''}{how}"
        return [heading, *(line for difference in self.differences for line in difference.lines())]


def compare(path: Path, seen: Golden, *, looked: bool, exact: bool = False) -> Comparison:
    """`seen` against the file at `path`. `exact` asks for every byte whatever the toolchain."""
    golden = load(path)
    if golden is None:
        return Comparison(path, seen, missing=True, exact=True, differences=())
    exact = exact or golden.maker == seen.maker
    expected = [r for r in golden.records if looked or r.area != ("gdb",)]
    judged = _exactly(expected, seen.records) if exact else judge(expected, seen.records)
    found = [*_header_differences(golden, seen), *judged.differences]
    candidate = Golden(
        seen.lab, seen.boot, seen.toolchain, seen.qemu, tuple(carry_bands(expected, seen.records))
    )
    return Comparison(path, candidate, False, exact, tuple(found), judged.unjudged)


def _exactly(old: Sequence[Record], new: Sequence[Record]) -> Judged:
    return Judged(tuple(differences(old, new)), 0)


def parse(text: str, path: Path) -> Golden:
    lines = text.splitlines()
    if lines[:1] != [MAGIC]:
        seen = lines[0] if lines else "an empty file"
        raise _corrupt(path, f"line 1: expected {MAGIC!r}, found {seen!r}")
    header = dict(_header(lines[1 : len(HEADER) + 1], path))
    return Golden(**header, records=tuple(_body(lines[len(HEADER) + 1 :], path)))


def load(path: Path) -> Golden | None:
    """The golden at `path`; None when there is none."""
    try:
        return parse(path.read_text("utf-8"), path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _corrupt(path, f"cannot be read: {error}") from None


def write_pending(comparison: Comparison) -> Path:
    """Leave the candidate beside the golden, for `make golden` to accept."""
    target = pending_path(comparison.path)
    write_atomic(target, comparison.candidate.text())
    return target


def pending_path(path: Path) -> Path:
    return path.with_name(path.name + PENDING)


def write_atomic(path: Path, text: str) -> None:
    """The whole text or nothing: a temporary file in the same folder, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def goldens(root: Path) -> list[Path]:
    return sorted(root.rglob("*.log"))


def pending(root: Path) -> list[Path]:
    return sorted(root.rglob("*.log" + PENDING))


def orphans(root: Path, claimed: Iterable[Path]) -> list[Path]:
    """Goldens that no scenario writes."""
    wanted = set(claimed)
    return [path for path in goldens(root) if path not in wanted]


def accept(root: Path, say: Callable[[str], None]) -> int:
    """Make every pending golden the golden. All are read before the first is touched."""
    waiting = pending(root)
    for new in waiting:
        load(new)
    for new in waiting:
        path = new.with_name(new.name.removesuffix(PENDING))
        say(_shown(path, new))
        new.replace(path)
    return len(waiting)


def discard(root: Path) -> int:
    waiting = pending(root)
    for new in waiting:
        new.unlink()
    return len(waiting)


def remove_orphans(root: Path, listing: Path, say: Callable[[str], None]) -> int:
    """Remove what a full run listed (--golden-orphans); a name outside `root` is refused."""
    names = listing.read_text("utf-8").split("\n") if listing.exists() else []
    paths = [root / name for name in names if name]
    for path in paths:
        if not path.resolve().is_relative_to(root.resolve()):
            raise GoldenError("an orphan outside the golden folder", path=path)
    for path in paths:
        say(f"removed {path}: no scenario writes it")
        path.unlink(missing_ok=True)
    return len(paths)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        _say(_COMMANDS[options.command](options))
    except GoldenError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _say(text: str) -> None:
    with while_read():  # whoever looks on: what has begun is accepted to its end
        sys.stdout.write(f"{text}\n")


def _accept(options: argparse.Namespace) -> str:
    accepted = accept(options.root, _say)
    removed = remove_orphans(options.root, options.orphans, _say) if options.orphans else 0
    return f"golden: {accepted} accepted, {removed} orphans removed"


def _discard(options: argparse.Namespace) -> str:
    return f"golden: {discard(options.root)} pending discarded"


_COMMANDS = {"accept": _accept, "discard": _discard}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.verdict.golden", description="accept goldens"
    )
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("--root", type=Path, default=Path("golden"), help="default: golden")
    parser.add_argument("--orphans", type=Path, help="file of golden names to remove")
    return parser


def _shown(path: Path, new: Path) -> str:
    old_lines = path.read_text("utf-8").splitlines() if path.exists() else []
    before = str(path) if path.exists() else "(new golden)"
    lines = difflib.unified_diff(
        old_lines, new.read_text("utf-8").splitlines(), before, str(path), lineterm=""
    )
    return "\n".join(lines)


def _header_differences(golden: Golden, seen: Golden) -> Iterator[Difference]:
    for key in ("lab", "boot"):
        old, new = getattr(golden, key), getattr(seen, key)
        if old != new:
            yield Difference(f"{'boot line' if key == 'boot' else key} changed: {old} → {new}")


def _header(lines: Sequence[str], path: Path) -> Iterator[tuple[str, str]]:
    for number, key in enumerate(HEADER, start=2):
        line = lines[number - 2] if len(lines) > number - 2 else ""
        prefix = f"# {key}: "
        if not line.startswith(prefix) or len(line) == len(prefix):
            raise _corrupt(path, f"line {number}: expected '{prefix}…', found {line!r}")
        yield key, line.removeprefix(prefix)


def _body(lines: Sequence[str], path: Path) -> Iterator[Record]:
    for number, line in enumerate(lines, start=len(HEADER) + 2):
        try:
            yield parse_line(line)
        except LogError as error:
            raise _corrupt(path, f"line {number}: {error.problem}") from None


def _corrupt(path: Path, problem: str) -> GoldenError:
    return GoldenError(
        f"corrupt golden, {problem}",
        path=path,
        hint="restore it (git checkout), or remove it and run: make golden",
    )


if __name__ == "__main__":
    sys.exit(main())
