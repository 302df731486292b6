"""Functions in assembly, measured: run on the fuzzer's painted stack under qemu-user."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.dev.stackfuzz import trial
from harness.dev.stackfuzz.model import batch
from harness.tests.stackreport.conftest import MACROS
from harness.tools import cross_prefix

HEAD = """
	.arch	armv8.3-a+sve
"""
HEAD += MACROS
HEAD += """
	.macro	load register, name
	adrp	\\register, \\name
	add	\\register, \\register, :lo12:\\name
	.endm
	.macro	dive bytes
	sub	sp, sp, #\\bytes
	str	xzr, [sp]
	.endm
	.text
"""


def build(folder: Path, source: str) -> Path:
    (folder / "cases.s").write_text(HEAD + source)
    runtime = str(trial.runtime_object(False, False).resolve())
    link = ["-static", "--emit-relocs", "--build-id=none", "cases.o", runtime]
    for command in (
        [f"{cross_prefix()}as", "cases.s", "-o", "cases.o"],
        [f"{cross_prefix()}ld", *link, "-o", "cases.elf"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder / "cases.elf"


def measure(elf: Path, entries: Sequence[str]) -> dict[str, int]:
    """How many bytes below the top of the stack each has written."""
    jobs = [(entry, 0) for entry in entries]
    depths = trial.run_jobs(batch(0), elf, trial.addresses(elf), jobs)
    return dict(zip(entries, depths, strict=True))
