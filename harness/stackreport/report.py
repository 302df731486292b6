"""The whole report of one image: functions, stacks, entry points, and everything that contradicts.

`problems` fail a build: a stack that its bound does not fit, a measurement above the bound, a stack
whose bound is not proven, a note that nothing needs. `findings` are where the compiler and the
machine code disagree; one that no note explains is a problem too. Pure: what it needs is passed in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from harness.stackreport.bounds import Bound, Graph, Program, Step, deepest, stacked
from harness.stackreport.code import Code
from harness.stackreport.image import INDIRECT, Image
from harness.stackreport.marks import Mark
from harness.stackreport.notes import Note, Notes, NotesError, matches

SCHEMA = 1
GUARD = "__stack_chk_fail"
FRAME = "exception frame"


@dataclass(frozen=True)
class FunctionRow:
    """`compiler` is the compiler's own number, None for assembly."""

    name: str
    unit: str
    frame: int
    dynamic: bool
    compiler: int | None


@dataclass(frozen=True)
class Entry:
    """One way in: `levels` of it at most at once, each on `reserved` bytes of an exception
    frame."""

    name: str
    bound: Bound
    levels: int = 1
    reserved: int = 0
    exception: bool = False

    @property
    def total(self) -> Bound:
        step = Step(FRAME, self.reserved)
        one = self.bound.above(step) if self.reserved else self.bound
        return stacked([one] * self.levels)


@dataclass(frozen=True)
class StackRow:
    name: str
    size: int
    bound: Bound
    entries: tuple[Entry, ...]
    budget: int | None = None
    budget_bound: Bound | None = None
    unbounded: str = ""  # the note's reason why no bound is asked for
    direct: frozenset[str] = frozenset()  # what the entry itself calls by name
    marks: tuple[Mark, ...] = ()  # the measurements that are held against the bound

    @property
    def mark(self) -> Mark | None:
        return max(self.marks, key=lambda m: m.deepest, default=None)

    def mark_of(self, entry: Entry) -> Mark | None:
        """The deepest measurement of one of its entries, where a log tells which it was."""
        mine = (mark for mark in self.marks if mark.start == entry.name)
        return max(mine, key=lambda m: m.deepest, default=None)

    @property
    def margin(self) -> int | None:
        return self.size - self.bound.bytes if self.size and self.bound.proven else None

    @property
    def tightness(self) -> float | None:
        return tightness(self.bound, self.mark)


def tightness(bound: Bound, mark: Mark | None) -> float | None:
    """How much of the bound was ever measured; 1.0 says that the bound is exact."""
    if not mark or not bound.proven or not bound.bytes:
        return None
    return mark.deepest / bound.bytes


@dataclass(frozen=True)
class Report:
    elf: str
    build_id: str
    taken: int | None  # functions whose address is taken; None: no relocations were kept
    functions: tuple[FunctionRow, ...]
    stacks: tuple[StackRow, ...]
    findings: tuple[str, ...]
    problems: tuple[str, ...]

    def largest(self, top: int) -> list[FunctionRow]:
        return sorted(self.functions, key=lambda f: (-f.frame, f.name))[:top]


def make(
    image: Image,
    notes: Notes,
    marks: Sequence[Mark] = (),
    entries: Sequence[str] = (),
    codes: Mapping[str, Code] | None = None,
) -> Report:
    """`entries`: further entry points, each reported as a stack of its own without a size;
    `codes`: as Program takes them.
    """
    program = Program(image, notes, codes)
    stacks = [_stack(program, note) for note in notes.of("stack")]
    stacks = [_measured(stack, notes, marks) for stack in stacks]
    asked = [_asked(program, name) for name in entries]
    findings = list(_findings(program))
    problems = [
        *(f"no note explains: {text}" for text, note in findings if not note),
        *(text for stack in stacks for text in _stack_problems(stack)),
        *_mark_problems(stacks, notes, marks),
        *_uncovered(image, notes),
        *_note_problems(image, notes),
    ]
    return Report(
        str(image.path),
        image.build_id,
        None if image.taken is None else len(image.taken),
        tuple(_functions(program)),
        (*stacks, *asked),
        tuple(text for text, _ in findings),
        tuple(problems),
    )


