"""The golden store: reading, pending, accepting, orphans; and what can be wrong with a file."""

import os
from pathlib import Path

import pytest

from harness.errors import GoldenError
from harness.tests.samples import GOLDEN_TEXT, write_golden
from harness.tests.terminal import unread
from harness.verdict import golden
from harness.verdict.golden import Golden


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_golden(tmp_path)


def _seen(text: str = GOLDEN_TEXT) -> Golden:
    return golden.parse(text, Path("seen"))


def _compare(
    path: Path, text: str, *, looked: bool = True, exact: bool = False
) -> golden.Comparison:
    return golden.compare(path, _seen(text), looked=looked, exact=exact)


GREW = GOLDEN_TEXT.replace("frame=48", "frame=52")
ELSEWHERE = GREW.replace("aarch64-linux-gnu-gcc 12.2.0", "aarch64-none-elf-gcc 13.2.1")
WITHOUT_GDB = "".join(line for line in GOLDEN_TEXT.splitlines(True) if not line.startswith("[gdb]"))


def test_a_golden_is_read_as_it_was_written(path: Path) -> None:
    found = golden.load(path)
    assert found is not None
    assert found.text() == GOLDEN_TEXT
    assert (found.lab, found.qemu) == ("stack.recurse", "7.2")


def test_the_same_run_compares_the_same(path: Path) -> None:
    assert _compare(path, GOLDEN_TEXT).same
    assert _compare(path, GOLDEN_TEXT).reasons() == []


def test_the_recorded_toolchain_is_exact_and_another_is_not(path: Path) -> None:
    assert not _compare(path, GREW).same
    assert _compare(path, ELSEWHERE).same
    assert not _compare(path, ELSEWHERE, exact=True).same


def test_the_heading_says_how_it_was_compared(path: Path) -> None:
    assert _compare(path, GREW).reasons()[0] == "2 differences"
    other = ELSEWHERE.replace("[end] caught by=guard-page", "[end] survived")
    assert other != ELSEWHERE
    assert "neither compiler nor QEMU decides" in _compare(path, other).reasons()[0]


def test_another_qemu_made_it_is_no_exact_comparison_either(path: Path) -> None:
    newer = GREW.replace("# qemu: 7.2", "# qemu: 10.0")
    assert newer != GREW
    compared = _compare(path, newer)
    assert compared.same
    assert compared.unjudged > 0
    assert _compare(path, GOLDEN_TEXT).unjudged == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [("# lab: stack.other", "lab changed"), ("# boot: lab=stack.recurse", "boot line changed")],
)
def test_the_header_is_compared_too(path: Path, line: str, reason: str) -> None:
    key = line.split(":")[0] + ":"
    lines = [line if old.startswith(key) else old for old in GOLDEN_TEXT.splitlines()]
    assert reason in _compare(path, "\n".join(lines) + "\n").reasons()[1]


def test_gdbs_records_are_compared_only_by_who_looked(path: Path) -> None:
    assert _compare(path, WITHOUT_GDB, looked=False).same
    assert not _compare(path, WITHOUT_GDB, looked=True).same


def test_a_missing_golden_fails(tmp_path: Path) -> None:
    comparison = _compare(tmp_path / "none.log", GOLDEN_TEXT)
    assert comparison.missing
    assert not comparison.same
    assert "does not exist" in comparison.reasons()[0]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# highwater golden 1", "# highwater golden 2", "line 1: expected '# highwater golden 1'"),
        ("# lab: stack.recurse\n", "", "line 2: expected '# lab: …'"),
        ("# boot: lab=stack.recurse past=2048", "# boot: ", "line 3: expected"),
        ("# qemu: 7.2\n", "", "line 5: expected '# qemu: …'"),
        ("[lab] enter", "lab enter", "line 6: not a record"),
        ("[end] caught by=guard-page", "[end] caught by=", "malformed field"),
        (GOLDEN_TEXT, "", "an empty file"),
        (GOLDEN_TEXT, "# highwater golden 1\n", "line 2: expected"),
        ("[stack-lab]", "<<<<<<< HEAD\n[stack-lab]", "line 7: not a record"),
    ],
)
def test_a_corrupt_golden_says_where(path: Path, old: str, new: str, problem: str) -> None:
    path.write_text(GOLDEN_TEXT.replace(old, new, 1))
    with pytest.raises(GoldenError, match=problem):
        golden.load(path)


