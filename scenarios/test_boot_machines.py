"""Boot labs on machines that no row can ask for: ids with holes, too many CPUs, no icount.

The trees are QEMU's own, dumped, and then a CPU's node is struck out or renumbered.
"""

import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import tools
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import MachineSpec
from harness.run.boot import UNHURRIED, boot
from harness.serial.log import Log, Record

# Tokens of the structure block, Devicetree Specification 0.4, 5.4.1.
BEGIN_NODE, END_NODE, NOP = (struct.pack(">I", token) for token in (1, 2, 4))
# A property of four bytes: where its name is, and its value.
FOUR_BYTES = re.compile(rb"(?=\x00\x00\x00\x03\x00\x00\x00\x04(.{8}))", re.DOTALL)


def run(line: str, folder: Path, **spec: Any) -> Log:
    return boot(ROOT / KERNEL, line, folder, **spec).log


def roll(log: Log) -> Record:
    (found,) = (r for r in log.select("boot-lab") if r.words[:1] == ("roll",))
    return found


def absent(log: Log) -> list[tuple[str, str]]:
    lines = (r for r in log.select("boot-lab") if r.words[:1] == ("absent",))
    return [(r.fields["cpu"], r.fields["why"]) for r in lines]


def stacks(log: Log, kind: str) -> list[str]:
    return [r.words[0] for r in log.select("stack") if r.words[0].startswith(f"{kind}:")]


def dump_tree(folder: Path, cpus: int) -> bytes:
    """Without the megabyte that QEMU leaves free behind it, and doubles when it loads a tree."""
    path = folder / "tree.dtb"
    spec = MachineSpec(ROOT / KERNEL, cpus=cpus)
    command = [str(tools.find_qemu()), *spec.arguments()]
    command[command.index("-M") + 1] += f",dumpdtb={path}"
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    tree = path.read_bytes()
    (strings,) = struct.unpack_from(">I", tree, 12)
    (size,) = struct.unpack_from(">I", tree, 32)
    return tree[:4] + struct.pack(">I", strings + size) + tree[8 : strings + size]


def cpu_node(tree: bytes, index: int) -> tuple[int, int]:
    """Where cpu@INDEX lies: from its BEGIN_NODE up to and with its END_NODE. It has no children."""
    start = tree.index(BEGIN_NODE + f"cpu@{index}\0".encode())
    following = tree.find(BEGIN_NODE + b"cpu", start + 1)
    end = tree.rindex(END_NODE, start, following if following > 0 else len(tree)) + 4
    return start, end


