"""What relocations say of an AArch64 image: whose address is taken, what the loader fills in, and
whether other objects have a part in it. Reads; judges nothing.

    taken()    the kept ones (ld --emit-relocs), of loaded code and data. Every one that is not a
               branch takes an address: of a function, of a label inside one, or of something that
               is not in this image. Tables of differences (`f - table`) take it too
    slots()    the dynamic ones (.rela.dyn, .rela.plt, RELR): what stands where after loading
    opened()   why other objects can hand functions in and out; empty for a program that is alone
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.stackreport.memory import PAGE, Section

# Name every function, and call none: what unwinds, and where a check can be patched in.
UNWINDING = frozenset({".eh_frame", "__patchable_function_entries"})
# Types of relocations (ELF for the Arm 64-bit Architecture, 5.7).
BRANCHES = frozenset({279, 280, 282, 283})  # these call, they take no address
# Nothing, a literal that is loaded, loads and stores, thread-local variables.
READS = frozenset({0, 256, 273, 278, 284, 285, 286, 299, *range(512, 574)})
PAGES = frozenset({275, 276})  # adrp: the address of a page, and another instruction adds the rest
DIFFERENCES = frozenset({260, 261, 262, 314})  # PREL64, PREL32, PREL16, PLT32
OF_GOT = frozenset({*range(300, 314), 315})
ABS64, GLOB_DAT, JUMP_SLOT, RELATIVE, TLSDESC, IRELATIVE = 257, 1025, 1026, 1027, 1031, 1032

UNDEFINED, ABSOLUTE = 0, 0xFFF1  # SHN_UNDEF, SHN_ABS
SECTION_SYMBOL, TLS, IFUNC = 3, 6, 10
WEAK = 2
SHT_RELR = (19, "SHT_RELR")
PIE = 0x08000000  # of DT_FLAGS_1


class Symbol(NamedTuple):
    name: str
    kind: int
    bind: int
    section: int
    value: int
    size: int


@dataclass(frozen=True)
class Taken:
    """`addresses` of code; `sections`: of some function of these, and nobody can say of which;
    `outside`: names that this image does not define; `differences`: where a word is the distance
    to an address of code."""

    addresses: frozenset[int]
    sections: frozenset[int] = frozenset()
    outside: frozenset[str] = frozenset()
    differences: frozenset[int] = frozenset()


def symbols(elf: Any, table: Any) -> Iterator[Symbol]:
    """Elf64_Sym, without pyelftools' object a row."""
    names = elf.get_section(table["sh_link"]).data()
    for at, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", table.data()):
        name = names[at : names.index(0, at)].decode("utf-8", "replace")
        yield Symbol(name, info & 15, info >> 4, section, value, size)


def _rows(table: Any) -> Iterator[tuple[int, int, int, int]]:
    """(place, symbol, type, addend) of Elf64_Rela, without pyelftools' object a row."""
    for place, info, addend in struct.iter_unpack("<QQq", table.data()):
        yield place, info >> 32, info & 0xFFFFFFFF, addend


# --- whose address is taken ---------------------------------------------------------------------


def taken(elf: Any, listed: Sequence[Symbol], code: Sequence[Section]) -> Taken | None:
    """None when they were not kept, or not for all of the code that forms addresses."""
    tables = [s for s in elf.iter_sections() if s["sh_type"] == "SHT_RELA" and _is_kept(elf, s)]
    changed = {table["sh_info"] for table in tables}
    if not tables or any(s.number not in changed and _forms_addresses(s) for s in code):
        return None
    addresses: set[int] = set()
    sections: set[int] = set()
    outside: set[str] = set()
    differences: set[int] = set()
    for table in tables:
        for place, index, kind, addend in _rows(table):
            if kind in BRANCHES or kind in READS:
                continue
            symbol = listed[index]
            if symbol.section == UNDEFINED:
                outside |= {symbol.name} if symbol.bind != WEAK else set()
            elif symbol.kind != TLS:
                addresses.update(_meant(symbol, kind, addend))
                differences |= {place} if kind in DIFFERENCES else set()
                if kind in DIFFERENCES and symbol.kind == SECTION_SYMBOL:
                    sections.add(symbol.section)
    return Taken(
        frozenset(addresses),
        frozenset(sections),
        frozenset(outside - {""}),
        frozenset(differences),
    )


