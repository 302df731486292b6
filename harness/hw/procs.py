"""hw procs [PID]: which processes are there, what has each, and what does it wait for?"""

import gdb

from .kernel import Command, command, elements, text, unsigned, value
from .marks import content, marks
from .names import Names, Stack
from .printers import message_kind
from .table import table

HEAD = ("PID", "PROGRAM", "PARENT", "STATE", "PC", "PAGES", "HANDLES", "REGIONS", "USER", "KERNEL")
PARENTS = {0: "kernel", 0xFFFF: "none"}


@command
class Procs(Command):
    """Every process: its parent, what its thread is at, and what it holds.

    PC is where it stands at EL0, or stood when it asked the kernel for something. PAGES are its
    own, tables included. USER and KERNEL: how much of its two stacks it ever used. With PID: its
    handles, its mmap regions, and the message that is on its way.
    """

    word = "procs"
    usage = "[PID]"

    def names(self, before):
        return () if before else [str(int(process["pid"])) for process in processes()]

    def run(self, argument):
        found = processes()
        if not argument:
            names, known = Names(), marks()
            yield from table(HEAD, [_row(process, names, known) for process in found])
            return
        chosen = [p for p in found if str(int(p["pid"])) == argument]
        if not chosen:
            raise gdb.GdbError(f"no process has pid {argument}. Type: hw procs")
        yield from _details(chosen[0])


def processes():
    """Every struct process that has a thread, by pid."""
    slots = elements(value("processes"))
    return [slot.dereference() for slot in slots if int(slot)]


def _row(process, names, known):
    thread = process["thread"].dereference()
    parent = int(process["parent"])
    return (
        int(process["pid"]),
        text(process["name"]),
        PARENTS.get(parent, str(parent)),
        str(thread["state"]).removeprefix("THREAD_").lower(),
        names.code(unsigned(_user_frame(thread)["elr"])),
        int(process["space"]["tables"]) + int(process["space"]["pages"]),
        sum(1 for handle in elements(process["handles"]) if int(handle["kind"])),
        len(_regions(process)),
        _used(process["user_stack"], known),
        _used(thread["stack"], known),
    )


def _user_frame(thread):
    """Of a thread in a system call, where it was at EL0; else where it is."""
    return thread["user"].dereference() if int(thread["user"]) else thread["frame"]


def _used(stack, known):
    return known.used(content(Stack.of(stack)))


def _regions(process):
    rows, capacity = process["regions"]["rows"], int(process["regions"]["capacity"])
    known = [rows[n] for n in range(capacity)] if int(rows) else []
    return [row for row in known if int(row["base"])]


def _details(process):
    yield str(process)
    for number, handle in enumerate(elements(process["handles"])):
        if int(handle["kind"]):
            yield f"handle {number}: {_handle(handle)}"
    for row in _regions(process):
        base, size, pages = (unsigned(row[key]) for key in ("base", "size", "pages"))
        yield f"region {base:#x} + {size}, {pages} pages"
    waiting = process["thread"]["message"]
    if int(waiting):
        yield f"waits for the answer to: {message_kind(waiting.dereference())}"


def _handle(handle):
    if int(handle["endpoint"]):
        return f"endpoint {text(handle['endpoint']['name'])}"
    return f"process {int(handle['pid'])}"
