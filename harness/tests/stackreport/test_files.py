"""Files that are no image for us: one line each, status 2, and no traceback whatever they hold."""

import subprocess
from pathlib import Path

import pytest

from harness.stackreport.__main__ import main
from harness.stackreport.image import UnreadableImage, load
from harness.tools import cross_prefix

LEAF = "int g; int leaf(int x) { volatile int a[50]; a[0] = x; return a[0] + g; }\n"
LEAF += "void _start(void) { leaf(1); for (;;) ; }\n"
FREE = ("-ffreestanding", "-nostdlib", "-static", "-O1")


def _compile(folder: Path, compiler: str, *flags: str) -> Path:
    (folder / "leaf.c").write_text(LEAF)
    command = [compiler, *flags, "leaf.c", "-o", "leaf"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "leaf"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((*FREE, "-mabi=ilp32", "-Wl,-m,aarch64linux32"), "32-bit addresses"),
        ((*FREE, "-mbig-endian", "-Wl,-EB", "-Wl,-m,aarch64linuxb"), "big-endian"),
        (("-c", "-O1"), "an object file: link it"),
    ],
    ids=["ilp32", "big-endian", "object"],
)
def test_another_kind_of_file_is_refused_by_name(
    tmp_path: Path, flags: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _compile(tmp_path, f"{cross_prefix()}gcc", *flags)
    assert main(["--elf", str(path)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert str(path) in said
    assert "run: make" not in said


def _patched(path: Path, folder: Path, at: int, data: bytes) -> Path:
    changed = folder / "patched"
    whole = path.read_bytes()
    changed.write_bytes(whole[:at] + data + whole[at + len(data) :])
    return changed


@pytest.mark.parametrize(
    ("at", "data", "why"),
    [
        (18, b"\x3e\x00", r"another machine \(e_machine 62\)"),
        (16, b"\x04\x00", "a core dump"),
        (16, b"\x99\x00", "of type 153"),
        (0, b"\x7fELX", "not an ELF image"),
        (40, b"\xff" * 8, "damaged or cut short"),
    ],
)
def test_a_header_that_says_something_else(
    small: Path, tmp_path: Path, at: int, data: bytes, why: str
) -> None:
    with pytest.raises(UnreadableImage, match=why):
        load(_patched(small, tmp_path, at, data))


def test_a_file_that_is_cut_anywhere_is_refused(small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    for length in {0, 3, 20, 63, 64, *range(64, len(whole), 997), len(whole) - 1}:
        cut = tmp_path / "cut"
        cut.write_bytes(whole[:length])
        with pytest.raises(UnreadableImage):
            load(cut)


def test_bytes_that_lie_give_a_line_or_a_report(small: Path, tmp_path: Path) -> None:
    """Of headers and tables; what code does is no matter of files."""
    whole = small.read_bytes()
    for at in [*range(16, 64), *range(len(whole) - 13 * 64, len(whole), 7)]:
        path = _patched(small, tmp_path, at, bytes([whole[at] ^ 0xFF]))
        assert main(["--elf", str(path), "--entry", "plain"]) in (0, 1, 2)


def test_any_code_at_all_gives_a_report(tmp_path: Path) -> None:
    """Every word is an instruction, or is one that is not known: never a traceback."""
    import random

    draw = random.Random(13)
    words = "\n".join(f"\t.inst {draw.getrandbits(32):#x}" for _ in range(20_000))
    source = f"\t.text\n\t.global _start\n\t.type _start, %function\n_start:\n{words}\n"
    parts = "".join(
        f"\t.type f{n}, %function\n\t.global f{n}\n\t.set f{n}, _start + {n * 400}\n"
        for n in range(200)
    )
    (tmp_path / "any.S").write_text(source + parts)
    flags = ("-nostdlib", "-static", "-Wl,--emit-relocs")
    subprocess.run([f"{cross_prefix()}gcc", *flags, "any.S", "-o", "any"], cwd=tmp_path, check=True)
    assert main(["--elf", str(tmp_path / "any"), "--entry", "_start"]) == 0
