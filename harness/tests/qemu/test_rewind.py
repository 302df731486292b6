"""Time travel: what is recorded is replayed, GDB walks it backwards, `hw blame` names who did it.

Each blame test starts at the detection, with nothing known but what was detected.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.errors import GdbError, HarnessError
from harness.paths import HW, KERNEL, ROOT
from harness.qemu import rewind
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.symbols import FAULT_HOOK
from harness.tests.conftest import Kernels
from harness.tools import find_gdb

Rewound = Callable[[str], GdbSession]


def soon() -> Deadline:
    return Deadline(20)


@pytest.fixture
def at_fault(tmp_path: Path) -> Iterator[Rewound]:
    """at_fault(boot line): recorded, replayed, and stopped where the fault was detected."""
    with _replays(tmp_path, FAULT_HOOK) as at_fault:
        yield at_fault


@pytest.fixture
def at_end(tmp_path: Path) -> Iterator[Rewound]:
    """The same for a boot that comes to no fault: at its power-off."""
    with _replays(tmp_path, rewind.POWER_OFF) as at_end:
        yield at_end


@contextmanager
def _replays(tmp_path: Path, place: str) -> Iterator[Rewound]:
    with ExitStack() as owned:

        def stopped(line: str) -> GdbSession:
            spec = MachineSpec(ROOT / KERNEL, line)
            replay = rewind.record(spec, tmp_path, soon()).replay
            machine = owned.enter_context(Machine(replay, tmp_path))
            assert machine.gdb_socket is not None
            transcript = tmp_path / "gdb.txt"
            session = GdbSession(find_gdb(), machine.gdb_socket, spec.kernel, transcript)
            gdb = owned.enter_context(session)
            gdb.connect()
            gdb.source(HW)
            gdb.breakpoint(FAULT_HOOK)
            gdb.breakpoint(rewind.POWER_OFF)
            gdb.cont()
            assert gdb.wait_stop(soon()).function == place
            return gdb

        yield stopped


# --- blame -------------------------------------------------------------------------------------


def test_blame_a_canary(at_fault: Rewound) -> None:
    """Eight bytes of it are overwritten, one by one: the first is the one to blame."""
    gdb = at_fault("lab=stack.canary")
    said = gdb.console_moving("hw blame canary")
    assert "until fill_array() wrote it\n" in said
    assert "at    kernel/labs/stack/stack_detect.c:" in said
    assert "code  fill_array+" in said
    assert [frame.function for frame in gdb.backtrace()] == [
        "fill_array",
        "smash_with_canary",
        "smash_victim",
        "thread_start",
    ]
    assert int(gdb.evaluate("i")) == 32, "stands before the first byte behind the array"


def test_blame_a_guard_word_that_a_tick_found(at_fault: Rewound) -> None:
    gdb = at_fault("lab=stack.sentinel_tick")
    said = gdb.console_moving("hw blame guard-word")
    assert "thread:victim+0x0 was 0x57ac4b0dba5e0001 until overwrite_guard_word() wrote it" in said
    assert "inlined in sentinel_tick_victim" in said
    assert gdb.backtrace()[0].function == "overwrite_guard_word"
    gdb.cont()
    assert gdb.wait_stop(soon()).function == FAULT_HOOK, "the user's breakpoints are back"


@pytest.mark.parametrize("back", [0, 1])
def test_blame_a_free_list(back: int, at_fault: Rewound) -> None:
    """The alloc that faulted has the bad link from the head, the head from the block. Or that block
    was given back, and has it from the head, which has it from the block that was written to.
    """
    gdb = at_fault(f"lab=pool.freelist_smash back={back} protect=-pool-link")
    said = gdb.console_moving("hw blame freelist")
    assert "until write_after_free() wrote it" in said
    assert "kernel/labs/pool/pool_smash.c:" in said
    assert gdb.backtrace()[0].function == "write_after_free"


@pytest.mark.parametrize(
    ("lab", "what", "culprit"),
    [
        ("pool.use_after_free", "pool", "write_weight"),
        ("pool.freelist_smash", "freelist", "write_after_free"),
        ("pool.overflow", "pool", "write_bytes"),
    ],
)
def test_blame_what_a_pool_found_by_itself(
    at_end: Rewound, lab: str, what: str, culprit: str
) -> None:
    """No fault: the pool refused to go on, and the lab ended. The way back is from there."""
    gdb = at_end(f"lab={lab}")
    assert f"until {culprit}() wrote it" in gdb.console_moving(f"hw blame {what}")
    assert gdb.backtrace()[0].function == culprit


def test_blame_any_address_and_nobody(at_fault: Rewound) -> None:
    gdb = at_fault("lab=stack.canary")
    assert "until link_thread() wrote it" in gdb.console_moving("hw blame &all_threads")
    with pytest.raises(GdbError, match=r"nothing wrote .* since the record began"):
        gdb.console_moving("hw blame &stack_marks")


def test_nothing_to_blame(at_fault: Rewound) -> None:
    gdb = at_fault("lab=stack.canary")
    for what, told in NOTHING.items():
        with pytest.raises(GdbError, match=told):
            gdb.console_moving(f"hw blame {what}")


NOTHING = {
    "guard-word": "guard words are as they should be",
    "freelist": "free list holds its free blocks",
    "pool": "no pool has found a word",
    "nosuch": r"No symbol .nosuch. in current context",
}


def test_a_record_is_not_painted_into(at_fault: Rewound) -> None:
    """What GDB writes is no part of it: going back would bring the old words again."""
    gdb = at_fault("lab=stack.canary")
    before = gdb.console("hw paint victim")
    with pytest.raises(GdbError, match=r"replays a record.*without REVERSE=1"):
        gdb.console("hw paint victim again")
    assert gdb.console("hw paint victim") == before


def test_gdb_itself_goes_back_and_forth(at_fault: Rewound) -> None:
    gdb = at_fault("lab=stack.canary")
    here = gdb.registers()
    gdb.command("-exec-step-instruction --reverse", "reverse-stepi")
    gdb.wait_stop(soon())
    assert gdb.registers()["pc"] != here["pc"]
    gdb.stepi(soon())
    assert gdb.registers() == here
    gdb.breakpoint("smash_victim")
    gdb.command("-exec-continue --reverse", "reverse-continue")
    assert gdb.wait_stop(soon()).function == "smash_victim"


def test_from_the_power_off_there_is_a_way_back_before_it_and_none_behind(
    at_fault: Rewound,
) -> None:
    gdb = at_fault("lab=stack.sentinel_tick")
    gdb.cont()
    assert gdb.wait_stop(soon()).function == rewind.POWER_OFF
    assert "overwrite_guard_word()" in gdb.console_moving("hw blame guard-word")
    gdb.console("delete")
    gdb.cont()
    assert not gdb.wait_stop(soon()).exited, "it pauses instead of powering off"
    with pytest.raises(GdbError, match="has powered off, and QEMU cannot go back"):
        gdb.console_moving("hw blame guard-word")


def test_a_machine_that_was_not_recorded(tmp_path: Path) -> None:
    spec = MachineSpec(ROOT / KERNEL, "lab=stack.canary", gdb=True, stopped=True)
    with Machine(spec, tmp_path) as machine:
        assert machine.gdb_socket is not None
        with GdbSession(find_gdb(), machine.gdb_socket, spec.kernel, tmp_path / "gdb.txt") as gdb:
            gdb.connect()
            gdb.source(HW)
            gdb.breakpoint(FAULT_HOOK)
            gdb.cont()
            gdb.wait_stop(soon())
            with pytest.raises(GdbError, match=r"not recorded.*REVERSE=1"):
                gdb.console_moving("hw blame canary")


# --- the record --------------------------------------------------------------------------------


def test_a_replay_prints_what_was_recorded(tmp_path: Path) -> None:
    spec = MachineSpec(ROOT / KERNEL, "lab=stack.recurse")
    recording = rewind.record(spec, tmp_path, soon())
    assert recording.serial.endswith(b"[end] caught by=guard-page\n")
    assert recording.instructions > 100_000
    with Machine(recording.replay, tmp_path) as machine:
        machine.qmp.execute("cont")
        machine.qmp.wait_event("SHUTDOWN", soon())
        machine.expect(rb"\[end\][^\n]*\n", soon())
        assert machine.serial == recording.serial
        machine.qmp.execute("quit")


def test_several_cpus_are_refused_with_another_way(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="one CPU only") as refused:
        rewind.record(MachineSpec(ROOT / KERNEL, cpus=2), tmp_path, soon())
    assert "watchpoint" in str(refused.value)


def test_an_endless_guest_is_not_waited_for(kernels: Kernels, tmp_path: Path) -> None:
    """The deadline passes when it is asleep, however long it took until then."""

    def fall_asleep(machine: Machine, deadline: Deadline) -> None:
        machine.expect(b"sleep\n", deadline)
        deadline._end = 0.0

    with pytest.raises(HarnessError, match=r"SHUTDOWN.*deadline passed"):
        rewind.record(MachineSpec(kernels("silent")), tmp_path, soon(), fall_asleep)
