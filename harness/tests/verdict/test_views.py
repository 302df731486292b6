"""Kernel against GDB, frame by frame: agreement, the one explained difference, and every other."""

from collections.abc import Callable, Sequence

import pytest

from harness.serial.log import parse
from harness.tests.samples import NAMES, SERIAL, Frame, look
from harness.verdict.views import SIGNAL_FRAME, Agreement, agree, culprit

LOG = parse(SERIAL)
TWICE = parse(SERIAL.replace(b"[stack]", b"[bt] #0 recurse+0x4 frame=0\n[stack]"))


def _agree(*looks: Sequence[Frame]) -> Agreement:
    return agree(LOG, looks, NAMES)


def test_the_sample_agrees_and_is_folded_like_the_kernels() -> None:
    agreement = _agree(look())
    assert agreement.problems == ()
    assert list(map(str, agreement.records)) == [
        "[gdb] #0 recurse+0x0",
        "[gdb] #1 recurse+0x2c",
        "[gdb] #2 recurse+0x2c times=338",
        "[gdb] #340 recurse_thread+0x1c",
        "[gdb] #341 thread_start+0x8",
    ]


def test_the_handlers_frames_and_the_vectors_are_left_out() -> None:
    assert culprit(look(), NAMES)[0] == "recurse+0x0"


def test_without_a_vector_everything_is_the_culprits() -> None:
    assert len(culprit(look()[3:], NAMES)) == 342


def test_an_inlined_function_has_no_frame_of_its_own() -> None:
    frames = look()
    frames.insert(-1, Frame(frames[-1].address, "helper_that_was_inlined"))
    assert _agree(frames).problems == ()


def test_recursion_is_not_taken_for_inlining() -> None:
    assert len(culprit([Frame(0x102C, "recurse")] * 5, NAMES)) == 5


def test_a_call_at_a_functions_end_is_named_by_its_caller() -> None:
    """Its return address is already the next function's first."""
    frames = [
        Frame(0x4004, SIGNAL_FRAME),
        Frame(0x2000, "recurse_thread"),
        Frame(0x2000, "recurse"),
    ]
    assert culprit(frames, NAMES) == ["recurse_thread+0x0", "recurse+0x1000"]


def test_a_frame_that_an_interrupt_cut_off_is_named_by_its_own_address() -> None:
    handler = [Frame(0x4004, SIGNAL_FRAME), Frame(0x1004, "recurse"), Frame(0x4008, SIGNAL_FRAME)]
    assert culprit([*handler, Frame(0x2000, "recurse_thread")], NAMES) == [
        "recurse+0x4",
        "vector_sync+0x8",
        "recurse_thread+0x0",
    ]


def _drop_last(frames: list[Frame]) -> list[Frame]:
    return frames[:-1]


def _another_function(frames: list[Frame]) -> list[Frame]:
    return [*frames[:-2], Frame(0x2020, "recurse_thread"), frames[-1]]


def _one_more(frames: list[Frame]) -> list[Frame]:
    return [*frames, Frame(0x3010, "thread_start")]


def _culprit_missing(frames: list[Frame]) -> list[Frame]:
    return [*frames[:3], *frames[4:]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_drop_last, "frame #341: the kernel walked to thread_start+0x8, GDB to nothing"),
        (
            _another_function,
            "frame #340: the kernel walked to recurse_thread+0x1c, GDB to recurse_",
        ),
        (_one_more, "frame #342: the kernel walked to nothing, GDB to thread_start+0x10"),
        (_culprit_missing, "frame #0: the kernel walked to recurse+0x0, GDB to recurse+0x2c"),
    ],
)
def test_every_other_difference_is_told(
    change: Callable[[list[Frame]], list[Frame]], problem: str
) -> None:
    agreement = _agree(change(look()))
    assert len(agreement.problems) == 1
    assert agreement.problems[0].startswith(problem)


def test_what_gdb_saw_is_recorded_where_they_disagree_too() -> None:
    short = [Frame(0x4004, SIGNAL_FRAME), *[Frame(0x102C, "recurse")] * 2]
    assert list(map(str, _agree(short).records)) == ["[gdb] #0 recurse+0x2c times=2"]


def test_two_equal_frames_are_folded() -> None:
    log = parse(b"[bt] #0 recurse+0x4\n[bt] #1 recurse+0x2c times=2\n[end] ok\n")
    frames = [Frame(0x1004, "recurse"), *[Frame(0x102C, "recurse")] * 2]
    assert str(agree(log, (frames,), NAMES).records[1]) == "[gdb] #1 recurse+0x2c times=2"


@pytest.mark.parametrize("looks", [(), (look(), look())])
def test_each_backtrace_is_looked_at_once(looks: Sequence[Sequence[Frame]]) -> None:
    assert f"printed 1 backtraces, GDB stopped at {len(looks)} faults" in _agree(*looks).problems[0]


def test_the_second_fault_of_a_boot_is_named() -> None:
    second = [Frame(0x4004, SIGNAL_FRAME), Frame(0x1008, "recurse")]
    assert agree(TWICE, (look(), second), NAMES).problems == (
        "look 2: frame #0: the kernel walked to recurse+0x4, GDB to recurse+0x8",
    )


@pytest.mark.parametrize("via", ["kernel", "ipc"])
def test_where_only_the_kernel_goes_on_gdb_need_not_follow(via: str) -> None:
    """Who entered EL0, or whom a server serves, stands in no unwinder's tables."""
    rows = f"[bt] #342 user_enter+0xc frame=16 via={via}\n[bt] #343 process_main+0x4 frame=48\n"
    beyond = parse(SERIAL.replace(b"[bt] end", rows.encode() + b"[bt] end"))
    assert agree(beyond, [look()], NAMES).problems == ()
    unmarked = parse(SERIAL.replace(b"[bt] end", b"[bt] #342 other+0xc frame=16\n[bt] end"))
    assert agree(unmarked, [look()], NAMES).problems != ()
