"""hw bt [THREAD|cpuN]: the kernel's own kind of backtrace, of anybody, at any stop.

The same walk as report/backtrace.c, in the same words: a frame ends where the next one begins, as
far below its frame record as its function's code says (prologue.py); a record is believed only
inside a registered stack and only upwards; from one stack to another only through the record of an
exception frame, and where one context was entered from another: EL0 from its thread's kernel stack
(via=kernel), a server from the thread that it serves (via=ipc).
"""

from dataclasses import dataclass, replace
from itertools import groupby

import gdb

from .esr import kind_name
from .frames import emergency_frame, record_address
from .kernel import (
    Command,
    address_of,
    command,
    context,
    cpus,
    frame_context,
    runs_on,
    text,
    threads,
    unsigned,
)
from .names import Names
from .prologue import Prologue, prologue_until
from .table import table

HEAD = ("#", "FUNCTION", "FRAME", "STACK", "NOTE")


@command
class Bt(Command):
    """Backtraces with frame sizes, of all threads or of one, into EL0; recursion is folded.

    hw bt           every thread; one that runs, with the handler that it is in
    hw bt victim    that thread alone, from where it stands or was interrupted
    hw bt cpu0      what the CPU executes, through the handlers' frames down to the thread
    """

    word = "bt"
    usage = "[THREAD|cpuN]"

    def names(self, before):
        cpu_names = (f"cpu{cpu.index}" for cpu in cpus())
        return () if before else (*cpu_names, *(text(thread["name"]) for thread in threads()))

    def run(self, argument):
        walker = Walker()
        for title, start, thread in _chosen(argument):
            yield f"{title}:"
            rows, end = walker.walk(start, thread)
            yield from table(HEAD, rows)
            yield end


def _chosen(argument):
    """(title, context, thread) of each backtrace that was asked for."""
    if not argument:
        return [_of_cpu_or_thread(thread) for thread in threads()]
    for cpu in cpus():
        if argument == f"cpu{cpu.index}":
            return [_of_cpu(cpu)]
    named = [t for t in threads() if text(t["name"]) == argument.removeprefix("thread:")]
    if not named:
        raise gdb.GdbError(f'no thread or CPU is called "{argument}". Type: hw threads')
    return [(_title(thread), context(thread), thread) for thread in named]


def _of_cpu_or_thread(thread):
    cpu = runs_on(thread)
    return _of_cpu(cpu) if cpu else (_title(thread), context(thread), thread)


def _of_cpu(cpu):
    start = cpu.pc, cpu.sp, cpu.fp, cpu.lr
    return f"cpu{cpu.index}, thread {_name(cpu.current)}", start, cpu.current


def _title(thread):
    return f"thread {_name(thread)}"


def _name(thread):
    return text(thread["name"]) or "?"


PAC_SIGN_BIT = 1 << 55  # a signed return address has its signature above the address, but for this


def unsigned_return(pc):
    """A kernel return address without the signature that FEAT_PAuth put into it."""
    kva_base = address_of("_start") - address_of("_start_physical")
    return pc | kva_base if pc & PAC_SIGN_BIT else pc


@dataclass(frozen=True)
class Row:
    """One frame."""

    pc: int
    frame: int = 0  # bytes
    stack: str = "none"
    is_return: bool = False  # pc is a return address: the call is before it
    via: str = ""  # how pc was found, if not from a record: lr is x30 of an interrupted prologue


