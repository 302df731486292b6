"""A saved machine inside a disk, and the part of it that nobody has to load."""

import struct
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.qemu import rewind
from harness.qemu.fast import qcow2
from harness.qemu.fast.qcow2 import NotOurs, SavedMachine
from harness.qemu.fast.vmstate import FLASH, PAGE, without_untouched
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels

BANK = 64 << 20  # bytes of one flash bank of QEMU's virt board
ZERO, EOS, SAME = 0x02, 0x10, 0x20


def soon() -> Deadline:
    return Deadline(20)


# --- the disk -----------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.qcow2"
    qcow2.write_empty(disk)
    return disk


@pytest.fixture
def saved(disk: Path, kernels: Kernels, tmp_path: Path) -> SavedMachine:
    """Of a machine that stands at its first instruction."""
    spec = MachineSpec(kernels("prints"), stopped=True, extra=rewind.snapshot_drive(disk))
    with Machine(spec, tmp_path) as machine:
        assert machine.qmp.hmp("savevm here") == ""
        assert "here" in machine.qmp.hmp("info snapshots")
        machine.qmp.execute("quit")
        machine.wait_end(soon())
    return SavedMachine(disk)


def test_an_empty_disk_is_a_qcow2(disk: Path) -> None:
    magic, version = struct.unpack_from(">4sI", disk.read_bytes())
    assert (magic, version, disk.stat().st_size) == (b"QFI\xfb", 3, 4 << qcow2.CLUSTER_BITS)
    with pytest.raises(NotOurs, match="not one of our disks with one snapshot"):
        SavedMachine(disk)


def test_a_saved_machine_is_qemus_stream(saved: SavedMachine) -> None:
    stream = saved.read()
    assert stream[:8] == b"QEVM" + struct.pack(">I", 3)
    assert 0 < stream.index(b"mach-virt.ram") < stream.rindex(b"pl011"), "memory, then devices"


def test_what_was_written_is_read_again(saved: SavedMachine, disk: Path) -> None:
    stream = saved.read()
    turned = stream[::-1]
    saved.write(turned)
    assert SavedMachine(disk).read() == turned
    with pytest.raises(NotOurs, match=f"{len(stream) + 1} bytes where {len(stream)} are"):
        saved.write(stream + b"x")


@pytest.mark.parametrize("size", [0, 50, 1 << 18])
def test_a_disk_that_is_cut_off(saved: SavedMachine, disk: Path, size: int) -> None:
    disk.write_bytes(disk.read_bytes()[:size])
    with pytest.raises(NotOurs):
        SavedMachine(disk)


# --- the stream ---------------------------------------------------------------------------------


def test_both_banks_are_taken_out_and_nothing_else(saved: SavedMachine) -> None:
    stream = saved.read()
    rest = without_untouched(stream, FLASH)
    first = sum(8 + 1 + len(name) + 1 for name in FLASH)
    assert len(stream) - len(rest) == first + 2 * (BANK // PAGE - 1) * 9
    assert [rest.count(name.encode()) for name in FLASH] == [
        stream.count(name.encode()) - 1 for name in FLASH
    ]
    assert without_untouched(rest, FLASH) == rest


BLOCKS = {"ram": 3 * PAGE, "flash": 4 * PAGE, "other": 2 * PAGE}


def section(*pages: bytes) -> bytes:
    """As much of a stream as belongs to memory."""
    head = b"QEVM..\x01\0\0\0\x02\x03ram" + struct.pack(">II", 0, 4)
    sizes = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">Q", size)
        for name, size in BLOCKS.items()
    )
    total = struct.pack(">Q", sum(BLOCKS.values()) | 0x04)
    return head + total + sizes + b"".join(pages) + struct.pack(">Q", EOS) + b"devices"


def page(number: int, name: str = "", byte: int = 0) -> bytes:
    """One page that is all one byte; the first of a block says the block's name."""
    flags = ZERO | (0 if name else SAME)
    named = bytes([len(name)]) + name.encode() if name else b""
    return struct.pack(">Q", number * PAGE | flags) + named + bytes([byte])


RAM = [page(0, "ram", 7), page(1), page(2)]
FLASH_PAGES = [page(0, "flash"), page(1), page(2), page(3)]


def test_an_untouched_block_goes() -> None:
    assert without_untouched(section(*FLASH_PAGES, *RAM), ["flash"]) == section(*RAM)
    assert without_untouched(section(*RAM, *FLASH_PAGES), ["flash"]) == section(*RAM)


@pytest.mark.parametrize("parts", [[1, 3], [2, 2], [1, 1, 1, 1], [4]])
def test_an_untouched_block_goes_in_parts_as_well(parts: list[int]) -> None:
    """As QEMU writes it on a busy machine. What lies between is no page, and stays."""
    between = struct.pack(">Q", EOS) + b"\x7e\0\0\0\x02\x02\0\0\0\x02"
    pages = list(FLASH_PAGES)
    given = [b"".join(pages.pop(0) for _ in range(part)) for part in parts]
    betweens = [between] * (len(parts) - 1)
    stream = section(between.join(given), between, *RAM)
    assert without_untouched(stream, ["flash"]) == section(*betweens, between, *RAM)


@pytest.mark.parametrize(
    "pages",
    [
        [page(0, "flash"), page(1), page(2, byte=1), page(3)],  # written to
        [page(0, "flash"), page(1), struct.pack(">Q", EOS), page(2, "flash"), page(3)],  # in two
        [page(0, "flash"), page(1), page(2)],  # not whole
        [*FLASH_PAGES, *FLASH_PAGES],  # twice
        [],
    ],
)
def test_any_other_stays(pages: list[bytes]) -> None:
    stream = section(*pages, *RAM)
    assert without_untouched(stream, ["flash"]) == stream


@pytest.mark.parametrize("stream", [b"", b"QEVM", section()[:40], section(*FLASH_PAGES)[1:60]])
def test_what_is_no_stream_stays(stream: bytes) -> None:
    assert without_untouched(stream, ["flash", "ram"]) == stream
