"""The tables of docs/memory-labs.md, from the goldens.

    .venv/bin/python -m harness.memorydocs          (make memory-docs)

A table stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; the text around them is
written by hand. tests/test_memorydocs.py holds the committed document against the goldens.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.errors import GoldenError, HarnessError, status_of
from harness.golden import load
from harness.log import Record
from harness.walk import GOLDEN

DOCUMENT = Path("docs/memory-labs.md")
COMMAND = "make memory-docs"

Row = Sequence[str]


def document(text: str, root: Path) -> str:
    """The text with every table rewritten; a table that has no place, or a place without one, is
    an error.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise HarnessError(
                f"{DOCUMENT} has no place for the table {name}",
                hint=f"write there {begin.strip()} and {end}",
            )
        before, rest = text.split(begin)
        text = before + begin + markdown(list(table(root))) + end + rest.split(end)[1]
    if unknown := set(re.findall(r"<!-- (\S+): begin -->", text)) - set(TABLES):
        raise HarnessError(f"{DOCUMENT}: no such table: {', '.join(sorted(unknown))}")
    return text


def markdown(rows: Sequence[Row]) -> str:
    """The first row is the head. Numbers stand to the right."""
    head, *body = rows
    columns = zip(*body, strict=True)
    numbers = ["---:" if any(map(_is_number, column)) else "---" for column in columns]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, numbers, *body))


def traces(root: Path) -> Iterator[Row]:
    yield ("trace", "events", "frees", "largest request")
    for record in records(root, "mem/traces.log"):
        if "events" in record.fields:
            yield fields(record, "name events frees largest")


def played(root: Path) -> Iterator[Row]:
    yield (
        *("trace", "allocator", "asked", "failed", "most live", "span", "wasted"),
        *("alloc p99", "alloc worst", "free p99", "free worst"),
    )
    for record in records(root, "mem/traces.log"):
        if "span" in record.fields:
            yield (
                *fields(record, "trace by asked failed live span wasted alloc_p99 alloc_worst"),
                *(
                    cost if cost != "0" else "none"
                    for cost in fields(record, "free_p99 free_worst")
                ),
            )


def constant(root: Path) -> Iterator[Row]:
    yield ("", "blocks", "alloc", "free", "alloc again")
    for record in records(root, "pool/constant.log"):
        if "blocks" in record.fields:
            yield (
                *fields(record, "by blocks"),
                *(_range(record, call) for call in ("alloc", "free", "again")),
            )


def switches(root: Path) -> Iterator[Row]:
    yield ("`protect=`", "alloc", "free", "alloc again")
    for record in records(root, "mem/switches.log"):
        name = record.words[0]
        shown = "(everything on)" if name == "all-on" else f"`{name}`"
        yield (shown, *fields(record, "alloc_max free_max again_max"))


def fragmentation(root: Path) -> Iterator[Row]:
    yield ("lab", "percent", "permille", "of")
    (pool,) = (r for r in records(root, "pool/frag.log") if "internal_frag_pct" in r.fields)
    (heap,) = (r for r in records(root, "heap/frag.log") if "external_frag_pct" in r.fields)
    asked, provided = fields(pool, "requested provided")
    largest, total = fields(heap, "largest_free total_free")
    yield (
        "`pool.frag`",
        *fields(pool, "internal_frag_pct permille"),
        f"{provided} bytes provided, {asked} requested",
    )
    yield (
        "`heap.frag`",
        *fields(heap, "external_frag_pct permille"),
        f"{total} bytes free, {largest} in one piece",
    )


TABLES: dict[str, Callable[[Path], Iterator[Row]]] = {
    "fragmentation": fragmentation,
    "traces": traces,
    "played": played,
    "constant": constant,
    "switches": switches,
}


def records(root: Path, name: str) -> tuple[Record, ...]:
    """Those of the labs' own areas."""
    golden = load(root / GOLDEN / name)
    if golden is None:
        raise GoldenError("golden missing", path=GOLDEN / name, hint="make golden")
    return tuple(record for record in golden.records if record.area[0] == "mem-lab")


def fields(record: Record, keys: str) -> tuple[str, ...]:
    """Values without their bands."""
    return tuple(record.fields[key].split("~")[0] for key in keys.split())


def _range(record: Record, call: str) -> str:
    least, most = fields(record, f"{call}_min {call}_max")
    return least if least == most else f"{least} to {most}"


def _is_number(cell: str) -> bool:
    return cell.replace(" to ", "").isdigit()


def main() -> int:
    before = DOCUMENT.read_text("utf-8")
    return status_of(lambda: DOCUMENT.write_text(document(before, Path.cwd()), "utf-8"))


if __name__ == "__main__":
    sys.exit(main())
