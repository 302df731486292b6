"""The tables of docs/memory-labs.md: fragmentation, traces, constant time, what switches cost."""

from collections.abc import Iterator
from pathlib import Path

from harness.documents.page import Page, Row, fields, records, table
from harness.serial.log import Record

AREA = "mem-lab"


def traces(root: Path) -> Iterator[Row]:
    yield ("trace", "events", "frees", "largest request")
    for record in records(root, "mem/traces", AREA):
        if "events" in record.fields:
            yield fields(record, "name events frees largest")


def played(root: Path) -> Iterator[Row]:
    yield (
        *("trace", "allocator", "asked", "failed", "most live", "span", "wasted"),
        *("alloc p99", "alloc worst", "free p99", "free worst"),
    )
    for record in records(root, "mem/traces", AREA):
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
    for record in records(root, "pool/constant", AREA):
        if "blocks" in record.fields:
            yield (
                *fields(record, "by blocks"),
                *(_range(record, call) for call in ("alloc", "free", "again")),
            )


def switches(root: Path) -> Iterator[Row]:
    yield ("`protect=`", "alloc", "free", "alloc again")
    for record in records(root, "mem/switches", AREA):
        name = record.words[0]
        shown = "(everything on)" if name == "all-on" else f"`{name}`"
        yield (shown, *fields(record, "alloc_max free_max again_max"))


def fragmentation(root: Path) -> Iterator[Row]:
    yield ("lab", "percent", "permille", "of")
    (pool,) = (r for r in records(root, "pool/frag", AREA) if "internal_frag_pct" in r.fields)
    (heap,) = (r for r in records(root, "heap/frag", AREA) if "external_frag_pct" in r.fields)
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


PAGE = Page(
    Path("docs/memory-labs.md"),
    {
        "fragmentation": lambda root: table(fragmentation(root)),
        "traces": lambda root: table(traces(root)),
        "played": lambda root: table(played(root)),
        "constant": lambda root: table(constant(root)),
        "switches": lambda root: table(switches(root)),
    },
)


def _range(record: Record, call: str) -> str:
    least, most = fields(record, f"{call}_min {call}_max")
    return least if least == most else f"{least} to {most}"
