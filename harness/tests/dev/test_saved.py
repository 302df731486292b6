"""A function in assembly gives back what it has saved of the registers that are its caller's.

x19 to x30 belong to the caller (AAPCS64, 6.1.1). Whether one that is lost shows depends on what the
compiler has put into it on the day; so the image is read: each of them that such a function stores
beside its SP is loaded again from the same place.
"""

import re

from harness.tests.dev.test_barriers import disassembled, image

_PAIR = re.compile(r"(x\d+), (x\d+), \[sp(?:, #(-?\d+))?\](!)?(?:, #(-?\d+))?")
_ONE = re.compile(r"(x\d+), \[sp(?:, #(-?\d+))?\](!)?(?:, #(-?\d+))?")
CALLERS = frozenset(f"x{n}" for n in range(19, 31))
# These store a frame, which others load: of an exception, of a call whose stack moves, of the
# kernel below a program.
FRAMES = frozenset(
    (
        "emergency_entry",
        "grow_seed_morestack",
        "least_vectors_same",
        "least_vectors_yield",
        "user_enter",
        "vector_entry",
    )
)


def written_by_hand() -> list[str]:
    return sorted(f.name for f in image().functions.values() if f.unit.endswith(".S"))


def slots(function: str, mnemonics: tuple[str, str]) -> set[tuple[str, int]]:
    """Register and offset: from where SP stands in the body of the function."""
    found = image().functions[function]
    places: set[tuple[str, int]] = set()
    for mnemonic, operands in disassembled(found.start, found.end):
        if mnemonic not in mnemonics:
            continue
        if match := _PAIR.match(operands):
            first, second, offset, pre, _ = match.groups()
            at = 0 if pre else int(offset or 0)
            places |= {(first, at), (second, at + 8)}
        elif match := _ONE.match(operands):
            register, offset, pre, _ = match.groups()
            places.add((register, 0 if pre else int(offset or 0)))
    return {(register, at) for register, at in places if register in CALLERS}


def lost(function: str) -> set[tuple[str, int]]:
    return slots(function, ("stp", "str")) - slots(function, ("ldp", "ldr"))


def test_what_is_saved_is_given_back() -> None:
    found = {name: lost(name) for name in written_by_hand()}
    assert {name: places for name, places in found.items() if places and name not in FRAMES} == {}


def test_the_check_has_something_to_look_at() -> None:
    """The control: they that store a frame would be red, and others do save registers."""
    assert all(lost(name) for name in FRAMES)
    assert [name for name in written_by_hand() if slots(name, ("stp", "str")) and not lost(name)]
