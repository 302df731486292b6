"""What stands in a command's way is said, with what to type."""

import re
import subprocess

import pytest

from harness.paths import ROOT
from harness.tests.hw.conftest import Stopped, poked, refusal
from harness.tools import find_gdb


def test_before_the_mmu_is_on(recurse: Stopped) -> None:
    assert recurse.early.startswith("the MMU is still off (pc=0x40200000 is physical)")
    assert recurse.early.endswith("Type: tbreak boot_main   then: continue")


def test_another_image_is_refused(recurse: Stopped) -> None:
    with poked(recurse, "((unsigned char *)&__build_id)[16]", 0xAB):
        refused = refusal(recurse.gdb, "hw stacks")
    assert re.match(r"wrong image: \S+kernel.elf has build-id (\w{40}), the guest ab", refused)
    assert "Type: file IMAGE" in refused
    recurse.hw("pages")


@pytest.mark.parametrize("word", ["where", "pt"])
def test_an_argument_is_missing_or_wrong(recurse: Stopped, word: str) -> None:
    assert refusal(recurse.gdb, f"hw {word}") == f"type: hw {word} ADDR   (more: help hw {word})"
    assert refusal(recurse.gdb, f"hw {word} nosuch") == (
        f'hw {word}: No symbol "nosuch" in current context.'
    )


def test_other_refusals(recurse: Stopped) -> None:
    assert refusal(recurse.gdb, "hw bt nobody") == (
        'no thread or CPU is called "nobody". Type: hw threads'
    )
    assert refusal(recurse.gdb, "hw stacks all") == "type: hw stacks   (more: help hw stacks)"
    with poked(recurse, "all_threads->all_next", recurse.number("all_threads")):
        assert "comes back to itself: a link is overwritten" in refusal(recurse.gdb, "hw threads")


def test_without_a_machine_and_help() -> None:
    script = ["source harness/hw/hw.py", "help hw", "hw stacks"]
    argv = [str(find_gdb()), "--nx", "-q", "-batch", *(word for s in script for word in ("-ex", s))]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    listed = re.findall(r"^hw (\w+) -- .", ended.stdout, re.MULTILINE)
    assert (
        listed
        == "blame bt fault heap inject labs pages paint pools procs pt stacks threads where".split()
    )
    assert ended.stderr.startswith("no machine is attached. Type, in a shell: make debug LAB=")
