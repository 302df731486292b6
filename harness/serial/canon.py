"""The only normaliser: records of one run in, records that may stand in a golden out.

Nothing else in the harness forgives, rounds or drops anything. Three rules, each a table below:

1. What differs from run to run, from trigger to trigger, or with an unrelated change is dropped:
   the banner, the boot line, the list of protections, the talk about holding, and raw= (raw
   hexadecimal).
2. A number that the compiler decides gets its band, `frame=48~25%`: exact under the recorded
   toolchain, not compared under another. A band that is there already stays, so normalising twice
   changes nothing. What [boot] and [lab] print are parameters, and never get one.
3. Everything else stays byte for byte.

Pure. Comparison is golden.py; what a band means, facts.py.
"""

import re
from collections.abc import Iterable, Mapping

from harness.serial.log import Record

DROPPED = frozenset(
    {
        (("boot",), "highwater"),
        (("boot",), "args"),
        (("boot",), "protect"),
        (("cost",), "boot"),
        (("lab",), "holding"),
        (("lab",), "what"),
    }
)
DROPPED_KEYS = frozenset({"raw"})
COMPILER_DECIDED = frozenset(
    "frame used depth lowest_sp beyond times frames margin gap before behind partner"
    " instructions again setup per_call per_growth amortised growths shrinks pages_used peak"
    " held_bytes words pointers records resigned init ratio_pct with without adds".split()
) | {  # instructions that a call retires (kernel/labs/cost/cost.h)
    f"{call}_{which}"
    for call in ("alloc", "free", "again")
    for which in ("min", "max", "p99", "worst")
}
PARAMETERS = frozenset({("boot",), ("lab",)})  # their numbers were asked for, whatever their names
BAND = "~25%"

_NUMBER = re.compile(r"\d+")


def canonical(records: Iterable[Record]) -> list[Record]:
    return [_normal(record) for record in records if not _dropped(record)]


def lines(records: Iterable[Record]) -> list[str]:
    return [str(record) for record in records]


def _dropped(record: Record) -> bool:
    return (record.area, record.words[0] if record.words else "") in DROPPED


def _normal(record: Record) -> Record:
    fields = record.fields if record.area in PARAMETERS else _fields(record.fields)
    return Record(record.area, record.words, fields, record.prose)


def _fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: _value(key, value) for key, value in fields.items() if key not in DROPPED_KEYS}


def _value(key: str, value: str) -> str:
    banded = key in COMPILER_DECIDED and _NUMBER.fullmatch(value)
    return value + BAND if banded else value
