"""The deepest chain below a function, and what that number is worth.

    ≤         proven: every call on every path is known
    ≥         something cannot be followed; the reasons say what and where
    unbounded calls go round in a circle, and no note says how often

A graph is built for one stack at a time, as notes may hold for one stack only. Recursion with a
note is unrolled: each activation of the noted function uses up one of its depth. Pure.
"""

import sys
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.stackreport import flow, origin
from harness.stackreport.code import Call, Calls, Code, Walk
from harness.stackreport.image import INDIRECT, Function, Image
from harness.stackreport.instruction import CALLEE_SAVED
from harness.stackreport.memory import Memory
from harness.stackreport.notes import Note, Notes, NotesError, bare, is_wild, matches

Status = Literal["≤", "≥", "unbounded"]
SHOWN_REASONS = 3
SHOWN_CYCLE = 4
# Functions with what is left of each noted recursion. This kernel has 5000; several notes of a
# hundred in one circle would be a power of a hundred.
MOST_WAYS = 10_000
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


def _worst(bounds: list[Bound]) -> Status:
    there = {b.status for b in bounds}
    return "unbounded" if "unbounded" in there else "≥" if "≥" in there else "≤"


def deepest(bounds: list[Bound]) -> Bound:
    """The worst of several alternatives: the deepest chain, the weakest status, every reason."""
    worst = _worst(bounds)
    weakest = [b for b in bounds if b.status == worst] if worst == "unbounded" else bounds
    top = weakest[0] if weakest else Bound(0)
    for bound in weakest:
        if bound.bytes > top.bytes:
            top = bound
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
    return {name: _code(image, function) for name, function in image.functions.items()}


def _code(image: Image, function: Function) -> Code:
    memory = image.memory
    return Code(function.start, function.size, memory.text(function.section), memory)


@dataclass(frozen=True)
class _Edge:
    """A call: to a function, or to nowhere that is known (target empty, and why)."""

    depth: int
    target: str
    why: str = ""


