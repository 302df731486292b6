"""hw stacks: is any stack in danger?"""

from collections import defaultdict
from dataclasses import dataclass

from .esr import far_valid
from .frames import handled
from .kernel import Command, command, context, cpus, threads, unsigned
from .marks import Marks, content, marks
from .mmu import PAGE, Tables
from .names import Names, Stack
from .table import table

HEAD = ("STACK", "BASE", "SIZE", "BELOW", "ABOVE", "WORDS", "USED", "SP", "MARGIN", "STATUS")


@command
class Stacks(Command):
    """Every registered stack, with everything that guards it.

    BELOW, ABOVE   the guard on that side, as the page tables have it now
    WORDS          the guard words at its bottom: ok or bad; - while it can still grow
    USED           bytes, by the paint that is left; - with protect=-watermark
    SP             where a stack pointer lies in it, above (or below) its base; * one that is live
    MARGIN         bytes between the guard words and the lowest that paint or SP show as used
    STATUS         ok, or what is wrong: fault-below, full, words-overwritten, no-guard-above ...
    """

    word = "stacks"

    def run(self, _argument):
        names = Names()
        if not names.stacks:
            yield "no stack is registered yet: the kernel is still in boot_cpu_init()"
            return
        living = [stack for stack in names.stacks if not stack.retired]
        contents = [content(stack) for stack in living]
        known, pointers, missed = marks(), stack_pointers(names), faults(names)
        own_tables = user_tables(names.tables)
        facts = [
            Facts(
                stack,
                words,
                known.of(stack),
                own_tables.get(stack.base, names.tables),
                pointers.get(stack.name),
                missed[stack.name],
            )
            for stack, words in zip(living, contents, strict=True)
        ]
        yield from table(HEAD, [fact.row() for fact in facts])


def user_tables(tables):
    """Base of a stack at EL0 -> the tables of its process, which need not be the CPU's now."""
    return {
        unsigned(thread["user_stack"]["base"]): tables.with_lower_half(unsigned(thread["ttbr0"]))
        for thread in threads()
        if int(thread["user_stack"])
    }


def stack_pointers(names):
    """Stack name -> (SP, is it live). A live pointer hides the one saved when it was entered."""
    found = {}
    for thread in threads():
        own, sp = Stack.of(thread["stack"]), context(thread)[1]
        if own.guards_or_contains(sp):
            found[own.name] = (sp, False)
    for cpu in cpus():
        frame = handled(cpu)
        saved = [(unsigned(frame["sp"]), False)] if frame else []
        for sp, live in (*saved, (cpu.sp, True)):
            if stack := names.stack_of_sp(sp):
                found[stack.name] = (sp, live)
    return found


def faults(names):
    """Stack name -> the addresses that the exceptions now being handled could not reach. A guard
    between two stacks is the one's that the culprit's SP belongs to, if it is either's.
    """
    found = defaultdict(list)
    for frame in [frame for cpu in cpus() if (frame := handled(cpu))]:
        far, own = unsigned(frame["far"]), names.stack_of_sp(unsigned(frame["sp"]))
        stack = own if own and own.guards_or_contains(far) else names.stack_or_guard(far)
        if stack and far_valid(unsigned(frame["esr"])):
            found[stack.name].append(far)
    return found


@dataclass(frozen=True)
class Facts:
    """One stack, and what its row says."""

    stack: Stack
    words: tuple
    marks: Marks
    tables: Tables
    pointer: tuple | None
    faults: list

    def row(self):
        s = self.stack
        return (
            s.name,
            f"{s.base:#x}",
            s.size,
            self.guard(s.lowest),
            self.guard(s.top),
            ("ok" if self.intact else "bad") if self.marks.guard else None,
            self.used,
            self._pointer_text(),
            self.margin,
            ",".join(self._wrong()) or "ok",
        )

    @property
    def intact(self):
        return self.marks.guard_ok(self.words)

    @property
    def used(self):
        return self.marks.used(self.words)

    @property
    def margin(self):
        bounds = [] if self.used is None else [self.stack.size - self.used]
        bounds += [] if self.pointer is None else [self.pointer[0] - self.stack.base]
        return min(bounds) - len(self.marks.guard) * 8 if bounds else None

    def guard(self, start):
        """A guard's state, of all of its pages."""
        pages = range(start, start + self.stack.guard, PAGE)
        states = {self.tables.mapped(page) for page in pages}
        return {True: "mapped", False: "unmapped"}[states.pop()] if len(states) == 1 else "partly"

    def _pointer_text(self):
        if self.pointer is None:
            return None
        offset = self.pointer[0] - self.stack.base
        return f"{'-' if offset < 0 else '+'}{abs(offset):#x}{'*' if self.pointer[1] else ''}"

    def _wrong(self):
        s = self.stack
        sides = ("below", s.lowest, s.base), ("above", s.top, s.top + s.guard)
        for side, start, end in sides:
            if any(start <= far < end for far in self.faults):
                yield f"fault-{side}"
            if self.guard(start) != "unmapped":
                yield f"no-guard-{side}"
        if not self.intact:
            yield "words-overwritten"
        if self.margin is not None and self.margin <= 0 and not s.room:
            yield "full"
