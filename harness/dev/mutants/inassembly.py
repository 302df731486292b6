"""Mutants of assembly: one instruction a line, so the lines are all the tree there is. Pure."""

import re
from collections.abc import Iterator

from harness.dev.mutants.mutant import Mutant, numbered

_LINE = re.compile(
    r"(?P<indent>[ \t]+)(?P<code>(?P<name>[a-z][\w.]*)(?:[ \t]+[^/\n]*?)?)[ \t]*(?:/[/*].*)?"
)
_LABEL = re.compile(r"(?:FUNCTION\()?([A-Za-z_]\w+)(?::|\))")
_MACRO = re.compile(r"\.macro[ \t]+(\w+)")
_BARRIERS = frozenset("dsb dmb isb tlbi ic dc sb".split())
_CALLS = frozenset(("bl", "blr"))
_REMOVED = frozenset(
    "msr str stp strb stur ldr ldp ldrb ldur mov movk add sub orr and bic eor".split()
)
_OPPOSITE = dict(
    pair
    for one, other in (
        ("b.eq", "b.ne"), ("b.lo", "b.hs"), ("b.hi", "b.ls"), ("b.lt", "b.ge"), ("b.gt", "b.le"),
        ("b.cs", "b.cc"), ("b.mi", "b.pl"), ("cbz", "cbnz"), ("tbz", "tbnz"),
    )
    for pair in ((one, other), (other, one))
)  # fmt: skip
_CLOSE = {"b.lo": "b.ls", "b.ls": "b.lo", "b.hi": "b.hs", "b.hs": "b.hi"} | {
    "b.lt": "b.le", "b.le": "b.lt", "b.gt": "b.ge", "b.ge": "b.gt"
}  # fmt: skip
_NUMBER = re.compile(r"#(\d+)\b")


def mutants(path: str, source: bytes) -> list[Mutant]:
    return list(numbered(_all(path, source.decode())))


def _all(path: str, source: str) -> Iterator[Mutant]:
    at, function, comment = 0, "", False
    for number, line in enumerate(source.split("\n"), 1):
        comment = comment or line.lstrip().startswith("/*")
        if not comment:
            if label := _LABEL.match(line) or _MACRO.match(line):
                function = label[1]
            for operator, start, old, new in _of_line(line):
                begin = at + len(line[:start].encode())
                end = begin + len(old.encode())
                yield Mutant(path, operator, function, number, number, number, begin, end, old, new)
        comment = comment and "*/" not in line
        at += len(line.encode()) + 1


def _of_line(line: str) -> Iterator[tuple[str, int, str, str]]:
    found = _LINE.fullmatch(line)
    if not found:
        return
    name, code, at = found["name"], found["code"], found.start("code")
    if name in _BARRIERS:
        yield "barrier", at, code, "nop"
    elif name in _CALLS:
        yield "call", at, code, "nop"
    elif name in _REMOVED:
        yield "assignment", at, code, "nop"
    if name in _OPPOSITE:
        yield "condition", at, name, _OPPOSITE[name]
    if name in _CLOSE:
        yield "boundary", at, name, _CLOSE[name]
    for number in _NUMBER.finditer(code):
        yield "constant", at + number.start(1), number[1], str(int(number[1]) + 1)
