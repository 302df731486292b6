"""One bit is wrong: in a return address, a frame record, a pool's link, a guard's page-table entry,
a canary, SP. GDB flips it at a breakpoint; the boot then ends in a verdict with a name, never in
silence.

The sweep flips the bits of one whole frame and counts the outcomes: what protects which word, and
which words nobody watches.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from harness.paths import HW
from harness.qemu.fast.warm import Snapshot
from harness.run.session import Open, Session, soon
from harness.scenario import Walk, is_elsewhere
from harness.serial.log import Log, seen_verdict
from harness.tools import VERSIONS

SWEEP = "flips/watermark.log"
GOLDENS = (SWEEP,)

LEAF = "stack.watermark depth=2"
LOWEST = "&'kernel/labs/stack/stack_measure.c'::descent.lowest"
CANARY = "&((struct thread *) $TPIDR_EL1)->canary"
POOL = "((struct mem_pool *) $x0)"  # at the first instruction of what is called with it
GUEST_MS = 20  # a flip that makes a lab run on ends it then

PAGE_VALID = 0x703  # a page, inner shareable, accessed; EL1 may read and write


# Which word of a frame lies where is the compiler's doing: GCC since 12.4 puts the record
# above the array, and finds the caller's locals by SP alone.
RECORD_IS_LOWEST = pytest.mark.skipif(
    is_elsewhere("gcc<12.4", VERSIONS),
    reason="only gcc<12.4: the words of a frame lie in another order",
)


def in_leaf(gdb: Open) -> Session:
    """In the deepest of two calls of descend(), its frame written; it then returns twice."""
    session = gdb(LEAF, guest_ms=GUEST_MS)
    session.run_to("descend", condition="calls == 1")
    session.run_until_access(LOWEST)
    assert session.bt() == ["descend", "descend", "measure", "thread_start"]
    return session


def classes(log: Log) -> list[str]:
    """The second word of the [EXC] records: what the kernel made of the fault."""
    return [record.words[0] for record in log.select("EXC")]


# --- one bit, one verdict ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bit", "verdict", "why"),
    [
        (20, "caught by=w^x", "exec-nx"),  # 1 MiB on is data
        (40, "caught by=mmu", "wild-pc"),  # no address at all
        (62, "caught by=mmu", "wild-pc"),
    ],
)
def test_saved_lr(gdb: Open, bit: int, verdict: str, why: str) -> None:
    session = in_leaf(gdb)
    session.flip("$x29 + 8", bit)
    log = session.finish()
    assert (log.verdict, classes(log)[-1]) == (verdict, why)


@RECORD_IS_LOWEST
@pytest.mark.parametrize(
    ("bit", "verdict"), [(4, "caught by=canary"), (20, "caught by=mmu"), (60, "caught by=mmu")]
)
def test_frame_record(gdb: Open, bit: int, verdict: str) -> None:
    """The caller finds its frame through it: 16 bytes off, its canary; further off, nothing."""
    session = in_leaf(gdb)
    session.flip("$x29", bit)
    assert session.finish().verdict == verdict


@pytest.mark.parametrize(
    ("bit", "why"), [(3, "return-address-not-code"), (30, "record-in-no-stack")]
)
def test_frame_record_under_an_overflow(gdb: Open, bit: int, why: str) -> None:
    """The overflow is caught all the same, and the backtrace says where its chain is broken."""
    session = gdb("stack.recurse")
    session.run_to("*recurse", hit=5)
    callers = session.number("$x29")
    session.step_until(lambda registers: registers["x29"] != callers)
    session.flip("$x29", bit)
    log = session.finish()
    assert log.verdict == "caught by=guard-page"
    assert [*log.select("bt")][-1].fields["why"] == why


@pytest.mark.parametrize("half", ["sealed", "copy"])
@pytest.mark.parametrize("bit", [0, 8, 40, 63])
def test_free_list_link(gdb: Open, half: str, bit: int) -> None:
    """Whatever the bit: the pool finds that the link is not its own, and does not follow it."""
    session = gdb("pool.exhaust")
    session.run_to("*pool_alloc", condition=f"{POOL}->block == 64")
    session.flip(f"&{POOL}->free_list.{half}", bit)
    log = session.finish()
    assert log.verdict == "caught by=pool-link"
    (found,) = (r for r in log.select("pool") if r.words[0] == "smashed-link")
    assert (found.fields["pool"], found.fields["block"]) == ("plain", "none")


@pytest.mark.parametrize("bit", [0, 8, 40, 63])
def test_free_list_link_in_a_block(gdb: Open, bit: int) -> None:
    """The first block's: found when it is taken, with where the link led before."""
    session = gdb("pool.exhaust")
    session.run_to("*pool_alloc", condition=f"{POOL}->block == 64")
    session.flip(f"{POOL}->base", bit)
    log = session.finish()
    assert log.verdict == "caught by=pool-link"
    (found,) = (r for r in log.select("pool") if r.words[0] == "smashed-link")
    assert (found.fields["block"], found.fields["expected"]) == ("0", "block:1")


@pytest.mark.parametrize(
    ("bit", "verdict"), [(0, "caught by=mmu"), (8, "panic"), (40, "caught by=mmu")]
)
def test_free_list_link_unsealed(gdb: Open, bit: int, verdict: str) -> None:
    """A link to nowhere faults when it is followed; by one to another block, blocks are lost."""
    session = gdb("pool.exhaust protect=-pool-link,-poison,-redzone")
    session.run_to("*pool_alloc", condition=f"{POOL}->block == 64")
    session.flip(f"{POOL}->free_list.sealed", bit)
    assert session.finish().verdict == verdict


