"""hw where ADDR: what is this address?"""

import gdb

from .kernel import Command, command
from .names import Names, address


@command
class Where(Command):
    """Name any address as the kernel's report would: hw where $x0, hw where 0xffffffe000001ff0.

    thread:victim-0x10 lies 16 bytes under that stack, recurse+0x2c in a function, null+0x8 near
    address 0; otherwise text, rodata, data, early-heap, device, ram or unmapped.
    """

    word = "where"
    usage = "ADDR"

    def names(self, _before):
        return gdb.COMPLETE_EXPRESSION

    def run(self, argument):
        yield Names().any(address(argument))