def _functions(program: Program) -> Iterator[FunctionRow]:
    for name, walk in program.walks.items():
        view = program.image.compiler.get(name)
        unit = program.image.functions[name].unit
        yield FunctionRow(name, unit, walk.frame, walk.dynamic, view.bytes if view else None)


# --- stacks -------------------------------------------------------------------------------------


def _stack(program: Program, note: Note) -> StackRow:
    program.notes.use(note)
    threads = list(_threads(program, note))
    carried = list(_carried(program, note["name"]))
    bound = stacked([deepest([e.total for e in threads]), *(e.total for e in carried)])
    return StackRow(
        note["name"],
        _size(program.image, note),
        bound,
        (*threads, *carried),
        note.get("budget"),
        _budget_bound(program, note),
        note.get("unbounded", ""),
        _called(program, note.get("entry", "")),
    )


def _called(program: Program, entry: str) -> frozenset[str]:
    walk = program.walks.get(entry)
    targets = (call.target for call in walk.calls if call.target is not None) if walk else ()
    found = (program.image.at(target) for target in targets)
    return frozenset(function.name for function in found if function)


def _threads(program: Program, note: Note) -> Iterator[Entry]:
    """The stack's entry; once for each function that the entry may start there."""
    entry = note.get("entry")
    if not entry:
        return
    _check_function(program.image, entry, note)
    patterns = note.get("starts")
    if not patterns:
        yield Entry(entry, Graph(program, note["name"]).bound(entry))
    for start in _starts(program.image, note, patterns or []):
        yield Entry(start, Graph(program, note["name"], {entry: [start]}).bound(entry))


def _starts(image: Image, note: Note, patterns: Sequence[str]) -> list[str]:
    found = []
    for name in sorted(image.functions if image.taken is None else image.taken):
        if any(matches(pattern, name, image.functions[name].unit) for pattern in patterns):
            found.append(name)
    if patterns and not found:
        raise NotesError(f"stack note {note.label}: no function in starts has its address taken")
    return found


def _carried(program: Program, stack: str) -> Iterator[Entry]:
    for note in program.notes.of("exception"):
        if stack not in note["on"]:
            continue
        program.notes.use(note)
        entry = note["entry"]
        _check_function(program.image, entry, note)
        bound = Graph(program, stack).bound(entry)
        yield Entry(entry, bound, note["levels"], note["reserved"], exception=True)


def _budget_bound(program: Program, note: Note) -> Bound | None:
    if "budget" not in note.values:
        return None
    entry, without = note["entry"], note.get("budget_without", [])
    starts = {entry: note["starts"]} if "starts" in note.values else {}
    return Graph(program, note["name"], starts, without).bound(entry)


def _asked(program: Program, name: str) -> StackRow:
    """An alias of a library's (malloc) is as good as the function's own name."""
    found = program.image.named(name)
    if found is None:
        raise NotesError(f"--entry {name}: the image has no such function")
    bound = Graph(program).bound(found.name)
    return StackRow(name, 0, bound, (Entry(found.name, bound),))


def _check_function(image: Image, name: str, note: Note) -> None:
    if name not in image.functions:
        raise NotesError(f"stack note {note.label}: the image has no function {name}")


def _size(image: Image, note: Note) -> int:
    size = note["size"]
    if isinstance(size, int):
        return size
    high, low = size.split(" - ")
    for symbol in (high, low):
        if symbol not in image.symbols:
            raise NotesError(f"stack note {note.label}: the image has no symbol {symbol}")
    return image.symbols[high] - image.symbols[low]


