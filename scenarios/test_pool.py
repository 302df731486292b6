"""Pool labs: kernel/labs/pool.c runs fixed-size pools dry."""

from harness.scenario import Case, Control, Scenario, Walk

SCENARIOS = [
    Scenario(
        "pool.exhaust",
        verdict="caught by=pool-limit",
        controls=(Control("protect=-pool-limit", "survived"),),
    ),
    # The memory-lab seed's figures: 50 %, 32768 bytes provided for 16192 requested, 16576 wasted.
    Scenario(
        "pool.frag",
        verdict="ok",
        uncontrolled="a measurement: nothing illegal is done that anything could catch",
    ),
    Scenario(
        "pool.freelist_smash",
        verdict="caught by=mmu",
        aborts=1,
        uncontrolled="no protection looks at a link: the MMU refuses where it leads",
    ),
]


def test_pool(case: Case, walk: Walk) -> None:
    walk(case)
