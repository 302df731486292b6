"""Heap labs: first fit, what it does to itself, and what is asked of it that it must refuse."""

from harness.scenario import Case, Control, Scenario, Walk

MEASUREMENT = "a measurement: nothing illegal is done that anything could catch"


def refused(lab: str, name: str = "", args: str = "") -> Scenario:
    """The heap notices; without its checks it does what it is told."""
    return Scenario(
        lab,
        verdict="caught by=heap-check",
        name=name,
        args=args,
        controls=(Control("protect=-heap-check", "survived"),),
    )


SCENARIOS = [
    # The memory-lab seed's figures: 96 %, 32 free blocks, 32784 bytes free, 1040 at most, 63 steps.
    Scenario("heap.frag", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("heap.coalesce", verdict="ok", uncontrolled=MEASUREMENT),
    # An even number of chunks: the last of those that are freed first is not the last of all.
    Scenario(
        "heap.coalesce",
        args="chunk=512",
        name="coalesce-even",
        verdict="ok",
        uncontrolled=MEASUREMENT,
    ),
    Scenario(
        "heap.wrap",
        verdict="ok",
        uncontrolled="the arithmetic has no switch; its control is the fuzzer's mutant",
    ),
    refused("heap.exhaust"),
    refused("heap.double_free"),
    refused("heap.double_free", name="double_free-joined", args="when=1"),
    refused("heap.double_free", name="double_free-inside", args="when=2"),
    refused("heap.nested_free"),
    refused("heap.overflow"),
    # With its header's lowest byte NUL the next block looked free: its owner was blamed.
    refused("heap.off_by_one"),
    refused("heap.off_by_one", name="off_by_one-size", args="byte=65"),
    refused("heap.sweep"),
]


def test_heap(case: Case, walk: Walk) -> None:
    walk(case)
