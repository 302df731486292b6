"""Allocation traces of the kernel's own run, recorded by GDB: kernel/labs/mem/trace_recorded.h.

    .venv/bin/python -m harness.dev.traces          (make traces)

GDB stops at each public entry of an allocator, reads what is asked for, runs to the return address
and reads what came back. Nothing in the kernel knows of it. A trace has sizes and slots, no
addresses, so it is the same in every image that asks for the same; tests/test_traces.py records
both again and compares bytes.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import scratch, tools
from harness.deadline import Deadline
from harness.debugger.process import Stop
from harness.debugger.session import GdbSession
from harness.errors import GdbError, HarnessError, status_of
from harness.paths import KERNEL
from harness.qemu.machine import Machine, MachineSpec

TABLE = Path("kernel/labs/mem/trace_recorded.h")
COMMAND = "make traces"
BUDGET_SECONDS = 60.0
PAGE = 4096
# Not under icount: there guest time jumps whenever GDB stops the machine, and a step over a
# breakpoint with a tick pending never comes back. All calls are the lab thread's, in the order of
# its code, so that the ticks come elsewhere changes nothing.
NO_WATCHDOG = "protect=-watchdog"
SLOTS, EVENTS = 128, 512  # kernel/labs/mem/trace.h


@dataclass(frozen=True)
class Recording:
    """One boot: from reset, or from a lab's entry, to its end."""

    name: str
    line: str
    what: str
    since: str = ""


RECORDINGS = (
    Recording(
        "boot",
        "stack.guard_touch on-fault=kill",
        "a whole boot: early heap, idle and lab threads, a neighbour, a witness, two victims",
    ),
    Recording("threads", "mem.churn", "threads of 4 to 16 KiB made and joined", "lab_mem_churn"),
)


@dataclass(frozen=True)
class Call:
    """What an allocator was asked: bytes, or (when they are 0) which block it shall take back."""

    of: str  # the allocator: a pool's first block lies where the early heap gave the pool's memory
    size: int
    block: int = 0


# Entry -> what its arguments say. A pool's block has the size that the pool was made for.
Reader = Callable[[GdbSession], Call]


def _register(gdb: GdbSession, name: str) -> int:
    return int(gdb.evaluate(f"(unsigned long) ${name}"))


def _pool_block(gdb: GdbSession) -> int:
    return int(gdb.evaluate("((struct mem_pool *) $x0)->block"))


ENTRIES: dict[str, Reader] = {
    "kmem_alloc_aligned": lambda gdb: Call("early", _register(gdb, "x0")),
    "page_alloc": lambda _gdb: Call("page", PAGE),
    "page_free": lambda gdb: Call("page", 0, _register(gdb, "x0")),
    "pool_alloc": lambda gdb: Call("pool", _pool_block(gdb)),
    "pool_free": lambda gdb: Call("pool", 0, _register(gdb, "x1")),
}


# What these ask for they hand on in pieces, and each piece is an event of its own.
LAYERS = {"pool_init", "heap_init"}


def _asked_by(gdb: GdbSession) -> str:
    return gdb.console("info symbol $x30 - 1").split()[0]


def record(kernel: Path, recording: Recording) -> list[tuple[int, int]]:
    """(slot, size) of each event; size 0: the slot's block goes back."""
    with scratch.folder() as folder, ExitStack() as owned:
        line = f"lab={recording.line} {NO_WATCHDOG}"
        spec = MachineSpec(kernel, line, icount=None, gdb=True, stopped=True)
        machine = owned.enter_context(Machine(spec, folder))
        assert machine.gdb_socket is not None
        transcript = folder / "gdb-transcript"
        gdb = owned.enter_context(
            GdbSession(tools.find_gdb(), machine.gdb_socket, kernel, transcript)
        )
        deadline = Deadline(BUDGET_SECONDS)
        gdb.connect(deadline)
        if recording.since:
            gdb.breakpoint(recording.since, temporary=True)
            _resume(gdb, deadline)
        events = list(slotted(_calls(gdb, deadline)))
        machine.wait_end(deadline)
    return events


def slotted(calls: Iterable[tuple[Call, int]]) -> Iterator[tuple[int, int]]:
    """Blocks become slots: the lowest that is empty. What was refused, or came before, is no
    event.
    """
    held: dict[tuple[str, int], int] = {}
    for call, result in calls:
        if call.size and result:
            slot = next(n for n in range(len(held) + 1) if n not in held.values())
            held[call.of, result] = slot
            yield slot, call.size
        elif not call.size and (call.of, call.block) in held:
            yield held.pop((call.of, call.block)), 0


def table(recordings: Iterable[tuple[Recording, list[tuple[int, int]]]]) -> str:
    """The header's text."""
    return _TOP + "\n".join(_array(recording, events) for recording, events in recordings)


def generate(kernel: Path) -> str:
    return table((recording, record(kernel, recording)) for recording in RECORDINGS)


# ----------------------------------------------------------------------------------------------

_TOP = f"""\
/*
 * Recorded from the kernel's own run by `{COMMAND}` (harness/dev/traces.py); do not edit. A test
 * records them again and compares.
 */
#include "labs/mem/trace.h"

"""


def _calls(gdb: GdbSession, deadline: Deadline) -> Iterator[tuple[Call, int]]:
    """Each call and what it returned, until the machine is gone."""
    for entry in ENTRIES:
        gdb.breakpoint(f"*{entry}")  # the first instruction: the arguments are where they came
    while not (stop := _resume(gdb, deadline)).exited:
        call, asked_by = ENTRIES[stop.function or ""](gdb), _asked_by(gdb)
        _run_to_return(gdb, deadline)
        if asked_by not in LAYERS:
            yield call, _register(gdb, "x0")


def _run_to_return(gdb: GdbSession, deadline: Deadline) -> None:
    """A tick may come first, and then the entry stops a second time, for the same call."""
    back = _register(gdb, "x30")
    gdb.breakpoint(f"*{back:#x}", temporary=True)
    while (stop := _resume(gdb, deadline)).address != back:
        if stop.function not in ENTRIES:
            raise GdbError(f"expected to come back to {back:#x} from an allocator, but: {stop}")


def _resume(gdb: GdbSession, deadline: Deadline) -> Stop:
    gdb.cont()
    return gdb.wait_stop(deadline)


def _array(recording: Recording, events: list[tuple[int, int]]) -> str:
    if len(events) > EVENTS or max(slot for slot, _ in events) >= SLOTS:
        raise HarnessError(
            f"{recording.name}: {len(events)} events",
            hint=f"kernel/labs/mem/trace.h has room for {EVENTS} events of {SLOTS} slots",
        )
    items = [f"{{ {slot}, {size} }}" for slot, size in events]
    rows = [", ".join(items[i : i + 6]) for i in range(0, len(items), 6)]
    lines = "".join(f"\t{row},\n" for row in rows)
    return (
        f"/* {recording.what}.\n * lab={recording.line} */\n"
        "/* clang-format off */\n"
        f"static const struct trace_event recorded_{recording.name}[] = {{\n{lines}}};\n"
        "/* clang-format on */\n"
    )


def main() -> int:
    return status_of(lambda: TABLE.write_text(generate(Path.cwd() / KERNEL), encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
