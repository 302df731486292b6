"""The deepest chain below a function, and what that number is worth.

    ≤         proven: every call on every path is known
    ≥         something cannot be followed; the reasons say what and where
    unbounded calls go round in a circle, and no note says how often

A graph is built for one stack at a time, as notes may hold for one stack only. Recursion with a
note is unrolled: each activation of the noted function uses up one of its depth. Pure.
"""

import sys
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from harness.stackreport.code import Call, Code, Walk
from harness.stackreport.image import INDIRECT, Function, Image
from harness.stackreport.notes import Note, Notes, matches

Status = Literal["≤", "≥", "unbounded"]
SHOWN_REASONS = 3
SHOWN_CYCLE = 4
RECURSION_LIMIT = 100_000  # of Python; a noted recursion is walked once per activation


class Step(NamedTuple):
    """One function of a chain, and the bytes it has on the stack while the next one runs."""

    function: str
    bytes: int


@dataclass(frozen=True)
class Bound:
    bytes: int
    status: Status = "≤"
    reasons: frozenset[str] = frozenset()
    chain: tuple[Step, ...] = ()

    def __str__(self) -> str:
        shown = sorted(self.reasons)[:SHOWN_REASONS]
        more = len(self.reasons) - len(shown)
        text = "; ".join([*shown, *([f"and {more} more"] if more else [])])
        if self.status == "unbounded":
            return f"unbounded ({text})"
        return f"{self.status} {self.bytes}" + (f" ({text})" if text else "")

    @property
    def proven(self) -> bool:
        return self.status == "≤"

    def above(self, step: Step) -> "Bound":
        """The same, seen by the caller that has `step` on the stack."""
        bytes_ = self.bytes + step.bytes
        return Bound(bytes_, self.status, self.reasons, (step, *self.chain))


_RANK: Mapping[Status, int] = {"≤": 0, "≥": 1, "unbounded": 2}


def _worst(bounds: list[Bound]) -> Status:
    return max((b.status for b in bounds), key=lambda status: _RANK[status], default="≤")


def deepest(bounds: list[Bound]) -> Bound:
    """The worst of several alternatives: the deepest chain, the weakest status, every reason."""
    worst = _worst(bounds)
    weakest = [b for b in bounds if b.status == worst] if worst == "unbounded" else bounds
    top = max(weakest, key=lambda b: b.bytes, default=Bound(0))
    if worst == "≤":
        return top
    reasons = frozenset().union(*(b.reasons for b in bounds if b.status == worst))
    return Bound(top.bytes, worst, reasons, top.chain)


def stacked(bounds: list[Bound]) -> Bound:
    """Several, one on top of the other."""
    worst = _worst(bounds)
    return Bound(
        sum(b.bytes for b in bounds),
        worst,
        frozenset().union(*(b.reasons for b in bounds)),
        tuple(step for b in bounds for step in b.chain),
    )


def decode(image: Image) -> dict[str, Code]:
    return {
        name: Code(function.start, image.bytes_of(function))
        for name, function in image.functions.items()
    }


@dataclass(frozen=True)
class _Edge:
    """A call: to a function, or to nowhere that is known (target empty, and why)."""

    depth: int
    target: str
    why: str = ""


class Program:
    """Every function of an image, walked. Calls that never return are found on the way."""

    def __init__(self, image: Image, notes: Notes, codes: Mapping[str, Code] | None = None) -> None:
        """`codes`: what decode() made of the image, for whoever makes several programs of it."""
        self.image, self.notes = image, notes
        self._codes = codes or decode(image)
        self.jumps = {name: self._noted_jumps(name) for name in image.functions}
        self.walks: dict[str, Walk] = {}
        # Graphs that leave out the same calls have the same edges, but for their starts.
        self.edges: dict[tuple[Hashable, Hashable], dict[str, list[_Edge]]] = defaultdict(dict)
        self._walk_all()

    @cache  # noqa: B019 - it lives as long as the report
    def called_through(self, patterns: tuple[str, ...] | None) -> list[str]:
        """The functions that a computed call may reach: of all, or of these patterns."""
        taken = self.image.taken
        return [
            name
            for name in sorted(self.image.functions if taken is None else taken)
            if patterns is None
            or any(matches(p, name, self.image.functions[name].unit) for p in patterns)
        ]

    def _noted_jumps(self, name: str) -> list[int]:
        note = self.notes.find("assembly", "function", name, self.image.functions[name].unit)
        labels = note.get("jumps", []) if note else []
        return [self.image.symbols[label] for label in labels if label in self.image.symbols]

    def _walk_all(self) -> None:
        never: frozenset[int] = frozenset()
        again = set(self._codes)
        while again:
            for name in again:
                self.walks[name] = self._codes[name].walk(
                    never_return=never, jumps=self.jumps[name]
                )
            found = frozenset(
                self._codes[name].start for name, walk in self.walks.items() if not walk.returns
            )
            fresh, never = found - never, found
            again = {
                name
                for name, walk in self.walks.items()
                if any(call.target in fresh for call in walk.calls)
            }