class Walker:
    """Walks contexts of one stopped machine."""

    def __init__(self):
        self.names = Names()
        frames = [thread["frame"] for thread in threads()]
        frames += [user.dereference() for thread in threads() if int(user := thread["user"])]
        frames += [f for cpu in cpus() if (f := emergency_frame(cpu.index))]
        self.by_record = {record_address(frame): frame for frame in frames}

    def walk(self, start, thread):
        """(table rows, the closing line)."""
        self.walked, self.entered, self.unseen = [], "", dict(self.by_record)
        self._thread(start, thread)
        while self.why == "entry" and int(thread["serving"]) and self._is_new(thread["serving"]):
            thread, self.entered = thread["serving"].dereference(), "ipc"
            self._thread(frame_context(thread["frame"]), thread)
        rows = [row for row in self.walked if isinstance(row, Row)]
        depth = sum(row.frame for row in rows)
        return self._folded(), f"end why={self.why} frames={len(rows)} depth={depth}"

    def _is_new(self, serving):
        """Two servers that are said to serve each other are walked once."""
        return self.unseen.pop(record_address(serving["frame"]), None) is not None

    def _thread(self, start, thread):
        """Every context of this thread, from this one outwards."""
        self.thread, self.why = thread, ""
        pc, record = start[0], self._context(*start)
        while record is not None:
            frame = self.unseen.pop(record, None)
            if frame is None:
                self.why = "cycle"
                return
            self.walked.append(f"-- {kind_name(unsigned(frame['kind']))} exception --")
            start = frame_context(frame)
            pc, record = start[0], self._context(*start)
        if self.why == "entry" and int(thread["user_root"]) and self._is_user(pc):
            self.entered = "kernel"
            root = Row(unsigned(thread["user_entry"]), is_return=True)
            self._records(root, unsigned(thread["user_root"]))

    @staticmethod
    def _is_user(pc):
        return pc >> 63 == 0

    def _context(self, pc, sp, fp, lr):
        """The interrupted function itself, then its records. The address of the exception frame's
        record where the walk ended, or None and self.why.
        """
        stack = self.names.stack_of_sp(sp)
        if fp in self.by_record:
            self._visit(Row(pc, stack=stack.name if stack else "none"))
            return fp
        if self._prologue(pc).made:
            return self._records(Row(pc), fp) if fp else self._end("entry", Row(pc))
        ends = self._bottom(Row(lr, is_return=True), fp) if stack and stack.contains(fp) else 0
        self._visit(Row(pc, max(ends - sp, 0), stack.name if stack else "none"))
        if not fp and not lr:
            return self._end("entry")
        if not self.names.is_code(lr):
            return self._end("return-address-not-code")
        caller = Row(lr, is_return=True, via="lr")
        return self._records(caller, fp) if fp else self._end("entry", caller)

    def _records(self, row, fp):
        """Follow the records from fp; `row` is the function whose record that is."""
        why = self._refuse(fp, 0)
        while not why:
            stack = self.names.stack(fp)
            onward, pc = stack.words(fp, 16)
            pc = unsigned_return(pc)
            exception = onward in self.by_record
            why = self._refuse(onward, fp) if onward and not exception else ""
            caller = Row(pc, is_return=True)
            ends = self._oldest_ends(stack, fp)
            if stack.contains(onward):
                ends = self._bottom(caller, onward)
            frame = 0 if why else ends - self._bottom(row, fp)
            self._visit(replace(row, frame=frame, stack=stack.name))
            row, fp = caller, onward
            if not self.names.is_code(pc):
                return self._end("return-address-not-code")
            if not onward:
                return self._end("entry", replace(row, stack=stack.name))
            if exception:
                self._visit(replace(row, stack="frame"))
                return onward
        return self._end(why, row)

    def _oldest_ends(self, stack, fp):
        """Where a stack's oldest frame ends: of a system call, where EL0 was entered from."""
        entered = unsigned(self.thread["user_root"])
        in_call = int(self.thread["user"]) and stack.contains(entered) and fp < entered
        return entered if in_call else stack.top

    def _visit(self, row):
        self.walked.append(replace(row, via=self.entered or row.via))
        self.entered = ""

    def _end(self, why, last=None):
        if last:
            self._visit(last)
        self.why = why

    def _refuse(self, fp, before):
        """Why the record at fp cannot follow the one at `before` (0: it is the first), or ""."""
        stack = self.names.stack(fp)
        if fp % 8:
            return "misaligned-record"
        if not stack or fp + 16 > stack.top:
            return "record-in-no-stack"
        if before and stack != self.names.stack(before):
            return "record-in-other-stack"
        if before and fp == before:
            return "record-at-itself"
        return "backwards" if before and fp < before else ""

    def _prologue(self, pc):
        """What the function at pc has made of its frame by then."""
        found = self.names.function(pc)
        if not found or pc == found[0]:
            return Prologue()
        return prologue_until(self.names.instructions(found[0], pc))

    def _bottom(self, row, fp):
        """The lowest byte of the frame whose record lies at fp and whose function is at row.pc."""
        return fp - self._prologue(row.pc - 4 if row.is_return else row.pc).below

    def _folded(self):
        """Table rows; equal neighbours are one, with times=N."""
        number, rows = 0, []
        for row, group in groupby(self.walked):
            times = len(list(group))
            if isinstance(row, Row):
                rows.append((number, *self._cells(row, times)))
                number += times
            else:
                rows.append((" ", row, " ", " ", " "))
        return rows

    def _cells(self, row, times):
        name = self.names.code(row.pc, row.is_return)
        notes = [f"times={times}"] * (times > 1) + [f"via={row.via}"] * bool(row.via)
        return name, row.frame, row.stack, " ".join(notes) or " "
