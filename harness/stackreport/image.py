"""An AArch64 ELF as the analysis needs it: functions and their code, whose address is taken, and
what the compiler wrote about itself. Reads; judges nothing.

    functions     FUNC symbols; other symbols at the same address are their aliases
    labels        other names of places in code
    taken         functions whose address is taken, from kept relocations (relocations.py); None
                  when none were kept, and then nobody knows
    memory        what stands where (memory.py)
    compiler      GCC's call graph (.GNU.callgraph: its .ci files, concatenated), by function
    stack_sizes   LLVM's .stack_sizes, by address
"""

import re
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError, ELFParseError
from elftools.common.utils import struct_parse
from elftools.construct import ConstructError
from elftools.dwarf.abbrevtable import AbbrevDecl
from elftools.elf.elffile import ELFFile

from harness.errors import HarnessError
from harness.serial.symbols import BUILD_ID
from harness.stackreport.memory import Memory, Section
from harness.stackreport.relocations import (
    UNDEFINED,
    Symbol,
    Taken,
    opened,
    slots,
    symbols,
    taken,
)

CALLGRAPH = ".GNU.callgraph"
STACK_SIZES = ".stack_sizes"
INDIRECT = "__indirect_call"

FUNCTIONS = frozenset({2, 10})  # STT_FUNC, STT_GNU_IFUNC
LOCAL, GLOBAL = 0, 1  # STB_LOCAL, STB_GLOBAL
# Written by nobody but the loader, whatever its flags say. Not PT_GNU_RELRO: its end is rounded up
# to a page, and in a static image nobody makes it read-only.
LOADERS = frozenset({".got", ".got.plt", ".data.rel.ro", ".init_array", ".fini_array"})
EM_AARCH64 = 183
TYPES = {1: "an object file: link it", 4: "a core dump"}


class UnreadableImage(HarnessError):
    """`path` is not an image that can be reported on, and `why`."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} {why}",
            hint="give --elf a linked AArch64 program of 64 bits, little-endian, not stripped",
        )


@dataclass(frozen=True)
class Function:
    """`unit` is its source file, where the image's DWARF tells it."""

    name: str
    start: int
    size: int
    unit: str = ""
    aliases: frozenset[str] = frozenset()
    section: int = 0

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
    labels: Mapping[int, tuple[str, ...]]  # names of code that are no functions' names
    symbols: Mapping[str, int]
    code: tuple[tuple[int, bytes], ...]  # executable sections
    memory: Memory
    kept: Taken | None
    opened: str  # why other objects have a part in it
    compiler: Mapping[str, CompilerView]
    stack_sizes: Mapping[int, int]
    build_id: str = ""
    entry: int = 0
    _starts: list[int] = field(default_factory=list)
    _ordered: list[Function] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ordered.extend(sorted(self.functions.values(), key=lambda f: f.start))
        self._starts.extend(f.start for f in self._ordered)

    @cached_property
    def taken(self) -> frozenset[str] | None:
        """Functions whose address a kept relocation takes."""
        kept = self.kept
        if kept is None:
            return None
        known = self.functions.items()
        return frozenset(
            n for n, f in known if f.start in kept.addresses or f.section in kept.sections
        )

    def at(self, address: int) -> Function | None:
        """The function that an address lies in; the innermost one."""
        index = bisect_right(self._starts, address)
        for found in reversed(self._ordered[max(0, index - NESTED) : index]):
            if address < found.end:
                return found
        return None

    def named(self, name: str) -> list[Function]:
        """Every function of that name or alias, and every label."""
        functions = [(n, f) for f in self.functions.values() for n in (f.name, *f.aliases)]
        labels = [(n, f) for at, ns in self.labels.items() for n in ns for f in self.parts(at)]
        for known in (functions, labels):
            exact = [f for n, f in known if n == name]
            if exact:
                return exact
        return [f for n, f in (*functions, *labels) if n.partition("@")[0] == name]

    def parts(self, address: int) -> list[Function]:
        """Code that begins where no function does: none where there is no code, and one for each
        of several sections that lie over each other."""
        texts = self.memory.texts(address) if address % 4 == 0 else []
        parts = [self._part(address, text.section) for text in texts]
        if len(parts) == 1:
            return parts
        names = (text.section.name for text in texts)
        return [replace(p, name=f"{p.name}@{n}") for p, n in zip(parts, names, strict=True)]

    def _part(self, address: int, section: Section) -> Function:
        within = self.at(address)
        names = self.labels.get(address)
        inside = f"{within.name}+{address - within.start:#x}" if within else hex(address)
        end = within.end if within else address
        unit = within.unit if within else ""
        name = names[0] if names else inside
        return Function(name, address, end - address, unit, section=section.number)


