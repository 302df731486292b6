"""hw pt ADDR: how is this address translated?"""

import gdb

from .kernel import Command, command
from .mmu import LAST_LEVEL, VALID
from .names import Names, address
from .table import table

HEAD = ("LEVEL", "TABLE", "INDEX", "DESCRIPTOR", "MEANS")
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@command
class Pt(Command):
    """Walk the translation tables for an address, level by level, as the MMU does.

    TABLE is the physical address of each table, INDEX the entry in it. The last line says where
    the address leads and what may be done there, in words.
    """

    word = "pt"
    usage = "ADDR"

    def names(self, _before):
        return gdb.COMPLETE_EXPRESSION

    def run(self, argument):
        names, va = Names(), address(argument)
        walk = names.tables.walk(va)
        yield f"{va:#x} is {names.any(va)}"
        if walk.steps:
            yield from table(HEAD, map(_row, walk.steps))
        yield _conclusion(names.tables, walk)


def _row(step):
    return step.level, f"{step.table:#x}", step.index, f"{step.descriptor:#018x}", _meaning(step)


def _meaning(step):
    if not step.descriptor & VALID:
        return f"invalid: {_size(step.size)} unmapped"
    if step.is_leaf:
        return f"{_size(step.size)} {'page' if step.level == LAST_LEVEL else 'block'}"
    return "table" if step.level < LAST_LEVEL else "reserved: faults"


def _conclusion(tables, walk):
    if walk.leaf:
        return f"-> pa {walk.pa:#x}; {tables.permissions(walk)}"
    return f"-> unmapped: {walk.why or f'translation fault, level {walk.steps[-1].level}'}"


def _size(size):
    unit, name = next((unit, name) for unit, name in UNITS if size >= unit)
    return f"{size // unit} {name}"
