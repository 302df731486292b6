"""docs/growing-stacks.md: its tables are the goldens', and its sentences hold of them."""

import shutil
from pathlib import Path

import pytest

from harness import growth
from harness.errors import GoldenError, HarnessError
from harness.pages import COMMAND

ROOT = Path(__file__).parents[2]


def cost(how: str, key: str) -> int:
    return growth.number(growth.cost(ROOT, how), key)


def test_the_committed_document_has_the_tables_that_the_goldens_give() -> None:
    committed = (ROOT / growth.DOCUMENT).read_text("utf-8")
    assert growth.document(committed, ROOT) == committed, f"stale; run: {COMMAND}"


def test_a_check_costs_little_and_moving_much() -> None:
    unchecked = cost("none", "per_call")
    assert cost("fixed", "per_call") == cost("demand", "per_call") == unchecked
    assert cost("nops", "check") == 2
    assert cost("nops", "check") < cost("check", "check") == cost("copy", "check")
    assert cost("copy", "check") * 4 < cost("hooks", "check") < unchecked
    assert cost("copy", "per_growth") > 50 * cost("demand", "per_growth")
    assert cost("copy", "amortised") > 3 * cost("demand", "amortised")


def test_memory_at_most() -> None:
    pages = {how: cost(how, "peak") for how, _ in growth.WAYS}
    assert pages["fixed"] * growth.PAGE == 64 << 20
    assert pages["copy"] * growth.PAGE == (1 << 20) + (1 << 19), "the last two places at once"
    assert pages["demand"] == cost("demand", "growths") + 1 < pages["copy"] < pages["fixed"]


def test_shrinking_saves_what_is_held_and_costs_growing_again() -> None:
    reuse, quarter = (growth.read(ROOT, f"shrink-{name}") for name in ("reuse", "quarter"))
    held = [growth.number(growth.record(g, "shrunk"), "held_bytes") for g in (reuse, quarter)]
    took = [growth.number(growth.record(g, "shrunk"), "instructions") for g in (reuse, quarter)]
    peak = [growth.number(growth.record(g, "grown"), "peak") for g in (reuse, quarter)]
    assert held[0] > held[1] == 2048
    assert took[1] > 2 * took[0]
    assert peak[0] == peak[1]


def test_each_way_that_can_break_names_its_goldens() -> None:
    for how in ("fixed", "demand", "copy", "hooks"):
        assert growth.breaks(ROOT, how).count("](../golden/grow/") == len(growth.BREAKS[how])


def test_a_missing_golden_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / growth.GOLDEN, tmp_path / growth.GOLDEN)
    (tmp_path / growth.GOLDEN / "stale.log").unlink()
    with pytest.raises(GoldenError, match="make golden ONLY=stale"):
        growth.breaks(tmp_path, "copy")


def test_a_document_without_a_marker_is_refused() -> None:
    with pytest.raises(HarnessError, match="costs: begin"):
        growth.document("# Growing stacks\n", ROOT)


def test_numbers_for_people() -> None:
    assert [growth.size(n) for n in (64 << 20, 2048, 704_512, 7)] == [
        "64 MiB",
        "2 KiB",
        "688 KiB",
        "7 B",
    ]
    assert growth.spaced(1_234_567) == "1 234 567"