NESTED = 8  # functions that may begin inside each other, before one that is around them


def load(path: Path) -> Image:
    """Raises UnreadableImage when there is no such file, or nothing in it that can be read."""
    try:
        with path.open("rb") as file:
            _check(path, file.read(64))
            return _read(path, ELFFile(file))
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror}") from None
    except HarnessError:
        raise
    except _DAMAGE as error:
        raise UnreadableImage(path, f"is damaged or cut short: {error!r}") from None


# What pyelftools and struct raise over bytes that lie; no answer is right about such a file.
_DAMAGE = (
    ELFError, struct.error, ConstructError, ArithmeticError, AssertionError, AttributeError,
    LookupError, MemoryError, TypeError, ValueError, StopIteration, RuntimeError,
)  # fmt: skip


def _check(path: Path, head: bytes) -> None:
    """What kind of file it is, before anything is read by that."""
    if len(head) < 64 or head[:4] != b"\x7fELF":
        raise UnreadableImage(path, "is not an ELF image")
    bits, order = head[4], head[5]
    kind, machine = struct.unpack("<HH" if order == 1 else ">HH", head[16:20])
    if machine != EM_AARCH64:
        raise UnreadableImage(path, f"is for another machine (e_machine {machine}), not AArch64")
    if bits != 2:
        raise UnreadableImage(path, "has 32-bit addresses (ILP32)")
    if order != 1:
        raise UnreadableImage(path, "is big-endian")
    if kind not in (2, 3):
        raise UnreadableImage(path, f"is {TYPES.get(kind, f'of type {kind}')}, no linked image")


def _read(path: Path, elf: Any) -> Image:
    size = path.stat().st_size
    if elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"] > size:
        raise UnreadableImage(path, "is damaged or cut short: its section table is not in it")
    table = elf.get_section_by_name(".symtab")
    if table is None:
        raise UnreadableImage(path, "has no symbol table (was it stripped?)")
    listed = list(symbols(elf, table))
    sections = list(_sections(elf))
    code = [section for section in sections if section.code]
    functions = _functions(listed, _units(elf), code)
    if not functions and not any(_is_label(s, code) for s in listed):
        raise UnreadableImage(path, "has no symbols of code")
    names = {function.start: name for name, function in functions.items()}
    return Image(
        path,
        functions,
        _labels(listed, code, names),
        {s.name: s.value for s in listed if s.name and s.section != UNDEFINED},
        tuple((s.start, s.data) for s in code),
        Memory(sections, frozenset(names), slots(elf, names), moves=elf["e_type"] == "ET_DYN"),
        taken(elf, listed, code),
        opened(elf),
        _compiler(elf, functions),
        dict(_stack_sizes(elf)),
        _build_id(elf),
        elf["e_entry"],
    )


def _sections(elf: Any) -> Iterator[Section]:
    for index, section in enumerate(elf.iter_sections()):
        flags, start = section["sh_flags"], section["sh_addr"]
        if not flags & 2 or section["sh_type"] == "SHT_NOBITS":
            continue
        fixed = not flags & 1 or section.name in LOADERS
        data = section.data()
        if len(data) != section["sh_size"]:
            raise ValueError(f"{section.name} is not all in it")
        yield Section(section.name, start, data, bool(flags & 4), fixed, index)


def _is_label(symbol: Symbol, code: Sequence[Section]) -> bool:
    """A name for a place in code: untyped, absolute, or of something that is no function."""
    plain = symbol.name and not symbol.name.startswith("$") and symbol.section != UNDEFINED
    if not plain or symbol.kind in (3, 4, 6):  # STT_SECTION, STT_FILE, STT_TLS
        return False
    return any(s.start <= symbol.value < s.end for s in code)


