"""Why the kernel refused a boot line (`[end] bad-args …`), and what to type instead.

The kernel says what was wrong; what there is besides, it tells by lab=list, which is booted only
then. Labs refuse machines, too ("boot with -smp 2"): that is told as what make takes, SMP=2.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from harness.errors import HarnessError
from harness.run.boot import boot
from harness.scenario import GLOBAL_KEYS
from harness.serial.log import Record, parse_line
from harness.similar import similar

LIST = "make list prints every lab, its parameters and the protections"
# What labs say of the machine → what make takes.
MACHINES = (
    (r"-smp (\d+)", "SMP={}"),
    (r"mte=on", "MTE=1"),
    (r"-cpu (\S+)", "CPU={}"),
    (r"(\d+) MiB of RAM", "MEM={}M"),
)
_QUOTED = re.compile(r'"([^"]*)"')


def end_of(serial: bytes) -> Record | None:
    """The last [end] record."""
    ends = [line for line in serial.splitlines() if line.startswith(b"[end] ")]
    return parse_line(ends[-1]) if ends else None


def is_refusal(end: Record | None) -> TypeGuard[Record]:
    return end is not None and end.words[:1] == ("bad-args",)


def refusal(end: Record, kernel: Path, folder: Path, line: str, command: str) -> HarnessError:
    """command: what was typed, to be typed again with what is missing: `make run LAB=…`."""
    hint = _machine(end, command) or _name(end, kernel, folder, line) or LIST
    return HarnessError(f"the kernel refused: {end.prose or end}", hint=hint)


def _machine(end: Record, command: str) -> str:
    """MTE brings its CPU."""
    found = [
        word.format(*match.groups())
        for pattern, word in MACHINES
        if (match := re.search(pattern, end.prose))
    ]
    wanted = [word for word in found if not (word.startswith("CPU=") and "MTE=1" in found)]
    return " ".join([command, *wanted]) if wanted else ""


def _name(end: Record, kernel: Path, folder: Path, line: str) -> str:
    key = end.fields.get("key", "unknown" if end.fields.get("why") == "unknown-key" else "")
    quoted = _QUOTED.search(end.prose)
    if not key or not quoted:
        return ""
    listed = list(boot(kernel, "lab=list", folder).log.select("list"))
    known = _KNOWN.get(key, _parameter)(listed, _lab(line), key)
    hints = (similar(typed, known) for typed in _typed(key, quoted[1], known))
    return "; ".join(hint for hint in hints if hint)


def _typed(key: str, value: str, known: Sequence[str]) -> Iterator[str]:
    """The names in a value: "-guard,+canry" has two, of which one is none."""
    if key == "protect":
        names = [word.lstrip("+-") for word in value.split(",")]
        yield from (name for name in names if name not in known)
    else:
        yield value.partition(",")[0]


def _lab(line: str) -> str:
    found = re.search(r"\blab=(\S+)", line)
    return found[1] if found else ""


Known = Callable[[list[Record], str, str], list[str]]


def _words(kind: str) -> Known:
    return lambda listed, _lab, _key: [r.words[1] for r in listed if r.words[0] == kind]


def _keys(listed: list[Record], lab: str, _key: str) -> list[str]:
    own = [r.words[2] for r in listed if r.words[:2] == ("param", lab)]
    return [*own, *sorted(GLOBAL_KEYS), "watchdog", "stacks"]


def _parameter(listed: list[Record], lab: str, key: str) -> list[str]:
    """The words that a parameter takes, if it takes words."""
    rows = (r for r in listed if r.words[:3] == ("param", lab, key))
    return [name for row in rows for name in row.fields.get("names", "").split(",") if name]


_KNOWN: dict[str, Known] = {
    "lab": _words("lab"),
    "protect": _words("protect"),
    "fault": _words("site"),
    "unknown": _keys,
}
