"""Where a computed call's register comes from. If it was loaded, or handed in, or given back by a
call, then it is an address that somebody took; if it was computed (a table of differences, a jump
table), it may be any address. Pure.
"""

from harness.stackreport.code import CALLS, RETURNS, Call, Code, Walk
from harness.stackreport.instruction import CALLEE_SAVED, Instruction

# What may hand a pointer on without making another one of it.
CARRIES = frozenset({"mov", "csel", "ldr", "ldp", "ldur", "ldar", "ldapr", "ldaxr", "ldxr", "ldnp"})
CHECKS = ("aut", "xpac", "pac", "ldra")


def is_computed(code: Code, walk: Walk, call: Call) -> bool:
    """Looked for in the straight run before the call; if the register is not set there, in all of
    the function. A jump that has not given its frame back is none to another function, and a `ret`
    may go to whoever called."""
    if walk.away or (call.tail and (call.depth or call.dynamic)):
        return True
    instruction = code.text[call.address]
    if instruction is None or instruction.kind in RETURNS:
        return True
    name = instruction.text.partition(",")[0]
    for at in range(call.address - 4, call.run - 4, -4):
        writer = code.text[at]
        if writer and writer.kind in CALLS and name not in CALLEE_SAVED:
            return False  # what a call gave back
        if writer and name in writer.writes:
            copied = _copied(writer)
            if not copied:
                return not _carries(writer)
            name = copied
    return _is_computed_somewhere(code, name)


def _copied(writer: Instruction) -> str:
    """The register that a `mov` copies."""
    source = writer.text.rpartition(" ")[2]
    return source if writer.kind == "mov" and source[:1] == "x" else ""


def _is_computed_somewhere(code: Code, name: str) -> bool:
    writers = (code.text[at] for at in range(code.start, code.end, 4))
    return any(w and name in w.writes and not _carries(w) for w in writers)


def _carries(writer: Instruction) -> bool:
    return writer.kind in CARRIES or writer.kind.startswith(CHECKS)
