"""How GDB prints the kernel's structs: `print *current` as one line. All members: print/r."""

import gdb
import gdb.printing

from .kernel import elements, text, unsigned
from .names import Stack

DATA_SHOWN = 32


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


class ProcessPrinter(_Printer):
    """process 1 hello of kernel, 9 pages, 2 handles, user stack ..."""

    def to_string(self):
        v = self.value
        parent = {0: "kernel", 0xFFFF: "none"}.get(int(v["parent"]), str(int(v["parent"])))
        pages = int(v["space"]["pages"]) + int(v["space"]["tables"])
        handles = sum(1 for handle in elements(v["handles"]) if int(handle["kind"]))
        stack = StackPrinter(v["user_stack"]).to_string()
        who = f"process {int(v['pid'])} {text(v['name'])} of {parent}"
        return f"{who}, {pages} pages, {handles} handles, user stack {stack}"


class MessagePrinter(_Printer):
    """message kind 1 from 0, status 0, words 0 64 1024 0 0, 5 bytes: hello"""

    def to_string(self):
        v = self.value
        length = min(int(v["length"]), DATA_SHOWN)
        data = bytes(int(v["data"][n]) for n in range(length))
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in data)
        words = " ".join(str(unsigned(word)) for word in elements(v["words"]))
        head = f"message {message_kind(v)}, status {int(v['status'])}, words {words}"
        return f"{head}, {int(v['length'])} bytes" + (f": {shown}" if shown else "")


def message_kind(message):
    return f"kind {int(message['kind'])} from {int(message['sender'])}"


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
    printers.add_printer("process", "^process$", ProcessPrinter)
    printers.add_printer("message", "^message$", MessagePrinter)
    printers.add_printer("frame", "^frame$", FramePrinter)
    return printers


gdb.printing.register_pretty_printer(None, _collection(), replace=True)
