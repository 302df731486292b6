"""A golden under another compiler or another QEMU than the one that made it: only what those cannot
change is compared.

A compiler decides how large a frame is, which function is inlined, how recursion folds, at which
offset a call stands, and which of two locals lies lower. QEMU decides how several CPUs take turns.
The lab and the architecture decide the rest: verdict, class, detector, abort counts, which
functions led to the fault and in which order, whose stack it was, on which side of it FAR lay.
Four rules:

1. A number with a band (canon.COMPILER_DECIDED) is any number.
2. A place in code is its function; a place on a stack its stack, and for far= the side of it. In
   data far= stays what it is: a lab chose that place.
3. A backtrace is the order of the functions that both sides have: one that is missing was inlined.
   None in common is a difference.
4. The stacks of one kind of all CPUs (margin=) are one record: whose figures are equal is a matter
   of frames. So is how often a recursion says the same: equal neighbours without a figure are one.

Pure. `unjudged` counts what was left out, so that a run can say so.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from harness.serial.log import Record
from harness.verdict.compare import Difference, Pair, align, differences, split_band

ANY = "*"
DATA_KEYS = frozenset({"far"})
WALKS = frozenset({("bt",), ("gdb",)})

_OF_CPU = re.compile(r"(.*:cpu)\d+")
_MEASURED = frozenset({"used", "margin", "cpus"})
_NUMBERED = re.compile(r"#\d+")
_ON_STACK = re.compile(r"(.*?)([+-])0x[0-9a-f]+")
_IN_CODE = re.compile(r"([A-Za-z_.$][\w.$:]*)\+0x[0-9a-f]+")
_NOT_CODE = frozenset({"null", "unmapped", "poison", "rodata", "data", "ram", "device"})
_STACKS = (
    "thread:",
    "user:",
    "irq:",
    "emergency:",
    "boot:",
    "boot-stack",
    "permanent:",
    "stale:",
)


@dataclass(frozen=True)
class Judged:
    """What differs although nobody but the lab decides it, and how much was not compared."""

    differences: tuple[Difference, ...]
    unjudged: int


def judge(old: Sequence[Record], new: Sequence[Record]) -> Judged:
    before, after = list(_items(_folded(old))), list(_items(_folded(new)))
    _drop_strangers(before, after)
    pairs = align([_flat(item) for item in before], [_flat(item) for item in after])
    overrun = frozenset(_overrun(old))
    facts = [_facts(pair, overrun) for pair in pairs]
    sides = [[record for record in side if record] for side in zip(*facts, strict=True)]
    found = differences(sides[0], sides[1]) if facts else []
    return Judged(tuple(found), sum(_left_out(record) for record in old))


def _folded(records: Sequence[Record]) -> Iterator[Record]:
    """Neighbours that only frames tell apart, as one."""
    for kind, group in groupby(records, _of_all_cpus):
        first, *others = group
        if kind:
            cpus = sum(int(record.fields.get("cpus", "1")) for record in (first, *others))
            yield replace(first, fields={**first.fields, "cpus": str(cpus)})
        else:
            yield from _once((first, *others))


def _of_all_cpus(record: Record) -> tuple[object, ...]:
    """What the stacks of one kind have in common; empty for another record."""
    match = _OF_CPU.fullmatch(record.words[0]) if record.area == ("stack",) else None
    if not match or "margin" not in record.fields:
        return ()
    return (match[1], *(item for item in record.fields.items() if item[0] not in _MEASURED))


def _once(records: Sequence[Record]) -> Iterator[Record]:
    for record, group in groupby(records):
        yield from group if record.fields else (record,)


def _overrun(records: Sequence[Record]) -> Iterator[str]:
    """The stacks that their own frames ran out of. Whether the last frame but one reached the guard
    words there is a matter of its size.
    """
    for record in records:
        if record.area == ("EXC",) and record.words == ("overflow",) and "stack" in record.fields:
            yield record.fields["stack"]


@dataclass
class _Walk:
    """One backtrace: its area, and its functions from the innermost on."""

    area: tuple[str, ...]
    functions: list[str]


_Item = Record | _Walk


def _items(records: Iterable[Record]) -> Iterator[_Item]:
    """The records, each backtrace as one; a walk begins at #0."""
    walk: _Walk | None = None
    for record in records:
        if not _is_step(record):
            walk = None
            yield record
            continue
        if walk is None or walk.area != record.area or record.words[0] == "#0":
            walk = _Walk(record.area, [])
            yield walk
        walk.functions.append(_function(record.words[1]))


def _is_step(record: Record) -> bool:
    return record.area in WALKS and len(record.words) > 1 and bool(_NUMBERED.match(record.words[0]))


def _function(place: str) -> str:
    match = _IN_CODE.fullmatch(place)
    return match[1] if match else place


def _drop_strangers(before: list[_Item], after: list[_Item]) -> None:
    """From each backtrace the functions that the same one on the other side has not."""
    walks = [[item for item in side if isinstance(item, _Walk)] for side in (before, after)]
    for old, new in zip(*walks, strict=False):
        common = set(old.functions) & set(new.functions)
        for walk in (old, new):
            kept = [name for name in walk.functions if name in common]
            walk.functions = [name for name, _ in groupby(kept)] or ["none in common"]
        if not common:
            new.functions = ["nothing that the golden has"]


def _flat(item: _Item) -> Record:
    if isinstance(item, _Walk):
        return Record(item.area, ("functions",), {"order": "→".join(item.functions)})
    return replace(item, words=tuple(_place("", word) for word in item.words))


def _facts(pair: Pair, overrun: frozenset[str]) -> Pair:
    """Both lines with what is not compared made the same. Bands are the golden's: a number that
    somebody has taken the band from is exact.
    """
    old, _ = pair
    banded = {key for key, value in old.fields.items() if split_band(value)[1]} if old else set()
    if old and old.area == ("stack",) and overrun & set(old.words):
        banded.add("guard")
    if old and old.words == ("clobbered",):  # at so many instructions of a path
        banded |= {"points", "registers"}
    first, second = (side and replace(side, fields=_values(side, banded)) for side in pair)
    return first, second


def _values(record: Record, banded: set[str]) -> dict[str, str]:
    fetch = record.fields.get("op") == "exec"
    return {
        key: ANY if key in banded else _place(key, split_band(value)[0], fetch=fetch)
        for key, value in record.fields.items()
    }


def _place(key: str, value: str, *, fetch: bool = False) -> str:
    """elr= is no fact of its own: it is where the walk begins, whose order is compared. The far=
    of a fetch is a place in code, like any other.
    """
    match = _ON_STACK.fullmatch(value)
    if match and value.startswith(_STACKS):
        return match[1] + (match[2] if key in DATA_KEYS else "")
    match = _IN_CODE.fullmatch(value)
    if match and match[1] not in _NOT_CODE and (fetch or key not in DATA_KEYS):
        return ANY if key == "elr" else match[1]
    return value


def _left_out(record: Record) -> int:
    """How many of this line's values are not compared."""
    if _is_step(record):
        return 1
    left = _values(record, set())
    return sum(
        bool(split_band(value)[1]) or left[key] != value for key, value in record.fields.items()
    )
