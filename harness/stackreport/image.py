"""An AArch64 ELF as the analysis needs it: functions and their code, whose address is taken, and
what the compiler wrote about itself. Reads; judges nothing.

    functions     FUNC symbols with a size; other symbols at the same address are their aliases
    taken         functions whose address is taken, from kept relocations (ld --emit-relocs); None
                  when none were kept, and then nobody knows
    compiler      GCC's call graph (.GNU.callgraph: its .ci files, concatenated), by function
    stack_sizes   LLVM's .stack_sizes, by address
"""

import re
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from elftools.common.exceptions import ELFError, ELFParseError
from elftools.common.utils import struct_parse
from elftools.dwarf.abbrevtable import AbbrevDecl
from elftools.elf.elffile import ELFFile

from harness.errors import KernelNotBuilt
from harness.symbols import BUILD_ID

CALLGRAPH = ".GNU.callgraph"
STACK_SIZES = ".stack_sizes"
INDIRECT = "__indirect_call"

# Name every function, and call none: what unwinds, and where a check can be patched in.
UNWINDING = frozenset({".eh_frame", "__patchable_function_entries"})
# Relocations of branches (ELF for the Arm 64-bit Architecture, 5.7.10): these call, they take no
# address.
BRANCHES = frozenset({279, 280, 282, 283})

FUNCTIONS = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
LOCAL, GLOBAL = 0, 1  # STB_LOCAL, STB_GLOBAL
UNDEFINED, ABSOLUTE = 0, 0xFFF1  # SHN_UNDEF, SHN_ABS


class Symbol(NamedTuple):
    name: str
    kind: int
    bind: int
    section: int
    value: int
    size: int


@dataclass(frozen=True)
class Function:
    """`unit` is its source file, where the image's DWARF tells it."""

    name: str
    start: int
    size: int
    unit: str = ""
    aliases: frozenset[str] = frozenset()

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class CompilerView:
    """One function as GCC's call graph has it: frame bytes, `static`/`dynamic`, callees by name."""

    bytes: int
    qualifier: str
    calls: frozenset[str]


@dataclass(frozen=True)
class Image:
    path: Path
    functions: Mapping[str, Function]  # by name; a name used twice is NAME@FILE
    symbols: Mapping[str, int]
    code: tuple[tuple[int, bytes], ...]  # executable sections
    taken: frozenset[str] | None
    compiler: Mapping[str, CompilerView]
    stack_sizes: Mapping[int, int]
    build_id: str = ""
    _starts: list[int] = field(default_factory=list)
    _ordered: list[Function] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ordered.extend(sorted(self.functions.values(), key=lambda f: f.start))
        self._starts.extend(f.start for f in self._ordered)

    def at(self, address: int) -> Function | None:
        """The function that an address lies in."""
        index = bisect_right(self._starts, address) - 1
        found = self._ordered[index] if index >= 0 else None
        return found if found and address < found.end else None

    def named(self, name: str) -> Function | None:
        """The function of that name or alias."""
        function = self.functions.get(name) or self.at(self.symbols.get(name, -1))
        return (
            function
            if function and self.symbols.get(name, function.start) == function.start
            else None
        )

    def bytes_of(self, function: Function) -> bytes:
        for start, data in self.code:
            if start <= function.start < start + len(data):
                return data[function.start - start : function.end - start]
        return b""


def load(path: Path) -> Image:
    """Raises KernelNotBuilt when there is no such file, or nothing in it that can be read."""
    try:
        with path.open("rb") as file:
            return _read(path, ELFFile(file))
    except OSError as error:
        raise KernelNotBuilt(path, f"cannot be read: {error.strerror}") from None
    except ELFError as error:
        raise KernelNotBuilt(path, f"is not an ELF image: {error}") from None


