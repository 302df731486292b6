"""GDB's machine interface as text: a line of output to a record, a word to an argument. Pure.

gdb.py is the only caller. Why not pygdbmi: it decides that an answer is complete when GDB has been
quiet for a while, which costs 200 ms a command (measured); waiting for the command's own token
costs 0.1 ms. What is left is this parser.

Grammar (GDB manual, "GDB/MI Output Syntax"):
    [token] ^class[,result]...        result record
    [token] *|+|= class[,result]...   async record: execution, status, notification
    ~|@|& "c-string"                  text: console, target, log
    result = name=value;   value = "c-string" | {result,...} | [value,...] | [result,...]
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, Union

Value: TypeAlias = Union[str, "dict[str, Value]", "list[Value]"]

PROMPT = "(gdb)"
_DEEPEST = 50
_HEAD = re.compile(r"(\d*)([\^*+=])([a-z-]+)")
_NAME = re.compile(r"([A-Za-z_][\w-]*)=")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = bytes.maketrans(b"ntrabfve", b"\n\t\r\a\b\f\v\x1b")


class MiError(ValueError):
    """A line that is not MI: a program's own output, or a parser that is wrong."""


@dataclass(frozen=True)
class Result:
    """What a command came to: kind is done, running, connected, error or exit."""

    token: int | None
    kind: str
    results: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Async:
    """Something happened: sign is "*" (execution), "+" (progress) or "=" (notification)."""

    token: int | None
    sign: str
    kind: str
    results: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """Prose for a person: sign is "~" (console), "@" (target) or "&" (log)."""

    sign: str
    text: str


Record = Result | Async | Text


def parse(line: str) -> Record | None:
    """One line of GDB's output, without its newline; None for the prompt."""
    line = line.rstrip("\r")
    if line.rstrip() == PROMPT:
        return None
    if line[:1] in ("~", "@", "&"):
        return Text(line[0], _Cursor(line, 1).whole_string())
    head = _HEAD.match(line)
    if head is None:
        raise MiError(f"not an MI record: {line!r}")
    token = int(head[1]) if head[1] else None
    results = _Cursor(line, head.end()).all_results()
    return (
        Result(token, head[3], results)
        if head[2] == "^"
        else Async(token, head[2], head[3], results)
    )


def quote(word: str) -> str:
    """word as one argument of an MI command."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def typed(file: Path) -> str:
    """A file's name as one argument of a command that is typed: in quotes, where it has spaces."""
    return quote(str(file)) if " " in str(file) else str(file)


class _Cursor:
    """A place in a line; each method reads one thing of the grammar and moves behind it."""

    def __init__(self, line: str, at: int) -> None:
        self.line, self.at = line, at
        self.depth = 0

    def whole_string(self) -> str:
        text = self.string()
        self.expect_end()
        return text

    def all_results(self) -> dict[str, Value]:
        results: dict[str, Value] = {}
        while self.skip(","):
            self.result(results)
        self.expect_end()
        return results

    def result(self, into: dict[str, Value]) -> None:
        """name=value. A value without a name (mi2, breakpoints with several locations) is filed
        under "".
        """
        name = _NAME.match(self.line, self.at)
        self.at = name.end() if name else self.at
        into[name[1] if name else ""] = self.value()

    def value(self) -> Value:
        if self.skip("{"):
            return self.nested(self.tuple)
        if self.skip("["):
            return self.nested(self.list)
        return self.string()

    def nested(self, read: Callable[[], Value]) -> Value:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise MiError(f"nested deeper than {_DEEPEST}")
        value = read()
        self.depth -= 1
        return value

    def tuple(self) -> "dict[str, Value]":
        results: dict[str, Value] = {}
        while not self.skip("}"):
            self.result(results)
            self.separator("}")
        return results

    def list(self) -> "list[Value]":
        """Values; where GDB writes results (frame={…},frame={…}) their one name says nothing and
        goes.
        """
        values: list[Value] = []
        while not self.skip("]"):
            item: dict[str, Value] = {}
            self.result(item)
            values.extend(item.values())
            self.separator("]")
        return values

    def separator(self, end: str) -> None:
        if not self.skip(",") and not self.line.startswith(end, self.at):
            raise self.error(f"',' or {end!r}")

    def string(self) -> str:
        found = _STRING.match(self.line, self.at)
        if found is None:
            raise self.error("a value")
        self.at = found.end()
        raw = found[1].encode("utf-8", "surrogateescape")
        return _ESCAPE.sub(_unescaped, raw).decode("utf-8", "replace")

    def skip(self, text: str) -> bool:
        found = self.line.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def expect_end(self) -> None:
        if self.at != len(self.line):
            raise self.error("the end of the line")

    def error(self, wanted: str) -> MiError:
        return MiError(f"column {self.at}: {wanted} expected: {self.line!r}")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF])
    return code.translate(_LETTERS)
