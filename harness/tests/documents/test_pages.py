"""Every page of docs/ is what would be made now; and what a page, a part and a table refuse."""

from pathlib import Path

import pytest

from harness import markers
from harness.documents import pages
from harness.documents.page import Page, golden, number, same, size, spaced, table
from harness.documents.pages import PAGES
from harness.errors import HarnessError
from harness.paths import DOCS, ROOT
from harness.serial.log import parse_line

PLACE = "text\n<!-- one: begin -->\nold\n<!-- one: end -->\nmore\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_is_stale(page: Page) -> None:
    """Rows, sentences, goldens or the image have changed, and the page has not."""
    if stale := page.stale(ROOT):
        command = f"{pages.COMMAND} ONLY={page.name}"
        pytest.fail(f"{page.path} is stale: {', '.join(stale)}; run: {command}", pytrace=False)


def test_every_place_in_docs_is_somebodys() -> None:
    made = {(page.path, name) for page in PAGES for name in page.parts}
    for path in (ROOT / DOCS).glob("*.md"):
        for name in markers.names(path.read_text("utf-8")):
            measured = name.startswith("bench: ")  # make bench DOCS=
            assert measured or (path.relative_to(ROOT), name) in made, f"{path.name}: {name}"


def page_of(root: Path, made: str | None, near: float = 0.0) -> Page:
    (root / "page.md").write_text(PLACE)
    return Page(Path("page.md"), {"one": lambda _: made}, near={"one": near})


def test_only_the_part_is_written_and_a_second_time_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, "new\n")
    assert page.stale(tmp_path) == ["one"]
    assert page.write(tmp_path) == [Path("page.md")]
    written = (tmp_path / "page.md").read_text()
    assert written == PLACE.replace("old\n", "\nnew\n\n")
    assert not page.stale(tmp_path)
    assert not page.write(tmp_path)


def test_what_this_machine_cannot_know_stays(tmp_path: Path) -> None:
    page = page_of(tmp_path, None)
    assert not page.stale(tmp_path)
    assert not page.write(tmp_path)


def test_a_picture_is_held_as_the_page_is(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("no part\n")
    (tmp_path / "x.svg").write_text("old")
    page = Page(Path("page.md"), {}, {Path("x.svg"): lambda _: "new"})
    assert page.stale(tmp_path) == ["x.svg"]
    assert page.write(tmp_path) == [Path("x.svg")]
    assert (tmp_path / "x.svg").read_text() == "new"


@pytest.mark.parametrize(
    "text",
    [
        PLACE.replace("<!-- one: begin -->", ""),
        PLACE.replace("<!-- one: end -->", ""),
        PLACE + PLACE,
        "<!-- one: end -->\n<!-- one: begin -->\n",
    ],
)
def test_a_missing_or_double_place_is_named(text: str) -> None:
    with pytest.raises(HarnessError, match=r"page.md has no place for one, or two"):
        markers.put(text, "one", "new", "page.md")


def test_names_of_places() -> None:
    assert markers.names(PLACE + PLACE.replace("one", "bench: two")) == ["one", "bench: two"]


@pytest.mark.parametrize(
    ("was", "now", "near", "is_same"),
    [
        ("| a | 100 |", "| a | 100 |", 0.0, True),
        ("| a | 100 |", "| a | 101 |", 0.0, False),
        ("| a | 100 |", "| a | 104 |", 0.05, True),
        ("| a | 100 |", "| a | 106 |", 0.05, False),
        ("| a | 100 |", "| b | 100 |", 0.05, False),
        ("| a | 100 |", "| a | 100 | 1 |", 0.05, False),
    ],
)
def test_the_same_within_a_band(was: str, now: str, near: float, is_same: bool) -> None:
    assert same(was, now, near) is is_same


def test_a_table_has_numbers_to_the_right_and_no_broken_cell() -> None:
    made = table([("what", "how much"), ("a | b", "1 024"), ("c", "7 %")])
    assert made.splitlines() == [
        "| what | how much |",
        "| --- | ---: |",
        r"| a \| b | 1 024 |",
        "| c | 7 % |",
    ]
    with pytest.raises(HarnessError, match=r"a row has not the 2 cells of its head: a \| b"):
        table([("a", "b"), ("c",)])


def test_a_missing_golden_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"golden missing[\s\S]*make golden ONLY=recurse"):
        golden(tmp_path, "stack/recurse")


def test_a_band_is_no_part_of_a_figure() -> None:
    assert number(parse_line("[mem-lab][constant] by=pool alloc_min=32~25%"), "alloc_min") == 32


def test_numbers_for_people() -> None:
    numbers = (64 << 20, 2048, 704_512, 7, 1 << 39)
    assert [size(n) for n in numbers] == ["64 MiB", "2 KiB", "688 KiB", "7 B", "512 GiB"]
    assert spaced(1_234_567) == "1 234 567"


def test_a_page_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert pages.main(["stack-repot"]) == 2
    assert "no page stack-repot" in (said := capsys.readouterr().err)
    assert "similar: stack-report" in said


def test_golden_leaves_out_what_is_slow() -> None:
    assert {page.name for page in pages.chosen([])} - {
        page.name for page in pages.chosen(["--golden"])
    } == {"spawn-chains"}