def _read(path: Path, elf: Any) -> Image:
    if elf["e_machine"] != "EM_AARCH64" or elf["e_type"] == "ET_REL":
        raise KernelNotBuilt(path, "is not a linked AArch64 image")
    table = elf.get_section_by_name(".symtab")
    if table is None:
        raise KernelNotBuilt(path, "has no symbol table (was it stripped?)")
    symbols = list(_symbols(elf, table))
    functions = _functions(symbols, _units(elf))
    if not functions:
        raise KernelNotBuilt(path, "has no function symbols with sizes")
    starts = {function.start: name for name, function in functions.items()}
    return Image(
        path,
        functions,
        {s.name: s.value for s in symbols if s.name and s.section != UNDEFINED},
        tuple((s["sh_addr"], s.data()) for s in elf.iter_sections() if _is_code(s)),
        _taken(elf, symbols, starts),
        _compiler(elf, functions),
        dict(_stack_sizes(elf)),
        _build_id(elf),
    )


def _symbols(elf: Any, table: Any) -> Iterator[Symbol]:
    """Elf64_Sym, without pyelftools' object a row."""
    names = elf.get_section(table["sh_link"]).data()
    for at, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data()):
        name = names[at : names.index(0, at)].decode("utf-8", "replace")
        yield Symbol(name, info & 15, info >> 4, section, value, size)


def _is_code(section: Any) -> bool:
    flags = section["sh_flags"]
    return bool(flags & 2 and flags & 4 and section["sh_type"] == "SHT_PROGBITS")


# --- functions ----------------------------------------------------------------------------------


def _units(elf: Any) -> list[tuple[int, int, str]]:
    """(start, end, source file), sorted: .debug_aranges, and one DWARF entry per unit."""
    if not elf.get_section_by_name(".debug_aranges"):
        return []
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False)
    dwarf.get_abbrev_table = partial(_Abbreviations, dwarf)
    names: dict[int, str] = {}
    found = []
    for entry in dwarf.get_aranges().entries:
        offset = entry.info_offset
        if offset not in names:
            top = dwarf.get_CU_at(offset).get_top_DIE()
            name = top.attributes.get("DW_AT_name")
            names[offset] = name.value.decode("utf-8", "replace") if name else ""
        found.append((entry.begin_addr, entry.begin_addr + entry.length, names[offset]))
    return sorted(found)


@dataclass(frozen=True)
class _Abbreviations:
    """One table of them, read as far as a unit's one entry needs. pyelftools would read all of it,
    which is most of what reading an image then costs."""

    dwarf: Any
    offset: int

    def get_abbrev(self, wanted: int) -> AbbrevDecl:
        structs, stream = self.dwarf.structs, self.dwarf.debug_abbrev_sec.stream
        stream.seek(self.offset)
        while code := struct_parse(structs.the_Dwarf_uleb128, stream):
            declaration = struct_parse(structs.Dwarf_abbrev_declaration, stream)
            if code == wanted:
                return AbbrevDecl(code, declaration)
        raise ELFParseError(f"no abbreviation {wanted} at {self.offset:#x}")


def _functions(symbols: list[Symbol], units: list[tuple[int, int, str]]) -> dict[str, Function]:
    by_address: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        is_code = symbol.kind in FUNCTIONS and symbol.size
        if is_code and symbol.section not in (UNDEFINED, ABSOLUTE):
            by_address.setdefault(symbol.value, []).append(symbol)
    plain = [_function(start, group, units) for start, group in sorted(by_address.items())]
    times = Counter(function.name for function in plain)
    return {(g := _distinct(f, by_address) if times[f.name] > 1 else f).name: g for f in plain}


def _distinct(function: Function, symbols: Mapping[int, list[Symbol]]) -> Function:
    """Of several with one name each static one carries its file, so that no name depends on link
    order; the global one is the only one that others can mean."""
    if any((s.name, s.bind) == (function.name, GLOBAL) for s in symbols[function.start]):
        return function
    return replace(function, name=f"{function.name}@{function.unit or hex(function.start)}")


