"""How many lines of the goldens another compiler or another QEMU changes, and how many of those say
something that neither of them decides.

    .venv/bin/pytest scenarios --golden-exact -n 2      leaves what it printed beside each golden
    .venv/bin/python -m harness.dev.foreign                 counts, and removes nothing

The goldens belong to one compiler and one QEMU; elsewhere facts.py compares what those cannot
change. This is the measure of that choice: the lines that an overlay for each toolchain would hold.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GoldenError, status_of
from harness.serial.log import Record
from harness.verdict.compare import align, differences
from harness.verdict.facts import judge
from harness.verdict.golden import Golden, goldens, load, pending_path

GOLDENS = Path("golden")


@dataclass(frozen=True)
class Counted:
    """lines: of all goldens; the rest is of those beside which another one lies."""

    goldens: int
    lines: int
    makers: tuple[str, ...]
    differing: int  # goldens
    changed: int  # lines that both have
    here: int  # lines that only the golden has
    there: int  # lines that only the other one has
    facts: int  # differences that facts.py does not forgive

    def __str__(self) -> str:
        total = self.changed + self.here + self.there
        return (
            f"{self.goldens} goldens of {self.lines} lines; under {' and '.join(self.makers)}"
            f" {self.differing} of them differ in {total} lines: {self.changed} changed,"
            f" {self.here} gone, {self.there} new; in facts: {self.facts}"
        )


def count(root: Path) -> Counted:
    """GoldenError when nothing lies beside any golden."""
    known = [(path, golden) for path in goldens(root) if (golden := load(path))]
    pairs = [(mine, new) for path, mine in known if (new := load(pending_path(path)))]
    if not pairs:
        raise GoldenError(
            "beside no golden lies another one",
            path=root,
            hint="under the other compiler or QEMU: .venv/bin/pytest scenarios --golden-exact",
        )
    kinds = Counter(kind for pair in pairs for kind in _kinds(*pair))
    return Counted(
        goldens=len(known),
        lines=sum(len(golden.records) for _, golden in known),
        makers=tuple(sorted({f"{new.toolchain}, QEMU {new.qemu}" for _, new in pairs})),
        differing=len(pairs),
        changed=kinds["changed"],
        here=kinds["here"],
        there=kinds["there"],
        facts=sum(len(judge(_shared(a, b), b.records).differences) for a, b in pairs),
    )


def _kinds(mine: Golden, other: Golden) -> Iterator[str]:
    for old, new in align(_shared(mine, other), other.records):
        if old is None or new is None:
            yield "there" if old is None else "here"
        elif differences([old], [new]):
            yield "changed"


def _shared(mine: Golden, other: Golden) -> Sequence[Record]:
    """Without the [gdb] records, where nobody looked."""
    looked = any(record.area == ("gdb",) for record in other.records)
    return [record for record in mine.records if looked or record.area != ("gdb",)]


if __name__ == "__main__":
    sys.exit(status_of(lambda: sys.stdout.write(f"{count(GOLDENS)}\n")))
