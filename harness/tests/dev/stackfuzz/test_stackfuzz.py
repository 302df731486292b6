"""The stack report against random programs: none of them ever got deeper than a bound that is
called proven; and the same programs find out a report that has lost one of its rules.

The programs are the same each time. What was measured of them is kept in build/stackfuzz/kept, and
measured again when a program, a flag, a compiler or QEMU is another.
"""

import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from harness.dev import fuzz
from harness.dev.stackfuzz import run, trial
from harness.dev.stackfuzz.model import ASM_KINDS, C_KINDS, Batch, batch, kinds, statements
from harness.dev.stackfuzz.run import Tally
from harness.dev.stackfuzz.shrink import shrink, smaller
from harness.dev.stackfuzz.trial import Measured, Outcome
from harness.errors import HarnessError, ToolMissing
from harness.tests.dev.stackfuzz.planted import PLANTED, Plant, depth_at_a_call

PARTS, IMAGES = 7, 7
ARGUMENTS = 24


@cache
def measured(seed: int, about: str = "") -> Measured:
    return trial.remembered(batch(seed, about), ARGUMENTS)


def part(number: int) -> range:
    return range(number * IMAGES, (number + 1) * IMAGES)


@pytest.mark.parametrize("number", range(PARTS))
def test_nothing_gets_deeper_than_its_bound(number: int) -> None:
    tally = Tally()
    for seed in part(number):
        outcome = trial.compare(measured(seed))
        assert not outcome.wrong, f"{outcome.wrong}\n{run.rerun(seed)}"
        tally.add(outcome)
    assert tally.status["≤"] >= 8, f"hardly anything has a bound: {tally}"
    assert tally.ratios, "nothing was measured"


@pytest.mark.parametrize(("plant", "about"), PLANTED, ids=[p.__name__ for p, _ in PLANTED])
def test_what_is_planted_is_found(
    plant: Plant, about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0
    for seed in range(PARTS * IMAGES):
        known = measured(seed, about)
        tried += len(known.batch.programs)
        with monkeypatch.context() as planted:
            plant(planted)
            found = trial.compare(known)
        assert not found.trace, found.trace
        if found.wrong and not trial.compare(known).wrong:  # by the plant alone
            return
    pytest.fail(f"{tried} programs, and nothing was found")


def test_together_they_have_every_kind_of_statement() -> None:
    batches = [batch(seed) for seed in range(PARTS * IMAGES)]
    there = {kind for b in batches for program in b.programs for kind in kinds(program)}
    assert (C_KINDS.keys() | ASM_KINDS.keys()) <= there
    assert sum(len(b.programs) for b in batches) >= 250


def test_a_seed_is_always_the_same_program() -> None:
    for seed in (0, 7, 1_000_000):
        assert batch(seed) == batch(seed)
        assert trial.sources(batch(seed)) == trial.sources(batch(seed))


def test_what_fails_is_made_small() -> None:
    """Failing here is: a statement of one kind, in a program built with one flag."""
    wanted = "a_write_back"

    def fails(candidate: Batch) -> bool:
        inside = chain.from_iterable(kinds(program) for program in candidate.programs)
        return wanted in inside

    seed = next(s for s in range(100) if fails(batch(s)) and len(batch(s).programs) > 4)
    less, tried = shrink(batch(seed), fails, 2000)
    assert tried > 10
    assert not any(fails(one) for one in smaller(less))
    (program,) = less.programs
    every = [s.kind for _, f in program.there() for s in statements(f.body)]
    assert every.count(wanted) == 1
    assert len(every) <= 3, "what is called, and how one gets there"
    assert len(less.flags.words) == 1


def test_what_is_found_is_kept_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    depth_at_a_call(monkeypatch)
    outcomes = (trial.compare(measured(seed)) for seed in range(PARTS * IMAGES))
    found = run.keep(next(o for o in outcomes if o.wrong), most=10, kept=tmp_path)
    names = {path.name for path in found.folder.iterdir()}
    assert {"a.c", "b.c", "asm.s", "notes.toml", "build.sh", "image.elf", "report.txt"} <= names
    said = str(found)
    assert re.search(r"measured \d+, said ≤ \d+", said)
    assert f"again: make fuzz FUZZ=stackreport SEED={found.batch.seed} SECONDS=1" in said
    assert len(found.batch.programs) < len(batch(found.batch.seed).programs)


def test_a_report_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("tuple index out of range")

    monkeypatch.setattr("harness.stackreport.report._asked", broken)
    outcome = trial.compare(measured(0))
    assert "IndexError" in outcome.wrong
    assert outcome.kind.startswith("IndexError File")


def test_a_program_that_crashes_is_no_measurement() -> None:
    good = measured(0)
    addresses = trial.addresses(good.elf)
    nowhere = addresses | {"p0_f0": addresses["__ehdr_start"]}
    with pytest.raises(trial.BadProgram, match="ended by signal"):
        trial.run_jobs(good.batch, good.elf, nowhere, [("p0_f0", 0)])


def test_without_qemu_user_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good = measured(0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="apt install qemu-user"):
        trial.run_jobs(good.batch, good.elf, trial.addresses(good.elf), [("p0_f0", 0)])


def test_the_long_run_counts_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    for seed in range(3):
        tally.add(trial.compare(measured(seed)))
    said = str(tally)
    assert re.match(r"\d+ programs in 3 images \(.*gcc \d.* sets of flags", said)
    assert "bound / measured median" in said
    assert not capsys.readouterr().out


def test_a_seed_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "41x")
    with pytest.raises(HarnessError, match="SEED=41x is not a number"):
        fuzz.first_seed()
    monkeypatch.setenv("SEED", "41")
    assert fuzz.first_seed() == 41


def test_an_outcome_is_wrong_by_one_row() -> None:
    good = trial.compare(measured(0))
    row = next(row for row in good.rows if row.bound.proven)
    deeper = trial.Row(row.entry, row.bound.bytes + 1, 5, row.bound)
    assert Outcome(good.measured, (deeper,)).kind == "bound"
    assert f"{row.entry}(0x5): measured {row.bound.bytes + 1}" in str(deeper)