def test_an_unreadable_golden_is_an_error_not_a_missing_one(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(GoldenError, match="cannot be read"):
        golden.load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(GoldenError, match="cannot be read"):
        golden.load(path)


def test_accepting_makes_the_pending_one_golden(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden.write_pending(_compare(path, GREW))
    assert golden.load(path) == _seen()
    assert golden.main(["accept", "--root", str(path.parents[1])]) == 0
    assert golden.load(path) == _seen(GREW)
    assert golden.pending(path.parents[1]) == []
    said = capsys.readouterr().out
    assert "-[bt] #1 recurse+0x2c frame=48~25%" in said
    assert "+[bt] #1 recurse+0x2c frame=52~25%" in said
    assert "1 accepted, 0 orphans removed" in said


def test_accepting_makes_a_first_golden(tmp_path: Path) -> None:
    golden.write_pending(_compare(tmp_path / "pool" / "exhaust.log", GOLDEN_TEXT))
    assert golden.accept(tmp_path, print) == 1
    assert golden.load(tmp_path / "pool" / "exhaust.log") == _seen()


def test_accepting_a_grown_frame_keeps_the_bands_of_the_old_golden(path: Path) -> None:
    path.write_text(GOLDEN_TEXT.replace("frame=48~25%", "frame=48~7%"))
    golden.write_pending(_compare(path, GREW))
    golden.accept(path.parents[1], print)
    assert "frame=52~7%" in path.read_text()


def test_all_is_accepted_though_nobody_reads_what(path: Path) -> None:
    """make golden | head: it would stop between two goldens."""
    second = path.with_name("zzz.log")
    second.write_text(GOLDEN_TEXT)
    for each in (path, second):
        golden.write_pending(_compare(each, GREW))
    done = unread("harness.verdict.golden", "accept", "--root", str(path.parents[1]))
    assert (done.returncode, done.stderr) == (0, b"")
    assert golden.load(path) == golden.load(second) == _seen(GREW)


def test_one_corrupt_pending_golden_and_none_is_accepted(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden.write_pending(_compare(path, GREW))
    golden.pending_path(path.with_name("zzz.log")).write_text("cut off")
    assert golden.main(["accept", "--root", str(path.parents[1])]) == 2
    assert "zzz.log.new" in capsys.readouterr().err
    assert golden.load(path) == _seen()


def test_discarding_forgets_what_is_pending(path: Path) -> None:
    golden.write_pending(_compare(path, GREW))
    assert golden.main(["discard", "--root", str(path.parents[1])]) == 0
    assert golden.pending(path.parents[1]) == []
    assert golden.load(path) == _seen()


def test_orphans_are_what_nobody_claims(path: Path) -> None:
    root = path.parents[1]
    assert golden.orphans(root, [path]) == []
    assert golden.orphans(root, []) == [path]


def test_listed_orphans_are_removed(path: Path, tmp_path: Path) -> None:
    listing = tmp_path / "orphans"
    listing.write_text("stack/recurse.log\n")
    arguments = ["accept", "--root", str(tmp_path), "--orphans", str(listing)]
    assert golden.main(arguments) == 0
    assert not path.exists()


def test_without_a_listing_nothing_is_removed(path: Path, tmp_path: Path) -> None:
    arguments = ["accept", "--root", str(tmp_path), "--orphans", str(tmp_path / "none")]
    assert golden.main(arguments) == 0
    assert path.exists()


def test_an_orphan_outside_the_store_is_refused(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    listing = tmp_path / "orphans"
    listing.write_text("recurse.log\n../victim\n")
    with pytest.raises(GoldenError, match="outside the golden folder"):
        golden.remove_orphans(path.parent, listing, print)
    assert victim.exists()
    assert path.exists()


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        golden.write_atomic(path, "half")
    assert path.read_text() == GOLDEN_TEXT
    assert os.listdir(path.parent) == ["recurse.log"]
