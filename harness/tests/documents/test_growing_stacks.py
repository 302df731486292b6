"""docs/growing-stacks.md: its sentences hold of the goldens."""

import shutil
from pathlib import Path

import pytest

from harness.documents import growing_stacks
from harness.documents.page import number
from harness.errors import GoldenError
from harness.paths import GOLDEN, ROOT

GROW = GOLDEN / "grow"


def cost(how: str, key: str) -> int:
    return number(growing_stacks.cost(ROOT, how), key)


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
    assert pages["fixed"] * growing_stacks.PAGE_SIZE == 64 << 20
    assert pages["copy"] * growing_stacks.PAGE_SIZE == (1 << 20) + (1 << 19), (
        "the last two places at once"
    )
    assert pages["demand"] == cost("demand", "growths") + 1 < pages["copy"] < pages["fixed"]


def test_shrinking_saves_what_is_held_and_costs_growing_again() -> None:
    reuse, quarter = (growing_stacks.read(ROOT, f"shrink-{name}") for name in ("reuse", "quarter"))
    held = [number(growing_stacks.record(g, "shrunk"), "held_bytes") for g in (reuse, quarter)]
    took = [number(growing_stacks.record(g, "shrunk"), "instructions") for g in (reuse, quarter)]
    peak = [number(growing_stacks.record(g, "grown"), "peak") for g in (reuse, quarter)]
    assert held[0] > held[1] == 2048
    assert took[1] > 2 * took[0]
    assert peak[0] == peak[1]


def test_each_way_that_can_break_names_its_goldens() -> None:
    for how in ("fixed", "demand", "copy", "hooks"):
        assert growing_stacks.breaks(ROOT, how).count("](../golden/grow/") == len(
            growing_stacks.BREAKS[how]
        )


def test_a_missing_golden_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / GROW, tmp_path / GROW)
    (tmp_path / GROW / "stale.log").unlink()
    with pytest.raises(GoldenError, match="make golden ONLY=stale"):
        growing_stacks.breaks(tmp_path, "copy")
