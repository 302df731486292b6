"""A page of docs/: written by hand, but for its parts, which are made from rows, goldens or boots.

A part stands between two markers (harness/markers.py). A page is one row of pages.py; `make docs`
writes them, one test holds every committed page against them. Prose stands in the page, never here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import markers
from harness.errors import GoldenError, HarnessError
from harness.paths import GOLDEN
from harness.serial.log import Record
from harness.verdict.golden import Golden, load, write_atomic

Row = Sequence[str]
# The checkout's root → Markdown; None where this machine cannot know it (another compiler's sizes).
Part = Callable[[Path], str | None]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Page:
    """parts: what each marker's place holds. pictures: whole files beside the page. near: parts
    whose numbers may be off by so much (0.05 is 5 %) before the page counts as stale: what a lab
    more moves a little. slow: `make golden` leaves it alone.
    """

    path: Path
    parts: Mapping[str, Part]
    pictures: Mapping[Path, Part] = field(default_factory=dict)
    near: Mapping[str, float] = field(default_factory=dict)
    slow: bool = False

    @property
    def name(self) -> str:
        return self.path.stem

    def rewritten(self, text: str, root: Path) -> str:
        """The text with every part made anew that is stale."""
        for name, made in self._stale_parts(text, root):
            text = markers.put(text, name, made, self.path)
        return text

    def stale(self, root: Path) -> list[str]:
        """The parts, and pictures, that are not what they would be if they were made now."""
        text = (root / self.path).read_text("utf-8")
        found = [name for name, _ in self._stale_parts(text, root)]
        for path, part in self.pictures.items():
            made = part(root)
            if made is not None and (root / path).read_text("utf-8") != made:
                found.append(str(path))
        return found

    def _stale_parts(self, text: str, root: Path) -> Iterator[tuple[str, str]]:
        for name, part in self.parts.items():
            is_now = markers.between(text, name, self.path)
            made = part(root)
            if made is not None and not same(is_now, made, self.near.get(name, 0.0)):
                yield name, made

    def write(self, root: Path) -> list[Path]:
        """The files that changed."""
        text = self.rewritten((root / self.path).read_text("utf-8"), root)
        files = {self.path: text} | {path: part(root) for path, part in self.pictures.items()}
        changed = []
        for path, made in files.items():
            if made is not None and (root / path).read_text("utf-8") != made:
                write_atomic(root / path, made)
                changed.append(path)
        return changed


def same(was: str, now: str, near: float) -> bool:
    """The same words, and numbers no further apart than `near` of the second."""
    if not near:
        return was.strip("\n") == now.strip("\n")
    if _NUMBER.sub("#", was).split() != _NUMBER.sub("#", now).split():
        return False
    pairs = zip(_NUMBER.findall(was), _NUMBER.findall(now), strict=True)
    return all(abs(float(a) - float(b)) <= near * float(b) for a, b in pairs)


def table(rows: Iterable[Row]) -> str:
    """Markdown. The first row is the head; columns of numbers stand to the right."""
    head, *body = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    if any(len(row) != len(head) for row in body):
        raise HarnessError(f"a row has not the {len(head)} cells of its head: {' | '.join(head)}")
    columns = list(zip(*body, strict=True)) or [()] * len(head)
    marks = ["---:" if column and all(map(_is_number, column)) else "---" for column in columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, marks, *body))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[\d ]+(?:\.\d+)?(?: %| (?:B|[KM]iB))?|-|–|", cell))


def golden(root: Path, name: str) -> Golden:
    """golden/NAME.log, or an error that says how to make it."""
    path = GOLDEN / f"{name}.log"
    found = load(root / path)
    if found is None:
        hint = f"make golden ONLY={path.stem}"
        raise GoldenError("golden missing", path=path, hint=hint)
    return found


def recorded_by(root: Path) -> str:
    """The toolchain of the goldens."""
    return golden(root, "stack/recurse").toolchain


def records(root: Path, name: str, area: str) -> tuple[Record, ...]:
    """Those of a golden that the lab itself wrote: of this area, or of a part of it."""
    return tuple(r for r in golden(root, name).records if r.area[0] == area)


def fields(record: Record, keys: str) -> tuple[str, ...]:
    """Values without their bands."""
    return tuple(record.fields[key].split("~")[0] for key in keys.split())


def number(record: Record, key: str) -> int:
    """One such value."""
    return int(fields(record, key)[0])


def spaced(value: int) -> str:
    """1234567 → 1 234 567."""
    return f"{value:,}".replace(",", " ")


def size(value: int) -> str:
    """262144 → 256 KiB: the largest unit that leaves nothing over."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value and value % unit == 0:
            return f"{value // unit} {name}"
    return f"{value} B"
