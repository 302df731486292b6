"""The README shows a run: it is what the kernel prints today, `…` being the rest of a line."""

import re
from pathlib import Path

import pytest

from harness import tools
from harness.paths import GOLDEN, KERNEL, ROOT
from harness.run.boot import boot
from harness.verdict import golden


def test_the_run_in_the_readme(tmp_path: Path) -> None:
    recorded = golden.load(ROOT / GOLDEN / "stack" / "recurse.log")
    if recorded is None or recorded.toolchain != tools.toolchain():
        pytest.skip("frame sizes and offsets are another compiler's")
    readme = (ROOT / "README.md").read_text("utf-8")
    (line,) = re.findall(r"A run, as it prints \(`make run LAB='(.*)'`\)", readme)
    shown = re.findall(r"^    (\[.*)$", readme, re.MULTILINE)
    printed = boot(ROOT / KERNEL, f"lab={line}", tmp_path).serial.decode().splitlines()
    begin = next(n for n, text in enumerate(printed) if text.startswith("[lab] enter"))
    assert len(shown) == len(printed[begin:])
    for said, seen in zip(shown, printed[begin:], strict=True):
        assert seen == said or (said.endswith("…") and seen.startswith(said[:-1]))


def test_the_verdicts_in_the_readme(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8").replace("\n", " ")
    told = re.findall(r"`(protect=[^`]*)`[^`]* in +`([^`]*)`", readme)
    assert [switch for switch, _ in told] == ["protect=-guard", "protect=-guard,-sentinel"]
    for switch, verdict in told:
        assert boot(ROOT / KERNEL, f"lab=stack.recurse {switch}", tmp_path).log.verdict == verdict