def _function(start: int, group: list[Symbol], units: list[tuple[int, int, str]]) -> Function:
    """The global name wins, then the first one; weak ones (aliases of libraries) come last."""
    order = {GLOBAL: 0, LOCAL: 1}
    group.sort(key=lambda s: (order.get(s.bind, 2), s.name))
    names = [symbol.name for symbol in group]
    index = bisect_right(units, (start, 1 << 64, "")) - 1
    inside = index >= 0 and start < units[index][1]
    unit = units[index][2] if inside else ""
    return Function(names[0], start, group[0].size, unit, frozenset(names[1:]))


# --- whose address is taken ---------------------------------------------------------------------


def _taken(elf: Any, symbols: list[Symbol], starts: Mapping[int, str]) -> frozenset[str] | None:
    """Every function that a relocation of loaded code or data names, other than by a branch."""
    tables = [s for s in elf.iter_sections() if s["sh_type"] == "SHT_RELA" and _is_loaded(elf, s)]
    if not tables:
        return None
    values = [symbol.value for symbol in symbols]
    taken = set()
    for table in tables:
        for symbol, kind, addend in _relocations(table):
            if kind not in BRANCHES:
                taken.add(starts.get(values[symbol] + addend, ""))
    return frozenset(taken - {""})


def _is_loaded(elf: Any, table: Any) -> bool:
    """A kept relocation table names the section that it changed; a dynamic one (.rela.plt) is
    itself loaded, and no such table."""
    if table["sh_flags"] & 2 or not table["sh_info"]:
        return False
    changed = elf.get_section(table["sh_info"])
    return bool(changed["sh_flags"] & 2) and changed.name not in UNWINDING


def _relocations(table: Any) -> Iterator[tuple[int, int, int]]:
    """(symbol, type, addend) of Elf64_Rela, without pyelftools' object a row."""
    for _, info, addend in struct.iter_unpack("<QQq", table.data()):
        yield info >> 32, info & 0xFFFFFFFF, addend


# --- what the compiler wrote --------------------------------------------------------------------

_NODE = re.compile(
    r'^node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([a-z,]+)\)', re.MULTILINE
)
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', re.MULTILINE)


def _compiler(elf: Any, functions: Mapping[str, Function]) -> dict[str, CompilerView]:
    section = elf.get_section_by_name(CALLGRAPH)
    if section is None:
        return {}
    text = section.data().decode("utf-8", "replace")
    names = _by_title(functions)
    found: dict[str, CompilerView] = {}
    for graph in text.split('graph: { title: "')[1:]:
        unit = graph[: graph.index('"')]
        calls: dict[str, set[str]] = {}
        for source, target in _EDGE.findall(graph):
            calls.setdefault(source, set()).add(_named(names, unit, target))
        for title, size, qualifier in _NODE.findall(graph):
            view = CompilerView(int(size), qualifier, frozenset(calls.get(title, ())))
            found[_named(names, unit, title)] = view
    return found


def _by_title(functions: Mapping[str, Function]) -> dict[str, str]:
    """A static function's title is FILE:NAME, a global one's NAME; both may stand for either."""
    found: dict[str, str] = {}
    for name, function in functions.items():
        for alias in (name.partition("@")[0], *function.aliases):
            found[f"{function.unit}:{alias}"] = name
            if "@" not in name:
                found[alias] = name
    return found


def _named(names: Mapping[str, str], unit: str, title: str) -> str:
    plain = title.removeprefix(f"{unit}:")
    return names.get(title) or names.get(f"{unit}:{plain}") or names.get(plain) or plain


def _stack_sizes(elf: Any) -> Iterator[tuple[int, int]]:
    section = elf.get_section_by_name(STACK_SIZES)
    data = section.data() if section else b""
    at = 0
    while at + 8 < len(data):
        address = int.from_bytes(data[at : at + 8], "little")
        size, at = _uleb128(data, at + 8)
        yield address, size


def _uleb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _build_id(elf: Any) -> str:
    for section in elf.iter_sections():
        if section["sh_flags"] & 2 and section["sh_type"] in ("SHT_PROGBITS", "SHT_NOTE"):
            match = BUILD_ID.search(section.data())
            if match:
                return str(match[1].hex())
    return ""
