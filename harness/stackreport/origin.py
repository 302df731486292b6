"""Where a computed call's register comes from. If it was loaded, or handed in, or given back by a
call, then it is an address that somebody took; if it was computed (a table of differences, a jump
table), it may be any address.

All paths of a function are followed with the set of what holds such a sum: registers, and places on
the stack by the text that addresses them. Two paths that meet hold what either does. Pure.
"""

import re
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from harness.stackreport.code import CALLS, CONDITIONAL, RETURNS, Call, Code, Walk
from harness.stackreport.instruction import CALLER_SAVED, UNKNOWN, Instruction

# What may hand a pointer on without making another one of it: from memory, or from registers.
LOADS = frozenset("ldr ldp ldur ldar ldapr ldaxr ldxr ldnp ldraa ldrab".split())
COPIES = frozenset({"mov", "csel"})
CHECKS = ("aut", "xpac", "pac")
ADDRESSES = frozenset({"adr", "movz"})
PAGE = "page of "

Sums = frozenset[str]
# Of each function as long as anybody has it: a cache would keep its whole image for ever.
_KNOWN: WeakKeyDictionary[Code, frozenset[int]] = WeakKeyDictionary()
_WHOLE = re.compile(r"\bx(?:[12]?[0-9]|30)\b")


def is_computed(code: Code, walk: Walk, call: Call) -> bool:
    """A jump that has not given its frame back is none to another function, and a `ret` may go to
    whoever called."""
    if walk.away or (call.tail and (call.depth or call.dynamic)):
        return True
    instruction = code.text[call.address]
    if instruction is None or instruction.kind in RETURNS:
        return True
    if code not in _KNOWN:
        _KNOWN[code] = _calls_of_sums(code)
    return call.address in _KNOWN[code]


def _calls_of_sums(code: Code) -> frozenset[int]:
    found: set[int] = set()
    before: dict[int, Sums] = {code.start: frozenset()}
    work = [code.start]
    while work:
        at = work.pop()
        instruction = code.text[at]
        if instruction is None:
            continue
        sums = before[at]
        if instruction.text.partition(",")[0] in sums:
            found.add(at)  # of a call; of anything else nobody asks
        after = _after(instruction, sums)
        for target in _ways(code, at, instruction):
            known = before.get(target)
            if known is None or not after <= known:
                before[target] = after | (known or frozenset())
                work.append(target)
    return frozenset(found)


def _ways(code: Code, at: int, instruction: Instruction) -> Iterator[int]:
    kind = instruction.kind
    if kind in ("b", *CONDITIONAL) and code.inside(instruction.target):
        yield instruction.target
    if kind != "b" and kind not in RETURNS and code.inside(at + 4):
        yield at + 4


def _after(instruction: Instruction, sums: Sums) -> Sums:
    kind, writes = instruction.kind, instruction.writes
    if kind in CALLS:
        return sums - CALLER_SAVED
    if kind.startswith("st"):
        return _stored(instruction, sums - writes)
    if kind == UNKNOWN or not writes or kind.startswith(CHECKS):
        return sums | (writes if kind == UNKNOWN else frozenset())
    pages = frozenset(PAGE + name for name in writes)
    if kind == "adrp":
        return (sums - writes) | pages
    return _written(instruction, sums) - pages


def _written(instruction: Instruction, sums: Sums) -> Sums:
    """What it makes is a sum, unless it only hands on what is none."""
    kind, writes = instruction.kind, instruction.writes
    sources = _WHOLE.findall(instruction.text.partition(",")[2])
    in_page = kind == "add" and len(sources) == 1 and PAGE + sources[0] in sums
    if kind in ADDRESSES or in_page:
        return sums - writes
    if kind in LOADS and instruction.text[:1] == "x":
        return (sums | writes) if _place(instruction) in sums else sums - writes
    if kind in COPIES and instruction.text[:1] == "x":
        return (sums | writes) if sums.intersection(sources) else sums - writes
    return sums | writes


def _stored(instruction: Instruction, sums: Sums) -> Sums:
    data = _WHOLE.findall(instruction.text.partition("[")[0])
    place = frozenset({_place(instruction)})
    return sums | place if sums.intersection(data) else sums - place


def _place(instruction: Instruction) -> str:
    """As it is addressed afterwards: `[sp, #-16]!` has filled `[sp]`."""
    if instruction.text.endswith("!"):
        return f"[{instruction.base}"
    return "[" + instruction.text.partition("[")[2].partition("]")[0]
