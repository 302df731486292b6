"""Going back in a recorded machine: who wrote this word last? It lets the guest move, but only
through what was recorded.

QEMU's stub (7.2) says of every stop on the way back no more than SIGTRAP, and stands behind the
store. A stop that is none of ours would look the same, so all breakpoints are off meanwhile.
"""

import os
import re
from contextlib import contextmanager, nullcontext
from pathlib import Path

import gdb

from .kernel import forget

STDOUT = 1
BEGINNING = 0  # the instruction count where the record begins


def is_recorded():
    """Does this machine replay a record?"""
    return "Replaying" in _monitor("info replay")


def check_recorded():
    """GdbError, with what to type, unless this machine replays a record and is not at its end."""
    if not is_recorded():
        raise gdb.GdbError(
            "this machine was not recorded, so there is no way back."
            " Type, in a shell: make debug LAB=… REVERSE=1"
        )
    if "shutdown" in _monitor("info status"):
        raise gdb.GdbError(
            "the machine has powered off, and QEMU cannot go back from there."
            " Type, in a shell: make debug LAB=… REVERSE=1   and stop at debugger_fault_hook"
        )


def instruction_count():
    return int(re.search(r"instruction count = (\d+)", _monitor("info replay"))[1])


def back_to_write(address):
    """Go back to the last store into the word at an address: the pc is at it, it is not yet done.
    False, and at the beginning of the record, when there was none.
    """
    point = gdb.Breakpoint(
        f"*(unsigned long *){address:#x}", gdb.BP_WATCHPOINT, gdb.WP_WRITE, internal=True
    )
    try:
        _move("reverse-continue")  # stops behind the store
    finally:
        point.delete()
    if instruction_count() == BEGINNING:
        return False
    _move("reverse-stepi")
    return True


@contextmanager
def quietly():
    """No breakpoint of the user's stops the way back, and no stop on it is announced."""
    enabled = [point for point in gdb.breakpoints() or () if point.enabled]
    for point in enabled:
        point.enabled = False
    try:
        with unannounced():
            yield
    finally:
        for point in enabled:
            point.enabled = True


def unannounced():
    """Stops meanwhile are not told to a person."""
    return nullcontext() if _speaks_mi() else _muted()


@contextmanager
def _muted():
    """GDB 13 tells each stop on its own descriptor, past to_string and past its log."""
    gdb.flush()
    kept, nowhere = os.dup(STDOUT), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    try:
        yield
    finally:
        gdb.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)
        os.close(nowhere)


def _speaks_mi():
    """Does a program read what GDB prints? Then it needs every word of it."""
    command = Path("/proc/self/cmdline").read_text(errors="replace")
    return "interpreter=mi" in command


def _move(command):
    gdb.execute(command, to_string=True)
    forget()


def _monitor(command):
    return gdb.execute(f"monitor {command}", to_string=True)
