"""harness.producer: which compiler made an image, by what the image itself says."""

import os
import subprocess
from pathlib import Path

import pytest

from harness import tools
from harness.errors import KernelNotBuilt
from harness.paths import KERNEL, ROOT
from harness.producer import named, producers


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        ("GCC: (Debian 12.2.0-14) 12.2.0", "aarch64-linux-gnu-gcc 12.2.0"),
        ("GCC: (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0", "aarch64-linux-gnu-gcc 13.3.0"),
        (
            "GCC: (Arm GNU Toolchain 13.3.Rel1 (Build arm-13.24)) 13.3.1 20240614",
            "aarch64-none-elf-gcc 13.3.1",
        ),
        ("Debian clang version 14.0.6", "clang 14.0.6"),
        ("Ubuntu clang version 18.1.3 (1ubuntu1)", "clang 18.1.3"),
        ("clang version 21.1.8", "clang 21.1.8"),
        ("tcc 0.9", "tcc 0.9"),
    ],
)
def test_each_compiler_by_what_it_writes(comment: str, name: str) -> None:
    assert named(comment) == name


def compiled(folder: Path, *compilers: str) -> Path:
    """An image of one function by each of these."""
    objects = []
    for number, compiler in enumerate(compilers):
        source, made = folder / f"{number}.c", folder / f"{number}.o"
        source.write_text(f"int f{number}(void) {{ return 0; }}\n")
        subprocess.run((*compiler.split(), "-c", str(source), "-o", str(made)), check=True)
        objects.append(str(made))
    linker = f"{tools.cross_prefix()}ld"
    subprocess.run((linker, "-r", "-o", str(folder / "image"), *objects), check=True)
    return folder / "image"


GCC = f"{tools.cross_prefix()}gcc"
CLANG = f"{os.environ.get('HOST_CC', 'clang')} --target=aarch64-linux-gnu"


def test_the_image_tells_whoever_is_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CC=clang, while CROSS_COMPILE's gcc is there as well; and with a PATH that has neither."""
    image = compiled(tmp_path, CLANG)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.toolchain(image).startswith("clang ")


def test_two_compilers_are_none(tmp_path: Path) -> None:
    """As a build that went wrong leaves it: no golden holds for that."""
    image = compiled(tmp_path, GCC, CLANG)
    assert len(producers(image)) == 2
    with pytest.raises(KernelNotBuilt, match=r"was made by .*gcc .* and clang .*, and one"):
        tools.toolchain(image)


def test_an_image_without_a_name(tmp_path: Path) -> None:
    image = compiled(tmp_path, GCC)
    strip = f"{tools.cross_prefix()}objcopy"
    subprocess.run((strip, "--remove-section=.comment", str(image)), check=True)
    with pytest.raises(KernelNotBuilt, match="a compiler that left no name"):
        tools.toolchain(image)


def test_no_image(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ELF")
    with pytest.raises(KernelNotBuilt, match="is not an ELF image"):
        tools.toolchain(tmp_path / "text")


def test_the_kernel_was_made_by_one() -> None:
    assert producers(ROOT / KERNEL) == [tools.toolchain()]
    version = tools.VERSIONS["clang" if "clang" in tools.toolchain() else "gcc"]()
    assert tools.toolchain().endswith(f" {version}")