def struck_out(tree: bytes, indices: range) -> bytes:
    for index in indices:
        start, end = cpu_node(tree, index)
        tree = tree[:start] + NOP * ((end - start) // 4) + tree[end:]
    return tree


def renumbered(tree: bytes, index: int, new: int) -> bytes:
    """The node keeps its name; what counts is its reg."""
    start, end = cpu_node(tree, index)
    own = struct.pack(">I", index)
    values = (m.start(1) + 4 for m in FOUR_BYTES.finditer(tree, start, end) if m[1][4:] == own)
    at = next(values)
    return tree[:at] + struct.pack(">I", new) + tree[at + 4 :]


def with_tree(tree: bytes, folder: Path) -> dict[str, Any]:
    (folder / "changed.dtb").write_bytes(tree)
    return {"extra": ("-dtb", str(folder / "changed.dtb"))}


def test_ids_with_holes_are_no_indices(tmp_path: Path) -> None:
    """CPUs 0, 1 and 0x100 to 0x103: 16 to 19 by index, and nobody between."""
    tree = struck_out(dump_tree(tmp_path, 20), range(2, 16))
    log = run("lab=boot.smp", tmp_path, cpus=20, **with_tree(tree, tmp_path))
    assert log.verdict == "ok"
    assert (roll(log).fields["cpus"], roll(log).fields["here"]) == ("6", "6")
    faulted = run("lab=boot.smp overflow=2", tmp_path, cpus=20, **with_tree(tree, tmp_path))
    assert faulted.verdict == "caught by=guard-page"
    assert stacks(faulted, "permanent") == ["permanent:cpu19"]


def test_a_cpu_that_only_the_tree_has_is_refused_by_name(tmp_path: Path) -> None:
    """And the others, which it should have started, come up all the same."""
    tree = renumbered(dump_tree(tmp_path, 8), 1, 0x205)
    log = run("lab=boot.smp", tmp_path, cpus=8, **with_tree(tree, tmp_path))
    assert log.verdict == "caught by=psci"
    assert absent(log) == [("cpu37", "invalid-parameters")]
    assert (roll(log).fields["cpus"], roll(log).fields["here"]) == ("8", "7")


@pytest.mark.parametrize(
    ("new", "why"), [(2, "duplicate"), (0x10, "no-index")], ids=["twice", "beyond"]
)
def test_an_id_that_is_no_cpus_is_named(new: int, why: str, tmp_path: Path) -> None:
    tree = renumbered(dump_tree(tmp_path, 4), 3, new)
    log = run("lab=boot.smp", tmp_path, cpus=4, **with_tree(tree, tmp_path))
    assert log.verdict == "caught by=roll-call"
    assert absent(log) == [("none", why)]
    assert roll(log).fields["here"] == "3"


def test_there_is_room_for_256(tmp_path: Path) -> None:
    log = run("lab=boot.smp", tmp_path, cpus=258)
    assert log.verdict == "caught by=roll-call"
    (left_out,) = (r for r in log.select("boot-lab") if r.words[:1] == ("absent",))
    assert (left_out.fields["count"], left_out.fields["why"]) == ("2", "no-room")
    assert roll(log).fields["here"] == "256"


MACHINES: dict[str, dict[str, Any]] = {
    "no-icount": {"icount": None},
    "el2": {"machine": "virt,acpi=off,gic-version=3,virtualization=on"},
    "max": {"cpu": "max,pauth-impdef=on"},
    "4G": {"memory_mib": 4096},
}


@pytest.mark.parametrize("spec", MACHINES.values(), ids=MACHINES)
def test_other_machines_end_alike(spec: dict[str, Any], tmp_path: Path) -> None:
    assert run(f"lab=boot.tiny {UNHURRIED}", tmp_path, cpus=8, **spec).verdict == "ok"
    broken = run(f"lab=boot.smp overflow=1 {UNHURRIED}", tmp_path, cpus=8, **spec)
    assert broken.verdict == "caught by=watchpoint"


# What the kernel cannot use is refused by name, before any lab: nothing is caught there.
REFUSED: dict[str, tuple[str, str]] = {
    "gicv2": ("virt", "no-gicv3"),  # QEMU's default
    "gicv2-el2": ("virt,virtualization=on", "no-gicv3"),
    "el3": ("virt,gic-version=3,secure=on", "started-at-el3"),
    "el3-gicv2": ("virt,secure=on", "started-at-el3"),
    "el3-el2": ("virt,gic-version=3,secure=on,virtualization=on", "started-at-el3"),
}


@pytest.mark.parametrize("cpus", [1, 4])
@pytest.mark.parametrize(("machine", "why"), REFUSED.values(), ids=REFUSED)
def test_a_machine_that_is_no_use_is_refused(
    machine: str, why: str, cpus: int, tmp_path: Path
) -> None:
    log = run("lab=stack.recurse", tmp_path, machine=machine, cpus=cpus)
    end = log.records[-1]
    assert (end.words, end.fields["why"]) == (("bad-args",), why)
    assert "start" in end.prose
    assert not list(log.select("lab")) and not list(log.select("EXC"))


USABLE: dict[str, dict[str, Any]] = {
    "gicv4": {"machine": "virt,gic-version=4,virtualization=on"},
    "no-its": {"machine": "virt,gic-version=3,its=off"},
    "lowmem": {"machine": "virt,gic-version=3,highmem=off"},
    "smmu": {"machine": "virt,gic-version=3,iommu=smmuv3"},
    "old": {"machine": "virt-2.12,gic-version=3"},
    **{cpu: {"cpu": cpu} for cpu in ("cortex-a35", "cortex-a53", "cortex-a57", "neoverse-n1")},
    "no-pmu": {"cpu": "cortex-a72,pmu=off"},
    "16M": {"memory_mib": 16},
    "16-cpus": {"cpus": 16},
}


@pytest.mark.parametrize("spec", USABLE.values(), ids=USABLE)
def test_other_machines_catch_it_too(spec: dict[str, Any], tmp_path: Path) -> None:
    assert run("lab=stack.recurse", tmp_path, **spec).verdict == "caught by=guard-page"
    assert run("lab=crash.hang watchdog=20", tmp_path, **spec).verdict == "hang by=watchdog"


@pytest.mark.parametrize("pages", [1, 16])
def test_permanent_stacks_have_their_own_size(pages: int, tmp_path: Path) -> None:
    log = run(f"lab=boot.smp size={pages}", tmp_path, cpus=3)
    sizes = {r.fields["size"] for r in log.select("stack") if r.words[0].startswith("permanent")}
    assert (log.verdict, sizes) == ("ok", {str(pages * 4096)})
    full = run(f"lab=boot.smp size={pages} overflow=2", tmp_path, cpus=3)
    assert full.verdict == "caught by=guard-page"


@pytest.mark.parametrize("line", ["lab=boot.smp", "lab=boot.smp overflow=1"])
def test_256_cpus_print_the_same_bytes(line: str, tmp_path: Path) -> None:
    runs = [boot(ROOT / KERNEL, line, tmp_path, cpus=256, nonce="same").serial for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]


def test_a_stack_that_is_no_power_of_two_is_refused(tmp_path: Path) -> None:
    end = run("lab=boot.tiny stack=768", tmp_path).records[-1]
    assert (end.words, end.fields["key"]) == (("bad-args",), "stack")
