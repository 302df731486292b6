"""Any address by the name that the kernel's report would give it (report/where.c), from the
kernel's own tables: its registered stacks, .ksyms, and where.c's regions.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass

import gdb

from .kernel import U64, address_of, chain, elements, read, static, text, unsigned, value, words
from .mmu import PAGE, Tables
from .programs import programs

FIELDS = ("base", "size", "guard", "room", "unbacked", "retired", "view")
TAG_BITS = 0xFF << 56
POISON_FREED = 0x6B6B6B6B6B6B6B6B  # base/poison.h: a macro, which DWARF does not carry


@dataclass(frozen=True)
class Stack:
    """struct stack, read. room: bytes below base that it can still grow into; unbacked: bytes in
    holes; retired: only room is left, of a place that a stack was copied from; view: what the
    kernel's own address of it is further on, for EL0's need not be mapped now."""

    name: str
    base: int
    size: int
    guard: int
    room: int
    unbacked: int
    retired: int
    view: int

    @classmethod
    def of(cls, value):
        numbers = (unsigned(value[key]) for key in FIELDS)
        return cls(text(value["name"]), *numbers)

    @property
    def lowest(self):
        """Of its lower guard."""
        return self.base - self.room - self.guard

    @property
    def top(self):
        return self.base + self.size

    def words(self, address, size):
        return words(address + self.view & U64, size)

    def contains(self, address):
        return self.base <= address < self.top

    def guards_or_contains(self, address):
        return self.lowest <= address < self.top + self.guard


def stacks():
    """Every registered stack, newest first, as the kernel looks them up."""
    return [Stack.of(value) for value in chain(static("base/stack.c", "stacks"), "next")]


class Names:
    """A snapshot; a command makes one and asks it for all of its names."""

    def __init__(self):
        self.stacks, self.tables = stacks(), Tables()
        self.text = range(address_of("__text_start"), address_of("__text_end"))
        self._symbols = _symbols(self.text.start)
        self._regions, self._windows = _regions(), _windows()
        self._starts = [start for start, _, _ in self._symbols]

    def stack(self, address):
        return next((s for s in self.stacks if s.contains(address)), None)

    def stack_or_guard(self, address):
        near = [s for s in self.stacks if s.guards_or_contains(address)]
        # Where a stack has been, another may be by now.
        return self.stack(address) or min(near, key=lambda s: bool(s.retired), default=None)

    def stack_of_sp(self, sp):
        """The stack that SP belongs to; of an empty one it points just above its top."""
        return self.stack(sp) or self.stack(sp - 1) or self.stack_or_guard(sp)

    def sp(self, sp):
        """A stack pointer by name."""
        stack = self.stack_of_sp(sp)
        return _offset(stack.name, sp - stack.base) if stack else self.any(sp)

    def function(self, address):
        """(start, name) of the function that contains an address, or None."""
        if at_el0 := self._at_el0(address):
            return at_el0
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start, size, name = self._symbols[index]
        return (start, name) if address < start + size else None

    def is_code(self, pc):
        """Can it be a return address?"""
        return pc in self.text or self._at_el0(pc - 1) is not None

    def instructions(self, start, end):
        """The code between two addresses of one function."""
        if self._at_el0(start):
            data = next((d for p in programs() if (d := p.code(start, end - start))), b"")
        else:
            data = read(start, end - start)
        return struct.unpack(f"<{len(data) // 4}I", data)

    def _at_el0(self, address):
        return next((f for program in programs() if (f := program.function(address))), None)

    def code(self, address, is_return=False):
        """Code: function+offset; a return address is looked up one byte earlier."""
        found = self.function(address - is_return)
        return _offset(found[1], address - found[0]) if found else self.any(address)

    def any(self, address):
        if stack := self.stack_or_guard(address):
            return _offset(stack.name, address - stack.base)
        if address < PAGE:
            return _offset("null", address)
        if found := self._at_el0(address):
            return _offset(found[1], address - found[0])
        if 0 <= address - POISON_FREED < PAGE:
            return _offset("poison", address - POISON_FREED)
        if name := self._block(address):
            return name
        if found := self.function(address):
            return _offset(found[1], address - found[0])
        for name, start, end in self._regions:
            if start <= address < end:
                return name
        return "ram" if self.tables.mapped(address) else "unmapped"

    def _block(self, address):
        """pool:NAME[N]+offset, where a pool with pages or tags of its own has given the address."""
        place = address | TAG_BITS
        for name, base, stride, capacity in self._windows:
            n, offset = divmod(place - (base & -PAGE), stride)
            if 0 <= n < capacity:
                return _offset(f"pool:{name}[{n}]", offset - base % PAGE)
        return None


def _windows():
    """(name, first block, stride, capacity) of each pool that pool_window.c knows."""
    return [
        (text(pool["name"]), *(unsigned(pool[key]) for key in ("base", "stride", "capacity")))
        for pool in chain(gdb.parse_and_eval("all_pools"), "next")
        if int(pool["mode"])
    ]


def _regions():
    """(name, start, end) of each region that where.c knows."""
    rows = elements(static("report/where.c", "regions"))
    return [(text(row["name"]), unsigned(row["start"]), unsigned(row["end"])) for row in rows]


def _offset(name, offset):
    return f"{name}{'-' if offset < 0 else '+'}{abs(offset):#x}"


def _symbols(text_start):
    """(start, size, name) of each function in .ksyms: a count, rows, then the names."""
    table = value("*(struct ksyms *)&ksyms")
    row, rows = table["rows"].type.target(), unsigned(table["rows"][0].address)
    count = int(table["count"])
    end = rows + count * row.sizeof
    unpack = _unpacker(row)
    numbers = [unpack(line) for line in _pieces(read(rows, count * row.sizeof), row.sizeof)]
    names = read(end, address_of("__rodata_end") - end)
    return [
        (text_start + offset, size, names[at : names.index(b"\0", at)].decode())
        for offset, size, at in numbers
    ]


def _unpacker(row):
    """A function from the bytes of a .ksyms row to (offset, size, name), by their DWARF places."""
    codes = {4: "<I", 8: "<Q"}
    fields = [(row[key].bitpos // 8, codes[row[key].type.sizeof]) for key in ROW_FIELDS]
    return lambda line: tuple(struct.unpack_from(code, line, at)[0] for at, code in fields)


ROW_FIELDS = ("offset", "size", "name")


def _pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def address(expression):
    """What a person typed for an address: a number, a register, a symbol, any expression."""
    found = gdb.parse_and_eval(expression)
    if found.type.strip_typedefs().code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY):
        found = found.address
    return unsigned(found.cast(gdb.lookup_type("unsigned long")))
