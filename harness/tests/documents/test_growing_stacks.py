"""docs/growing-stacks.md: its tables are the goldens', and its sentences hold of them."""

import shutil
from pathlib import Path

import pytest

from harness.documents import growing_stacks
from harness.documents.pages import COMMAND
from harness.errors import GoldenError, HarnessError
from harness.paths import ROOT


def cost(how: str, key: str) -> int:
    return growing_stacks.number(growing_stacks.cost(ROOT, how), key)


def test_the_committed_document_has_the_tables_that_the_goldens_give() -> None:
    committed = (ROOT / growing_stacks.DOCUMENT).read_text("utf-8")
    assert growing_stacks.document(committed, ROOT) == committed, f"stale; run: {COMMAND}"


def test_a_check_costs_little_and_moving_much() -> None:
    unchecked = cost("none", "per_call")
    assert cost("fixed", "per_call") == cost("demand", "per_call") == unchecked
    assert cost("nops", "check") == 2
    assert cost("nops", "check") < cost("check", "check") == cost("copy", "check")
    assert cost("copy", "check") * 4 < cost("hooks", "check") < unchecked
    assert cost("copy", "per_growth") > 50 * cost("demand", "per_growth")
    assert cost("copy", "amortised") > 3 * cost("demand", "amortised")


def test_memory_at_most() -> None:
    pages = {how: cost(how, "peak") for how, _ in growing_stacks.WAYS}
    assert pages["fixed"] * growing_stacks.PAGE == 64 << 20
    assert pages["copy"] * growing_stacks.PAGE == (1 << 20) + (1 << 19), (
        "the last two places at once"
    )
    assert pages["demand"] == cost("demand", "growths") + 1 < pages["copy"] < pages["fixed"]


def test_shrinking_saves_what_is_held_and_costs_growing_again() -> None:
    reuse, quarter = (growing_stacks.read(ROOT, f"shrink-{name}") for name in ("reuse", "quarter"))
    held = [
        growing_stacks.number(growing_stacks.record(g, "shrunk"), "held_bytes")
        for g in (reuse, quarter)
    ]
    took = [
        growing_stacks.number(growing_stacks.record(g, "shrunk"), "instructions")
        for g in (reuse, quarter)
    ]
    peak = [
        growing_stacks.number(growing_stacks.record(g, "grown"), "peak") for g in (reuse, quarter)
    ]
    assert held[0] > held[1] == 2048
    assert took[1] > 2 * took[0]
    assert peak[0] == peak[1]


def test_each_way_that_can_break_names_its_goldens() -> None:
    for how in ("fixed", "demand", "copy", "hooks"):
        assert growing_stacks.breaks(ROOT, how).count("](../golden/grow/") == len(
            growing_stacks.BREAKS[how]
        )


def test_a_missing_golden_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / growing_stacks.GOLDEN, tmp_path / growing_stacks.GOLDEN)
    (tmp_path / growing_stacks.GOLDEN / "stale.log").unlink()
    with pytest.raises(GoldenError, match="make golden ONLY=stale"):
        growing_stacks.breaks(tmp_path, "copy")


def test_a_document_without_a_marker_is_refused() -> None:
    with pytest.raises(HarnessError, match="costs: begin"):
        growing_stacks.document("# Growing stacks\n", ROOT)


def test_numbers_for_people() -> None:
    assert [growing_stacks.size(n) for n in (64 << 20, 2048, 704_512, 7)] == [
        "64 MiB",
        "2 KiB",
        "688 KiB",
        "7 B",
    ]
    assert growing_stacks.spaced(1_234_567) == "1 234 567"
