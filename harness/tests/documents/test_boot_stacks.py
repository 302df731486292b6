"""docs/boot-stacks.md: three ways of counting the boot path agree."""

import re

import pytest

from harness import tools
from harness.documents import boot_stacks
from harness.documents.page import number, recorded_by
from harness.errors import HarnessError
from harness.paths import KERNEL, ROOT
from harness.stackreport import beside, notes, report
from harness.stackreport.image import load as load_image
from harness.verdict.golden import load

GOLDEN_TOOLCHAIN = recorded_by(ROOT)
BUDGET = 1024


def gated() -> dict[str, int]:
    """What the build added up from the compiler's numbers."""
    lines = (ROOT / KERNEL.parent / "kernel/boot-path").read_text("utf-8").splitlines()
    return {line.split()[0]: int(line.split()[1]) for line in lines}


def walked() -> dict[str, int]:
    """What the stack report reads from the machine code."""
    noted = notes.parse((ROOT / "kernel/stack-notes.toml").read_text("utf-8"))
    image = load_image(ROOT / KERNEL)
    made = report.make(image, beside.read(image, noted))
    (stack,) = (s for s in made.stacks if s.name == "boot-stack:cpu*")
    assert stack.size == BUDGET
    assert all(entry.bound.proven for entry in stack.entries)
    return {entry.name: entry.bound.bytes for entry in stack.entries}


def test_compiler_and_machine_code_agree_on_the_boot_path() -> None:
    assert gated() == walked()
    assert max(gated().values()) < BUDGET


def test_the_deepest_chain_of_the_boot_path_is_what_was_measured() -> None:
    if tools.toolchain() != GOLDEN_TOOLCHAIN:
        pytest.skip("goldens belong to one toolchain")
    golden = load(ROOT / "golden/boot/tiny.log")
    assert golden is not None
    used = [number(r, "used") for r in golden.records if r.area == ("stack",)]
    assert used[0] == gated()["leave_boot_stack"]


@pytest.mark.parametrize("cpus", boot_stacks.CPUS)
def test_each_cpu_reports_each_of_its_stacks(cpus: int) -> None:
    """Equal ones share a record: together they are all of them, and none is there twice."""
    golden = load(ROOT / f"golden/boot/smp-{cpus}.log")
    assert golden is not None
    seen: dict[str, list[int]] = {}
    for _, stack, _, _, count in boot_stacks._marks(f"smp-{cpus}", golden):
        kind, _, first = stack.partition(":cpu")
        seen.setdefault(kind, []).extend(range(int(first), int(first) + count))
    every = list(range(cpus))
    assert seen == dict.fromkeys(("boot-stack", "permanent", "irq", "emergency"), every)


def test_a_stack_that_no_golden_measures_is_named() -> None:
    with pytest.raises(HarnessError, match="measures a stack permanent:cpuN"):
        boot_stacks._deepest("permanent", [])


def test_no_margin_comes_from_a_boot_that_a_fault_ended() -> None:
    golden = load(ROOT / "golden/boot/smp-last.log")
    assert golden is not None
    assert any(re.match(r"permanent:", r.words[0]) for r in golden.records if r.words)
    assert not list(boot_stacks._marks("smp-last", golden))