def _labels(
    listed: Sequence[Symbol], code: Sequence[Section], functions: Mapping[int, str]
) -> dict[int, tuple[str, ...]]:
    """A name that is used twice, or is a function's, carries its address."""
    known = {(s.value, s.name) for s in listed if _is_label(s, code)} - set(functions.items())
    times = Counter(name for _, name in known) + Counter(functions.values())
    found: dict[int, tuple[str, ...]] = {}
    for address, name in sorted(known):
        if address not in functions:
            unique = name if times[name] == 1 else f"{name}@{address:#x}"
            found[address] = (*found.get(address, ()), unique)
    return found


# --- functions ----------------------------------------------------------------------------------


def _units(elf: Any) -> list[tuple[int, int, str]]:
    """(start, end, source file), sorted; none where the DWARF cannot be read."""
    try:
        return _read_units(elf)
    except _DAMAGE:
        return []


def _read_units(elf: Any) -> list[tuple[int, int, str]]:
    """From .debug_aranges, and one DWARF entry per unit."""
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


def _functions(
    listed: list[Symbol], units: list[tuple[int, int, str]], code: Sequence[Section]
) -> dict[str, Function]:
    """By name. Sections may lie over each other, and each has its own functions then."""
    by_place: dict[tuple[int, int], list[Symbol]] = {}
    known = {section.number: section for section in code}
    for symbol in listed:
        inside = symbol.section in known and known[symbol.section].holds(symbol.value)
        if symbol.kind in FUNCTIONS and inside:
            by_place.setdefault((symbol.section, symbol.value), []).append(symbol)
    ends = _ends(by_place, known)
    plain = [
        _function(place, by_place[place], units, ends[place], known[place[0]].end)
        for place in sorted(by_place)
    ]
    return _distinct(plain, known, _global_places(by_place))


def _global_places(by_place: Mapping[tuple[int, int], list[Symbol]]) -> frozenset[tuple[int, int]]:
    """Where a function keeps its plain name although static ones share it: other files can only
    mean the global one. Several global ones (overlays) are told apart like all others."""
    places: dict[str, list[tuple[int, int]]] = {}
    for place, group in by_place.items():
        for symbol in group:
            if symbol.bind == GLOBAL:
                places.setdefault(symbol.name, []).append(place)
    return frozenset(found[0] for found in places.values() if len(found) == 1)


def _ends(
    places: Iterable[tuple[int, int]], known: Mapping[int, Section]
) -> dict[tuple[int, int], int]:
    """Where a function ends that has no size: where the next one begins, or its section ends."""
    found: dict[tuple[int, int], int] = {}
    after: tuple[int, int] | None = None
    for place in sorted(places, reverse=True):
        same = after is not None and after[0] == place[0]
        found[place] = after[1] if same and after else known[place[0]].end
        after = place
    return found


def _by_unit(function: Function) -> str:
    return function.unit or hex(function.start)


def _by_address(function: Function) -> str:
    return f"{function.unit}:{function.start:#x}" if function.unit else hex(function.start)


def _by_section(known: Mapping[int, Section], function: Function) -> str:
    return f"{known[function.section].name}:{function.start:#x}"


def _distinct(
    plain: list[Function], known: Mapping[int, Section], keep: frozenset[tuple[int, int]]
) -> dict[str, Function]:
    """Of several with one name each static one carries its file, so that no name depends on link
    order; its address where that is not enough, and its section where even that is not."""
    for tell in (_by_unit, _by_address, partial(_by_section, known)):
        times = Counter(function.name for function in plain)
        plain = [
            replace(f, name=f"{f.name.partition('@')[0]}@{tell(f)}")
            if times[f.name] > 1 and (f.section, f.start) not in keep
            else f
            for f in plain
        ]
    return {function.name: function for function in plain}


def _function(
    place: tuple[int, int],
    group: list[Symbol],
    units: list[tuple[int, int, str]],
    end: int,
    last: int,
) -> Function:
    """The global name wins, then the first one; weak ones (aliases of libraries) come last."""
    section, start = place
    order = {GLOBAL: 0, LOCAL: 1}
    group.sort(key=lambda s: (order.get(s.bind, 2), s.name))
    names = [symbol.name for symbol in group]
    size = max(symbol.size for symbol in group) or end - start
    size = min(size, last - start)  # whatever the symbol says
    index = bisect_right(units, (start, 1 << 64, "")) - 1
    inside = index >= 0 and start < units[index][1]
    unit = units[index][2] if inside else ""
    return Function(names[0], start, size, unit, frozenset(names[1:]), section)


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
