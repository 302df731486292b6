"""Heap labs: kernel/labs/heap.c, first fit and what it does to itself."""

from harness.scenario import Case, Scenario, Walk

MEASUREMENT = "a measurement: nothing illegal is done that anything could catch"

SCENARIOS = [
    # The memory-lab seed's figures: 96 %, 32 free blocks, 32784 bytes free, 1040 at most, 63 steps.
    Scenario("heap.frag", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario("heap.coalesce", verdict="ok", uncontrolled=MEASUREMENT),
    Scenario(
        "heap.wrap",
        verdict="ok",
        uncontrolled="the arithmetic has no switch; its control is the fuzzer's mutant",
    ),
]


def test_heap(case: Case, walk: Walk) -> None:
    walk(case)
