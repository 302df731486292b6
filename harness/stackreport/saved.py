"""What a function has saved on its own stack: which place holds what a register held at its entry.

A register is given back from the place that holds it and from no other, so that a `ret` after the
return address was overwritten, or reloaded from beside it, is seen to go elsewhere. A store whose
index only a run knows stays within its object, and so does one through a pointer of another
function: a program that smashes its stack has no bound.

Places are counted from SP at the entry: -8 is the word below it. Pure.
"""

import re
from functools import cache
from typing import NamedTuple

WORD = 8
UNSURE = 16  # bytes of what no table here knows: an atomic, a vector without a size of its own
SIZES = {"x": 8, "w": 4, "q": 16, "d": 8, "s": 4, "h": 2, "b": 1, "z": 16}
LANES = {"b": 1, "h": 2, "s": 4, "d": 8}

_PARTS = re.compile(r"(.*)\[(\w+)(?:, (?:#(-?\w+)|(x\d+|xzr)(, lsl #\w+)?))?\](!?)")
_NAME = re.compile(r"\b(?:[xwqdshbz]\d+|[xw]zr|lr|fp)\b")
_VECTOR = re.compile(r"\bv\d+\.(\d*)([bhsd])\b")


class Access(NamedTuple):
    """One load or store. `offset` None: nobody here knows where; `by`: a register whose value
    may tell; names: of what is moved, each of `size` bytes."""

    offset: int | None
    by: str
    names: tuple[str, ...]
    size: int

    @property
    def bytes(self) -> int:
        return self.size * max(1, len(self.names))


@cache
def access(mnemonic: str, text: str) -> Access:
    found = _PARTS.match(text)
    if found is None:
        return Access(None, "", (), UNSURE)
    data, _, displacement, index, shift, _ = found.groups()
    after = text[found.end() :]
    offset: int | None = 0
    if displacement and not after:
        offset = int(displacement, 0)
    elif index:
        offset = None
    names, size = _moved(mnemonic, data)
    return Access(offset, index or "" if not shift else "", names, size)


def _moved(mnemonic: str, data: str) -> tuple[tuple[str, ...], int]:
    vectors = _VECTOR.findall(data)
    if vectors:
        count, lane = vectors[0]
        one = "]" in data or not count
        return tuple("v" for _ in vectors), LANES[lane] * (1 if one else int(count))
    names = tuple({"lr": "x30", "fp": "x29"}.get(n, n) for n in _NAME.findall(data))
    if mnemonic.startswith(("stxr", "stlxr", "stxp", "stlxp")):
        names = names[1:]
    if not mnemonic.startswith(("st", "ld")) or not names or is_atomic(mnemonic):
        return (), UNSURE
    if mnemonic.startswith(("st64", "stz")):
        return (), 64 if mnemonic.startswith("st64") else 32
    narrow = {"b": 1, "h": 2}.get(mnemonic[-1], 0) if names[0][0] == "w" else 0
    return names, narrow or SIZES[names[0][0]]


def is_atomic(mnemonic: str) -> bool:
    """Does it compute with what stands in memory?"""
    return bool(re.match(r"(ld|st)(add|clr|eor|set|[su]max|[su]min)", mnemonic))


def first_place(found: Access, base: int, index: int | None) -> int | None:
    """Where it begins to read or write, if its base is entry SP - base."""
    if found.offset is not None:
        return found.offset - base
    return index - base if index is not None and found.by else None


def overlaps(place: int, first: int, size: int) -> bool:
    return place < first + size and place + WORD > first
