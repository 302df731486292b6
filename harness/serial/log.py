"""The serial grammar, read: bytes in, records out, nothing forgiven.

kernel/report/report.h documents the grammar; this is its only reader. One line is

    [area] word word key=value key=value : prose

Pure: no files, no processes. LogError names what a log of one boot does not have: a line that is
no record, an end in mid-line, a second beginning, a second [end] or a record after it, an [end]
with anything but a verdict and its fields, the banner of another build or another run (WrongBuild
for those two). A line that the kernel itself marked as cut, and that is no record any more, is kept
as [cut]. `seen_verdict` is the one lenient entry: a failure message needs something to show for
any log.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from harness.errors import LogError, WrongBuild

LINE_LIMIT = 256  # with its line feed
CUT = "~"  # how the kernel ends a line that was too long, or that a fault came into
NO_END = "no-end"
HARNESS_ERROR = "harness-error"

_AREA = re.compile(r"(?:\[[^\[\]\s]+\])+")
_KEY = re.compile(r"[a-z_][a-z0-9_-]*")
_DETECTOR = re.compile(r"[a-z][a-z0-9^-]*")

# What a boot prints once, in this order; a second one is a second boot's.
_BEGINNING = (("boot", "highwater"), ("boot", "args"), ("lab", "enter"))
_BESIDE_BY = frozenset(("lost",))  # leak-check: what was not given back
_OF_A_LAB = frozenset(("survived", "contained"))
_NAMED_BYTES = {0x00: "NUL", 0x09: "TAB", 0x0D: "CR", 0x1B: "ESC", 0x7F: "DEL"}


@dataclass(frozen=True)
class Record:
    """One line. `fields` keeps the order in which the kernel printed them."""

    area: tuple[str, ...]
    words: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    prose: str = ""

    def __str__(self) -> str:
        head = "".join(f"[{name}]" for name in self.area)
        pairs = (f"{key}={value}" for key, value in self.fields.items())
        line = " ".join((head, *self.words, *pairs))
        return f"{line} : {self.prose}" if self.prose else line


@dataclass(frozen=True)
class Log:
    """The records of one boot that ended with exactly one [end]."""

    records: tuple[Record, ...]

    @property
    def verdict(self) -> str:
        return verdict_text(self.records[-1])

    def select(self, *area: str) -> Iterator[Record]:
        """The records of one area, in order: select("bt"), select("mem-lab", "pool")."""
        return (record for record in self.records if record.area == area)


def parse(serial: bytes, *, build_id: str | None = None, nonce: str | None = None) -> Log:
    """The whole log of one boot. With `build_id` and `nonce` the banner has to carry them."""
    records = tuple(parse_lines(serial))
    _check_one_boot(records)
    _check_banner(records, {"build": build_id, "nonce": nonce})
    _check_end(records)
    return Log(records)


def check_unfinished(serial: bytes, *, build_id: str, nonce: str) -> None:
    """The log of a boot that was cut off, maybe in mid-line: LogError unless its lines are records
    of this build and this run, and it came to its lab.
    """
    records = tuple(parse_lines(serial[: serial.rfind(b"\n") + 1]))
    _check_one_boot(records)
    _check_banner(records, {"build": build_id, "nonce": nonce})
    if not any(record.area == ("lab",) and record.words == ("enter",) for record in records):
        raise LogError("the log has no [lab] enter record: the machine hung before its lab")


def parse_lines(serial: bytes) -> Iterator[Record]:
    """Every line as a record; says nothing about how the log begins or ends."""
    if serial and not serial.endswith(b"\n"):
        raise LogError(
            "the last line is cut off: it has no line feed",
            line=serial.count(b"\n") + 1,
            text=serial[serial.rfind(b"\n") + 1 :],
            hint="the machine ended while it was printing: look at qemu-int.log",
        )
    for number, line in enumerate(serial.split(b"\n")[:-1], start=1):
        yield parse_line(line, number)


def parse_line(line: bytes | str, number: int | None = None) -> Record:
    raw = line.encode("utf-8", "replace") if isinstance(line, str) else line
    if problem := _framing(raw):
        raise LogError(problem, line=number, text=raw)
    text = raw.decode("ascii")
    try:
        return _record(text, raw, number)
    except LogError:
        if text.endswith(CUT):
            return Record(("cut",), prose=text)
        raise


def _record(text: str, raw: bytes, number: int | None) -> Record:
    area = _AREA.match(text)
    if not area or text[area.end() : area.end() + 1] not in ("", " "):
        raise LogError("not a record: expected it to begin with [area]", line=number, text=raw)
    body, _, prose = text[area.end() :].partition(" : ")
    words, fields = _tokens(body, number, raw)
    return Record(tuple(area[0][1:-1].split("][")), words, fields, prose)


def verdict_text(end: Record) -> str:
    """The verdict as scenarios write it: the word, and by= where there is one."""
    by = end.fields.get("by")
    return end.words[0] if by is None else f"{end.words[0]} by={by}"


def seen_verdict(serial: bytes) -> str:
    """The best that can be said of any log, broken ones too."""
    lines = serial.split(b"\n")
    ends = [line for line in lines if line.startswith(b"[end]")]
    if not ends:
        return NO_END
    try:
        (end,) = (parse_line(line) for line in ends)
        _check_verdict(end)
    except (LogError, ValueError):
        return HARNESS_ERROR
    banners = sum(line.startswith(b"[boot] highwater ") for line in lines)
    return verdict_text(end) if banners < 2 else HARNESS_ERROR


def _framing(raw: bytes) -> str:
    if (size := len(raw) + len("\n")) > LINE_LIMIT:
        return f"the line has {size} bytes; the grammar allows {LINE_LIMIT}"
    if raw.endswith(b"\r"):
        return "the line ends in CR LF, and CR is not printable ASCII; the grammar ends it in LF"
    bad = next((at for at, byte in enumerate(raw) if not 0x20 <= byte <= 0x7E), None)
    if bad is None:
        return ""
    return f"the line holds {_named(raw, bad)} in column {bad + 1}, which is not printable ASCII"


def _named(raw: bytes, at: int) -> str:
    """A byte that may not be there, as a reader of the message would look for it."""
    if raw[at] in _NAMED_BYTES:
        return f"a {_NAMED_BYTES[raw[at]]}"
    if raw[at] < 0x80:
        return f"the control character {raw[at]:#04x}"
    try:
        return f"{raw[at:].decode()[0]!r} in UTF-8"
    except UnicodeDecodeError:
        return f"the byte {raw[at]:#04x}"


def _tokens(body: str, number: int | None, raw: bytes) -> tuple[tuple[str, ...], dict[str, str]]:
    words: list[str] = []
    fields: dict[str, str] = {}
    for token in body.split(" ")[1:]:
        if problem := _take(token, words, fields):
            raise LogError(problem, line=number, text=raw)
    return tuple(words), fields


def _take(token: str, words: list[str], fields: dict[str, str]) -> str:
    key, equals, value = token.partition("=")
    if not token:
        return "two blanks in a row, or a blank at the end"
    if token == ":":
        return "a colon without prose behind it"
    if not equals:
        words.append(token)
        return f"word {token!r} behind a key=value field" if fields else ""
    if not _KEY.fullmatch(key) or not value:
        return f"malformed field {token!r}: expected key=value, key [a-z_][a-z0-9_-]*"
    if key in fields:
        return f"field {key!r} appears twice"
    fields[key] = value
    return ""


def _check_one_boot(records: tuple[Record, ...]) -> None:
    """Two boots in one log are no run of anything, whatever each of them ended in."""
    seen = [
        (what, number)
        for number, record in enumerate(records, start=1)
        if (what := (*record.area, *record.words[:1])) in _BEGINNING
    ]
    for (before, _), (what, number) in pairwise(seen):
        if _BEGINNING.index(what) <= _BEGINNING.index(before):
            raise LogError(
                f"[{what[0]}] {what[1]} after [{before[0]}] {before[1]}: "
                "a second boot in the log of one",
                line=number,
                text=str(records[number - 1]),
                hint="the machine was reset, or two runs wrote into one file",
            )
    if seen and seen[0][0] == _BEGINNING[0]:
        _check_before_banner(records[: seen[0][1] - 1])


def _check_before_banner(records: tuple[Record, ...]) -> None:
    for number, record in enumerate(records, start=1):
        if record.area != ("boot",):
            raise LogError("a record before the banner", line=number, text=str(record))


def _check_banner(records: tuple[Record, ...], expected: Mapping[str, str | None]) -> None:
    wanted = {what: value for what, value in expected.items() if value is not None}
    if not wanted:
        return
    banner = next(
        (r for r in records if r.area == ("boot",) and r.words[:1] == ("highwater",)), None
    )
    if banner is None:
        raise LogError("the log has no [boot] highwater record", hint="run: make")
    for what, value in wanted.items():
        if banner.fields.get(what) != value:
            raise WrongBuild(what, expected=value, seen=banner.fields.get(what, "nothing"))


def _check_end(records: tuple[Record, ...]) -> None:
    ends = [number for number, r in enumerate(records, start=1) if r.area[0] == "end"]
    if not ends:
        raise LogError("the log has no [end] record: the machine ended without a verdict")
    if len(ends) > 1:
        raise LogError(
            f"{len(ends)} [end] records, on lines {_listed(ends)}; a boot has exactly one"
        )
    if ends[0] != len(records):
        extra = records[ends[0]]
        raise LogError("a record after [end]", line=ends[0] + 1, text=str(extra))
    _check_verdict(records[-1], len(records))
    _check_entered(records)


def _check_entered(records: tuple[Record, ...]) -> None:
    """What only a lab can do, none has done before one was entered."""
    verdict, entered = records[-1].words[0], ("lab", "enter")
    if verdict in _OF_A_LAB and not any((*r.area, *r.words[:1]) == entered for r in records):
        raise LogError(
            f"{verdict} before [lab] enter: no lab was there to do it",
            line=len(records),
            text=str(records[-1]),
        )


def _check_verdict(end: Record, number: int | None = None) -> None:
    for problem in _verdict_problems(end):
        raise LogError(problem, line=number, text=str(end))


def _verdict_problems(end: Record) -> Iterator[str]:
    if end.area != ("end",) or not end.words or end.words[0] not in KERNEL_VERDICTS:
        yield f"unknown verdict; expected one of {', '.join(sorted(KERNEL_VERDICTS))}"
    elif len(end.words) > 1:
        yield f"{' '.join(end.words[1:])!r} after the verdict; expected [end] VERDICT key=value …"
    else:
        yield from _VERDICT_FIELDS[end.words[0]](end.words[0], end.fields)


def _bare(verdict: str, fields: Mapping[str, str]) -> Iterator[str]:
    if fields:
        yield f"{verdict} has no fields, but here it has {_listed(fields)}"


def _by(verdict: str, fields: Mapping[str, str]) -> Iterator[str]:
    if next(iter(fields), "") != "by" or fields.keys() - {"by"} - _BESIDE_BY:
        yield f"{verdict} has the field by= and no other, but here {_listed(fields) or 'none'}"
    elif not _DETECTOR.fullmatch(fields["by"]):
        yield f"{fields['by']!r} is no name of a detector: the line was cut, or written over"


def _why(verdict: str, fields: Mapping[str, str]) -> Iterator[str]:
    if next(iter(fields), "") != "why":
        yield f"{verdict} begins with why=, but here with {next(iter(fields), 'no field')}"
    elif "by" in fields:
        yield f"{verdict} was found by nobody, but here by {fields['by']}"


# What stands after each verdict.
_VERDICT_FIELDS: dict[str, Callable[[str, Mapping[str, str]], Iterator[str]]] = {
    "ok": _bare,
    "survived": _bare,
    "caught": _by,
    "contained": _by,
    "double-fault": _by,
    "hang": _by,
    "bad-args": _why,
    "panic": _why,
}
KERNEL_VERDICTS = frozenset(_VERDICT_FIELDS)
VERDICTS = KERNEL_VERDICTS | {NO_END, HARNESS_ERROR}


def _listed(things: Iterable[object]) -> str:
    return ", ".join(str(thing) for thing in things)