@pytest.mark.parametrize("bit", [0, 1, 10, 63])
def test_guard_entry_survives_any_one_bit(gdb: Open, bit: int) -> None:
    """A valid entry has three bits more than an empty one."""
    session = gdb("stack.recurse")
    session.run_to("recurse_victim")
    session.flip(guard_entry(session), bit)
    assert session.finish().verdict == "caught by=guard-page"


def test_guard_entry_made_valid(gdb: Open) -> None:
    """Where the guard was, the stack's lowest page lies once more: frames overwrite frames."""
    session = gdb("stack.recurse")
    session.run_to("recurse_victim")
    entry = guard_entry(session)
    below = session.word(f"{entry} + 8")  # the entry of the stack's own lowest page
    session.write(entry, below)
    assert session.finish().verdict == "caught by=canary"


def guard_entry(session: Session) -> str:
    """Where the page-table entry of the guard below the current thread's stack lies."""
    session.gdb.source(HW)
    base = "((struct thread *) $TPIDR_EL1)->stack.base"
    walk = session.gdb.console(f"hw pt {base} - 1")
    level, table, index = walk.splitlines()[-2].split()[:3]
    assert level == "3"
    linear = session.number("(unsigned long) &_start - (unsigned long) &_start_physical")
    return f"{linear + int(table, 0) + int(index) * 8:#x}"


@RECORD_IS_LOWEST
@pytest.mark.parametrize("bit", [2, 40, 63])
def test_canary_in_the_frame(gdb: Open, bit: int) -> None:
    session = in_leaf(gdb)
    session.flip("$x29 + 88", bit)
    assert session.finish().verdict == "caught by=canary"


def test_canary_of_the_thread(gdb: Open) -> None:
    session = in_leaf(gdb)
    session.flip(CANARY, bit=40)
    assert session.finish().verdict == "caught by=canary"


@pytest.mark.parametrize("bit", [3, 13, 20, 40, 63])
def test_sp_at_entry(gdb: Open, bit: int) -> None:
    """Guest time jumps to the next tick when GDB stops the machine, and a tick looks at SP."""
    session = gdb(LEAF, guest_ms=GUEST_MS)
    session.run_to("*descend")
    session.flip_register("sp", bit)
    assert session.finish().verdict == "caught by=sp-check"


@pytest.mark.parametrize(
    ("bit", "verdict", "why"),
    [
        (8, "caught by=mmu", "wild-pc"),  # it returns through what lay there
        (13, "caught by=mmu", "wild-sp"),
        (63, "caught by=mmu", "wild-sp"),
    ],
)
def test_sp_at_entry_unchecked(gdb: Open, bit: int, verdict: str, why: str) -> None:
    session = gdb(f"{LEAF} protect=-sp-check", guest_ms=GUEST_MS)
    session.run_to("*descend")
    session.flip_register("sp", bit)
    log = session.finish()
    assert (log.verdict, classes(log)[-1]) == (verdict, why)


# --- every bit of a frame ----------------------------------------------------------------------

# The words of descend()'s frame, all of them: offset from its SP, and the bits to flip. x29 and x30
# lie lowest. A return address with one of its lower 21 bits wrong leads to other code of the image:
# what that does is the linker's doing, and it need not end.
FRAME = {
    "x29": (0, range(64)),
    "x30-far": (8, range(21, 64)),
    "unused": (16, range(64)),
    **{f"array-{n}": (24 + 8 * n, range(64)) for n in range(8)},
    "canary": (88, range(64)),
}


@RECORD_IS_LOWEST
def test_sweep(gdb: Open, walk: Walk) -> None:
    """GDB says where the frame is; the flips then need no GDB, only the same moment again."""
    session = in_leaf(gdb)
    frame, place = session.number("$sp"), session.number("$pc")
    seen = [session.word(f"{frame + offset:#x}") for offset, _ in FRAME.values()]
    lines = []
    with Snapshot(replace(session.spec, extra=())) as snapshot:
        snapshot.run_to(place, soon(), hit=2)  # the deepest call is the second
        words = [in_memory(snapshot, frame + offset) for offset, _ in FRAME.values()]
        assert words[:-1] == seen[:-1]  # the canary comes from the clock, which GDB moves
        snapshot.save(soon())
        for word, (name, (offset, bits)) in zip(words, FRAME.items(), strict=True):
            outcomes = Counter(flipped(snapshot, frame + offset, word, bits))
            lines += [f"[flips] {name} {was} times={n}" for was, n in sorted(outcomes.items())]
    walk.hold(SWEEP, f"lab={LEAF}", lines)


def in_memory(snapshot: Snapshot, place: int) -> int:
    return int.from_bytes(snapshot.stub.read(place, 8, soon()), "little")


def flipped(snapshot: Snapshot, place: int, word: int, bits: range) -> Iterator[str]:
    """The verdict for each of these bits of the word that is at `place`."""
    for bit in bits:
        poke = {place: (word ^ 1 << bit).to_bytes(8, "little")}
        yield seen_verdict(snapshot.again(poke, soon()).serial)
