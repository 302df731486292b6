"""What host/cover.c saw: a bit for each instruction of kernel and programs, one file a test;
and DWARF's line tables, which say which bits are a line's.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.serial.symbols import programs

_Lines = dict[tuple[str, int], set[int]]  # path and line → numbers of bits


def executed(folder: Path, kernel: Path, tests: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """Path, line and test: what the kernel and the programs of its initrd ran in each test."""
    at: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for place, bits in _lines(kernel):
        for bit in bits:
            at[bit].append(place)
    for test in tests:
        reached = _numbers(folder / name_of(test))
        places = {place for bit in reached if bit in at for place in at[bit]}
        yield from ((path, line, test) for path, line in places)


def name_of(test: str) -> str:
    """FNV-1a of the name, as cover.c has it."""
    value = 0xCBF29CE484222325
    for byte in test.encode():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def plugin_options(kernel: Path, folder: Path) -> str:
    ranges = (f"range={base:#x}+{size:#x}" for _, base, size in _ranges(kernel))
    return ",".join((f"to={folder}", *ranges))


def _ranges(kernel: Path) -> Iterator[tuple[Path, int, int]]:
    """What can be executed: of the kernel where it is linked and where it is loaded, and of each
    program.
    """
    from elftools.elf.elffile import ELFFile

    for path in (kernel, *programs(kernel)):
        with path.open("rb") as file:
            for part in ELFFile(file).iter_segments("PT_LOAD"):
                if part["p_flags"] & 1:
                    yield path, part["p_vaddr"], part["p_memsz"]
                    if part["p_paddr"] != part["p_vaddr"]:
                        yield path, part["p_paddr"], part["p_memsz"]


def _lines(kernel: Path) -> Iterator[tuple[tuple[str, int], set[int]]]:
    """The bits of each line, from DWARF's line tables."""
    ranges = list(_ranges(kernel))
    found: _Lines = defaultdict(set)
    for path in (kernel, *programs(kernel)):
        for start, end, name, line in _rows(path):
            for address in range(start, end, 4):
                found[name, line] |= set(_bits_of(address, path, kernel, ranges))
    yield from found.items()


def _bits_of(
    address: int, path: Path, kernel: Path, ranges: list[tuple[Path, int, int]]
) -> Iterator[int]:
    """Both places of the kernel: before the MMU is on it runs where it was loaded."""
    before, offset = 0, None
    for of, base, size in ranges:
        if of == path:
            if offset is None and base <= address < base + size:
                offset = address - base
            if offset is not None:
                yield (before + offset) // 4
        before += size


def _rows(path: Path) -> Iterator[tuple[int, int, str, int]]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            previous = None
            for entry in program.get_entries() if program else ():
                state = entry.state
                if state is None:
                    continue
                if previous is not None and previous.line:
                    name = _file_name(program, previous.file)
                    yield previous.address, state.address, name, previous.line
                previous = None if state.end_sequence else state


def _file_name(program: Any, number: int) -> str:
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    entry = header["file_entry"][number - first]
    folders = header["include_directory"]
    folder = b"" if not entry.dir_index else folders[entry.dir_index - first]
    return os.path.normpath(b"/".join((folder, entry.name)).decode())


def _numbers(path: Path) -> Iterator[int]:
    """Of the bits that are set."""
    for at, byte in enumerate(path.read_bytes() if path.exists() else b""):
        if byte:
            yield from (8 * at + bit for bit in range(8) if byte >> bit & 1)
