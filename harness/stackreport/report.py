"""The whole report of one image: functions, stacks, entry points, and everything that contradicts.

`problems` fail a build: a stack that its bound does not fit, a measurement above the bound, a stack
whose bound is not proven, a note that nothing needs. `findings` (findings.py) are where the
compiler and the machine code disagree; one that no note explains is a problem too. Pure: what it
needs is passed in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.stackreport.advice import for_bound, for_taken
from harness.stackreport.bounds import Bound, Graph, Program, deepest, stacked
from harness.stackreport.code import Code
from harness.stackreport.findings import disagreements
from harness.stackreport.image import Image
from harness.stackreport.marks import Mark
from harness.stackreport.notes import Note, Notes, NotesError, bare, matches
from harness.stackreport.rows import Entry, FunctionRow, Report, StackRow


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
    for name in entries:  # before any stack: what is walked late may take addresses too
        program.find(name)
    stacks = [_stack(program, note) for note in notes.of("stack")]
    stacks = [_measured(stack, notes, marks) for stack in stacks]
    asked = [_asked(program, name) for name in entries]
    findings = list(disagreements(program))
    problems = [
        *(f"no note explains: {text}" for text, note in findings if not note),
        *(text for stack in stacks for text in _stack_problems(program, stack)),
        *_mark_problems(stacks, notes, marks),
        *_uncovered(program),
        *_note_problems(program),
    ]
    return Report(
        str(image.path),
        image.build_id,
        None if program.taken is None else len(_functions_taken(program)),
        tuple(_functions(program)),
        (*stacks, *asked),
        tuple(text for text, _ in findings),
        tuple(problems),
    )


def _functions(program: Program) -> Iterator[FunctionRow]:
    for name, function in program.image.functions.items():
        walk, unit = program.walks[name], function.unit
        view = program.image.compiler.get(name)
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
    return frozenset(name for target in targets for name in program.targets(target, entry))


def _functions_taken(program: Program) -> list[str]:
    return sorted(program.taken & program.image.functions.keys() if program.taken else ())


def _threads(program: Program, note: Note) -> Iterator[Entry]:
    """The stack's entry; once for each function that the entry may start there."""
    entry = note.get("entry")
    if not entry:
        return
    _check_function(program.image, entry, note)
    patterns = note.get("starts")
    if not patterns:
        yield Entry(entry, Graph(program, note["name"]).bound(entry))
    for start in _starts(program, note, patterns or []):
        yield Entry(start, Graph(program, note["name"], {entry: [start]}).bound(entry))


def _starts(program: Program, note: Note, patterns: Sequence[str]) -> list[str]:
    found = program.called_through(tuple(patterns))
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
    entry, without = note["entry"], _named(program.image, note.get("budget_without", []))
    starts = {entry: note["starts"]} if "starts" in note.values else {}
    return Graph(program, note["name"], starts, without).bound(entry)


def _named(image: Image, patterns: Sequence[str]) -> list[str]:
    functions = image.functions.values()
    return [f.name for f in functions if any(matches(p, f.name, f.unit) for p in patterns)]


def _asked(program: Program, name: str) -> StackRow:
    """An alias of a library's (malloc) is as good as the function's own name."""
    found = program.find(name)
    bound = Graph(program).bound(found)
    return StackRow(name, 0, bound, (Entry(found, bound),))


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


