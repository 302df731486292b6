"""What each function of a batch is called, who sees it, and the notes that are true of it. Pure."""

from dataclasses import dataclass

from harness.dev.stackfuzz.model import LEVELS, Batch, Program, called, every, statements

IN_TEXT = frozenset({"relative", "below"})  # C statements that name functions in assembly
MOST_DYNAMIC = 4096  # what alloca and arrays of variable length take at most, each


@dataclass(frozen=True)
class Names:
    """Of one program. A static function is called by its own unit only; one in each unit may have
    the same name as one in the other."""

    program: Program
    text: tuple[str, ...]
    static: frozenset[int]
    used: frozenset[int]  # for the compiler: text that it does not read names them
    again: frozenset[int]  # what later functions call, going round in a circle


def names(program: Program) -> Names:
    static = frozenset(_static(program))
    text, twins = [], set()
    for index in range(len(program.functions)):
        function = program.functions[index]
        name = f"{program.name}_f{index}"
        if function and index in static and function.attributes & 2:
            if function.unit not in twins:
                name = f"{program.name}_twin"
            twins.add(function.unit)
        text.append(name)
    return Names(program, tuple(text), static, frozenset(_used(program)), _again(program))


def _used(program: Program) -> set[int]:
    named = (s.callees for s in every(program) if s.kind in IN_TEXT)
    return {0}.union(*named)


def _again(program: Program) -> frozenset[int]:
    return frozenset(s.callees[0] for s in every(program) if s.kind == "back")


def _static(program: Program) -> list[int]:
    callers, used = called(program), _used(program)
    found = []
    for index, function in program.there():
        by = [program.function(caller) for caller in callers[index]]
        alone = all(f.shape != "asm" and f.unit == function.unit for f in by)
        if index not in used and function.shape != "asm" and function.attributes & 1 and alone:
            found.append(index)
    return found


def notes(batch: Batch) -> str:
    """TOML, as harness/stackreport/notes.py reads it."""
    wanted = [
        f'[[{kind}]]\n{text}\nwhy = "the generator\'s rule"\n'
        for kind, text in _notes(batch)
        if kind in batch.noted
    ]
    return "\n".join(wanted)


def _notes(batch: Batch) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], int] = {}
    for program in batch.programs:
        text = names(program).text
        pattern = f'in = "{program.name}_*"\ntargets = ["{program.name}_*"]'
        # What a note names is what has its address taken, and there is nobody of that name.
        if all(s.kind != "a_distance" for s in every(program)):
            found["indirect", pattern] = 0
        again = _again(program)
        for index, function in program.there():
            inside = [s.kind for s in statements(function.body)]
            pattern = f'function = "{text[index]}*"'
            dynamic = sum(kind in ("alloca", "vla", "a_dynamic", "a_push_loop") for kind in inside)
            if dynamic:
                found["dynamic", pattern] = max(
                    dynamic * MOST_DYNAMIC, found.get(("dynamic", pattern), 0)
                )
            if index in again or {"recurse", "a_recurse"} & set(inside):
                found["recursion", pattern] = LEVELS
    ends = {"indirect": "", "dynamic": "\nbytes = {}", "recursion": "\ndepth = {}"}
    return [(kind, text + ends[kind].format(n)) for (kind, text), n in found.items()]
