"""The notes that stand beside the code: an image's section `.stack_notes`
(kernel/base/stack_note.h).

A record is `stknote`, a number of 8 bytes, the source file, and below it one note in the grammar of
notes.py, where # stands for the number; a list is one text with blanks. Two things are more:

    [[start]]   thread, function, bytes: what a call of thread_create() says of itself. `thread` and
                `function` are the source text of two arguments: all string literals of the one, all
                functions of the other. bytes is 0 where only the running program knows
    merging     [[stack]] of one name and [[indirect]] of one caller add up, over all files

A name without a file means this file's own function, or if it has none, whichever has that name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from harness.stackreport.image import Image
from harness.stackreport.notes import LISTS, Note, Notes, bare, tables

SECTION = ".stack_notes"
ENTRY = "thread_start"  # where every thread begins
WHOSE = {  # kind -> the keys that name functions
    "stack": ("starts",),
    "indirect": ("in", "targets"),
    "recursion": ("function",),
    "dynamic": ("function",),
    "assembly": ("function",),
    "ignore": ("from", "to"),
    "taken": ("function",),
}
_RECORD = re.compile(rb"stknote\0(.{8})([^\n\0]+)\n([^\0]*)\0", re.DOTALL)
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_LITERAL = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class _Said:
    """One record: which file says what."""

    unit: str
    kind: str
    values: Mapping[str, Any]


def read(image: Image, notes: Notes) -> Notes:
    """The notes of a file and those beside the code, as one."""
    said = list(_records(_section(image.path)))
    named = _Names(image)
    found = [note for one in said for note in _notes(one, named)]
    return Notes(_merged([*notes, *found]))


def _section(path: Path) -> bytes:
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(SECTION)
        return bytes(section.data()) if section else b""


def _records(data: bytes) -> Iterator[_Said]:
    """By file, whatever order they were linked in."""
    found = []
    for number, unit, text in _RECORD.findall(data):
        value = int.from_bytes(number, "little")
        toml = re.sub(r"(?m)= #$", f"= {value}", text.decode("utf-8"))
        for kind, entries in tables(toml).items():
            found += [_Said(unit.decode("utf-8"), kind, entry) for entry in entries]
    return iter(sorted(found, key=lambda said: said.unit))


class _Names:
    """Which functions an image has, by file."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._own: dict[str, list[str]] = {}
        for function in image.functions.values():
            self._own.setdefault(function.unit, []).append(bare(function.name))

    def scoped(self, pattern: str, unit: str) -> str:
        """FILE:NAME where this file has such a function."""
        if ":" in pattern:
            return pattern
        own = any(fnmatchcase(name, pattern) for name in self._own.get(unit, ()))
        return f"{unit}:{pattern}" if own else pattern

    def taken(self, expression: str, unit: str) -> list[str]:
        """The functions that a source text names, and whose address is taken somewhere."""
        taken = self.image.taken or frozenset()
        words = set(_WORD.findall(_LITERAL.sub("", expression)))
        own = {bare(f): f for f in taken if self.image.functions[f].unit == unit}
        others = {f: f for f in taken if f not in own}
        names = (own.get(word) or others.get(word) for word in sorted(words))
        return [f"{self.image.functions[n].unit}:{bare(n)}" for n in names if n]


def _notes(said: _Said, names: _Names) -> Iterator[Note]:
    if said.kind == "start":
        yield from _started(said, names)
        return
    values = dict(said.values)
    for key in values.keys() & LISTS:
        values[key] = values[key].split()
    values = {key: value for key, value in values.items() if value not in ([], "")}
    for key in WHOSE.get(said.kind, ()):
        if isinstance(value := values.get(key), str):
            values[key] = names.scoped(value, said.unit)
        elif value:
            values[key] = [names.scoped(name, said.unit) for name in value]
    yield Note.checked(said.kind, values, said.unit)


def _started(said: _Said, names: _Names) -> Iterator[Note]:
    """A start that only a variable knows says nothing: whoever sets the variable does."""
    starts = names.taken(said.values["function"], said.unit)
    for thread in _LITERAL.findall(said.values["thread"]) if starts else ():
        values = {
            "name": f"thread:{thread}",
            "size": said.values["bytes"],
            "starts": starts,
            "why": f"{said.unit}: {said.values['function']} begins in a thread made there",
        }
        yield Note("stack", values, said.unit, automatic=True)


# --- notes that add up ----------------------------------------------------------------------------


def _merged(notes: Iterable[Note]) -> Iterator[Note]:
    """In the order of the first of each."""
    groups: dict[object, list[Note]] = {}
    for note in notes:
        key = {"stack": note.get("name"), "indirect": note.get("in")}.get(note.kind, id(note))
        groups.setdefault((note.kind, key), []).append(note)
    for group in groups.values():
        yield group[0] if len(group) == 1 and group[0].kind != "stack" else _one(group)


def _one(group: list[Note]) -> Note:
    first = group[0]
    values = {key: value for note in reversed(group) for key, value in note.values.items()}
    for key in ("starts", "targets"):
        names = dict.fromkeys(name for note in group for name in note.get(key, ()))
        if names:
            values[key] = list(names)
    if first.kind == "stack":
        values["size"] = _size(group)
        if "starts" in values:
            values.setdefault("entry", ENTRY)
    values["why"] = "; ".join(dict.fromkeys(note.why for note in group))
    return replace(first, values=values)


def _size(group: list[Note]) -> Any:
    """What somebody wrote, else the smallest that a call says; 0: nobody knows before it runs."""
    written = [note["size"] for note in group if not note.automatic and note["size"]]
    called = [note["size"] for note in group if note.automatic and note["size"]]
    return written[0] if written else min(called, default=0)
