"""The tables of docs/memory-labs.md."""

from harness.documents import memory_labs
from harness.paths import ROOT


def test_no_table_is_empty() -> None:
    for name, made in memory_labs.PAGE.parts.items():
        text = made(ROOT)
        assert text and len(text.splitlines()) > 2, name
