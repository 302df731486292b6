"""What no tool can read from an image, written down by people, each with its reason:
stack-notes.toml, and the notes beside the code (beside.py).

    [[stack]]      name, size, entry; starts: what entry calls indirectly there; unbounded: the
                   reason why it may be; budget: what entry may take, budget_without: not counting
                   these
    [[exception]]  entry, on, levels, reserved: what is pushed on top of whoever is interrupted
    [[indirect]]   in, targets: where a computed call can go. Without it: every function whose
                   address is taken
    [[recursion]]  function, depth: how many activations of it there can be at once
    [[dynamic]]    function, bytes: how much alloca, arrays of variable length or assembly may take
    [[assembly]]   function, switches, jumps: SP is loaded here; where a computed jump goes
    [[ignore]]     from, to, on: a call that is not counted on these stacks
    [[mark]]       log, stack: a measurement that is not held against the bound
    [[taken]]      function: its address is taken, but not for a computed call
    [[differs]]    function: the compiler and the machine code may disagree here

Names are patterns of fnmatch; a function is matched as NAME and as FILE:NAME. Every note has a
`why`. A note that nothing needed is an error (report.py asks `unused`). Pure: text in, notes out.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Self

from harness.errors import HarnessError


class NotesError(HarnessError):
    """The notes cannot be read: not TOML, a table or key that does not exist, a missing why."""


@dataclass(frozen=True)
class Note:
    """One entry. `label` names it in a message: `indirect in=idle`. unit: the file that it stands
    in, when that is not the file of notes; automatic: nobody wrote it, a macro did.
    """

    kind: str
    values: Mapping[str, Any]
    unit: str = ""
    automatic: bool = False

    @classmethod
    def checked(cls, kind: str, values: Mapping[str, Any], unit: str = "") -> Self:
        """NotesError unless it is what the grammar says."""
        where = f" in {unit}" if unit else ""
        if kind not in KINDS:
            allowed = ", ".join(f"[[{name}]]" for name in KINDS)
            raise NotesError(f"stack notes have no {kind!r}{where}; there are {allowed}")
        if problem := next(_problems(KINDS[kind], values), None):
            raise NotesError(f"stack note [[{kind}]]{where}: {problem}")
        return cls(kind, values, unit)

    @property
    def label(self) -> str:
        keys = (key for key in KINDS[self.kind] if key in self.values and key in NAMING)
        return " ".join([self.kind, *(f"{key}={_shown(self.values[key])}" for key in keys)])

    @property
    def why(self) -> str:
        return str(self.values["why"])

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def _a(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


def _names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(v) is str for v in value)


def _bytes(value: Any) -> bool:
    return type(value) is int and value >= 0


def _size(value: Any) -> bool:
    """A number, or two symbols: "boot_stack_top - boot_stack_base"."""
    return _bytes(value) or (type(value) is str and len(value.split(" - ")) == 2)


LISTS = frozenset({"starts", "budget_without", "on", "targets", "jumps"})

_TEXT = _a(str)
_FLAG = _a(bool)
Keys = Mapping[str, tuple[Callable[[Any], bool], bool]]  # key -> (check, must it be there?)

KINDS: Mapping[str, Keys] = {
    "stack": {
        "name": (_TEXT, True),
        "size": (_size, True),
        "entry": (_TEXT, False),
        "starts": (_names, False),
        "budget": (_bytes, False),
        "budget_without": (_names, False),
        "unbounded": (_TEXT, False),
    },
    "exception": {
        "entry": (_TEXT, True),
        "on": (_names, True),
        "levels": (_bytes, True),
        "reserved": (_bytes, True),
    },
    "indirect": {"in": (_TEXT, True), "targets": (_names, True)},
    "recursion": {"function": (_TEXT, True), "depth": (_bytes, True)},
    "dynamic": {"function": (_TEXT, True), "bytes": (_bytes, True)},
    "assembly": {"function": (_TEXT, True), "switches": (_FLAG, False), "jumps": (_names, False)},
    "ignore": {"from": (_TEXT, True), "to": (_TEXT, True), "on": (_names, True)},
    "mark": {"log": (_TEXT, True), "stack": (_TEXT, True)},
    "differs": {"function": (_TEXT, True)},
    "taken": {"function": (_TEXT, True)},
}
NAMING = frozenset({"name", "entry", "in", "function", "from", "to", "log", "stack"})


class Notes:
    """All notes of one file. Whoever lets one decide something says so: `use`."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self._all = list(notes)
        self._used: set[Note] = set()

    def __iter__(self) -> Iterator[Note]:
        return iter(self._all)

    def of(self, kind: str) -> list[Note]:
        return [note for note in self._all if note.kind == kind]

    def find(self, kind: str, key: str, name: str, unit: str = "") -> Note | None:
        """The first note of a kind whose `key` is this function."""
        found = (n for n in self._all if n.kind == kind and matches(n[key], name, unit))
        return next(found, None)

    def use(self, note: Note) -> None:
        self._used.add(note)

    def unused(self) -> list[Note]:
        return [note for note in self._all if note not in self._used]


_WILD = re.compile(r"[*?[]")


def bare(name: str) -> str:
    """Of several functions with one name each is NAME@FILE; the name."""
    return name.partition("@")[0]


def is_wild(pattern: str) -> bool:
    return bool(_WILD.search(pattern))


@cache
def matches(pattern: str, name: str, unit: str = "") -> bool:
    """`idle`, `lab_*`, `kernel/labs/*:*`."""
    whole = f"{unit}:{bare(name)}" if ":" in pattern and unit else name
    return fnmatchcase(whole, pattern) if _WILD.search(pattern) else whole == pattern


def parse(text: str) -> Notes:
    return Notes(_notes(tables(text)))


def tables(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotesError(f"stack notes are not TOML: {error}") from None


def _notes(found: Mapping[str, Any]) -> Iterator[Note]:
    for kind, entries in found.items():
        if kind not in KINDS or not isinstance(entries, list):
            allowed = ", ".join(f"[[{name}]]" for name in KINDS)
            raise NotesError(f"stack notes have no {kind!r}; there are {allowed}")
        for number, entry in enumerate(entries, 1):
            problem = next(_problems(KINDS[kind], entry), None)
            if problem:
                raise NotesError(f"stack note [[{kind}]] number {number}: {problem}")
            yield Note(kind, entry)


def _problems(keys: Keys, entry: Mapping[str, Any]) -> Iterator[str]:
    why = entry.get("why")
    if not isinstance(why, str) or not why.strip():
        yield "it has no why"
    for key in entry.keys() - keys.keys() - {"why"}:
        yield f"no key {key!r}; it takes {', '.join(keys)} and why"
    for key, (check, needed) in keys.items():
        if key in entry and not check(entry[key]):
            yield f"{key} = {entry[key]!r} is not what belongs there"
        elif needed and key not in entry:
            yield f"it has no {key}"


def _shown(value: Any) -> str:
    return str(value)
