"""Archives as the kernel's reader wants them, and the kernel as a Linux Image."""

import struct
from pathlib import Path

from harness.qemu.initrd import image, main, newc

PAGE = 4096


def fields(entry: bytes) -> list[int]:
    return [int(entry[6 + 8 * n : 14 + 8 * n], 16) for n in range(13)]


def test_an_archive_holds_each_file_and_a_trailer() -> None:
    archive = newc([("one", b"12345"), ("second", b"")])
    assert archive[:6] == b"070701"
    assert fields(archive)[6] == 5, "size of the file"
    assert fields(archive)[11] == 4, "size of the name, its NUL included"
    assert archive[110:114] == b"one\0"
    assert archive[116:121] == b"12345"
    second = archive[124:]
    assert second[110:117] == b"second\0"
    assert b"TRAILER!!!\0" in second
    assert len(archive) % 4 == 0


def test_the_same_files_give_the_same_bytes() -> None:
    assert newc([("a", b"x")]) == newc([("a", b"x")])


def elf(loads: list[tuple[int, bytes, int]], entry: int) -> bytes:
    """Program headers and their bytes: as much of an ELF as image() reads."""
    offset = 64 + 56 * len(loads)
    table, body = b"", b""
    for physical, data, memory in loads:
        numbers = (offset + len(body), 0, physical, len(data), memory, 0)
        table += struct.pack("<IIQQQQQQ", 1, 0, *numbers)
        body += data
    head = bytearray(64)
    struct.pack_into("<QQ", head, 24, entry, 64)
    struct.pack_into("<HH", head, 54, 56, len(loads))
    return bytes(head) + table + body


def test_an_image_is_a_page_of_header_and_the_loaded_bytes() -> None:
    base = 0x40200000
    made = image(elf([(base, b"text", 4), (base + 16, b"data", 64)], base))
    assert made[56:60] == b"ARM\x64"
    assert struct.unpack_from("<QQ", made, 8) == (0x200000 - PAGE, 16 + 64 + PAGE)
    assert struct.unpack_from("<I", made)[0] == 0x14000000 | PAGE // 4, "b to the first byte"
    assert made[PAGE:] == b"text" + bytes(12) + b"data"


def test_the_command_writes_an_archive_by_the_files_names(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"program")
    main([str(tmp_path / "out"), str(tmp_path / "hello")])
    assert (tmp_path / "out").read_bytes() == newc([("hello", b"program")])
