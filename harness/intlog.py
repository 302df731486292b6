"""QEMU's own count of exceptions: the log that `-d int` writes, reduced to a few numbers.

The kernel says that it took one abort; this says what the machine saw, so that a handler which
faulted its way to a plausible report cannot pass. Interrupts, svc, hvc and breakpoints are
ordinary life and are not counted. Pure: the caller reads the file.

    Taking exception 4 [Data Abort] on CPU 0
    ...from EL1 to EL1
    ...with ESR 0x25/0x96000047
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from harness.log import Record

# The exception class says what QEMU's own number does not: it logs a wild PC as a prefetch abort.
# A failed authentication is a prefetch abort at the branch; with FEAT_FPAC, an exception before.
_BY_CLASS = {0x1C: "prefetch", 0x22: "pc_align", 0x26: "sp_align"}
_BY_NUMBER = {1: "undefined", 3: "prefetch", 4: "data"}

_TAKEN = re.compile(rb"^Taking exception (\d+) \[([^\]\n]*)\] on CPU (\d+)$", re.MULTILINE)
_ESR = re.compile(rb"^\.\.\.with ESR 0x([0-9a-f]+)/", re.MULTILINE)


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


def count(text: bytes) -> Aborts:
    """The aborts in a `-d int` log, boot included."""
    return Aborts(**Counter(_kinds(text)))


def _kinds(text: bytes) -> Iterator[str]:
    taken = list(_TAKEN.finditer(text))
    for match, following in zip_longest(taken, taken[1:]):
        esr = _ESR.search(text, match.end(), following.start() if following else len(text))
        exception_class = int(esr[1], 16) if esr else -1
        kind = _BY_CLASS.get(exception_class) or _BY_NUMBER.get(int(match[1]))
        if kind:
            yield kind