class Program:
    """Every function of an image, walked, and every other place that is called or may be: labels of
    assembly, local subroutines, linker's stubs. Calls that never return are found on the way."""

    def __init__(self, image: Image, notes: Notes, codes: Mapping[str, Code] | None = None) -> None:
        """`codes`: what decode() made of the image, for whoever makes several programs of it."""
        self.image, self.notes = image, notes
        self.functions = dict(image.functions)
        self._codes = dict(codes or decode(image))
        self._at: dict[int, list[str]] = defaultdict(list)
        self._alike: dict[str, list[str]] = defaultdict(list)  # by its name without a file
        for name, function in image.functions.items():
            self._at[function.start].append(name)
            self._alike[bare(name)].append(name)
            if bare(name) != name:
                self._alike[name].append(name)
        self.jumps = {name: self._noted_jumps(name) for name in image.functions}
        self.walks: dict[str, Walk] = {}
        # Graphs that leave out the same calls have the same edges, but for their starts.
        self.edges: dict[tuple[Hashable, Hashable], dict[str, list[_Edge]]] = defaultdict(dict)
        self.tangled: set[frozenset[str]] = set()  # circles with too many noted recursions
        self.open_calls: set[tuple[str, int]] = set()  # (function, address): no note narrows them
        self._computed: frozenset[tuple[str, int]] | None = None  # flow.py, when it is asked
        self._through: dict[tuple[str, ...] | None, list[str]] = {}
        self._places = self._kept_places()
        start = [] if image.entry in self._at else image.parts(image.entry)
        self._walk_all({*self._codes, *map(self._add, start)})
        self.taken = self._taken()

    # --- what may be called

    def targets(self, address: int, caller: str) -> list[str]:
        """Whoever begins there: of the caller's own section, else of any (overlays)."""
        names = self._at.get(address, [])
        section = self.functions[caller].section
        return [n for n in names if self.functions[n].section == section] or names

    def called_through(self, patterns: tuple[str, ...] | None) -> list[str]:
        """What a computed call may reach: anything, or what has a name that a note gives."""
        if patterns not in self._through:
            self._through[patterns] = self._called_through(patterns)
        return self._through[patterns]

    def _called_through(self, patterns: tuple[str, ...] | None) -> list[str]:
        known = self.functions if self.taken is None else self.taken
        if patterns is None:
            return sorted(known)
        found = {name for p in patterns for name in self._matching(p, known)}
        return sorted(found)

    def _matching(self, pattern: str, known: Collection[str]) -> Iterator[str]:
        """A plain name is looked up. A place inside a function has that function's name, and is not
        meant by it."""
        names: Collection[str] = known
        if not is_wild(pattern):
            plain = pattern.rpartition(":")[2]
            names = [n for n in self._alike.get(plain, ()) if n in known]
        for name in names:
            if "+" not in name and matches(pattern, name, self.functions[name].unit):
                yield name

    def is_computed(self, name: str, call: Call) -> bool:
        """By its own function."""
        return origin.is_computed(self._codes[name], self.walks[name], call)

    def computed_elsewhere(self, names: Collection[str]) -> list[str]:
        """Which of these call through a pointer, that no note narrows and another function may have
        computed. Nobody is asked unless it decides about a bound: it costs more than all else."""
        asked = [(name, address) for name, address in self.open_calls if name in names]
        if asked and self._computed is None:
            self._computed = flow.computed_calls(self)
        return sorted({call[0] for call in asked if call in (self._computed or ())})

    # --- what flow.py asks

    @property
    def memory(self) -> Memory:
        return self.image.memory

    @property
    def places(self) -> Iterable[int]:
        return self.image.symbols.values()

    @property
    def differences(self) -> Iterable[int]:
        return self.image.kept.differences if self.image.kept else ()

    def code_of(self, name: str) -> Code:
        return self._codes[name]

    def calls_of(self, name: str) -> Calls:
        never, clobbers, wild = self._ended
        return Calls(never, clobbers, tuple(self.jumps[name]), wild)

    def may_be_called(self, name: str) -> bool:
        """Through a pointer."""
        return self.taken is None or name in self.taken

    def _kept_places(self) -> set[int]:
        """Whose address is taken, as far as the file tells without its code being read."""
        kept, memory = self.image.kept, self.image.memory
        loaded = {place for place in memory.slots.values() if isinstance(place, int)}
        places = loaded | set(memory.words()) | set(kept.addresses if kept else ())
        return {place for place in places if memory.texts(place)}

    def _taken(self) -> frozenset[str] | None:
        kept = self.image.kept
        if kept is None:
            return None
        names = {name for place in self._places for name in self._at.get(place, ())}
        whole = (n for n, f in self.image.functions.items() if f.section in kept.sections)
        return frozenset(names).union(whole)

    def find(self, name: str) -> str:
        """The one function or label of that name. Several are a question."""
        found = self.image.named(name)
        if not found:
            raise NotesError(f"--entry {name}: the image has no such function")
        if len(found) > 1:
            choices = ", ".join(sorted(f.name for f in found))
            raise NotesError(
                f"--entry {name}: the image has {len(found)} of that name",
                hint=f"--entry with one of: {choices}",
            )
        if found[0].name not in self.functions:
            self._walk_all({self._add(found[0])})
            self.taken = self._taken()
            self.edges.clear()
            self._through.clear()
        return found[0].name

    # --- walking

    def _noted_jumps(self, name: str) -> list[int]:
        unit = self.functions[name].unit
        note = self.notes.find("assembly", "function", name, unit)
        labels = note.get("jumps", []) if note else []
        return [place for label in labels for place in self._labelled(label, unit)]

    def _labelled(self, label: str, unit: str) -> list[int]:
        """Of several with one name, what its own file has."""
        own = [f.start for f in self.image.named(label) if f.unit == unit]
        known = self.image.symbols
        return own or ([known[label]] if label in known else [])

    def _walk_all(self, again: set[str]) -> None:
        never: frozenset[int] = frozenset()
        clobbers: dict[int, frozenset[str]] = {}
        places, wild = set(self._places), frozenset[str]()
        while again:
            for name in again:
                self.walks[name] = self._codes[name].walk(
                    Calls(never, clobbers, tuple(self.jumps[name]), wild)
                )
            new = self._new_places(again, places)
            before, never = never, self._never()
            changed: set[int | None] = {*(before ^ never), *self._lose(clobbers)}
            tame, wild = wild, self._wild(clobbers, places)
            changed |= {None} if wild != tame else set()
            again = new | {
                name
                for name, walk in self.walks.items()
                if any(call.target in changed for call in walk.calls)
            }
        self._places = places
        self._ended, self._computed = (never, clobbers, wild), None

    def _new_places(self, walked: set[str], places: set[int]) -> set[str]:
        """What these call or take the address of, and nobody has walked."""
        called: set[int] = set()
        for name in walked:
            walk = self.walks[name]
            places |= walk.addresses
            called.update(call.target for call in walk.calls if call.target is not None)
        fresh = {p for p in called | places if p not in self._at}
        return {self._add(part) for place in sorted(fresh) for part in self.image.parts(place)}

    def _add(self, part: Function) -> str:
        self.functions[part.name] = part
        self._at[part.start].append(part.name)
        self._alike[part.name].append(part.name)
        self._codes[part.name] = _code(self.image, part)
        self.jumps[part.name] = self._noted_jumps(part.name)
        return part.name

    def _never(self) -> frozenset[int]:
        """Where several begin at one address, each must be such."""
        back = {self.functions[name].start for name, walk in self.walks.items() if walk.returns}
        stuck = {self.functions[n].start for n, walk in self.walks.items() if not walk.returns}
        return frozenset(stuck - back)

    def _wild(self, clobbers: Mapping[int, frozenset[str]], places: set[int]) -> frozenset[str]:
        """What a computed call may not give back. It may reach any function if nobody knows whose
        address is taken."""
        kept = self.image.kept
        everywhere = kept is None or bool(kept.sections)
        found = (c for at, c in clobbers.items() if everywhere or at in places)
        return CALLEE_SAVED.intersection(frozenset().union(*found))

    def _lose(self, clobbers: dict[int, frozenset[str]]) -> frozenset[int]:
        """Adds what functions were found not to give back; tells whose has grown."""
        grown = set()
        for name, walk in self.walks.items():
            start = self.functions[name].start
            old = clobbers.get(start, frozenset())
            if walk.clobbers - old:
                clobbers[start] = old | walk.clobbers
                grown.add(start)
        return frozenset(grown)


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
        self._flat: dict[frozenset[str], bool] = {}
        self._noted: dict[frozenset[str], list[tuple[str, Note]]] = {}

    def bound(self, name: str) -> Bound:
        """Of a function and all it may call."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, RECURSION_LIMIT))
        try:
            self._find_components(name)
            found = self._bound(name, self._enter(name, None, ()) or ())
        finally:
            sys.setrecursionlimit(before)
        return self._against_sums(name, found) if found.proven else found

    def _against_sums(self, name: str, found: Bound) -> Bound:
        """Is one of its calls handed an address that another function has computed?"""
        calls = self._program.open_calls
        met = self._program.computed_elsewhere(self._reached_from(name)) if calls else []
        reasons = frozenset(f"call of a computed address in {caller}" for caller in met)
        return Bound(found.bytes, "≥", reasons, found.chain) if met else found

    def _reached_from(self, name: str) -> set[str]:
        found, work = {name}, [name]
        while work:
            new = {edge.target for edge in self.edges(work.pop()) if edge.target} - found
            found |= new
            work += new
        return found

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
        component = self._component[name]
        if len(self._known) > MOST_WAYS:
            self._program.tangled.add(component)
        if component in self._program.tangled:
            first = min(component)
            return Bound(0, "unbounded", frozenset({f"too many ways round a circle of {first}"}))
        self._active[key] = None
        fixed, circle = self._parts(name)
        options = [fixed]
        if self._is_flat(self._component[name]):
            options += [self._parts(member)[0] for member in sorted(self._component[name])]
        else:
            options += [self._below(name, edge, budget) for edge in circle]
        del self._active[key]
        self._known[key] = deepest(options)
        return self._known[key]

    def _is_flat(self, component: frozenset[str]) -> bool:
        """Do its calls and jumps go round without taking any stack (tail calls)?"""
        if component not in self._flat:
            edges = (edge for member in component for edge in self.edges(member))
            self._flat[component] = len(component) > 1 and not any(
                edge.depth > 0 and edge.target in component for edge in edges
            )
        return self._flat[component]

    def _parts(self, name: str) -> tuple[Bound, list[_Edge]]:
        if name not in self._split:
            self._split[name] = self._by_circle(name)
        return self._split[name]

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
        return self._program.functions[name]

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
        ignores = [note for note in self._ignores if self._is(note["from"], name)]
        for call in walk.calls:
            depth = call.depth + (extra if call.dynamic else 0)
            for target, why in self._targets(name, call, walk):
                if why or not self._ignored(target, ignores):
                    yield _Edge(depth, target, why)

    def _targets(self, name: str, call: Call, walk: Walk) -> Iterator[tuple[str, str]]:
        if call.target is not None:
            found = self._program.targets(call.target, name)
            for target in found:
                yield target, ""
            if not found:
                yield "", f"call to {call.target:#x}, where there is no code, in {name}"
        elif call.outside:
            yield "", f"{call.outside} is not in this image, called in {name}"
        elif call.address in walk.jumps and not self._may_call(name, call):
            yield "", f"computed jump in {name}"
        else:
            yield from self._indirect(name, call)

    def _may_call(self, name: str, call: Call) -> bool:
        """A computed jump is a tail call if the frame is given back, nobody computed where to, and
        the compiler, where it says anything, lists an indirect call. Else it is a table."""
        view = self._image.compiler.get(name)
        listed = INDIRECT in view.calls if view else True
        return listed and not self._program.is_computed(name, call)

    def _indirect(self, name: str, call: Call) -> Iterator[tuple[str, str]]:
        patterns = self._starts.get(name)
        if patterns is None:
            note = self._note("indirect", name, "in")
            patterns = note["targets"] if note else None
        if patterns is None:
            yield from self._anywhere(name, call)
            return
        found = self._program.called_through(tuple(patterns))
        yield from self._reached(name, call, found)
        if not found:
            yield (
                "",
                f"indirect call in {name}, and nothing in its note has its address taken",
            )

    def _anywhere(self, name: str, call: Call) -> Iterator[tuple[str, str]]:
        """No note says where: to whatever has its address taken, if that is all there is."""
        doubt = self._doubt(name, call)
        if doubt:
            yield "", doubt
        if self._program.taken is None:
            return
        self._program.open_calls.add((name, call.address))
        yield from self._reached(name, call, self._program.called_through(None))

    def _reached(self, name: str, call: Call, found: list[str]) -> Iterator[tuple[str, str]]:
        for target in found:
            yield target, ""
            if not self._program.walks[target].clobbers.isdisjoint(call.links):
                yield "", f"{target} overwrites the return address of {name}"

    def _doubt(self, name: str, call: Call) -> str:
        kept = self._image.kept
        if kept is None:
            return f"indirect call in {name}"
        if self._program.is_computed(name, call):
            return f"call of a computed address in {name}"
        if self._image.opened:
            return f"indirect call in {name}, and {self._image.opened}"
        if kept.outside:
            missing = min(kept.outside)
            return f"indirect call in {name}, perhaps of {missing}, which is not in this image"
        if not self._program.taken:
            return f"indirect call in {name}, and no function has its address taken"
        return ""

    def _ignored(self, target: str, ignores: list[Note]) -> bool:
        if target in self._without:
            return True
        for note in ignores:
            if self._is(note["to"], target):
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
