"""The programs that run at EL0: their code by name, from the initrd that the guest itself has. A
program's file is a cpio entry (newc), an ELF with symbols; each is linked at an address of its own.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass

from .kernel import elements, once, read, static, text, unsigned, value

SHT_SYMTAB, STT_FUNC = 2, 2
PT_LOAD = 1
CPIO_HEADER, CPIO_SIZE, CPIO_NAME = 110, 6, 11  # bytes; then which of its fields


@dataclass(frozen=True)
class Program:
    """name; functions: (start, size, name), sorted; image: the file's bytes."""

    name: str
    functions: tuple
    image: bytes

    def function(self, address):
        """(start, program:function) of the function that contains an address, or None."""
        index = bisect_right(self.functions, address, key=lambda row: row[0]) - 1
        if index < 0 or address - self.functions[index][0] >= self.functions[index][1]:
            return None
        start, _, name = self.functions[index]
        return start, f"{self.name}:{name}"

    def code(self, start, size):
        """The bytes at an address, as they were loaded from the file."""
        for kind, offset, va, length in _segments(self.image):
            if kind == PT_LOAD and va <= start and start + size <= va + length:
                return self.image[offset + start - va :][:size]
        return b""


@once
def programs():
    """The program of every process that there is."""
    slots = [slot for slot in elements(value("processes")) if int(slot)]
    names = {text(slot["name"]) for slot in slots}
    files = _files() if names else {}
    return [_program(name, files[name]) for name in sorted(names & files.keys())]


def _files():
    """Every file of the initrd."""
    start = unsigned(static("proc/initrd.c", "start"))
    end = unsigned(static("proc/initrd.c", "end_of_archive"))
    archive, at, found = read(start, end - start), 0, {}
    while archive[at : at + 2] == b"07":
        field = [int(archive[at + 6 + n * 8 :][:8], 16) for n in range(13)]
        name_at, size = at + CPIO_HEADER, field[CPIO_SIZE]
        data = -(-(name_at + field[CPIO_NAME]) // 4) * 4
        name = archive[name_at : name_at + field[CPIO_NAME] - 1].decode()
        found[name] = archive[data : data + size]
        at = -(-(data + size) // 4) * 4
    return found


def _program(name, image):
    try:
        return Program(name, tuple(sorted(_functions(image))), image)
    except (struct.error, IndexError, ValueError):  # it runs, its symbols are broken
        return Program(name, (), image)


def _functions(image):
    (headers,) = struct.unpack_from("<Q", image, 40)
    count = struct.unpack_from("<H", image, 60)[0]
    sections = [struct.unpack_from("<2I4Q2I2Q", image, headers + n * 64) for n in range(count)]
    for section in (s for s in sections if s[1] == SHT_SYMTAB):
        names = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, _, start, size = struct.unpack_from("<I2BH2Q", image, at)
            if info & 0xF == STT_FUNC and size:
                end = image.index(b"\0", names + name)
                yield start, size, image[names + name : end].decode()


def _segments(image):
    (headers,) = struct.unpack_from("<Q", image, 32)
    for n in range(struct.unpack_from("<H", image, 56)[0]):
        kind, _, offset, va, _, length = struct.unpack_from("<2I4Q", image, headers + n * 56)
        yield kind, offset, va, length
