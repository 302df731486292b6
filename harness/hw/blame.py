"""hw blame WHAT: from the detection back to the instruction that did the damage.

What is blamed is always one word of memory; the words `canary`, `guard-word` and `freelist` find
it. Then the record is walked back (rewind.py) to the store that made it wrong.
"""

import re
from dataclasses import dataclass

import gdb

from .kernel import Command, command, register, unsigned, value, words
from .marks import marks
from .names import Names, address, stacks
from .pools import Blocks, broken_link, find_pools
from .rewind import back_to_write, check_recorded, quietly

CHASED = 64  # stores that are gone through, at most, until the word is as it should be
DETECTED_BY = "__stack_chk_fail"
POOL_CODE = ("mem/pool.c", "mem/pool_slow.c", "mem/pool_guard.c", "mem/pool_guard.h")


@command
class Blame(Command):
    """Who did it? In a recorded machine: function, line and backtrace of the damaging store.

    hw blame canary       the canary of the function that called __stack_chk_fail
    hw blame guard-word   the lowest overwritten guard word of any stack
    hw blame freelist     the link by which a pool's free list leads astray
    hw blame pool         the word of a free block, or beside a block, that a pool found written to
    hw blame ADDR         whoever wrote the word at ADDR last: hw blame &counter

    Except for a link, and for ADDR, the right content is known: of several stores, the one is shown
    that made it wrong. The pool's own code passes a bad link on; the store is shown that it came
    from. The machine then stands at that store, which is not yet done; continue goes forward to the
    detection again. Wants a machine opened with REVERSE=1, at or after the detection, before the
    power-off.
    """

    word = "blame"
    usage = "ADDR|canary|guard-word|freelist|pool"

    def names(self, before):
        return () if before else DAMAGE

    def run(self, argument):
        check_recorded()
        damage = DAMAGE.get(argument, lambda: Word(address(argument) & -8))()
        with quietly():
            found = damage.find()
        if not found:
            raise gdb.GdbError(
                f"nothing wrote {damage.place:#x} since the record began; this is the beginning"
            )
        yield from _culprit(damage.place)


@dataclass
class Word:
    """One word of memory; right: what it should hold, where that is known."""

    place: int
    right: int | None = None

    def find(self):
        """Go back to the store that made it wrong, or to the last one; False: there was none."""
        for _ in range(CHASED):
            if not back_to_write(self.place):
                return False
            if self.right is None or words(self.place, 8)[0] == self.right:
                return True
        return True


@dataclass
class Link:
    """A pool's pointer to a free block: its head, or the first word of a block."""

    place: int
    pool: gdb.Value

    def find(self):
        """Back through the pool's own copying, to the store that the bad link came from."""
        blocks = Blocks.of(self.pool)
        head = blocks.head
        for _ in range(CHASED):
            if not back_to_write(self.place):
                return False
            if not _in_pool_code():
                return True
            # A take copied it from the block at the head; a free copied the head into the block.
            block = blocks.number(blocks.opened()[0]) if self.place == head else None
            self.place = head if block is None else blocks.shadow(block)
        return False


def _in_pool_code():
    table = gdb.find_pc_line(register("pc")).symtab
    return table is not None and table.filename.endswith(POOL_CODE)


# --- finding the word --------------------------------------------------------------------------


def _canary():
    """The slot in the frame that found its canary changed."""
    frame = gdb.newest_frame()
    while frame is not None and frame.name() != DETECTED_BY:
        frame = frame.older()
    if frame is None:
        raise gdb.GdbError(
            f"no {DETECTED_BY} in this backtrace: no canary was found changed."
            " Type: break debugger_fault_hook   then: continue"
        )
    frame = frame.older()
    base, offset = _canary_slot(frame)
    owner = unsigned(value("((struct thread *) $TPIDR_EL1)->canary"))
    return Word(unsigned(frame.read_register(base)) + offset, owner)


# mrs x2, tpidr_el1 … ldr x0, [x2] … str x0, [sp, #56]: how a prologue lays its canary.
LAYS_CANARY = re.compile(
    r"mrs\s+(?P<thread>x\d+), tpidr_el1\n(?:.*\n)*?"
    r"ldr\s+(?P<canary>x\d+), \[(?P=thread)\]\n(?:.*\n)*?"
    r"stu?r\s+(?P=canary), \[(?P<base>sp|x29)(?:, #(?P<offset>-?\d+))?\]",
    re.IGNORECASE,
)


def _canary_slot(frame):
    """(register, offset) of a function's canary, from its own code."""
    block = frame.block()
    while block.function is None:
        block = block.superblock
    code = frame.architecture().disassemble(block.start, block.end - 1)
    text = "\n".join(" ".join(line["asm"].split()) for line in code)
    found = LAYS_CANARY.search(text)
    if found is None:
        raise gdb.GdbError(f"{frame.name()} lays its canary in a way unknown here; blame its ADDR")
    return found["base"].lower(), int(found["offset"] or 0)


def _guard_word():
    guard = marks().guard
    for stack in (stack for stack in stacks() if not stack.room):
        content = stack.words(stack.base, len(guard) * 8)
        for n, (now, right) in enumerate(zip(content, guard, strict=True)):
            if now != right:
                return Word(stack.base + n * 8, right)
    raise gdb.GdbError("every stack's guard words are as they should be. See: hw stacks")


def _free_list():
    for _, pool in find_pools():
        if place := broken_link(pool):
            return Link(place, pool)
    raise gdb.GdbError("every pool's free list holds its free blocks. See: hw pools")


# What a pool finds at a word of its own content, between blocks or in free ones.
AT_A_WORD = ("POOL_WRITE_AFTER_FREE", "POOL_UNDERFLOW", "POOL_OVERFLOW")


def _pool():
    """The word that a pool itself found wrong, and reported."""
    found = [pool["last"] for _, pool in find_pools() if int(pool["errors"])]
    for last in found:
        if str(last["error"]) in AT_A_WORD:
            place = unsigned(last["address"]) + int(last["offset"])
            return Word(place & -8, unsigned(last["expected"]))
    raise gdb.GdbError("no pool has found a word that was written to. See: hw pools")


DAMAGE = {"canary": _canary, "guard-word": _guard_word, "freelist": _free_list, "pool": _pool}


# --- telling it --------------------------------------------------------------------------------


def _culprit(place):
    """The machine stands at the store, and has not done it yet."""
    pc = register("pc")
    names, line = Names(), gdb.find_pc_line(pc)
    code, where = names.code(pc), names.any(place)
    function = gdb.newest_frame().name() or "??"
    inlined = "" if code.startswith(f"{function}+") else f", inlined in {code.partition('+')[0]}"
    source = f"{line.symtab.filename}:{line.line}" if line.symtab else "no source line"
    instruction = gdb.execute(f"x/i {pc:#x}", to_string=True).partition("\t")[2]
    yield f"{where} was {words(place, 8)[0]:#018x} until {function}() wrote it{inlined}"
    yield f"  at    {source}"
    yield f"  code  {code}  {' '.join(instruction.split())}"
    yield gdb.execute("backtrace", to_string=True).rstrip()
