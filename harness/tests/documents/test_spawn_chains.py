"""The seed's call chain, measured: what the project aims at."""

import pytest

from harness.documents import spawn_chains
from harness.documents.spawn_chains import Variant
from harness.paths import ROOT


@pytest.fixture(scope="module")
def measured() -> dict[str, Variant]:
    variants = spawn_chains.measured(ROOT)
    return {variant.name: variant for variant in variants}


def test_live_frames_are_the_compilers(measured: dict[str, Variant]) -> None:
    frames = [frame for variant in measured.values() for frame in variant.frames]
    assert len(frames) == 26, "four functions a variant, three where the wrapper is merged"
    assert [f.live for f in frames] == [f.compiled for f in frames]


def test_frames_add_up_to_the_depth(measured: dict[str, Variant]) -> None:
    for variant in measured.values():
        assert sum(frame.live for frame in variant.frames) == variant.depth, variant.name


def test_the_baseline_needs_the_stopgap(measured: dict[str, Variant]) -> None:
    assert measured["baseline"].survives_kib == (64,)
    assert 32 * spawn_chains.KIB < measured["baseline"].depth < 64 * spawn_chains.KIB


def test_every_cure_saves_and_all_save_most(measured: dict[str, Variant]) -> None:
    baseline, cured = measured["baseline"], measured["all"]
    for variant in measured.values():
        if variant is not baseline:
            assert variant.depth < baseline.depth, variant.name
            assert variant.instructions < baseline.instructions, variant.name
            assert cured.depth <= variant.depth, variant.name


def test_the_cured_chain_meets_its_targets(measured: dict[str, Variant]) -> None:
    baseline, cured = measured["baseline"], measured["all"]
    assert cured.depth < 3 * spawn_chains.KIB
    assert cured.used <= 8 * spawn_chains.KIB * 3 // 4, "a quarter of 8 KiB stays free"
    assert 2 * cured.instructions <= baseline.instructions
