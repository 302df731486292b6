"""A device tree that is none, or says what cannot be: the kernel says which, before anything else.

QEMU would mend such a tree, or die of it. So it is written over QEMU's own in a machine that stands
before it is read, and goes on from there for each row.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness.paths import KERNEL, ROOT
from harness.qemu.fast.warm import RAM_BASE, READY, Snapshot, saved_at
from harness.qemu.machine import MachineSpec
from harness.run.session import soon
from harness.serial.log import parse_lines
from harness.serial.symbols import Symbols

MIB = 1 << 20
RAM = 32 * MIB
ROOM = 2 * MIB  # the kernel has mapped no more for the tree
LINE = "lab=bump.edges"

Node = dict[str, "bytes | Node"]


def cells(*numbers: int) -> bytes:
    """Of two each, as on a machine of 64 bits."""
    return struct.pack(f">{len(numbers)}Q", *numbers)


@dataclass
class Tree:
    """Flattened: Devicetree Specification 0.4, chapter 5. Its header can be given wrong words."""

    nodes: Node
    header: dict[str, int] = field(default_factory=dict)

    def flat(self) -> bytes:
        strings = bytearray()
        structure = self._node("", self.nodes, strings) + struct.pack(">I", 9)
        words = {
            "magic": 0xD00DFEED,
            "total": 56 + len(structure) + len(strings),
            "structure": 56,
            "strings": 56 + len(structure),
            "reserved": 40,
            "version": 17,
            "compatible": 16,
            "cpu": 0,
            "strings-size": len(strings),
            "structure-size": len(structure),
        } | self.header
        return struct.pack(">10I16x", *words.values()) + structure + strings

    def _node(self, name: str, node: Node, strings: bytearray) -> bytes:
        flat = struct.pack(">I", 1) + _padded(name.encode() + b"\0")
        for key, value in node.items():
            if isinstance(value, dict):
                flat += self._node(key, value, strings)
            else:
                flat += struct.pack(">III", 3, len(value), len(strings)) + _padded(value)
                strings += key.encode() + b"\0"
        return flat + struct.pack(">I", 2)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def tree(ram: bytes = cells(RAM_BASE, RAM), line: bytes = LINE.encode(), **chosen: bytes) -> Node:
    """As QEMU's, with what the kernel reads and no more."""
    given = {f"linux,initrd-{key}": value for key, value in chosen.items()}
    return {
        "chosen": {"bootargs": line + b"\0", **given},
        "memory@40000000": {"reg": ram},
        "cpus": {"cpu@0": {"reg": bytes(4)}},
        "intc@8000000": {"reg": cells(0x8000000, 0x10000, 0x80A0000, 0xF60000)},
    }


def without(node: str) -> Node:
    return {name: rest for name, rest in tree().items() if not name.startswith(node)}


INSIDE = RAM_BASE + 16 * MIB
ROWS = {
    "whole": (Tree(tree()), "ok"),
    "magic": (Tree(tree(), {"magic": 0xD00DFEEE}), "panic why=no-device-tree"),
    "too-new": (Tree(tree(), {"compatible": 18}), "panic why=no-device-tree"),
    "larger-than-its-room": (Tree(tree(), {"total": ROOM + 1}), "panic why=no-device-tree"),
    "structure-outside": (Tree(tree(), {"structure": 4096}), "panic why=no-device-tree"),
    "strings-outside": (Tree(tree(), {"strings": 4096}), "panic why=no-device-tree"),
    "structure-cut": (Tree(tree(), {"structure-size": 64}), "panic why=no-memory-node"),
    "no-memory": (Tree(without("memory")), "panic why=no-memory-node"),
    "half-a-region": (Tree(tree(ram=cells(RAM_BASE))), "panic why=no-memory-node"),
    "one-mib": (Tree(tree(ram=cells(RAM_BASE, MIB))), "panic why=not-enough-ram"),
    "no-cpus": (Tree(without("cpus")), "ok"),
    "no-line": (Tree(without("chosen")), "bad-args why=no-lab"),
    "initrd-below-ram": (
        Tree(tree(start=cells(RAM_BASE - 4096), end=cells(INSIDE))),
        "panic why=initrd-outside-ram",
    ),
    "initrd-backwards": (
        Tree(tree(start=cells(INSIDE), end=cells(INSIDE - 1))),
        "panic why=initrd-outside-ram",
    ),
    "initrd-without-end": (Tree(tree(start=cells(INSIDE))), "panic why=initrd-outside-ram"),
    "initrd-beyond-ram": (
        Tree(tree(start=cells(INSIDE), end=cells(RAM_BASE + RAM + 1))),
        "panic why=initrd-outside-ram",
    ),
    "initrd-no-number": (Tree(tree(start=bytes(4) + cells(4096), end=cells(INSIDE))), "ok"),
}


@pytest.fixture(scope="module")
def ready() -> Iterator[Snapshot]:
    spec = MachineSpec(ROOT / KERNEL, LINE, memory_mib=RAM // MIB)
    place = Symbols.from_elf(spec.kernel).address(READY)
    with saved_at(spec, place, soon()) as snapshot:
        yield snapshot


@pytest.mark.parametrize(("given", "ends"), ROWS.values(), ids=ROWS)
def test_what_the_tree_says(given: Tree, ends: str, ready: Snapshot) -> None:
    serial = ready.again({RAM_BASE: given.flat()}, soon(), physical=True).serial
    assert _end(serial) == ends, serial.decode()


X0 = 0
WHOLE = Tree(tree())
PLACES = {
    "in-the-first-2-mib": (RAM_BASE + 4096, WHOLE, "ok"),
    "beyond-the-first-2-mib": (
        RAM_BASE + ROOM - 4096,
        Tree(tree(), {"total": 4097}),
        "panic why=no-device-tree",
    ),
    "in-another-2-mib": (INSIDE, WHOLE, "ok"),
    "nothing-there": (INSIDE, None, "panic why=no-device-tree"),
    "below-ram": (RAM_BASE - ROOM, None, "panic why=no-device-tree"),
    "not-whole-2-mib": (INSIDE + 4096, WHOLE, "panic why=no-device-tree"),
}


@pytest.mark.parametrize(("address", "given", "ends"), PLACES.values(), ids=PLACES)
def test_where_the_tree_is(address: int, given: Tree | None, ends: str, ready: Snapshot) -> None:
    """Who starts a Linux Image says it in X0 (Documentation/arch/arm64/booting.rst): a multiple of
    8 bytes, says the protocol; of 2 MiB, want we, if it is not where QEMU puts it."""
    pokes = {address: given.flat()} if given else {}
    serial = ready.again(pokes, soon(), physical=True, registers={X0: address}).serial
    assert _end(serial) == ends, serial.decode()


def _end(serial: bytes) -> str:
    end = list(parse_lines(serial))[-1]
    return " ".join((*end.words, *(f"{key}={value}" for key, value in end.fields.items())))
