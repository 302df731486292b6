"""What to write beside the code when the report misses a note: the line itself, and the file. Pure.

The macros are those of kernel/base/stack_note.h.
"""

import re
from collections.abc import Iterator

from harness.stackreport.bounds import Bound, Program
from harness.stackreport.image import Image
from harness.stackreport.notes import bare

_LINES = (
    (r"recursion in (\S+)", 'STACK_RECURSION("{}", TIMES, "why")'),
    (r"dynamic frame in (\S+)", 'STACK_DYNAMIC("{}", BYTES, "why")'),
    (r"SP is loaded in (\S+)", 'STACK_SWITCHES("{}", "why")'),
    (r"computed jump in (\S+)", 'STACK_JUMPS("{}", "LABEL …", "why")'),
)


def for_bound(program: Program, bound: Bound) -> str:
    """For a bound that is not proven, or "": nothing that a note could say."""
    computed = list(_computed(program, bound))
    lines = computed or [
        f"{line.format(bare(name))} in {_unit(program.image, name)}"
        for reason in sorted(bound.reasons)
        for pattern, line in _LINES
        for name in re.findall(pattern, reason)
        if name in program.image.functions
    ]
    return f"; write {' or '.join(dict.fromkeys(lines))}" if lines else ""


def for_taken(image: Image, name: str) -> str:
    plain = bare(name)
    return (
        f'; write in {_unit(image, name)}: STACK_CALLS("CALLER", "{plain}", "why"), or'
        f' STACK_STARTS("thread:NAME", "{plain}", BYTES, "why") where a thread begins in it'
    )


def _computed(program: Program, bound: Bound) -> Iterator[str]:
    """Where the chain goes through a pointer that no note narrows: all else follows from that."""
    for step in bound.chain:
        walk = program.walks.get(step.function)
        unit = _unit(program.image, step.function)
        if walk is None or program.notes.find("indirect", "in", step.function, unit):
            continue
        if any(call.target is None for call in walk.calls) and step.function != "thread_start":
            yield f'STACK_CALLS("{bare(step.function)}", "TARGET …", "why") in {unit}'


def _unit(image: Image, name: str) -> str:
    function = image.functions.get(name)
    return function.unit if function and function.unit else "its file"
