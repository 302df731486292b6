"""`make run`: one machine on this terminal, until it ends by itself, or can no more.

The exit status says how it ended: 0 for what a lab may come to, 1 for a kernel that did not end as
it wanted (STATUS), 2 when the boot line was refused, or nobody can type what the lab waits for.
"""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from shlex import join

from pexpect import EOF

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.live.refused import end_of, is_refusal, refusal
from harness.live.screen import Printed, Screen
from harness.live.waiting import AFTER, Waiting
from harness.qemu.channel import MIB
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import NO_END, seen_verdict

SERIAL_LIMIT = 256 * MIB  # a person is watching, and can stop it
QUICK = 30.0  # seconds for what ends within one
HOLDING = b"[lab] holding for="
LEFT = "the input ended"

STATUS = {
    **dict.fromkeys(("ok", "caught", "contained", "survived"), 0),
    **dict.fromkeys(("hang", "panic", "double-fault", NO_END), 1),
}


def run(spec: MachineSpec, folder: Path, command: str, go: str = "") -> int:
    """command: what a person typed for it; go: typed when the lab holds, instead of by them."""
    with Machine(spec, folder, serial_limit=SERIAL_LIMIT) as guest:
        sys.stderr.write(f"{join(guest.command)}\n")
        sys.stderr.flush()
        typist = Typist(guest, go)
        threading.Thread(target=typist.type_lines, daemon=True).start()
        show(guest, typist)
        serial = guest.serial if typist.left else guest.wait_end(Deadline(QUICK)).serial
    if typist.left:
        raise HarnessError(typist.left, hint=typist.hint)
    end = end_of(serial)
    if is_refusal(end):
        raise refusal(end, spec.kernel, folder / "list", spec.append, command)
    if (verdict := seen_verdict(serial)) == NO_END:
        sys.stderr.write("run: the machine powered off without an [end] line\n")
    return STATUS.get(verdict.split()[0], 1)


def show(guest: Machine, typist: "Typist") -> None:
    """The serial port as it comes, until the machine has ended; and, in between, the waiting."""
    output = sys.stdout.buffer
    screen = Screen(output, Printed(guest))
    waiting = Waiting(output, shown=sys.stdout.isatty())
    for chunk in guest.console.follow(AFTER):
        if not chunk:
            if not typist.holding:  # then the lab waits for a person, who may be typing
                waiting.tick()
            continue
        waiting.wipe()
        waiting.seen(chunk)
        screen.serial()
        typist.seen(chunk)
    waiting.wipe()


class Typist:
    """Our input, sent to the serial port by lines: the terminal stays as it is, Ctrl-C included.

    A lab that holds for a line which nobody can type any more would never end: the machine is
    stopped, and `left` says why. A terminal's Ctrl-D is somebody leaving, whatever the lab does.
    """

    def __init__(self, guest: Machine, go: str = "") -> None:
        self._guest, self._go = guest, go
        self._lock = threading.Lock()
        self._rest = b""
        self._ended = self._went = False
        self.holding = False
        self.left = self.hint = ""

    def type_lines(self) -> None:
        with suppress(EOF, ValueError):  # the machine has ended, or our input was closed
            for line in sys.stdin.buffer if sys.stdin else ():
                whole = line if line.endswith(b"\n") else line + b"\n"
                with self._lock:
                    self._went |= whole.split()[:1] == [b"go"]
                    self.holding &= not self._went
                self._guest.console.send(whole)
        with self._lock:
            self._ended = True
            if sys.stdin and not sys.stdin.closed and sys.stdin.isatty():
                self._leave(f"{LEFT} (Ctrl-D): the machine was stopped", "Ctrl-D leaves it")
            self._check()

    def seen(self, chunk: bytes) -> None:
        """What the guest printed: does it hold?"""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(HOLDING):
                self._hold(line[len(HOLDING) :].split()[0])

    def _hold(self, what: bytes) -> None:
        if what == b"gdb":
            self._leave("the lab waits for GDB (hold=gdb), and none is there", "make debug LAB='…'")
        elif self._go:
            self._guest.console.sendline(self._go.encode())
        else:
            with self._lock:
                self.holding = not self._went
                self._check()

    def _check(self) -> None:
        if self.holding and self._ended:
            self._leave(
                f"{LEFT} while the lab waits for a line (hold=serial): the machine was stopped",
                "type go [key=value …], or: echo go | make run LAB='… hold=serial'",
            )

    def _leave(self, why: str, hint: str) -> None:
        self.left, self.hint = self.left or why, self.hint or hint
        self._guest.stop()
