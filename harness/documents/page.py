"""Tables in a document of docs/, from the goldens.

A table stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; the text around them is
written by hand. memorydocs.py and costs.py have a document each; a test of each holds the committed
text against the goldens.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GoldenError, HarnessError, status_of
from harness.paths import GOLDEN
from harness.serial.log import Record
from harness.verdict.golden import load

Row = Sequence[str]
Table = Callable[[Path], Iterator[Row]]


@dataclass(frozen=True)
class Document:
    """prefix: of its tables' names, where other places in the document are somebody else's."""

    path: Path
    tables: Mapping[str, Table]
    prefix: str = ""

    def rewritten(self, text: str, root: Path) -> str:
        """The text with every table rewritten; a table that has no place, or a place without one,
        is an error.
        """
        for name, table in self.tables.items():
            begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
            if text.count(begin) != 1 or text.count(end) != 1:
                raise HarnessError(
                    f"{self.path} has no place for the table {name}",
                    hint=f"write there {begin.strip()} and {end}",
                )
            before, rest = text.split(begin)
            text = before + begin + markdown(list(table(root))) + end + rest.split(end)[1]
        if unknown := set(re.findall(rf"<!-- ({self.prefix}\S+): begin -->", text)) - set(
            self.tables
        ):
            raise HarnessError(f"{self.path}: no such table: {', '.join(sorted(unknown))}")
        return text

    def main(self) -> int:
        before = self.path.read_text("utf-8")
        return status_of(lambda: self.path.write_text(self.rewritten(before, Path.cwd()), "utf-8"))


def markdown(rows: Sequence[Row]) -> str:
    """The first row is the head. Numbers stand to the right."""
    head, *body = rows
    columns = zip(*body, strict=True)
    numbers = ["---:" if any(map(_is_number, column)) else "---" for column in columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, numbers, *body))


def records(root: Path, name: str, area: str) -> tuple[Record, ...]:
    """Those of a golden that the lab itself wrote: of this area, or of a part of it."""
    golden = load(root / GOLDEN / name)
    if golden is None:
        raise GoldenError("golden missing", path=GOLDEN / name, hint="make golden")
    return tuple(record for record in golden.records if record.area[0] == area)


def fields(record: Record, keys: str) -> tuple[str, ...]:
    """Values without their bands."""
    return tuple(record.fields[key].split("~")[0] for key in keys.split())


def _is_number(cell: str) -> bool:
    return cell.replace(" to ", "").replace(".", "", 1).isdigit()
