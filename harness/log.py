"""The serial grammar, read: bytes in, records out, nothing forgiven.

kernel/core/report.h documents the grammar; this is its only reader. One line is

    [area] word word key=value key=value : prose

Pure: no files, no processes. A line that is not a record, a log cut off in mid-line, a missing or
second [end], or the banner of another build or another run raises LogError (WrongBuild for the
last two). A line that the kernel itself marked as cut, and that is no record any more, is kept as
[cut]. `seen_verdict` is the one lenient entry: a failure message needs something to show for
any log.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import LogError, WrongBuild

LINE_LIMIT = 256  # with its line feed
CUT = "~"  # how the kernel ends a line that was too long, or that a fault came into
NO_END = "no-end"
HARNESS_ERROR = "harness-error"
KERNEL_VERDICTS = frozenset(
    ("ok", "caught", "contained", "survived", "bad-args", "panic", "double-fault", "hang")
)
VERDICTS = KERNEL_VERDICTS | {NO_END, HARNESS_ERROR}

_AREA = re.compile(r"(?:\[[^\[\]\s]+\])+")
_KEY = re.compile(r"[a-z_][a-z0-9_-]*")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")


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
    _check_banner(records, {"build": build_id, "nonce": nonce})
    _check_end(records)
    return Log(records)


def check_unfinished(serial: bytes, *, build_id: str, nonce: str) -> None:
    """The log of a boot that was cut off, maybe in mid-line: LogError unless its lines are records
    of this build and this run, and it came to its lab.
    """
    records = tuple(parse_lines(serial[: serial.rfind(b"\n") + 1]))
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
    ends = [line for line in serial.split(b"\n") if line.startswith(b"[end] ")]
    if not ends:
        return NO_END
    try:
        (record,) = (parse_line(line) for line in ends)
    except (LogError, ValueError):
        return HARNESS_ERROR
    return verdict_text(record) if record.words else HARNESS_ERROR


def _framing(raw: bytes) -> str:
    if (size := len(raw) + len("\n")) > LINE_LIMIT:
        return f"the line has {size} bytes; the grammar allows {LINE_LIMIT}"
    if not _PRINTABLE.fullmatch(raw):
        return "the line holds a byte that is not printable ASCII"
    return ""


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
    ends = [number for number, r in enumerate(records, start=1) if r.area == ("end",)]
    if not ends:
        raise LogError("the log has no [end] record: the machine ended without a verdict")
    if len(ends) > 1:
        raise LogError(
            f"{len(ends)} [end] records, on lines {_listed(ends)}; a boot has exactly one"
        )
    if ends[0] != len(records):
        extra = records[ends[0]]
        raise LogError("a record behind [end]", line=ends[0] + 1, text=str(extra))
    _check_verdict(records[-1], len(records))


def _check_verdict(end: Record, number: int) -> None:
    if end.words[:1] and end.words[0] in KERNEL_VERDICTS:
        return
    allowed = ", ".join(sorted(KERNEL_VERDICTS))
    raise LogError(f"unknown verdict; expected one of {allowed}", line=number, text=str(end))


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)
