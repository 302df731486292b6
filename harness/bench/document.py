"""The tables of docs/performance.md that `make bench` measured: build/bench.json as Markdown. Pure.

Each stands between `<!-- bench: PART: begin -->` and `<!-- bench: PART: end -->`; the text around
them is written by hand. A part that was not measured keeps its table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness import markers
from harness.documents.page import table

Table = Sequence[Sequence[str]]


def document(text: str, found: Mapping[str, Any]) -> str:
    """The text, with the table of each part that was measured."""
    for part, measured in found.items():
        if isinstance(measured, list | dict):
            text = markers.put(text, f"bench: {part}", table(_rows(measured)), "the document")
    return text


def _rows(measured: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Iterator[Sequence[str]]:
    if isinstance(measured, Mapping):
        yield ("", "")
        yield from ((key.replace("_", " "), _words(value)) for key, value in measured.items())
        return
    yield ("", "runs", "median ms", "quartiles ms", "of the floor", "target")
    for row in measured:
        first, third = row["quartiles_ms"]
        yield (
            row["name"],
            str(row["runs"]),
            f"{row['median_ms']:.1f}",
            f"{first:.1f} – {third:.1f}",
            f"{row['ratio']:.2f}" if row["ratio"] else "–",
            f"≤ {row['target']:g}" if row["target"] else "–",
        )


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
    return str(value)