def _stack_problems(stack: StackRow) -> Iterator[str]:
    bound = stack.bound
    for entry in stack.entries:
        if entry.bound.status == "≥":  # notes are missing, even where there need be no bound
            yield f"stack {stack.name}, entry {entry.name}: {entry.bound}"
    if stack.unbounded:
        if bound.proven and bound.bytes <= stack.size:
            yield f"stack {stack.name}: noted as unbounded, but it is {bound}"
        return
    if not bound.proven:
        yield f"stack {stack.name}: {bound}"
    elif bound.bytes > stack.size:
        yield f"stack {stack.name}: {bound} does not fit {stack.size}"
    budget = stack.budget_bound
    if budget and (not budget.proven or budget.bytes > (stack.budget or 0)):
        yield f"stack {stack.name}: {budget} is over its budget of {stack.budget}"


# --- measurements -------------------------------------------------------------------------------


def _exempt(notes: Notes, mark: Mark) -> Note | None:
    for note in notes.of("mark"):
        if matches(note["log"], mark.log) and matches(note["stack"], mark.stack):
            return note
    return None


def _measured(stack: StackRow, notes: Notes, marks: Sequence[Mark]) -> StackRow:
    mine = (m for m in marks if matches(stack.name, m.stack) and not _exempt(notes, m))
    return replace(stack, marks=tuple(mine))


def held_against(stack: StackRow, mark: Mark) -> Bound | None:
    """The bound of what ran there: of the thread's own start where the log tells it, else of the
    stack. None when the notes know no such start."""
    if not mark.start or mark.start in stack.direct:
        return stack.bound
    return next((e.total for e in stack.entries if e.name == mark.start), None)


def _mark_problems(
    stacks: Sequence[StackRow], notes: Notes, marks: Sequence[Mark]
) -> Iterator[str]:
    for mark in marks:
        where = f"{mark.log}: {mark.stack} used={mark.used} lowest_sp={mark.lowest}"
        stack = next((s for s in stacks if matches(s.name, mark.stack)), None)
        if stack is None:
            yield f"{where}: no [[stack]] note has that name"
            continue
        if mark.size != stack.size and not (stack.unbounded or _exempt(notes, mark)):
            yield f"{where}: measured on {mark.size} bytes, noted are {stack.size}"
        bound = held_against(stack, mark)
        if bound is None:
            yield f"{where}: {mark.start} is not among the starts of [[stack]] {stack.name}"
        elif bound.proven and mark.deepest > bound.bytes:
            exempt = _exempt(notes, mark)
            if exempt:
                notes.use(exempt)
            else:
                yield f"{where}: more than the bound, {bound}"


# --- notes --------------------------------------------------------------------------------------


def _note_problems(image: Image, notes: Notes) -> Iterator[str]:
    for note in notes.unused():
        yield f"note {note.label} is not needed: remove it (its why: {note.why})"
    stacks = {note["name"] for note in notes.of("stack")}
    # Names in lists, one by one: a note may be needed for some of them and wrong about others.
    for kind, key, known, problem in (
        ("indirect", "targets", partial(_names_taken, image), "no {} has its address taken"),
        ("stack", "starts", partial(_names_taken, image), "no {} has its address taken"),
        ("assembly", "jumps", image.symbols.__contains__, "the image has no symbol {}"),
        ("exception", "on", stacks.__contains__, "there is no [[stack]] {}"),
    ):
        for note in notes.of(kind):
            for name in note.get(key, []):
                if not known(name):
                    yield f"note {note.label}: {problem.format(name)}"


def _uncovered(image: Image, notes: Notes) -> Iterator[str]:
    """Notes narrow what computed calls reach; so whoever has its address taken must be in one."""
    patterns = [(note, target) for note in notes.of("indirect") for target in note["targets"]]
    patterns += [(note, start) for note in notes.of("stack") for start in note.get("starts", [])]
    patterns += [(note, note["function"]) for note in notes.of("taken")]
    for name in sorted(image.taken or ()) if patterns else ():
        unit = image.functions[name].unit
        found = [note for note, pattern in patterns if matches(pattern, name, unit)]
        if not found:
            yield f"{name}: its address is taken, and no note says who calls it"
        if len(found) == 1 and found[0].kind == "taken":
            notes.use(found[0])


def _names_taken(image: Image, pattern: str) -> bool:
    if image.taken is None:
        return True
    return any(matches(pattern, name, image.functions[name].unit) for name in image.taken)


