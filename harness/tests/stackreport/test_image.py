"""What is read from an ELF, and what is refused."""

import subprocess
from pathlib import Path

import pytest

from harness.stackreport.image import Image, UnreadableImage, load
from harness.tests.stackreport.conftest import SMALL, bound, build
from harness.tools import cross_prefix


def test_taken_addresses_come_from_relocations_not_from_branches(image: Image) -> None:
    assert sorted(image.taken or ()) == ["big", "leaf"]


def test_without_relocations_nobody_knows(tmp_path: Path) -> None:
    bare = load(build(tmp_path, SMALL))
    assert bare.taken is None
    assert str(bound(bare, "hook")) == "≥ 16 (indirect call in hook)"


def test_what_is_no_image_is_refused(tmp_path: Path, small: Path) -> None:
    for path, why in ((tmp_path / "none", "cannot be read"), (Path(__file__), "not an ELF")):
        with pytest.raises(UnreadableImage, match=why):
            load(path)
    stripped = tmp_path / "stripped"
    subprocess.run([f"{cross_prefix()}strip", "-o", stripped, small], check=True)
    with pytest.raises(UnreadableImage, match="symbol table"):
        load(stripped)
