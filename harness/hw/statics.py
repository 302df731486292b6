"""Where the kernel's variables of one type are, whoever keeps them."""

import gdb

from .kernel import address_of, unsigned

INSTRUCTION = 4


def variables_of(type_name):
    """(symbol, value) of each, by address: global, static, and static inside a function. Several
    may have one name.
    """
    wanted = gdb.lookup_type(type_name)
    found = {
        unsigned(symbol.value().address): (symbol, symbol.value())
        for block in _blocks_of_code()
        for symbol in block
        if symbol.is_variable
        and symbol.addr_class == gdb.SYMBOL_LOC_STATIC
        and symbol.type.strip_typedefs() == wanted
    }
    return [found[address] for address in sorted(found)]


def _blocks_of_code():
    """Every lexical block that some instruction lies in, up to the file's and the global one."""
    seen = set()
    for pc in range(address_of("__text_start"), address_of("__text_end"), INSTRUCTION):
        block = gdb.block_for_pc(pc)
        while block is not None and (key := _key(block)) not in seen:
            seen.add(key)
            yield block
            block = block.superblock


def _key(block):
    return block.start, block.end, str(block.function), block.is_global, block.is_static