def _meant(symbol: Symbol, kind: int, addend: int) -> tuple[int, ...]:
    """In a table of differences the addend holds the word's own place in it too; in the GOT stands
    the symbol, or a place of its section."""
    if kind in DIFFERENCES or kind in OF_GOT:
        return symbol.value, symbol.value + addend
    address = symbol.value + addend
    return () if kind in PAGES and address % PAGE else (address,)


def _is_kept(elf: Any, table: Any) -> bool:
    """A kept relocation table names the section that it changed; a dynamic one (.rela.plt) is
    itself loaded, and no such table."""
    if table["sh_flags"] & 2 or not table["sh_info"]:
        return False
    changed = elf.get_section(table["sh_info"])
    return bool(changed["sh_flags"] & 2) and changed.name not in UNWINDING


def _forms_addresses(section: Section) -> bool:
    """Is there an adrp in it, and is it no table that the linker made?"""
    made = section.name.startswith((".plt", ".iplt"))
    return not made and any(byte & 0x9F == 0x90 for byte in section.data[3::4])


# --- what the loader fills in -------------------------------------------------------------------


def slots(elf: Any, by_address: Mapping[int, str]) -> dict[int, int | str]:
    """Place -> the address that will stand there, or the name of what is not for us to say."""
    found: dict[int, int | str] = {}
    alone = not _is_library(elf)
    for table in elf.iter_sections():
        if table["sh_type"] in SHT_RELR:
            found.update(_packed(elf, table))
        elif table["sh_type"] == "SHT_RELA" and table["sh_flags"] & 2:
            listed = _dynamic_symbols(elf, table)
            for place, index, kind, addend in _rows(table):
                symbol = listed[index] if index < len(listed) else None
                filled = _filled(kind, addend, symbol, alone, by_address)
                if filled is not None:
                    found[place] = filled
    return found


def _dynamic_symbols(elf: Any, table: Any) -> list[Symbol]:
    linked = elf.get_section(table["sh_link"]) if table["sh_link"] else None
    is_table = linked is not None and linked["sh_type"] in ("SHT_DYNSYM", "SHT_SYMTAB")
    return list(symbols(elf, linked)) if is_table else []


def _filled(
    kind: int, addend: int, symbol: Symbol | None, alone: bool, by_address: Mapping[int, str]
) -> int | str | None:
    if kind == RELATIVE:
        return addend
    if kind == IRELATIVE:
        return f"{by_address.get(addend, hex(addend))} (chosen when the program starts)"
    if kind == TLSDESC:
        return "the resolver of thread-local variables"
    if kind not in (ABS64, GLOB_DAT, JUMP_SLOT) or symbol is None:
        return None
    mine = alone and symbol.section != UNDEFINED and symbol.kind != IFUNC
    return symbol.value + addend if mine else symbol.name


def _packed(elf: Any, table: Any) -> Iterator[tuple[int, int]]:
    """RELR: a place, then bitmaps of the 63 words after it, of which each holds an address."""
    place = 0
    for (entry,) in struct.iter_unpack("<Q", table.data()):
        if not entry & 1:
            yield entry, _word(elf, entry)
            place = entry + 8
            continue
        for bit in range(63):
            if entry >> (bit + 1) & 1:
                yield place + 8 * bit, _word(elf, place + 8 * bit)
        place += 63 * 8


def _word(elf: Any, address: int) -> int:
    for section in elf.iter_sections():
        start = section["sh_addr"]
        if section["sh_flags"] & 2 and start <= address < start + section["sh_size"]:
            data = section.data()[address - start : address - start + 8]
            return int.from_bytes(data, "little")
    return 0


# --- other objects ------------------------------------------------------------------------------


def opened(elf: Any) -> str:
    tags = list(_tags(elf))
    needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    if needed:
        return f"it runs with {', '.join(needed)}"
    if _is_library(elf):
        return "it is a shared library"
    table = elf.get_section_by_name(".dynsym")
    listed = symbols(elf, table) if table else iter(())
    missing = [s.name for s in listed if s.name and s.section == UNDEFINED]
    return f"it leaves {missing[0]} to another object" if missing else ""


def _tags(elf: Any) -> Iterator[Any]:
    section = elf.get_section_by_name(".dynamic")
    return iter(section.iter_tags() if section else ())


def _is_library(elf: Any) -> bool:
    if elf["e_type"] != "ET_DYN":
        return False
    return not any(t.entry.d_tag == "DT_FLAGS_1" and t.entry.d_val & PIE for t in _tags(elf))
