"""Addresses to names: the functions of a kernel image, and its build-id.

Used for what GDB saw (the kernel prints names itself), and to refuse a log of another build. A
table is read once per image and kept as long as the file does not change. pyelftools is imported
when the first table is read, because a scenario without GDB never needs one.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.errors import KernelNotBuilt

# An ELF note: name size 4, descriptor size 20, type 3 (NT_GNU_BUILD_ID), name "GNU".
BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)

UNMAPPED = "unmapped"
FAULT_HOOK = "debugger_fault_hook"  # the kernel calls it when its report of a fault is out


@dataclass(frozen=True)
class Symbols:
    """The FUNC symbols of one image, sorted by address."""

    starts: tuple[int, ...]
    names: tuple[str, ...]
    end: int

    @classmethod
    def from_elf(cls, path: Path) -> "Symbols":
        return _read(*_identity(path))

    def name(self, address: int) -> str:
        """`recurse+0x2c`, or `unmapped` outside of every function."""
        return self._name(address, address)

    def return_name(self, address: int) -> str:
        """The same for a return address: a call may be the last instruction of its function."""
        return self._name(address - 1, address)

    def address(self, name: str) -> int:
        """Where a function begins; KeyError when there is none of that name."""
        try:
            return self.starts[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def _name(self, inside: int, address: int) -> str:
        index = bisect_right(self.starts, inside) - 1
        if index < 0 or inside >= self.end:
            return UNMAPPED
        return f"{self.names[index]}+{address - self.starts[index]:#x}"


@dataclass(frozen=True)
class ImageSymbols:
    """The kernel, and the EL0 programs that are in its initrd: each has an address of its own."""

    kernel: Symbols
    programs: tuple[tuple[str, Symbols], ...]

    @classmethod
    def of(cls, kernel: Path) -> "ImageSymbols":
        found = ((path.stem, Symbols.from_elf(path)) for path in programs(kernel))
        return cls(Symbols.from_elf(kernel), tuple(found))

    def name(self, address: int) -> str:
        return self._first(lambda symbols: symbols.name(address))

    def return_name(self, address: int) -> str:
        return self._first(lambda symbols: symbols.return_name(address))

    def _first(self, name_in: Callable[[Symbols], str]) -> str:
        """`crasher:dive+0x3c` for a program, else what the kernel says."""
        for program, symbols in self.programs:
            if (name := name_in(symbols)) != UNMAPPED:
                return f"{program}:{name}"
        return name_in(self.kernel)


def programs(kernel: Path) -> list[Path]:
    """The EL0 programs with their debug information, as kernel/user.mk leaves them."""
    return sorted((kernel.parent / "user").glob("*.elf"))


def build_id(path: Path) -> str:
    """The image's GNU build-id in hex, as [boot] prints it."""
    return _build_id(*_identity(path))


def _identity(path: Path) -> tuple[Path, int, int]:
    try:
        status = path.stat()
    except OSError:
        raise KernelNotBuilt(path) from None
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _build_id(path: Path, _mtime: int, _size: int) -> str:
    found = {match[1] for match in BUILD_ID.finditer(path.read_bytes())}
    if len(found) != 1:
        raise KernelNotBuilt(
            path, f"holds {len(found)} build-ids; expected one (ld --build-id=sha1)"
        )
    return found.pop().hex()


@lru_cache(maxsize=16)
def _read(path: Path, _mtime: int, _size: int) -> Symbols:
    from elftools.common.exceptions import ELFError

    try:
        functions = _functions(path)
    except ELFError as error:
        raise KernelNotBuilt(path, f"is not an ELF image: {error}") from None
    if not functions:
        raise KernelNotBuilt(path, "has no function symbols (was it stripped?)")
    end = max(address + max(size, 4) for address, (_, size) in functions.items())
    starts = tuple(sorted(functions))
    return Symbols(starts, tuple(functions[start][0] for start in starts), end)


def unfilled(path: Path) -> tuple[int, int]:
    """Where the image takes memory that the file does not fill (.bss and what follows): its
    physical address, and bytes.
    """
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        parts = [part.header for part in ELFFile(file).iter_segments("PT_LOAD")]
    found = [part for part in parts if part.p_memsz > part.p_filesz]
    if len(found) != 1:
        raise KernelNotBuilt(path, f"has {len(found)} parts that it does not fill; expected one")
    (part,) = found
    return part.p_paddr + part.p_filesz, part.p_memsz - part.p_filesz


def _functions(path: Path) -> dict[int, tuple[str, int]]:
    """Address → name and size; where several names share an address, the global one wins."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        symbols = [s for s in (table.iter_symbols() if table else ()) if _is_function(s)]
    symbols.sort(key=lambda s: s["st_info"]["bind"] == "STB_GLOBAL")
    return {s["st_value"]: (s.name, s["st_size"]) for s in symbols}


def _is_function(symbol: object) -> bool:
    entry = symbol.entry  # type: ignore[attr-defined]  # pyelftools has no annotations
    return bool(entry["st_info"]["type"] == "STT_FUNC" and entry["st_shndx"] != "SHN_UNDEF")
