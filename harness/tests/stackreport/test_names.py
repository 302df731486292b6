"""Two functions under one name, or at one address."""

import subprocess
from pathlib import Path

import pytest

from harness.stackreport import notes
from harness.stackreport.__main__ import main
from harness.stackreport.bounds import Program
from harness.stackreport.image import Image, load
from harness.stackreport.notes import NotesError
from harness.tests.stackreport.conftest import bound, build
from harness.tools import cross_prefix

ONE = "static __attribute__((noinline)) void twin(int x) { volatile char b[%d]; b[0] = x; }\n"
ONE += "void use_%s(int x) { twin(x); twin(x + 1); }\n"
MAIN = "void use_a(int); void use_b(int); void _start(void) { use_a(1); use_b(2); for (;;) ; }\n"


@pytest.fixture(scope="module", params=["-g", "-g0"])
def twins(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("twins")
    (folder / "a.c").write_text(ONE % (100, "a"))
    (folder / "b.c").write_text(ONE % (3000, "b") + MAIN)
    flags = ("-O1", "-ffreestanding", "-nostdlib", "-static", "-Wl,--emit-relocs", request.param)
    command = [f"{cross_prefix()}gcc", *flags, "a.c", "b.c", "-o", "twins"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "twins"


def test_each_of_two_doubles_is_itself(twins: Path) -> None:
    image = load(twins)
    sizes = sorted(bound(image, n).bytes for n in image.functions if n.startswith("twin@"))
    assert [size // 1000 for size in sizes] == [0, 3]
    assert bound(image, "use_a").bytes < 1000 < bound(image, "use_b").bytes


def test_an_entry_that_means_two_is_a_question(
    twins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--elf", str(twins), "--entry", "twin"]) == 2
    said = capsys.readouterr().err
    assert "--entry twin: the image has 2 of that name" in said
    choices = said.partition("one of: ")[2].strip().split(", ")
    assert len(choices) == 2
    for choice in choices:
        assert main(["--elf", str(twins), "--entry", choice]) == 0


SAME_UNIT = """
	.macro	twin bytes
	.type	twin, %function
twin:	sub	sp, sp, #\\bytes
	add	sp, sp, #\\bytes
	ret
	.size	twin, . - twin
	.endm
"""


def test_two_of_one_name_in_one_file(tmp_path: Path) -> None:
    """Linked from two objects of one name, without DWARF."""
    objects = []
    for number, size in enumerate((64, 2048)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "twin.S").write_text(
            f"{SAME_UNIT}\n\ttwin {size}\n\t.global use{number}\n\t.type use{number}, %function\n"
            f"use{number}:\tb twin\n\t.size use{number}, 4\n"
        )
        subprocess.run(
            [f"{cross_prefix()}gcc", "-g", "-c", "twin.S", f"-ffile-prefix-map={folder}=."],
            cwd=folder,
            check=True,
        )
        objects.append(str(folder / "twin.o"))
    link = [f"{cross_prefix()}ld", "-e", "use0", "--emit-relocs", *objects, "-o", "twins"]
    subprocess.run(link, cwd=tmp_path, check=True)
    image = load(tmp_path / "twins")
    assert sum(name.startswith("twin@") for name in image.functions) == 2
    assert [bound(image, f"use{n}").bytes for n in (0, 1)] == [64, 2048]
    with pytest.raises(NotesError, match="2 of that name"):
        Program(image, notes.parse("")).find("twin")


OVERLAYS = """
	.macro	one section, name, bytes
	.section \\section, "ax"
	.type	\\name, %function
	.global	\\name
\\name:	sub	sp, sp, #\\bytes
	add	sp, sp, #\\bytes
	b	1f
1:	ret
	.size	\\name, . - \\name
	.endm
	one	.one, small, 32
	one	.two, large, 2048
	.text
	.global	_start
	.type	_start, %function
_start:	stp	x29, x30, [sp, #-16]!
	bl	small
	ldp	x29, x30, [sp], #16
	ret
	.size	_start, . - _start
"""


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("overlays")
    flags = ["-Wl,--emit-relocs,--no-check-sections"]
    flags += [f"-Wl,--section-start={name}=0x500000" for name in (".one", ".two")]
    return load(build(folder, OVERLAYS, *flags))


def test_of_two_sections_at_one_address_the_worst_counts(overlays: Image) -> None:
    assert str(bound(overlays, "small")) == "≤ 32"
    assert str(bound(overlays, "large")) == "≤ 2048"
    assert str(bound(overlays, "_start")) == f"≤ {16 + 2048}"


def test_an_alias_is_the_function_itself(tmp_path: Path) -> None:
    source = """
	.text
	.global _start, other
	.type _start, %function
	.type other, %function
_start:
other:	sub	sp, sp, #48
	add	sp, sp, #48
	ret
	.size _start, 4			// the larger of both sizes counts
	.size other, . - other
"""
    image = load(build(tmp_path, source, "-Wl,--emit-relocs"))
    assert [str(bound(image, name)) for name in ("_start", "other")] == ["≤ 48", "≤ 48"]
    assert len(image.functions) == 1


LABELS = """
	.text
	.global	_start
_start:	bl	1f			// no type, no size: reached by the entry point alone
	ret
1:	sub	sp, sp, #80
	add	sp, sp, #80
	ret
"""


def test_code_without_any_function_is_read_too(tmp_path: Path) -> None:
    image = load(build(tmp_path, LABELS, "-Wl,--emit-relocs"))
    assert not image.functions
    assert bound(image, "_start").bytes == 80


def test_two_labels_of_one_name_are_two(tmp_path: Path) -> None:
    for number, size in enumerate((64, 2048)):
        (tmp_path / f"{number}.S").write_text(
            f"\t.text\n\t.global use{number}\nuse{number}:\tb part\n"
            f"part:\tsub sp, sp, #{size}\n\tadd sp, sp, #{size}\n\tret\n"
        )
    command = [f"{cross_prefix()}gcc", "-nostdlib", "-static", "-Wl,--emit-relocs,-e,use0"]
    subprocess.run([*command, "0.S", "1.S", "-o", "labels"], cwd=tmp_path, check=True)
    image = load(tmp_path / "labels")
    program = Program(image, notes.parse(""))
    with pytest.raises(NotesError, match="2 of that name") as caught:
        program.find("part")
    choices = str(caught.value).partition("one of: ")[2].split(", ")
    assert sorted(bound(image, choice).bytes for choice in choices) == [64, 2048]
    assert [bound(image, f"use{n}").bytes for n in (0, 1)] == [64, 2048]
