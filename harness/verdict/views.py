"""Three views of one fault: the kernel's frame-pointer walk, GDB's DWARF unwind, and the golden.

The kernel prints [bt] records; GDB is asked while it stands in debugger_fault_hook, so its
backtrace begins with the handler, passes the vector (a signal frame), and then shows the culprit.
From there on the two must agree frame by frame. The one difference with an explanation: GDB also
shows functions that were inlined, which have no frame of their own (the same address as the frame
below them, under another name). Everything else is a disagreement.

What agreed becomes [gdb] records, folded as the kernel folded its own, and golden.py holds both
against the golden. Pure: frames come in as addresses, names through a function.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Protocol

from harness.serial.log import Log, Record

ENTRY = "entry"  # the walk came to where the thread began
SIGNAL_FRAME = "<signal handler called>"  # GDB's name for a frame marked .cfi_signal_frame

# Where only the kernel's walk goes on: to who entered EL0, to whom a server serves.
BEYOND = frozenset({"kernel", "ipc"})


class Frame(Protocol):
    """What GDB knows of one frame (gdb.GdbFrame)."""

    @property
    def address(self) -> int: ...
    @property
    def function(self) -> str | None: ...


class Names(Protocol):
    """How addresses are named (symbols.Symbols); the kernel names by the same rule."""

    def name(self, address: int) -> str: ...
    def return_name(self, address: int) -> str: ...


@dataclass(frozen=True)
class Walk:
    """One [bt] group: names per printed record, with how often each stands, and why it ended."""

    steps: tuple[tuple[str, int], ...]
    why: str = ENTRY
    beyond: bool = False

    @property
    def names(self) -> list[str]:
        return [name for name, times in self.steps for _ in range(times)]


@dataclass(frozen=True)
class Agreement:
    """`problems` is empty when both saw the same; `records` is what GDB saw either way."""

    records: tuple[Record, ...]
    problems: tuple[str, ...]


def agree(log: Log, looks: Sequence[Sequence[Frame]], names: Names) -> Agreement:
    """Each [bt] group of the log against GDB's look at the same stop, in order."""
    walks = kernel_walks(log)
    seen = [culprit(look, names) for look in looks]
    problems = list(_count_problem(len(walks), len(seen)))
    for number, (walk, theirs) in enumerate(zip(walks, seen, strict=False), start=1):
        where = f"look {number}: " if len(walks) > 1 else ""
        comparable = theirs if walk.why == ENTRY else theirs[: len(walk.names)]
        problems += _frame_problems(walk.names, comparable, where)
    steps = [_folded(theirs, walks[i] if i < len(walks) else None) for i, theirs in enumerate(seen)]
    return Agreement(tuple(r for step in steps for r in _records(step)), tuple(problems))


def kernel_walks(log: Log) -> list[Walk]:
    """The [bt] groups: each begins at #0."""
    walks: list[Walk] = []
    for record in log.select("bt"):
        if record.words[:1] == ("#0",):
            walks.append(Walk(()))
        if walks:
            walks[-1] = _extended(walks[-1], record)
    return walks


def _extended(walk: Walk, record: Record) -> Walk:
    if record.words == ("end",):
        return replace(walk, why=record.fields.get("why", ENTRY))
    if walk.beyond or record.fields.get("via") in BEYOND:
        return replace(walk, beyond=True)
    if len(record.words) == 2 and record.words[0].startswith("#"):
        step = record.words[1], int(record.fields.get("times", "1"))
        return replace(walk, steps=(*walk.steps, step))
    return walk


def culprit(frames: Sequence[Frame], names: Names) -> list[str]:
    """The names behind the innermost vector's frame, inlined functions left out."""
    vectors = [number for number, frame in enumerate(frames) if _is_vector(frame)]
    start = vectors[0] + 1 if vectors else 0
    return list(_named(frames, start, names))


def _named(frames: Sequence[Frame], start: int, names: Names) -> Iterator[str]:
    """The first frame, and one that an exception interrupted, is named by its own address."""
    interrupted = True
    for frame, outer in zip_longest(frames[start:], frames[start + 1 :]):
        name = (names.name if interrupted else names.return_name)(frame.address)
        inlined = outer is not None and outer.address == frame.address
        if not inlined or frame.function == name.partition("+")[0].rpartition(":")[2]:
            yield name
            interrupted = _is_vector(frame)


def _is_vector(frame: Frame) -> bool:
    return frame.function == SIGNAL_FRAME


def _count_problem(kernel: int, gdb: int) -> Iterator[str]:
    if kernel != gdb:
        yield f"the kernel printed {kernel} backtraces, GDB stopped at {gdb} faults"


def _frame_problems(kernel: Sequence[str], gdb: Sequence[str], where: str) -> list[str]:
    """The first frame that differs says it all: behind it the walks have parted."""
    for number, (ours, theirs) in enumerate(zip_longest(kernel, gdb, fillvalue="nothing")):
        if ours != theirs:
            return [f"{where}frame #{number}: the kernel walked to {ours}, GDB to {theirs}"]
    return []


def _folded(names: Sequence[str], walk: Walk | None) -> list[tuple[str, int]]:
    """As the kernel folded where both agree, else equal neighbours."""
    if walk is not None and walk.names == list(names):
        return list(walk.steps)
    return [(name, len(list(group))) for name, group in groupby(names)]


def _records(steps: Sequence[tuple[str, int]]) -> Iterator[Record]:
    number = 0
    for name, times in steps:
        fields = {"times": str(times)} if times > 1 else {}
        yield Record(("gdb",), (f"#{number}", name), fields)
        number += times
