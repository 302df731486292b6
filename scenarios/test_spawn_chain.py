"""The seed document's call chain: every cure alone and all together, on each size of stack.

What overflows has the stack on which it does not as its row beside it; what does not has the
largest stack on which it does as its control.
"""

from harness.scenario import PROBING, Case, Control, Scenario, Walk

STACKS_KIB = (8, 16, 32, 64)

# The smallest of them that each variant survives on. Measured, and held by the rows below.
SURVIVES_KIB = {
    "baseline": 64,
    "boxed": 8,
    "scratch": 32,
    "flat": 32,
    "mmap64": 32,
    "mmap-indirect": 32,
    "all": 8,
}


def row(variant: str, kib: int) -> Scenario:
    name, args = f"chain-{variant}-{kib}k", f"variant={variant} stack={kib}K"
    smallest = SURVIVES_KIB[variant]
    if kib < smallest:
        return _overflows(variant, kib, name, args)
    overflowing = Control(f"stack={smallest // 2}K", "caught by=guard-page")
    controls = (overflowing,) if smallest > STACKS_KIB[0] else ()
    why = "" if controls else "no smaller stack is offered; the baseline on it overflows"
    return Scenario(
        "spawn.chain",
        args=args,
        name=name,
        verdict="ok",
        controls=controls,
        uncontrolled=why,
        only=PROBING if controls else "",  # as _overflows()
    )


def _overflows(variant: str, kib: int, name: str, args: str) -> Scenario:
    narrow = (variant, kib) == ("baseline", 32)
    return Scenario(
        "spawn.chain",
        args=args,
        name=name,
        verdict="caught by=guard-page",
        aborts=1,
        controls=(Control("protect=-guard", "survived"),) if narrow else (),
        uncontrolled="" if narrow else "it ends so far below its stack that no page stands for all",
        only=PROBING,  # a frame of 5 KiB steps over the guard
    )


SCENARIOS = [
    *(row(variant, kib) for variant in SURVIVES_KIB for kib in STACKS_KIB),
    # boxed fits on 8 KiB, but with too little to spare: what every spawn lab checks at its end.
    Scenario(
        "spawn.chain",
        args="variant=all stack=8K quarter=1",
        name="chain-all-8k-quarter",
        verdict="ok",
        controls=(Control("variant=boxed", "panic", golden=True),),
    ),
]


def test_spawn_chain(case: Case, walk: Walk) -> None:
    walk(case)
