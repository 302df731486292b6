"""hw paint [NAME [again]]: what of a stack was ever written? Only `again` writes."""

from dataclasses import dataclass
from itertools import groupby

import gdb

from .kernel import Command, command
from .marks import Marks, content, marks
from .names import Names, Stack
from .rewind import is_recorded
from .stacks import stack_pointers
from .table import table

HEAD = ("STACK", "SIZE", "INTACT", "BEGINS", "USED", "HOLES", "SP", "LEFT")
WORD = 8


@command
class Paint(Command):
    """The paint of every stack: where it ends, and what was written since; with NAME: a map of one.

    INTACT   bytes of paint that nothing has touched, above the guard words
    BEGINS   where the lowest written word lies, above the stack's base: the watermark
    USED     bytes from there to the top, as in the kernel's [stack] record
    HOLES    bytes of paint above it: frames that were reserved and never written
    LEFT     bytes between BEGINS and SP: what calls that are over have left there

    hw paint NAME again paints everything below NAME's SP anew, guard words aside, as the kernel's
    stack_repaint() does: the watermark then tells what comes from here on. To measure a function:
    stop at its entry, paint its stack again, finish, hw paint NAME. It writes into the machine.
    """

    word = "paint"
    usage = "[NAME [again]]"

    def names(self, before):
        if before:
            return ("again",) if len(before) == 1 else ()
        stacks = [stack.name for stack in Names().stacks]
        return (*stacks, *(name.removeprefix("thread:") for name in stacks))

    def run(self, argument):
        name, _, again = argument.partition(" ")
        if again not in ("", "again"):
            raise gdb.GdbError("type: hw paint NAME again   (more: help hw paint)")
        names, known = Names(), marks()
        if known.paint is None:
            raise gdb.GdbError("stacks are not painted: this boot has protect=-watermark")
        pointers = stack_pointers(names)
        found = [
            Painted(stack, known, pointers.get(stack.name))
            for stack in names.stacks
            if name in ("", stack.name, stack.name.removeprefix("thread:"))
        ]
        if not found:
            raise gdb.GdbError(f'no stack is called "{name}". Type: hw stacks')
        if again:
            _check_writable()
            for painted in found:
                yield painted.again()
            return
        yield from table(HEAD, [painted.row() for painted in found])
        if name:
            for painted in found:
                yield from painted.map()


def _check_writable():
    if is_recorded():
        raise gdb.GdbError(
            "this machine replays a record, which what is written here is no part of."
            " Type, in a shell: make debug LAB=…   without REVERSE=1"
        )


@dataclass(frozen=True)
class Painted:
    """One stack. pointer: (SP, is it live), or None: nobody is on it."""

    stack: Stack
    marks: Marks
    pointer: tuple | None

    def row(self):
        s, words = self.stack, content(self.stack)
        begins = self._begins(words)
        holes = words[begins:].count(self.marks.paint) * WORD
        sp = self.pointer[0] - s.base if self.pointer else None
        return (
            s.name,
            s.size,
            (begins - self._bottom) * WORD,
            f"+{begins * WORD:#x}",
            s.size - begins * WORD,
            holes,
            None if sp is None else f"{'-' if sp < 0 else '+'}{abs(sp):#x}",
            None if sp is None else max(sp - begins * WORD, 0),
        )

    def map(self):
        """One line a run of words that are all paint, or all not."""
        words, rows, at = content(self.stack), [], self._bottom
        for is_paint, run in groupby(words[at:], lambda word: word == self.marks.paint):
            size = len(list(run))
            kind = "written" if not is_paint else "paint" if at == self._bottom else "hole"
            rows.append((f"+{at * WORD:#x}", f"+{(at + size) * WORD:#x}", size * WORD, kind))
            at += size
        guard = self._bottom * WORD
        words_are = "guard words, ok" if self.marks.guard_ok(words) else "guard words, overwritten"
        yield from table(
            ("FROM", "TO", "BYTES", "WHAT"), [("+0x0", f"+{guard:#x}", guard, words_are), *rows]
        )

    def again(self):
        """Paint below SP; in words, what was done."""
        s = self.stack
        start = s.base + self._bottom * WORD
        sp = self.pointer[0] if self.pointer else s.top
        end = min(max(sp - sp % WORD, start), s.top)
        paint = self.marks.paint.to_bytes(WORD, "little") * ((end - start) // WORD)
        if paint:
            gdb.selected_inferior().write_memory(start, paint)
        return f"{s.name}: {len(paint)} bytes below +{end - s.base:#x} are paint again"

    @property
    def _bottom(self):
        """The first word that is painted."""
        return len(self.marks.guard)

    def _begins(self, words):
        """The lowest word that is not paint any more."""
        above = enumerate(words[self._bottom :], self._bottom)
        return next((n for n, word in above if word != self.marks.paint), len(words))