def _stack_problems(program: Program, stack: StackRow) -> Iterator[str]:
    bound, size = stack.bound, stack.least_size
    for entry in stack.entries:
        if entry.bound.status == "≥":  # notes are missing, even where there need be no bound
            advice = for_bound(program, entry.bound)
            yield f"stack {stack.name}, entry {entry.name}: {entry.bound}{advice}"
    if stack.unbounded:
        if bound.proven and bound.bytes <= size:
            yield f"stack {stack.name}: noted as unbounded, but it is {bound}"
        return
    if not bound.proven:
        advice = for_bound(program, bound) or f'; or write STACK_UNBOUNDED("{stack.name}", …)'
        yield f"stack {stack.name}: {bound}{advice}"
    elif size and bound.bytes > size:
        yield f"stack {stack.name}: {bound} does not fit {size}"
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
    stack. None when the notes know no such start. A log has names, so of two with one name it is
    the worse."""
    if not mark.start or mark.start in stack.direct:
        return stack.bound
    mine = [entry.total for entry in stack.entries if bare(entry.name) == mark.start]
    return deepest(mine) if mine else None


def _mark_problems(
    stacks: Sequence[StackRow], notes: Notes, marks: Sequence[Mark]
) -> Iterator[str]:
    for mark in marks:
        where = f"{mark.log}: {mark.stack} used={mark.used} lowest_sp={mark.lowest}"
        stack = next((s for s in stacks if matches(s.name, mark.stack)), None)
        if stack is None:
            yield (
                f"{where}: no thread_create() and no [[stack]] note has that name; beside the code"
                f' it is STACK_SIZE("{mark.stack}", {mark.size}, "why") (base/stack_note.h)'
            )
            continue
        same = mark.size == (stack.size or mark.size)
        if not (same or stack.unbounded or _exempt(notes, mark)):
            yield f"{where}: measured on {mark.size} bytes, noted are {stack.size}"
        bound = held_against(stack, mark)
        if bound is None:
            yield (
                f"{where}: {mark.start} is not among the starts of [[stack]] {stack.name}; write"
                f' STACK_STARTS("{stack.name}", "{mark.start}", {mark.size}, "why") beside it'
            )
        elif bound.proven and mark.deepest > bound.bytes:
            exempt = _exempt(notes, mark)
            if exempt:
                notes.use(exempt)
            else:
                advice = f'STACK_MARK("{mark.log}", "{mark.stack}", "why")'
                yield (
                    f"{where}: more than the bound, {bound}; if it was no call that came there, but"
                    f" a pointer, write beside it {advice}"
                )


# --- notes --------------------------------------------------------------------------------------


def _note_problems(program: Program) -> Iterator[str]:
    image, notes = program.image, program.notes
    for note in notes.unused():
        yield f"note {note.label} is not needed: remove it (its why: {note.why})"
    stacks = {note["name"] for note in notes.of("stack")}
    # Names in lists, one by one: a note may be needed for some of them and wrong about others.
    for kind, key, known, problem in (
        ("indirect", "targets", partial(_names_taken, program), "no {} has its address taken"),
        ("stack", "starts", partial(_names_taken, program), "no {} has its address taken"),
        ("assembly", "jumps", image.symbols.__contains__, "the image has no symbol {}"),
        ("exception", "on", stacks.__contains__, "there is no [[stack]] {}"),
    ):
        for note in notes.of(kind):
            for name in note.get(key, []):
                if not known(name):
                    yield f"note {note.label}: {problem.format(name)}"


def _uncovered(program: Program) -> Iterator[str]:
    """Notes narrow what computed calls reach; so whoever has its address taken must be in one."""
    notes = program.notes
    patterns = [(note, target) for note in notes.of("indirect") for target in note["targets"]]
    patterns += [(note, start) for note in notes.of("stack") for start in note.get("starts", [])]
    patterns += [(note, note["function"]) for note in notes.of("taken")]
    for name in _functions_taken(program) if patterns else ():
        unit = program.functions[name].unit
        found = [note for note, pattern in patterns if matches(pattern, name, unit)]
        if not found:
            advice = for_taken(program.image, name)
            yield f"{name}: its address is taken, and no note says who calls it{advice}"
        if len(found) == 1 and found[0].kind == "taken":
            notes.use(found[0])


def _names_taken(program: Program, pattern: str) -> bool:
    return program.taken is None or bool(program.called_through((pattern,)))
