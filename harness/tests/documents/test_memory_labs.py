"""docs/memory-labs.md says what the goldens say."""

from pathlib import Path

import pytest

from harness.documents import memory_labs, page
from harness.errors import HarnessError
from harness.paths import ROOT
from harness.serial.log import parse_line

COMMITTED = (ROOT / memory_labs.DOCUMENT.path).read_text("utf-8")


def test_the_committed_document_is_what_the_generator_writes() -> None:
    now = memory_labs.DOCUMENT.rewritten(COMMITTED, ROOT)
    assert now == COMMITTED, f"stale; run: {memory_labs.COMMAND}"


def test_no_table_is_empty() -> None:
    for name, table in memory_labs.DOCUMENT.tables.items():
        rows = list(table(ROOT))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1, name


def test_a_missing_place_is_named() -> None:
    text = COMMITTED.replace("<!-- played: begin -->", "")
    with pytest.raises(HarnessError, match="no place for the table played"):
        memory_labs.DOCUMENT.rewritten(text, ROOT)


def test_a_place_for_no_table_is_named() -> None:
    with pytest.raises(HarnessError, match="no such table: plaid"):
        memory_labs.DOCUMENT.rewritten(COMMITTED + "<!-- plaid: begin -->\n", ROOT)


def test_a_missing_golden_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"golden missing[\s\S]*make golden"):
        memory_labs.DOCUMENT.rewritten(COMMITTED, tmp_path)


def test_a_band_is_no_part_of_a_figure() -> None:
    record = parse_line("[mem-lab][constant] by=pool blocks=1 alloc_min=32~25% alloc_max=33~25%")
    assert page.fields(record, "blocks alloc_min") == ("1", "32")
