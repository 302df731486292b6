"""The front end, and the report as text, picture and difference."""

import json
from pathlib import Path

import pytest

from harness.stackreport import diff, marks, notes, picture, report, text
from harness.stackreport.__main__ import main
from harness.stackreport.image import Image


def test_front_end(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, page = tmp_path / "r.json", tmp_path / "r.html"
    call = ["--elf", str(small), "--json", str(written), "--html", str(page)]
    assert main([*call, "--entry", "hook", "--entry", "again"]) == 0
    said = capsys.readouterr().out
    assert f"≤ {16 + 0x12410 + 16}" in said
    assert "unbounded (recursion in again)" in said
    assert "<svg" in page.read_text("utf-8")

    old = json.loads(written.read_text("utf-8"))
    assert diff.compare(old, old) == []
    (leaf,) = (row for row in old["functions"] if row["name"] == "leaf")
    leaf["frame"] -= 16
    written.write_text(json.dumps(old), "utf-8")
    assert main(["--elf", str(small), "--diff", str(written)]) == 0
    assert "frame leaf: 0 → 16 (+16)" in capsys.readouterr().out

    assert main(["--elf", str(small), "--entry", "nobody"]) == 2
    assert "no such function" in capsys.readouterr().err


def test_the_picture_is_scaled_to_each_stack_and_marks_what_was_measured(image: Image) -> None:
    noted = '[[stack]]\nname = "t"\nsize = 192\nentry = "plain"\nbudget = 96\nwhy = "test"'
    line = "[stack] t used=48 size=192 guard=ok"
    made = report.make(image, notes.parse(noted), list(marks.parse(line, "x.log")))
    page = picture.page(made)
    assert '<rect x="0.00" width="500.00"' in page  # 96 of 192 bytes, of 1000
    assert "<title>plain: 96 bytes, 96 from the top</title>" in page
    assert '<line x1="500.00"' in page
    assert '<polygon points="250.00,' in page


def test_the_text_folds_recursion() -> None:
    made = text.chain([*([("f", 16)] * 3), ("g@file.c", 8)])  # type: ignore[list-item]
    assert made == "f 16 ×3 → g 8"
