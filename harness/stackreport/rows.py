"""What a report consists of: a row a function, a row a stack with its entries. Pure; report.py
makes them, asjson.py, text.py and picture.py show them.
"""

from dataclasses import dataclass

from harness.stackreport.bounds import Bound, Step, stacked
from harness.stackreport.marks import Mark
from harness.stackreport.notes import bare

FRAME = "exception frame"


@dataclass(frozen=True)
class FunctionRow:
    """`compiler` is the compiler's own number, None for assembly."""

    name: str
    unit: str
    frame: int
    dynamic: bool
    compiler: int | None


@dataclass(frozen=True)
class Entry:
    """One way in: `levels` of it at most at once, each on `reserved` bytes of an exception
    frame."""

    name: str
    bound: Bound
    levels: int = 1
    reserved: int = 0
    exception: bool = False

    @property
    def total(self) -> Bound:
        step = Step(FRAME, self.reserved)
        one = self.bound.above(step) if self.reserved else self.bound
        return stacked([one] * self.levels)


@dataclass(frozen=True)
class StackRow:
    name: str
    size: int
    bound: Bound
    entries: tuple[Entry, ...]
    budget: int | None = None
    budget_bound: Bound | None = None
    unbounded: str = ""  # the note's reason why no bound is asked for
    direct: frozenset[str] = frozenset()  # what the entry itself calls by name
    marks: tuple[Mark, ...] = ()  # the measurements that are held against the bound

    @property
    def mark(self) -> Mark | None:
        return max(self.marks, key=lambda m: m.deepest, default=None)

    @property
    def least_size(self) -> int:
        """Where no call says it, the smallest that was measured; 0: nobody knows."""
        return self.size or min((mark.size for mark in self.marks), default=0)

    def mark_of(self, entry: Entry) -> Mark | None:
        """The deepest measurement of one of its entries, where a log tells which it was."""
        mine = (mark for mark in self.marks if mark.start == bare(entry.name))
        return max(mine, key=lambda m: m.deepest, default=None)

    @property
    def margin(self) -> int | None:
        return self.size - self.bound.bytes if self.size and self.bound.proven else None

    @property
    def tightness(self) -> float | None:
        return tightness(self.bound, self.mark)


def tightness(bound: Bound, mark: Mark | None) -> float | None:
    """How much of the bound was ever measured; 1.0 says that the bound is exact."""
    if not mark or not bound.proven or not bound.bytes:
        return None
    return mark.deepest / bound.bytes


@dataclass(frozen=True)
class Report:
    elf: str
    build_id: str
    taken: int | None  # functions whose address is taken; None: no relocations were kept
    functions: tuple[FunctionRow, ...]
    stacks: tuple[StackRow, ...]
    findings: tuple[str, ...]
    problems: tuple[str, ...]

    def largest(self, top: int) -> list[FunctionRow]:
        return sorted(self.functions, key=lambda f: (-f.frame, f.name))[:top]
