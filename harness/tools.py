"""Where the tools are and which versions: looked up once a process, and refused by name when
missing or too old.

HIGHWATER_QEMU and HIGHWATER_GDB name a program to use instead of the one on PATH; CROSS_COMPILE a
compiler prefix.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from harness.errors import KernelNotBuilt, ToolMissing, WrongVersion
from harness.producer import producers

ROOT = Path(__file__).resolve().parents[1]

QEMU_WANTED = (7, 2)
SIGNING_CPU = "max,pauth-impdef=on"  # of the QEMU that the goldens are of; the pages name it
PLUGIN_API_7 = (11, 1)  # the first QEMU that has it, and takes none of before
QEMU_INSTALL = "apt install qemu-system-arm, or set HIGHWATER_QEMU to a newer qemu-system-aarch64"
GDB_INSTALL = "apt install gdb-multiarch, or set HIGHWATER_GDB to a GDB that knows aarch64"
GCC_INSTALL = "apt install gcc-aarch64-linux-gnu, or put aarch64-none-elf-gcc on PATH"
CLANG_INSTALL = "apt install clang, or put it on PATH"
QEMU_USER_INSTALL = "apt install qemu-user, or put qemu-aarch64-static on PATH"
SETPRIV_INSTALL = "apt install util-linux"


def find_qemu() -> Path:
    """qemu-system-aarch64, version 7.2 or newer."""
    return _checked_qemu(_find("qemu-system-aarch64", QEMU_INSTALL, "HIGHWATER_QEMU"))


def qemu_version() -> str:
    """Major and minor: "7.2"."""
    return ".".join(map(str, _qemu_numbers(find_qemu())[:2]))


def plugin_file(name: str) -> str:
    """Which of the two that host/build.mk makes of a plugin this QEMU takes (host/plugin.h)."""
    return f"{name}{'-7' if _qemu_numbers(find_qemu()) >= PLUGIN_API_7 else ''}.so"


def find_gdb() -> Path:
    """gdb-multiarch, else aarch64-none-elf-gdb."""
    return _find("gdb-multiarch", GDB_INSTALL, "HIGHWATER_GDB", others=["aarch64-none-elf-gdb"])


def find_clang() -> Path:
    """The one that kernel and fuzzers are checked with, as harness/setup.sh installs it."""
    return _find("clang", CLANG_INSTALL)


def find_qemu_user() -> Path:
    """QEMU for one Linux program: qemu-aarch64, else the static one."""
    return _find("qemu-aarch64", QEMU_USER_INSTALL, others=["qemu-aarch64-static"])


def find_setpriv() -> Path:
    return _find("setpriv", SETPRIV_INSTALL)


def cross_prefix() -> str:
    """What stands before gcc, ld, objdump: CROSS_COMPILE, else Arm's own toolchain, else the
    distribution's.
    """
    given = os.environ.get("CROSS_COMPILE")
    prefixes = [given] if given else ["aarch64-none-elf-", "aarch64-linux-gnu-"]
    for prefix in prefixes:
        if shutil.which(f"{prefix}gcc"):
            return prefix
    raise ToolMissing(
        "the cross compiler", install=GCC_INSTALL, tried=[f"{p}gcc" for p in prefixes]
    )


def toolchain(image: Path | None = None) -> str:
    """The compiler that made the image, as goldens record it: "aarch64-linux-gnu-gcc 12.2.0".
    Before there is one, the compiler that is going to.
    """
    image = image or ROOT / (os.environ.get("BUILD") or "build") / "kernel.elf"
    if image.exists():
        return _only_producer(image)
    compiler = shutil.which(f"{cross_prefix()}gcc") or ""
    return f"{Path(compiler).name} {output(Path(compiler), '-dumpfullversion').strip()}"


def _only_producer(image: Path) -> str:
    found = _producers(image, image.stat().st_mtime_ns)
    if len(found) != 1:
        who = " and ".join(found) or "a compiler that left no name in .comment"
        raise KernelNotBuilt(image, f"was made by {who}, and one compiler was expected")
    return found[0]


@cache
def _producers(image: Path, _date: int) -> list[str]:
    try:
        return producers(image)
    except Exception as error:  # what pyelftools raises over bytes that lie
        raise KernelNotBuilt(image, f"is not an ELF image: {error}") from None


def version_of(compiler: str) -> str:
    """That of the image's compiler, if it is a "gcc" or a "clang" as asked for: "12.2.0", or ""."""
    name, _, version = toolchain().rpartition(" ")
    return version if name.endswith(compiler) else ""


def signing_cpu() -> str:
    """A CPU with FEAT_PAuth, without FEAT_FPAC, so that a wrong signature shows at the branch, as
    the goldens have it: QEMU's max had no FPAC before 8.2, which brought it and neoverse-v1.
    """
    return SIGNING_CPU if _qemu_numbers(find_qemu()) < (8, 2) else "neoverse-v1"


# What the only= of a scenario may ask for.
VERSIONS: Mapping[str, Callable[[], str]] = {
    "qemu": qemu_version,
    "gcc": partial(version_of, "gcc"),
    "clang": partial(version_of, "clang"),
}


def _find(tool: str, install: str, variable: str = "", others: Sequence[str] = ()) -> Path:
    given = os.environ.get(variable) if variable else None
    names = [given] if given else [tool, *others]
    return _on_path(tool, tuple(names), install, os.environ.get("PATH", ""))


@cache  # all that decides is an argument, so a test may change the environment
def _on_path(tool: str, names: tuple[str, ...], install: str, path: str) -> Path:
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    raise ToolMissing(tool, install=install, tried=names)


@cache
def _checked_qemu(qemu: Path) -> Path:
    if (found := _qemu_numbers(qemu)) < QEMU_WANTED:
        raise WrongVersion(
            str(qemu),
            found=".".join(map(str, found)) or "of unknown version",
            wanted=f"{QEMU_WANTED[0]}.{QEMU_WANTED[1]} or newer",
            install=QEMU_INSTALL,
        )
    return qemu


@cache
def _qemu_numbers(qemu: Path) -> tuple[int, ...]:
    version = re.search(r"version (\d+(?:\.\d+)+)", output(qemu, "--version"))
    return tuple(map(int, version[1].split("."))) if version else ()


@cache
def output(program: Path, argument: str) -> str:
    done = subprocess.run([program, argument], capture_output=True, text=True, check=False)
    return done.stdout
