"""Addresses to names, and the build-id, of an image that is made here."""

import subprocess
from pathlib import Path

import pytest

from harness.errors import KernelNotBuilt
from harness.serial.symbols import Symbols, build_id, unfilled
from harness.tools import cross_prefix

SOURCE = """
	.text
	.global first, alias
	.type first, %function
	.type hidden, %function
	.type last, %function
hidden:
first:	nop
	nop
	.size first, 8
	.size hidden, 8
label:	nop
last:	ret
	.size last, 4
"""
FLAGS = [
    "-nostdlib",
    "-static",
    "-Wl,-Ttext=0x1000,--build-id=sha1,-e,first",
    "-x",
    "assembler",
    "-",
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("symbols") / "image.elf"
    compiler = [f"{cross_prefix()}gcc", *FLAGS, "-o", str(path)]
    subprocess.run(compiler, input=SOURCE, text=True, check=True)
    return path


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0xFFF, "unmapped"),
        (0x1000, "first+0x0"),
        (0x1004, "first+0x4"),
        (0x1008, "first+0x8"),
        (0x100C, "last+0x0"),
        (0x1010, "unmapped"),
    ],
)
def test_an_address_is_named_by_the_function_before_it(
    image: Path, address: int, name: str
) -> None:
    assert Symbols.from_elf(image).name(address) == name


def test_a_return_address_belongs_to_the_function_that_called(image: Path) -> None:
    symbols = Symbols.from_elf(image)
    assert symbols.return_name(0x100C) == "first+0xc"
    assert symbols.return_name(0x1010) == "last+0x4"
    assert symbols.return_name(0x1000) == "unmapped"


def test_a_table_is_read_once_as_long_as_the_file_stays(image: Path) -> None:
    assert Symbols.from_elf(image) is Symbols.from_elf(image)


def test_the_build_id_is_the_linkers(image: Path) -> None:
    notes = subprocess.run(
        [f"{cross_prefix()}readelf", "-n", image], capture_output=True, text=True, check=True
    ).stdout
    assert f"Build ID: {build_id(image)}\n" in notes


@pytest.mark.parametrize("read", [Symbols.from_elf, build_id])
def test_no_kernel_and_no_elf_are_told(read: type, tmp_path: Path) -> None:
    with pytest.raises(KernelNotBuilt, match="does not exist"):
        read(tmp_path / "none")
    text = tmp_path / "text"
    text.write_text("hello")
    with pytest.raises(KernelNotBuilt, match=r"is not an ELF|holds 0 build-ids"):
        read(text)


def test_a_stripped_kernel_is_told(image: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.elf"
    subprocess.run([f"{cross_prefix()}strip", "-o", stripped, image], check=True)
    with pytest.raises(KernelNotBuilt, match="no function symbols"):
        Symbols.from_elf(stripped)


def linked(folder: Path, script: str) -> Path:
    """An image whose parts are what the linker script says."""
    path, layout = folder / "parts.elf", folder / "parts.ld"
    layout.write_text(script)
    flags = ["-nostdlib", "-static", f"-Wl,-T,{layout},--build-id=none,-e,first"]
    compiler = [f"{cross_prefix()}gcc", *flags, "-x", "assembler", "-", "-o", str(path)]
    source = SOURCE + "\n\t.data\n\t.skip 24\n\t.bss\n\t.skip 64\n"
    subprocess.run(compiler, input=source, text=True, check=True)
    return path


TEXT = ".text 0x1000 : AT(0x8000) { *(.text) } :t"
DATA = ".data 0x2000 : AT(0x9000) { *(.data) } :d .bss : { *(.bss) } :d"


def test_what_the_file_does_not_fill_is_told_by_where_it_is_loaded(tmp_path: Path) -> None:
    path = linked(tmp_path, f"PHDRS {{ t PT_LOAD; d PT_LOAD; }} SECTIONS {{ {TEXT} {DATA} }}")
    start, size = unfilled(path)
    assert start == 0x9000 + 24
    assert size >= 64


def test_an_image_of_which_all_is_filled_is_refused(image: Path) -> None:
    with pytest.raises(KernelNotBuilt, match="has 0 parts that it does not fill; expected one"):
        unfilled(image)


def test_an_image_with_two_such_parts_is_refused(tmp_path: Path) -> None:
    text = ".text 0x1000 : { *(.text) } :t .more (NOLOAD) : { . += 16; } :t"
    data = ".data 0x2000 : { *(.data) } :d .bss : { *(.bss) } :d"
    path = linked(tmp_path, f"PHDRS {{ t PT_LOAD; d PT_LOAD; }} SECTIONS {{ {text} {data} }}")
    with pytest.raises(KernelNotBuilt, match="has 2 parts that it does not fill; expected one"):
        unfilled(path)
