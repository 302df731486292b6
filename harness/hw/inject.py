"""hw inject SITE [nth=N]: a call that would have succeeded fails. One of the few files here that
move the guest, and the only one that changes it.
"""

import gdb

from .kernel import (
    Command,
    address_of,
    at,
    between,
    command,
    register,
    system_register,
    text,
)
from .names import Names
from .rewind import unannounced
from .table import table

NTH_MAX = 1_000_000_000
HEAD = ("SITE", "FUNCTION", "FAILURE", "WHICH MEANS")


@command
class Inject(Command):
    """Run to the N-th call at a site, from here on, and make it fail; without SITE: the sites.

    hw inject                       every site, whose calls it counts, what a failing one returns
    hw inject page.alloc            the next page that anybody asks for is refused
    hw inject page.alloc nth=3      the third

    The call does not happen: at the function's first instruction the machine is sent back to the
    caller, with the failure in x0. There it then stands; continue shows what comes of it. When
    anything else stops the machine first, that is said, and nothing was changed. $hw_injected is
    1 or 0 accordingly. Each call before the N-th is two stops, and QEMU 7.2 with -icount never
    comes back from the third stop while interrupts are masked: for N > 1 boot without -icount.
    The kernel's own fault= does the same without a debugger, and inject.sweep for every call.
    """

    word = "inject"
    usage = "[SITE [nth=N]]"

    def names(self, before):
        if before:
            return ("nth=",) if len(before) == 1 else ()
        return [text(site["name"]) for site in _sites()]

    def run(self, argument):
        if not argument:
            yield from table(HEAD, [_row(site) for site in _sites()])
            return
        site, nth = _asked(*argument.split())
        gdb.set_convenience_variable("hw_injected", 0)
        if not _run_to(text(site["function"]), nth):
            yield f"{text(site['name'])}: no call {nth} came; {_where()}"
            return
        yield _fail(site, nth)
        gdb.set_convenience_variable("hw_injected", 1)


def _sites():
    pointer = gdb.lookup_type("struct inject_site").pointer()
    rows = between("__inject_sites_start", "__inject_sites_end", pointer)
    return [row.dereference() for row in rows]


def _row(site):
    words = (text(site[key]) for key in ("name", "function"))
    return (*words, int(site["failure"]), text(site["sentence"]))


def _asked(name, option="nth=1", *more):
    site = next((site for site in _sites() if text(site["name"]) == name), None)
    if site is None:
        raise gdb.GdbError(f'no site is called "{name}". Type: hw inject')
    key, _, number = option.partition("=")
    if more or key != "nth" or not number.isdecimal() or not 1 <= int(number) <= NTH_MAX:
        wrong = " ".join((option, *more))
        raise gdb.GdbError(f'"{wrong}": expected nth=N, N from 1 to {NTH_MAX}')
    return site, int(number)


def _run_to(function, nth):
    """To the n-th time that the function is entered. False: something else stopped first.

    Not by an ignore count: GDB steps over a breakpoint that it ignores, and QEMU (7.2) does not
    come back from a step while a masked interrupt is pending. So each call is let return first.
    """
    for n in range(nth):
        if n and not _stop_at(register("x30")):
            return False
        if not _stop_at(address_of(function)):
            return False
    return True


def _stop_at(address):
    point = gdb.Breakpoint(f"*{address:#x}", internal=True)
    try:
        with unannounced():
            gdb.execute("continue", to_string=True)
    except gdb.error:
        if _stands():
            raise
        return False  # the power-off took QEMU with it
    else:
        return _stands() and register("pc") == address
    finally:
        if point.is_valid():
            point.delete()


def _fail(site, nth):
    """Return from a function that has not begun (AAPCS64): x30 is the way back, x0 the answer."""
    back, failure = register("x30"), int(site["failure"])
    gdb.execute(f"set $x0 = {failure}", to_string=True)
    gdb.execute("set $pc = $x30", to_string=True)
    thread = at("struct thread", system_register("TPIDR_EL1"))
    caller = Names().code(back, is_return=True)
    return (
        f"{text(site['name'])}: call {nth}, at {caller} in thread {text(thread['name'])},"
        f" returns {failure}: {text(site['sentence'])}"
    )


def _stands():
    thread = gdb.selected_thread()
    return thread is not None and thread.is_valid()


def _where():
    if not _stands():
        return "the machine is gone"
    return f"the machine stands at {gdb.newest_frame().name() or hex(register('pc'))}"