Budget = tuple[int, ...]


class Graph:
    """The call graph as one stack sees it. `starts` says what that stack's entry calls indirectly,
    `without` which functions are not entered (a budget's business).
    """

    def __init__(
        self,
        program: Program,
        stack: str = "",
        starts: Mapping[str, list[str]] | None = None,
        without: Collection[str] = (),
    ) -> None:
        self._program, self._stack = program, stack
        self._starts, self._without = starts or {}, without
        self._image, self._notes = program.image, program.notes
        self._ignores = [
            note
            for note in self._notes.of("ignore")
            if any(matches(pattern, stack) for pattern in note["on"])
        ]
        self._edges = program.edges[tuple(self._ignores), frozenset(without)]
        self._started: dict[str, list[_Edge]] = {}
        self._known: dict[tuple[str, Budget], Bound] = {}
        self._split: dict[str, tuple[Bound, list[_Edge]]] = {}
        self._active: dict[tuple[str, Budget], None] = {}
        self._component: dict[str, frozenset[str]] = {}
        self._circles: dict[frozenset[str], str] = {}
        self._noted: dict[frozenset[str], list[tuple[str, Note]]] = {}

    def bound(self, name: str) -> Bound:
        """Of a function and all it may call."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, RECURSION_LIMIT))
        try:
            self._find_components(name)
            return self._bound(name, self._enter(name, None, ()) or ())
        finally:
            sys.setrecursionlimit(before)

    def edges(self, name: str) -> list[_Edge]:
        edges = self._started if name in self._starts else self._edges
        if name not in edges:
            edges[name] = list(self._calls(name))
        return edges[name]

    # --- the depth-first walk

    def _bound(self, name: str, budget: Budget) -> Bound:
        key = (name, budget)
        if key in self._known:
            return self._known[key]
        if key in self._active:
            return Bound(0, "unbounded", frozenset({self._circle(key)}))
        self._active[key] = None
        if name not in self._split:
            self._split[name] = self._by_circle(name)
        fixed, circle = self._split[name]
        options = [fixed]
        for edge in circle:
            options.append(self._below(name, edge, budget))
        del self._active[key]
        self._known[key] = deepest(options)
        return self._known[key]

    def _by_circle(self, name: str) -> tuple[Bound, list[_Edge]]:
        """Its own frame and all that lies outside of its circle, whatever the budget; and the calls
        that stay in it. Without the first, a noted depth of 100 asks 100 times for the same."""
        component, fixed, circle = self._component[name], [self._own(name)], []
        for edge in self.edges(name):
            if self._component.get(edge.target) is component:
                circle.append(edge)
            else:
                fixed.append(self._below(name, edge, ()))
        return deepest(fixed), circle

    def _below(self, name: str, edge: _Edge, budget: Budget) -> Bound:
        step = Step(name, edge.depth)
        if edge.why:
            return Bound(0, "≥", frozenset({edge.why})).above(step)
        within = self._enter(edge.target, name, budget)
        if within is None:
            return Bound(edge.depth, chain=(step,))  # by its note this call is never made
        return self._bound(edge.target, within).above(step)

    def _own(self, name: str) -> Bound:
        walk = self._program.walks[name]
        extra, reasons = self._dynamic(name, walk)
        reasons |= set(self._doubts(name, walk))
        frame = walk.frame + extra
        status: Status = "≥" if reasons else "≤"
        return Bound(frame, status, frozenset(reasons), (Step(name, frame),))

    def _circle(self, key: tuple[str, Budget]) -> str:
        """The first circle found in each component stands for all of it."""
        component = self._component[key[0]]
        if component not in self._circles:
            self._circles[component] = f"recursion in {self._cycle(key)}"
        return self._circles[component]

    def _cycle(self, key: tuple[str, Budget]) -> str:
        path = [name for name, _ in self._active]
        path = path[list(self._active).index(key) :]
        # From its first name on, whatever led into it.
        first = path.index(min(path))
        names = list(dict.fromkeys(path[first:] + path[:first]))
        shown = names[:SHOWN_CYCLE]
        return " → ".join([*shown, *(["…"] if len(names) > len(shown) else [])])

    # --- what cannot be known, and the notes about it

    def _note(self, kind: str, name: str, key: str = "function") -> Note | None:
        note = self._notes.find(kind, key, name, self._function(name).unit)
        if note:
            self._notes.use(note)
        return note

    def _function(self, name: str) -> Function:
        return self._image.functions[name]

    def _dynamic(self, name: str, walk: Walk) -> tuple[int, set[str]]:
        if not walk.dynamic:
            return 0, set()
        note = self._note("dynamic", name)
        return (note["bytes"], set()) if note else (0, {f"dynamic frame in {name}"})

    def _doubts(self, name: str, walk: Walk) -> Iterator[str]:
        if walk.switched or self._program.jumps[name]:
            note = self._note("assembly", name)
            if walk.switched and not (note and note.get("switches")):
                yield f"SP is loaded in {name}"
        for problem in walk.problems:
            yield f"{name} {problem}"

    # --- edges

    def _calls(self, name: str) -> Iterator[_Edge]:
        walk = self._program.walks[name]
        extra, _ = self._dynamic(name, walk)
        for call in walk.calls:
            depth = call.depth + (extra if call.dynamic else 0)
            for target, why in self._targets(name, call, walk):
                if why or not self._ignored(name, target):
                    yield _Edge(depth, target, why)

    def _targets(self, name: str, call: Call, walk: Walk) -> Iterator[tuple[str, str]]:
        if call.target is not None:
            function = self._image.at(call.target)
            if function:
                yield function.name, ""
            else:
                yield "", f"call to {call.target:#x}, which is no function, in {name}"
        elif call.address in walk.jumps and not self._may_call(name):
            yield "", f"computed jump in {name}"
        else:
            yield from self._indirect(name)

    def _may_call(self, name: str) -> bool:
        """A computed jump is a tail call where the compiler lists an indirect call, else a
        table."""
        view = self._image.compiler.get(name)
        return bool(view and INDIRECT in view.calls)

    def _indirect(self, name: str) -> Iterator[tuple[str, str]]:
        patterns = self._starts.get(name)
        if patterns is None:
            note = self._note("indirect", name, "in")
            patterns = note["targets"] if note else None
        if patterns is None and self._image.taken is None:
            yield "", f"indirect call in {name}"
            return
        key = None if patterns is None else tuple(patterns)
        for target in self._program.called_through(key):
            yield target, ""

    def _ignored(self, name: str, target: str) -> bool:
        if target in self._without:
            return True
        for note in self._ignores:
            if self._is(note["from"], name) and self._is(note["to"], target):
                self._notes.use(note)
                return True
        return False

    def _is(self, pattern: str, name: str) -> bool:
        return matches(pattern, name, self._function(name).unit)

    # --- recursion: how many activations are left, within one strongly connected component

    def _enter(self, name: str, caller: str | None, budget: Budget) -> Budget | None:
        """What is left after this call; None when its note says that there can be no further
        one."""
        component = self._component[name]
        if component not in self._noted:
            self._noted[component] = self._recursion_notes(component)
        noted = self._noted[component]
        if caller is None or self._component[caller] is not component:
            budget = tuple(note["depth"] for _, note in noted)
        left = list(budget)
        for index, (member, _) in enumerate(noted):
            if member == name:
                if not left[index]:
                    return None
                left[index] -= 1
        return tuple(left)

    def _recursion_notes(self, component: frozenset[str]) -> list[tuple[str, Note]]:
        only = next(iter(component))
        if len(component) == 1 and all(edge.target != only for edge in self.edges(only)):
            return []
        found = []
        for member in sorted(component):
            note = self._note("recursion", member)
            if note:
                found.append((member, note))
        return found

    def _find_components(self, root: str) -> None:
        """Tarjan's algorithm from root on."""
        order: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []

        def visit(name: str) -> None:
            order[name] = low[name] = len(order)
            stack.append(name)
            for edge in self.edges(name):
                target = edge.target
                if not target or target in self._component:
                    continue
                if target not in order:
                    visit(target)
                    low[name] = min(low[name], low[target])
                else:
                    low[name] = min(low[name], order[target])
            if low[name] == order[name]:
                cut = stack.index(name)
                component = frozenset(stack[cut:])
                del stack[cut:]
                self._component.update(dict.fromkeys(component, component))

        if root not in self._component:
            visit(root)