# --- the compiler against the machine code ------------------------------------------------------


def _findings(program: Program) -> Iterator[tuple[str, Note | None]]:
    """(what disagrees, the note that explains it)."""
    image, notes = program.image, program.notes
    for name in sorted(program.walks):
        unit = image.functions[name].unit
        for text in _disagreements(program, name):
            note = notes.find("differs", "function", name, unit)
            note = note or notes.find("dynamic", "function", name, unit)
            if note and note.kind == "differs":
                notes.use(note)
            yield f"{name}: {text}", note


def _disagreements(program: Program, name: str) -> Iterator[str]:
    image, walk = program.image, program.walks[name]
    view = image.compiler.get(name)
    listed = image.stack_sizes.get(image.functions[name].start)
    if listed is not None and listed != walk.frame:
        yield f".stack_sizes says {listed} bytes, the machine code takes {walk.frame}"
    if view is None:
        return
    if view.bytes != walk.frame:
        yield f"the compiler says {view.bytes} bytes, the machine code takes {walk.frame}"
    if walk.dynamic != view.qualifier.startswith("dynamic"):
        moved = "moves SP by amounts only known at run time" if walk.dynamic else "does not"
        yield f"the compiler says {view.qualifier}, the machine code {moved}"
    made = _callees(program, name)
    listed_calls = view.calls if made & {GUARD} else view.calls - {GUARD}
    if more := made - listed_calls:
        yield f"calls {', '.join(sorted(more))}, which the compiler does not list"
    if fewer := listed_calls - made:
        yield f"does not call {', '.join(sorted(fewer))}, which the compiler lists"


def _callees(program: Program, name: str) -> frozenset[str]:
    """As the compiler names them. A function that never returns loses its canary's check."""
    found = set()
    for call in program.walks[name].calls:
        function = program.image.at(call.target) if call.target is not None else None
        is_table = call.address in program.walks[name].jumps
        if function:
            found.add(function.name)
        elif call.target is None and not is_table:
            found.add(INDIRECT)
    return frozenset(found)


# --- as JSON ------------------------------------------------------------------------------------


def to_json(report: Report) -> dict[str, Any]:
    """docs/stack-report.md documents it; `schema` changes when a reader would have to."""
    return {
        "schema": SCHEMA,
        "elf": report.elf,
        "build_id": report.build_id,
        "address_taken": report.taken,
        "functions": [
            {
                "name": f.name,
                "unit": f.unit,
                "frame": f.frame,
                "dynamic": f.dynamic,
                "compiler": f.compiler,
            }
            for f in sorted(report.functions, key=lambda f: f.name)
        ],
        "stacks": [_stack_json(stack) for stack in report.stacks],
        "findings": list(report.findings),
        "problems": list(report.problems),
    }


def _stack_json(stack: StackRow) -> dict[str, Any]:
    mark = stack.mark
    return {
        "name": stack.name,
        "size": stack.size,
        "bound": _bound_json(stack.bound),
        "margin": stack.margin,
        "unbounded": stack.unbounded or None,
        "budget": stack.budget
        and stack.budget_bound
        and {"bytes": stack.budget, "bound": _bound_json(stack.budget_bound)},
        "watermark": mark
        and {"used": mark.used, "lowest_sp": mark.lowest or None, "log": mark.log},
        "tightness": _rounded(stack.tightness),
        "entries": [
            {
                "function": e.name,
                "exception": e.exception,
                "levels": e.levels,
                "reserved": e.reserved,
                "bound": _bound_json(e.bound),
                "tightness": _rounded(tightness(e.total, stack.mark_of(e))),
            }
            for e in stack.entries
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _bound_json(bound: Bound) -> dict[str, Any]:
    return {
        "status": bound.status,
        "bytes": None if bound.status == "unbounded" else bound.bytes,
        "text": str(bound),
        "reasons": sorted(bound.reasons),
        "chain": [{"function": s.function, "bytes": s.bytes} for s in bound.chain],
    }
