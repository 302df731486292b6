"""Faults for the stack report: each takes one rule of it away, and the fuzzer must find that."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.stackreport import bounds, code, effects, relocations
from harness.stackreport.bounds import Bound
from harness.stackreport.effects import State

Plant = Callable[[pytest.MonkeyPatch], None]


def depth_at_a_call(patch: pytest.MonkeyPatch) -> None:
    """Each call leaves from where its function began."""
    graph: Any = bounds.Graph
    below = graph._below
    patch.setattr(graph, "_below", lambda s, n, e, b: below(s, n, replace(e, depth=0), b))


def cold_parts(patch: pytest.MonkeyPatch) -> None:
    """What a jump leaves its function for is not looked at."""
    walker: Any = code._Walker
    go = walker._go

    def only_inside(self: Any, address: int, target: int, state: State) -> None:
        if self._code.inside(target):
            go(self, address, target, state)

    patch.setattr(walker, "_go", only_inside)


def tail_calls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(code._Walker, "_tail_call", lambda *_: None)


def never_returns(patch: pytest.MonkeyPatch) -> None:
    """What ends in another function's code does not come back."""

    def only_noted(self: Any, address: int, target: int, state: State) -> None:
        self._note_call(address, target, state, tail=True)

    patch.setattr(code._Walker, "_tail_call", only_noted)


def saved_places(patch: pytest.MonkeyPatch) -> None:
    """Whatever is loaded from a function's own stack is what it saved there."""
    patch.setattr(code._Walker, "_spill", lambda _, __, ___, saved: saved)
    given_back = effects._given_back

    def trusting(instruction: Any, register: str, state: State) -> effects.Value | None:
        return given_back(instruction, register, state._replace(saved=None))

    patch.setattr(effects, "_given_back", trusting)


def sums_of_others(patch: pytest.MonkeyPatch) -> None:
    """No function computes an address that another calls."""
    patch.setattr(bounds.Program, "computed_elsewhere", lambda *_: [])


def write_back(patch: pytest.MonkeyPatch) -> None:
    """A base keeps what it held; SP's own moves are seen."""
    moved = effects._moved_base
    patch.setattr(
        effects,
        "_moved_base",
        lambda i, s: moved(i, s) if i.base == "sp" else effects.value_of(i.base, s),
    )


def atomics(patch: pytest.MonkeyPatch) -> None:
    _kept_by(patch, ("swp", "cas", "ldadd", "ldset", "ldclr", "ldeor"))


def paths_that_meet(patch: pytest.MonkeyPatch) -> None:
    """Where two paths meet, the first one that came is believed."""
    patch.setattr(State, "join", lambda self, _: self)


def call_clobbers(patch: pytest.MonkeyPatch) -> None:
    """Every function gives back what the convention says."""
    program: Any = bounds.Program
    patch.setattr(program, "_lose", lambda *_: frozenset())


def pointers_in_data(patch: pytest.MonkeyPatch) -> None:
    """Whoever stands in a table has not its address taken."""
    real: Any = bounds.Program._taken

    def without_slots(self: Any) -> frozenset[str] | None:
        formed = {place for walk in self.walks.values() for place in walk.addresses}
        self._places = formed
        found = real(self)
        return found if found is None else frozenset(found)

    patch.setattr(bounds.Program, "_taken", without_slots)


def computed_addresses(patch: pytest.MonkeyPatch) -> None:
    """Whatever a call's register was made from, it is one of those that were taken; and a table of
    differences takes none."""
    patch.setattr(bounds.Program, "is_computed", lambda *_: False)
    patch.setattr(relocations, "READS", relocations.READS | relocations.DIFFERENCES)
    patch.setattr(bounds.Graph, "_doubt", lambda *_: "")


def recursion(patch: pytest.MonkeyPatch) -> None:
    """A circle ends where it begins."""
    graph: Any = bounds.Graph
    real = graph._bound

    def once(self: Any, name: str, budget: Any) -> Bound:
        return Bound(0) if (name, budget) in self._active else real(self, name, budget)

    patch.setattr(graph, "_bound", once)


def dynamic_frames(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bounds.Graph, "_dynamic", lambda *_: (0, set()))


def doubts(patch: pytest.MonkeyPatch) -> None:
    """Nothing that a walk did not understand is held against it."""
    patch.setattr(bounds.Graph, "_doubts", lambda *_: iter(()))


def kept_relocations(patch: pytest.MonkeyPatch) -> None:
    """An image that keeps none has no function whose address is taken."""
    real: Any = bounds.Program._taken
    patch.setattr(bounds.Graph, "_doubt", lambda *_: "")
    patch.setattr(bounds.Program, "_taken", lambda self: real(self) or frozenset())


def _kept_by(patch: pytest.MonkeyPatch, mnemonics: tuple[str, ...]) -> None:
    """These write nothing."""
    real = effects.effects

    def nothing(instruction: Any, state: State, fetch: Any) -> list[Any]:
        return [] if instruction.mnemonic.startswith(mnemonics) else real(instruction, state, fetch)

    _with_effects(patch, nothing)


def _with_effects(patch: pytest.MonkeyPatch, instead: Callable[..., list[Any]]) -> None:
    patch.setattr(code, "effects", instead)


# The kind of statement that programs must be about, for what is rare in a batch of all kinds.
PLANTED: tuple[tuple[Plant, str], ...] = (
    (depth_at_a_call, ""),
    (cold_parts, ""),
    (tail_calls, ""),
    (never_returns, "a_tail"),
    (saved_places, "a_return"),
    (sums_of_others, "a_distance"),
    (write_back, ""),
    (atomics, "a_stale"),
    (paths_that_meet, ""),
    (call_clobbers, ""),
    (pointers_in_data, "table"),
    (computed_addresses, "a_table"),
    (recursion, "recurse"),
    (dynamic_frames, ""),
    (doubts, ""),
    (kept_relocations, ""),
)
