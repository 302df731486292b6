"""A machine for a GDB that somebody else started (an editor): `target remote | exec …`.

This process becomes QEMU, with its stub on our input and output. QEMU does not mind when those are
closed: it would wait for another debugger for ever. So two lifelines end it, neither needs the
other, and each has its test:

- the kernel kills it when its parent ends (PR_SET_PDEATHSIG). GDB starts us through $SHELL, and
  dash, unlike bash, stays and is the parent itself, which GDB's death does not end: hence `exec`;
- the keeper, a small process beside it that passes the serial port on to our error output, kills it
  when the other end of our input is closed: however GDB ended, and whoever stands between.
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from harness.qemu.machine import MachineSpec
from harness.tools import find_qemu, find_setpriv

_CHUNK = 1 << 16


def become_machine(spec: MachineSpec) -> NoReturn:
    """QEMU in this process's place, stopped at its first instruction."""
    ours, theirs = socket.socketpair()
    serial = f"socket,id=serial,fd={theirs.fileno()}"
    channels = ["-chardev", serial, "-serial", "chardev:serial", "-gdb", "stdio"]
    argv = [str(find_qemu()), *spec.arguments(), *channels, "-S"]
    with_gdb = [str(find_setpriv()), "--pdeathsig", "KILL", "--", *argv]
    machine = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        theirs.close()
        _keep(machine, ours)
    theirs.set_inheritable(True)
    os.execv(with_gdb[0], with_gdb)


def _keep(machine: int, serial: socket.socket) -> NoReturn:
    """The keeper. It ends when the serial port does, or GDB's end; the machine never outlives it
    but by a SIGKILL.
    """
    try:
        _pass_on(serial)
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(machine, signal.SIGKILL)
        os._exit(0)


def _pass_on(serial: socket.socket) -> None:
    """Serial port to error output, until either it or our input's other end is closed."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), 0)  # a hang-up is told in any case; the bytes are QEMU's
    poll.register(serial, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if serial.fileno() in ready:
            if not (chunk := serial.recv(_CHUNK)):
                return
            os.write(sys.stderr.fileno(), chunk)
        elif sys.stdin.fileno() in ready:
            return
