"""Traces recorded from the kernel: recorded again, they are the same bytes."""

import pytest

from harness.dev import traces
from harness.dev.traces import Call, Recording
from harness.errors import HarnessError
from harness.paths import KERNEL, ROOT

BOOT = Recording("boot", "stack.nothing", "nothing")


def test_recorded_again_they_are_the_same_bytes() -> None:
    committed = (ROOT / traces.TABLE).read_text("utf-8")
    assert traces.generate(ROOT / KERNEL) == committed, f"stale; run: {traces.COMMAND}"


def test_a_block_is_the_lowest_empty_slot_until_it_goes_back() -> None:
    calls = [
        (Call("page", 4096), 0x1000),
        (Call("pool", 464), 0x1000),  # the same address, another allocator
        (Call("page", 0, 0x1000), 1),
        (Call("page", 4096), 0x5000),
        (Call("pool", 0, 0x1000), 0),
    ]
    assert list(traces.slotted(calls)) == [(0, 4096), (1, 464), (0, 0), (0, 4096), (1, 0)]


def test_what_was_refused_or_came_before_is_no_event() -> None:
    calls = [(Call("page", 4096), 0), (Call("page", 0, 0x1000), 1)]
    assert list(traces.slotted(calls)) == []


def test_a_trace_that_the_kernel_has_no_room_for_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"513 events[\s\S]*room for 512"):
        traces.table([(BOOT, [(0, 1)] * 513)])


def test_the_kernel_has_the_room_that_is_stated_here() -> None:
    header = (ROOT / "kernel/labs/mem/trace.h").read_text("utf-8")
    assert f"#define TRACE_SLOTS {traces.SLOTS}\n" in header
    assert f"#define TRACE_EVENTS {traces.EVENTS}\n" in header
