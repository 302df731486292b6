"""Which compilers made an image: read from what they left there (.comment), whatever PATH has.

GCC says who packed it: `GCC: (Debian 12.2.0-14) 12.2.0`. Its version alone would make Arm's own
toolchain and the distribution's the same, and their code is not.
"""

import re
from pathlib import Path

ARMS_OWN, DISTRIBUTIONS, CLANG = "aarch64-none-elf-gcc", "aarch64-linux-gnu-gcc", "clang"

_GCC = re.compile(r"GCC: \((.*)\) (\d+(?:\.\d+)+)(?: .*)?")
_CLANG = re.compile(r".*\bclang version (\d+(?:\.\d+)+).*")


def producers(image: Path) -> list[str]:
    """Names and versions, as goldens record them: "aarch64-linux-gnu-gcc 12.2.0", "clang 14.0.6".

    Raises OSError and pyelftools' ELFError about a file that is no image.
    """
    from elftools.elf.elffile import ELFFile

    with image.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".comment")
        data = section.data() if section else b""
    return sorted({named(line) for line in data.decode("utf-8", "replace").split("\0") if line})


def named(comment: str) -> str:
    """What one compiler writes of itself. Another's words stay as they are."""
    if match := _GCC.fullmatch(comment):
        return f"{ARMS_OWN if 'Arm' in match[1] else DISTRIBUTIONS} {match[2]}"
    if match := _CLANG.fullmatch(comment):
        return f"{CLANG} {match[1]}"
    return comment
