"""hw fault: what happened?"""

import gdb

from . import esr
from .frames import handled
from .kernel import Command, between, command, cpus, system_register, text, unsigned, value
from .names import Names
from .table import table

SPSR_SP, SPSR_EL = 1 << 0, 3


@command
class Fault(Command):
    """Decode the exception that each CPU is handling: syndrome, FAR, ELR and SP of the culprit.

    Read from the frame that the vector saved, so it stays true while the handler runs. A CPU that
    handles none says so: stop where every fault passes with `break debugger_fault_hook`.
    """

    word = "fault"

    def run(self, _argument):
        names = Names()
        for cpu in cpus():
            yield from _describe(cpu, names)


def _describe(cpu, names):
    frame, name = handled(cpu), text(cpu.current["name"])
    if frame is None:
        yield f"cpu{cpu.index} handles no exception: it runs thread {name} at {names.code(cpu.pc)}"
        return
    saved = f"*(struct frame *) {int(frame.address):#x}"
    yield f"cpu{cpu.index} handles an exception of thread {name}; print {saved}"
    rows = [(f"  {what}", said) for what, said in _facts(frame, names)]
    yield from table(("", ""), rows)[1:]
    if int(value("emergency")[cpu.index]["level"]) > 1:
        again = names.code(system_register("ELR_EL1"))
        yield f"then a fault in the report of that, which left no frame: elr {again}"


def _facts(frame, names):
    kind, syndrome = unsigned(frame["kind"]), unsigned(frame["esr"])
    yield "kind", esr.kind_name(kind)
    if esr.kind_name(kind) == "sync":
        yield from _syndrome(syndrome, unsigned(frame["far"]), names)
    elr, spsr = unsigned(frame["elr"]), unsigned(frame["spsr"])
    yield "elr", f"{names.code(elr)}{_site(elr)}"
    yield "sp", names.any(unsigned(frame["sp"]))
    yield "lr", names.code(unsigned(frame["x"][30]), is_return=True)
    yield "mode", f"EL{spsr >> 2 & SPSR_EL}{'h' if spsr & SPSR_SP else 't'}"


def _syndrome(syndrome, far, names):
    yield "esr", f"{syndrome:#x}"
    yield "class", f"{esr.exception_class(syndrome):#04x} {esr.class_name(syndrome)}"
    if esr.is_abort(syndrome):
        yield "status", f"{esr.status(syndrome):#04x} {esr.status_name(syndrome)}"
        yield "op", esr.operation(syndrome)
    yield "far", f"{names.any(far)} ({far:#x})" if esr.far_valid(syndrome) else "not valid"


def _site(pc):
    """A FAULT_SITE's name, where the lab gave the very instruction one."""
    kind = gdb.lookup_type("struct fault_site")
    for site in between("__fault_sites_start", "__fault_sites_end", kind):
        if unsigned(site["pc"]) == pc:
            return f" (site {text(site['name'])})"
    return ""
