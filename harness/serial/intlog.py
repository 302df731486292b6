"""QEMU's own count of exceptions: the log that `-d int` writes, reduced to a few numbers.

The kernel says that it took one abort; this says what the machine saw, so that a handler which
faulted its way to a plausible report cannot pass. Interrupts, svc, hvc and breakpoints are
ordinary life and are not counted. Pure: the caller reads the file.

    Taking exception 4 [Data Abort] on CPU 0
    ...from EL1 to EL1
    ...with ESR 0x25/0x96000047
    ...to EL1 PC 0xffffffe000081a00 PSTATE 0x3c5

Only the first line names its CPU. Where several CPUs run at one moment their lines mix, and a
syndrome may be any of theirs: it is taken only where all readings give one count. Whatever else
cannot be read as it was written (a line that QEMU does not write, an exception without an end, CR
LF) raises IntLogError: a count is never a guess.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.errors import IntLogError
from harness.serial.log import Record

# The exception class says what QEMU's own number does not: it logs a wild PC as a prefetch abort.
# A failed authentication is a prefetch abort at the branch; with FEAT_FPAC, an exception before.
_BY_CLASS = {0x1C: "prefetch", 0x22: "pc_align", 0x26: "sp_align"}
_BY_NUMBER = {1: "undefined", 3: "prefetch", 4: "data"}

# What `-d int,trace:qemu_system_shutdown_request` adds when a guest asks to be switched off.
POWER_OFF = b"qemu_system_shutdown_request "

_TAKEN = re.compile(rb"Taking exception (\d+) \[[^\]]*\] on CPU (\d+)")
_ESR = re.compile(rb"\.\.\.with ESR 0x([0-9a-f]+)/0x[0-9a-f]+")
_LAST = re.compile(rb"\.\.\.(?:to EL\d PC 0x[0-9a-f]+ PSTATE 0x[0-9a-f]+|handled as .* call)")
_MORE = re.compile(rb"\.\.\.(?:from EL\d to EL\d|with [A-Z]+ 0x[0-9a-f]+)")
_BETWEEN = re.compile(rb"Exception return from AArch64 EL\d to AArch64 EL\d PC 0x[0-9a-f]+")


@dataclass(frozen=True)
class Aborts:
    """What the machine took that no healthy kernel takes."""

    data: int = 0
    prefetch: int = 0
    undefined: int = 0
    sp_align: int = 0
    pc_align: int = 0

    @property
    def total(self) -> int:
        """Data and prefetch aborts: the number that a scenario states as aborts=N."""
        return self.data + self.prefetch

    def record(self) -> Record:
        """As the golden keeps it."""
        fields = {key: str(getattr(self, key)) for key in self.__dataclass_fields__}
        return Record(("qemu",), ("aborts",), fields)


@dataclass
class _Span:
    """From the first line of an exception to where no CPU is in the middle of one.

    taken: QEMU's numbers; classes: what the syndromes say; running: the CPUs whose exception has
    begun, and of which `ended` have ended: the last line does not say which.
    """

    began: int
    taken: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    ended: int = 0

    @property
    def whole(self) -> bool:
        return self.ended == len(self.running)

    def kinds(self) -> Iterator[str]:
        """What is counted of it. An interrupt repeats the syndrome of an exception before it."""
        counted = [_BY_NUMBER[number] for number in self.taken if number in _BY_NUMBER]
        by_class = [_BY_CLASS[found] for found in self.classes if found in _BY_CLASS]
        if not counted:
            return
        if not self.classes:
            raise IntLogError("an exception without its syndrome", line=self.began)
        if by_class and len(self.taken) > 1:
            raise IntLogError(
                f"{len(self.taken)} exceptions of several CPUs are mixed, and one of them is "
                f"{by_class[0]}: the lines do not say which",
                line=self.began,
                hint="run it with icount, where CPUs take turns",
            )
        yield from by_class or counted


def count(text: bytes) -> Aborts:
    """The aborts in a `-d int` log, boot included."""
    return Aborts(**Counter(kind for span in _spans(text) for kind in span.kinds()))


def _spans(text: bytes) -> Iterator[_Span]:
    span, number = _Span(1), 0
    for number, line in enumerate(_lines(text), start=1):
        _take(span, line, number)
        if span.whole:
            yield span
            span = _Span(number + 1)
    if not span.whole:
        raise IntLogError("it ends in the middle of an exception", line=number)


def _lines(text: bytes) -> list[bytes]:
    *lines, rest = text.split(b"\n")
    if rest:
        raise IntLogError("the last line is cut off", line=len(lines) + 1, text=rest)
    return lines


def _take(span: _Span, line: bytes, number: int) -> None:
    if taken := _TAKEN.fullmatch(line):
        _begin(span, int(taken[1]), int(taken[2]), number, line)
    elif line.startswith(b"..."):
        _go_on(span, line, number)
    elif not _BETWEEN.fullmatch(line) and not line.startswith(POWER_OFF):
        why = "it ends in CR LF" if line.endswith(b"\r") else "QEMU writes no such line"
        raise IntLogError(why, line=number, text=line)


def _begin(span: _Span, exception: int, cpu: int, number: int, line: bytes) -> None:
    """A CPU that takes its next one has ended the one before."""
    if cpu in span.running:
        if not span.ended:
            raise IntLogError(f"CPU {cpu} is still in another one", line=number, text=line)
        span.running.remove(cpu)
        span.ended -= 1
    span.taken.append(exception)
    span.running.append(cpu)


def _go_on(span: _Span, line: bytes, number: int) -> None:
    if span.whole:
        raise IntLogError("no exception has begun that it could be of", line=number, text=line)
    if esr := _ESR.fullmatch(line):
        span.classes.append(int(esr[1], 16))
    elif _LAST.fullmatch(line):
        span.ended += 1
    elif not _MORE.fullmatch(line):
        raise IntLogError("QEMU writes no such line of an exception", line=number, text=line)
