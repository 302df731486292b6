"""A golden under another compiler or another QEMU than the one that made it: only what those cannot
change is compared.

A compiler decides how large a frame is, which function is inlined, how recursion folds, at which
offset a call stands, and which of two locals lies lower. QEMU decides how several CPUs take turns.
The lab and the architecture decide the rest: verdict, class, detector, abort counts, which
functions led to the fault and in which order, whose stack it was, on which side of it FAR lay.
Three rules:

1. A number with a band (canon.COMPILER_DECIDED) is any number.
2. A place in code is its function; a place on a stack its stack, and for far= the side of it.
3. A backtrace is the order of the functions that both sides have: one that is missing was inlined.
   None in common is a difference.

Pure. `unjudged` counts what was left out, so that a run can say so.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from harness.compare import DATA_KEYS, Difference, differences, split_band
from harness.log import Record

ANY = "*"
WALKS = frozenset({("bt",), ("gdb",)})

_NUMBERED = re.compile(r"#\d+")
_ON_STACK = re.compile(r"(.*?)([+-])0x[0-9a-f]+")
_IN_CODE = re.compile(r"([A-Za-z_.$][\w.$:]*)\+0x[0-9a-f]+")
_NOT_CODE = frozenset({"null", "unmapped", "poison", "rodata", "data", "ram", "device"})
_STACKS = ("thread:", "user:", "irq:", "emergency:", "boot:", "boot-stack:", "permanent:")


@dataclass(frozen=True)
class Judged:
    """What differs although nobody but the lab decides it, and how much was not compared."""

    differences: tuple[Difference, ...]
    unjudged: int


def judge(old: Sequence[Record], new: Sequence[Record]) -> Judged:
    before, after = list(_items(old)), list(_items(new))
    _drop_strangers(before, after)
    facts = [[_fact(item) for item in side] for side in (before, after)]
    left_out = sum(_left_out(record) for record in old)
    return Judged(tuple(differences(*facts, exact=True)), left_out)


@dataclass
class _Walk:
    """One backtrace: its area, and its functions from the innermost on."""

    area: tuple[str, ...]
    functions: list[str]


_Item = Record | _Walk


def _items(records: Sequence[Record]) -> Iterator[_Item]:
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


def _fact(item: _Item) -> Record:
    if isinstance(item, _Walk):
        return Record(item.area, ("functions",), {"order": "→".join(item.functions)})
    fields = {key: _value(key, value) for key, value in item.fields.items()}
    return replace(item, words=tuple(_place("", word) for word in item.words), fields=fields)


def _value(key: str, value: str) -> str:
    _, band = split_band(value)
    return ANY if band else _place(key, value)


def _place(key: str, value: str) -> str:
    match = _ON_STACK.fullmatch(value)
    if match and value.startswith(_STACKS):
        return match[1] + (match[2] if key in DATA_KEYS else "")
    match = _IN_CODE.fullmatch(value)
    if match and match[1] not in _NOT_CODE and key not in DATA_KEYS:
        return match[1]
    return value


def _left_out(record: Record) -> int:
    if _is_step(record):
        return 1
    return sum(_value(key, value) != value for key, value in record.fields.items())
