"""Two lists of canonical records: what differs, said in words.

Every byte is compared, bands aside. A band, `frame=48~25%`, marks a number that the compiler
decides; under another compiler or QEMU facts.py leaves it out before it compares. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from harness.serial.log import Record, verdict_text

Pair = tuple[Record | None, Record | None]

_BAND = re.compile(r"(.*)(~(\d+)%)")
_FRAME_NUMBER = re.compile(r"#\d+")
_SYMBOL = re.compile(r"([A-Za-z_.$][\w.$]*)(\+0x[0-9a-f]+)")


@dataclass(frozen=True)
class Difference:
    """One line that is not as it was. No `old`: it is new. No `new`: it is gone."""

    reason: str
    old: Record | None = None
    new: Record | None = None

    def lines(self) -> list[str]:
        sides = (("-", self.old), ("+", self.new))
        return [self.reason, *(f"  {sign} {side}" for sign, side in sides if side is not None)]


def differences(old: Sequence[Record], new: Sequence[Record]) -> list[Difference]:
    found = map(_difference, align(old, new))
    return [difference for difference in found if difference is not None]


def carry_bands(old: Sequence[Record], new: Sequence[Record]) -> list[Record]:
    """`new` with the bands of the `old` line beside each: what was edited by hand survives."""
    pairs = align(old, new)
    return [_with_bands(before, after) for before, after in pairs if after is not None]


def align(old: Sequence[Record], new: Sequence[Record]) -> Iterator[Pair]:
    """Which new line stands for which old one; every line of both sides appears once, in order."""
    keys = [_shape(r) for r in old], [_shape(r) for r in new]
    for tag, i, j, k, m in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        pairing = (
            zip(old[i:j], new[k:m], strict=True) if tag == "equal" else _pair(old[i:j], new[k:m])
        )
        yield from pairing


def split_band(value: str) -> tuple[str, str]:
    """`48~25%` → (`48`, `~25%`); without a band the second is empty."""
    match = _BAND.fullmatch(value)
    return (match[1], match[2]) if match else (value, "")


def _shape(record: Record) -> tuple[object, ...]:
    """What two lines share when they only differ in numbers."""
    words = tuple(_FRAME_NUMBER.sub("#", _SYMBOL.sub(r"\1", word)) for word in record.words)
    return record.area, words, tuple(record.fields)


def _pair(old: Sequence[Record], new: Sequence[Record]) -> Iterator[Pair]:
    """A stretch without a common shape: lines of one area stand for each other, in order."""
    rest = list(new)
    for before in old:
        areas = [after.area for after in rest]
        if before.area not in areas:
            yield before, None
            continue
        skipped = areas.index(before.area)
        yield from ((None, after) for after in rest[:skipped])
        yield before, rest[skipped]
        rest = rest[skipped + 1 :]
    yield from ((None, after) for after in rest)


def _difference(pair: Pair) -> Difference | None:
    """Shown without the bands, which forgive nothing."""
    old, new = pair
    if old is None or new is None:
        return Difference("record missing" if new is None else "record extra", old, new)
    reasons = list(_reasons(old, new))
    return Difference("; ".join(reasons), _bare(old), _bare(new)) if reasons else None


def _bare(record: Record) -> Record:
    fields = {key: split_band(value)[0] for key, value in record.fields.items()}
    return replace(record, fields=fields)


def _reasons(old: Record, new: Record) -> Iterator[str]:
    if old.area == new.area == ("end",) and verdict_text(old) != verdict_text(new):
        yield f"verdict changed {verdict_text(old)} → {verdict_text(new)}"
        return
    yield from _word_reasons(old.words, new.words)
    yield from _field_reasons(old, new)
    if old.prose != new.prose:
        yield "wording changed"


def _word_reasons(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if len(old) != len(new):
        yield f"words changed {' '.join(old)} → {' '.join(new)}"
        return
    for before, after in zip(old, new, strict=True):
        if before != after:
            yield _word_reason(before, after)


def _word_reason(old: str, new: str) -> str:
    if _FRAME_NUMBER.fullmatch(old) and _FRAME_NUMBER.fullmatch(new):
        return f"frame number changed {old} → {new}"
    return _symbol_reason(old, new) or f"word changed {old} → {new}"


def _field_reasons(old: Record, new: Record) -> Iterator[str]:
    yield from (f"{key}= is gone" for key in old.fields if key not in new.fields)
    yield from (f"{key}= is new" for key in new.fields if key not in old.fields)
    if set(old.fields) == set(new.fields) and list(old.fields) != list(new.fields):
        yield "fields in another order"
    for key in old.fields:
        if key in new.fields:
            yield from _value_reason(old, key, new.fields[key])


def _value_reason(record: Record, key: str, new_value: str) -> Iterator[str]:
    old, new = split_band(record.fields[key])[0], split_band(new_value)[0]
    if old != new:
        yield _changed(record, key, old, new)


def _changed(record: Record, key: str, old: str, new: str) -> str:
    if record.area == ("qemu",):
        return f"abort count changed: {key} {old} → {new}"
    if old.isdecimal() and new.isdecimal():
        of = f" ({_function(record)})" if key == "frame" and _function(record) else ""
        return f"{key} {'grew' if int(new) > int(old) else 'shrank'} {old} → {new}{of}"
    return _symbol_reason(old, new, f" in {key}=") or f"{key} changed {old} → {new}"


def _symbol_reason(old: str, new: str, where: str = "") -> str:
    before, after = _SYMBOL.fullmatch(old), _SYMBOL.fullmatch(new)
    if not before or not after:
        return ""
    if before[1] != after[1]:
        return f"symbol changed{where} {before[1]} → {after[1]}"
    return f"offset in {before[1]} changed{where} {before[2]} → {after[2]}"


def _function(record: Record) -> str:
    return next((match[1] for word in record.words if (match := _SYMBOL.fullmatch(word))), "")


def _with_bands(old: Record | None, new: Record) -> Record:
    if old is None:
        return new
    bands = {key: split_band(value)[1] for key, value in old.fields.items()}
    fields = {
        key: split_band(value)[0] + bands[key] if key in bands else value
        for key, value in new.fields.items()
    }
    return replace(new, fields=fields)
