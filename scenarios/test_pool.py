"""Pool labs: kernel/labs/pool*.c run pools dry, misuse them and write where nobody may."""

from harness.scenario import Case, Control, Scenario, Walk

PAGED, TAGGED = 1, 2  # labs/pool/pool_kinds.h

CHECKED = (Control("protect=-pool-check", "survived"),)
ZONED = (Control("protect=-redzone", "survived"),)
UNTAGGED = (Control("protect=-mte", "survived"),)
POISONED = (Control("protect=-poison", "survived"),)

SCENARIOS = [
    Scenario(
        "pool.exhaust",
        verdict="caught by=pool-limit",
        controls=(Control("protect=-pool-limit", "survived"),),
    ),
    Scenario(
        "pool.recover",
        verdict="caught by=pool-limit",
        controls=(Control("protect=-pool-limit", "survived"),),
    ),
    # A thread needs an object, pages and addresses: each in turn is the first to run dry.
    *(
        Scenario(
            "pool.threads",
            name=name,
            poke=poke,
            verdict="ok",
            uncontrolled="a measurement: what is refused is refused as it should be;"
            " pool.exhaust has the pool that does not refuse",
        )
        for name, poke in (
            ("threads", {}),
            ("threads-pages", {"stack": 16 << 10, "pages": 102}),
            ("threads-addresses", {"stack": 2 << 20}),
        )
    ),
    # The memory-lab seed's figures: 50 %, 32768 bytes provided for 16192 requested, 16576 wasted.
    Scenario(
        "pool.frag",
        verdict="ok",
        uncontrolled="a measurement: nothing illegal is done that anything could catch",
    ),
    Scenario("pool.double_free", verdict="caught by=pool-check", controls=CHECKED),
    Scenario(
        "pool.double_free",
        name="double_free-between",
        poke={"between": 2},
        verdict="caught by=pool-check",
        controls=CHECKED,
    ),
    Scenario("pool.foreign_free", verdict="caught by=pool-check", controls=CHECKED),
    *(
        Scenario(
            "pool.foreign_free",
            name=f"foreign_free-{name}",
            poke={"what": what},
            verdict="caught by=pool-check",
            controls=CHECKED,
        )
        for what, name in ((1, "misaligned"), (2, "wrong_pool"))
    ),
    # The next owner finds that the block was written to; a pointer out of it leads to the poison.
    Scenario("pool.use_after_free", verdict="caught by=poison", controls=POISONED),
    Scenario(
        "pool.use_after_free",
        name="use_after_free-read",
        poke={"how": 0},
        verdict="caught by=poison",
        aborts=1,
        controls=POISONED,
    ),
    Scenario("pool.overflow", verdict="caught by=redzone", controls=ZONED),
    *(
        Scenario(
            "pool.overflow",
            name=f"overflow-{name}",
            poke=poke,
            verdict="caught by=redzone",
            controls=ZONED,
        )
        for name, poke in (
            ("block", {"how": 1}),
            ("backwards", {"how": 2}),
            ("walk", {"how": 0, "walk": 1}),
        )
    ),
    # A page for each object, and memory with tags: the access itself faults, and says where.
    *(
        Scenario(
            "pool.overflow",
            name=f"overflow-{name}",
            poke={"how": how, "kind": PAGED},
            verdict="caught by=object-page",
            aborts=1,
            controls=(Control("protect=-object-page", "survived"),),
        )
        for how, name in ((0, "paged"), (1, "paged-block"))
    ),
    # What is left of the page before an object is mapped: zone, as everywhere.
    Scenario(
        "pool.overflow",
        name="overflow-paged-backwards",
        poke={"how": 2, "kind": PAGED},
        verdict="caught by=redzone",
        controls=ZONED,
    ),
    *(
        Scenario(
            "pool.use_after_free",
            name=f"use_after_free-paged-{name}",
            poke={"how": how, "kind": PAGED},
            verdict="caught by=object-page",
            aborts=1,
            controls=(
                Control("protect=-object-page", "caught by=poison"),
                Control("protect=-object-page,-poison", "survived"),
            ),
        )
        for how, name in ((0, "read"), (1, "write"))
    ),
    *(
        Scenario(
            "pool.overflow",
            name=f"overflow-tagged{name}",
            poke={"how": how, "kind": TAGGED},
            verdict="caught by=mte",
            aborts=1,
            controls=UNTAGGED,
            cpu="max",
            mte=True,
            only="qemu<9",
        )
        for how, name in ((0, ""), (1, "-block"))
    ),
    # The same where 16 bytes have a tag: the first byte behind the block is somebody else's.
    *(
        Scenario(
            "pool.overflow",
            name=f"overflow-tagged{name}-dense",
            poke={"how": how, "kind": TAGGED},
            verdict="caught by=mte",
            aborts=1,
            controls=controls,
            cpu="max",
            mte=True,
            only="qemu>=9",
        )
        for how, name, controls in (
            (0, "", UNTAGGED),
            (1, "-block", UNTAGGED),
            (2, "-backwards", UNTAGGED),
        )
    ),
    # QEMU 7.2 has one tag for a page, so a block ends where its page does, and what lies before it
    # has its own tag: no access faults there. The byte is zone, and found at the free, as in a pool
    # of pages. Where 16 bytes have a tag, as on hardware, it is a neighbour's: the access faults.
    Scenario(
        "pool.overflow",
        name="overflow-tagged-backwards",
        poke={"how": 2, "kind": TAGGED},
        verdict="caught by=redzone",
        controls=ZONED,
        cpu="max",
        mte=True,
        only="qemu<9",
    ),
    *(
        Scenario(
            "pool.use_after_free",
            name=f"use_after_free-tagged-{name}",
            poke={"how": how, "kind": TAGGED},
            verdict="caught by=mte",
            aborts=1,
            controls=(
                Control("protect=-mte", "caught by=poison"),
                Control("protect=-mte,-poison", "survived"),
            ),
            cpu="max",
            mte=True,
        )
        for how, name in ((0, "read"), (1, "write"))
    ),
    # A new owner has the block: nobody but the tags can tell the two apart.
    Scenario(
        "pool.use_after_free",
        name="use_after_free-tagged-reused",
        poke={"reused": 1, "kind": TAGGED},
        verdict="caught by=mte",
        aborts=1,
        controls=UNTAGGED,
        cpu="max",
        mte=True,
    ),
    # QEMU 7.2 keeps two tags a page: one of the even and one of the odd 16 bytes.
    Scenario(
        "pool.tag_units",
        verdict="ok",
        uncontrolled="a measurement of the machine: nothing is broken",
        cpu="max",
        mte=True,
        only="qemu<9",
    ),
    Scenario(
        "pool.tag_units",
        name="tag_units-dense",
        verdict="ok",
        uncontrolled="a measurement of the machine: nothing is broken",
        cpu="max",
        mte=True,
        only="qemu>=9",
    ),
    Scenario(
        "pool.overflow",
        name="overflow-tagged-nowhere",
        poke={"kind": TAGGED},
        verdict="bad-args",
        uncontrolled="there is nothing to protect: this machine keeps no tags",
        cpu="max",
    ),
    # Unsealed, the link is followed. Nothing is mapped where it leads, and no switch can take the
    # MMU away: this one cannot end in `survived`. The next one can.
    Scenario(
        "pool.freelist_smash",
        verdict="caught by=pool-link",
        controls=(Control("protect=-pool-link", "caught by=mmu"),),
    ),
    # The first that takes the block finds it; unseen, the link goes to the head and into another.
    Scenario(
        "pool.freelist_smash",
        name="freelist_smash-back",
        poke={"back": 1},
        verdict="caught by=pool-link",
        controls=(Control("protect=-pool-link", "caught by=mmu"),),
    ),
    # To a block that is somebody's: its contents are no poison; without that it has two owners.
    Scenario(
        "pool.freelist_smash",
        name="freelist_smash-used",
        poke={"leads": 1},
        verdict="caught by=pool-link",
        controls=(
            Control("protect=-pool-link", "caught by=poison"),
            Control("protect=-pool-link,-poison", "survived", golden=True),
        ),
    ),
]


def test_pool(case: Case, walk: Walk) -> None:
    walk(case)
