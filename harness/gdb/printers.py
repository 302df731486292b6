"""How GDB prints the kernel's structs: `print *current` as one line. All members: print/r."""

import gdb
import gdb.printing

from .kernel import text, unsigned
from .names import Stack


class _Printer:
    def __init__(self, value):
        self.value = value


class StackPrinter(_Printer):
    """thread:victim 0xffffffe000002000 + 16384, guard 4096"""

    def to_string(self):
        s = Stack.of(self.value)
        return f"{s.name or 'stack'} {s.base:#x} + {s.size}, guard {s.guard}"


class ThreadPrinter(_Printer):
    """thread victim THREAD_RUNNING, stack ..., pc=..., waits for ..."""

    def to_string(self):
        v = self.value
        stack = StackPrinter(v["stack"]).to_string()
        words = [f"thread {text(v['name'])} {v['state']}", f"stack {stack}"]
        words += [f"waits for {text(v['waits_for']['name'])}"] if int(v["waits_for"]) else []
        words += [f"wakes at tick {int(v['wake_at'])}"] if int(v["wake_at"]) else []
        words += [f"killed by {text(v['killed_by'])}"] if int(v["killed_by"]) else []
        return ", ".join(words)


class PoolPrinter(_Printer):
    """pool threads: 3 of 64 blocks of 512 in use, high water 3, 0 failures"""

    def to_string(self):
        v = self.value
        name = text(v["name"])
        if not name:
            return "pool, not made yet"
        in_use, capacity, block = (int(v[key]) for key in ("in_use", "capacity", "block"))
        counts = f"high water {int(v['high_water'])}, {int(v['failures'])} failures"
        return f"pool {name}: {in_use} of {capacity} blocks of {block} in use, {counts}"


class FramePrinter(_Printer):
    """frame elr=0x... <recurse+8> sp=0x... esr=0x... far=0x..., then x0 to x30"""

    def to_string(self):
        v = self.value
        elr = _pointer(v["elr"])
        rest = " ".join(f"{key}={unsigned(v[key]):#x}" for key in ("sp", "spsr", "esr", "far"))
        return f"frame elr={elr} {rest}"

    def children(self):
        for n in range(31):
            yield f"x{n}", _pointer(self.value["x"][n])


def _pointer(number):
    """So that GDB prints it with its symbol."""
    return number.cast(gdb.lookup_type("void").pointer())


def _collection():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("highwater")
    printers.add_printer("stack", "^stack$", StackPrinter)
    printers.add_printer("thread", "^thread$", ThreadPrinter)
    printers.add_printer("mem_pool", "^mem_pool$", PoolPrinter)
    printers.add_printer("frame", "^frame$", FramePrinter)
    return printers


gdb.printing.register_pretty_printer(None, _collection(), replace=True)
