"""The compiler against the machine code: frame sizes, what is dynamic, and who calls whom. Pure."""

from collections.abc import Iterator

from harness.stackreport.bounds import Program
from harness.stackreport.image import INDIRECT
from harness.stackreport.notes import Note

GUARD = "__stack_chk_fail"


def disagreements(program: Program) -> Iterator[tuple[str, Note | None]]:
    """(what disagrees, the note that explains it)."""
    image, notes = program.image, program.notes
    for name in sorted(image.functions):
        unit = image.functions[name].unit
        for text in _differences(program, name):
            note = notes.find("differs", "function", name, unit)
            note = note or notes.find("dynamic", "function", name, unit)
            if note and note.kind == "differs":
                notes.use(note)
            yield f"{name}: {text}", note


def _differences(program: Program, name: str) -> Iterator[str]:
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
    """As the compiler names them. A function that never returns loses its canary's check. What is
    called where a noted jump leads is not this function's."""
    found: set[str] = set()
    function, away = program.functions[name], bool(program.jumps[name])
    for call in program.walks[name].calls:
        if away and not function.start <= call.address < function.end:
            continue
        is_table = call.address in program.walks[name].jumps
        if call.target is not None:
            found.update(program.targets(call.target, name))
        elif not is_table:
            found.add(INDIRECT)
    return frozenset(found)
