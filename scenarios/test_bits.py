"""Bits labs: kernel/labs/bits/bits.c. What the hardware was told to protect, one bit at a time."""

from harness.scenario import Case, Control, Scenario, Walk

READ_BACK = "it reads back what stands there: a bit that is lost is a line of the golden"
NOWHERE = "the pc itself is wrong: for GDB there is no frame to unwind from"


def alone(name: str, other: str) -> Scenario:
    """One of the two keeps a writable page from being executed, when the other is taken away."""
    return Scenario(
        "bits.execute",
        args=f"{other}=0",
        name=name,
        verdict="caught by=w^x",
        aborts=1,
        gdb_view=NOWHERE,
        controls=(Control(f"{name}=0", "survived", golden=True),),
    )


SCENARIOS = [
    # SCTLR_EL1.SA stands here alone: QEMU 7.2 never raises the SP alignment exception.
    Scenario("bits.registers", args="others=1", verdict="ok", cpus=2, uncontrolled=READ_BACK),
    Scenario(
        "bits.registers",
        args="users=1",
        name="registers-users",
        verdict="ok",
        cpu="max",
        uncontrolled=READ_BACK,
    ),
    Scenario("bits.mappings", verdict="ok", uncontrolled=READ_BACK),
    alone("wxn", other="pxn"),
    alone("pxn", other="wxn"),
    Scenario(
        "bits.pan",
        verdict="ok",
        cpu="max",
        controls=(Control("protect=-pan", "survived", golden=True),),
    ),
]


def test_bits(case: Case, walk: Walk) -> None:
    walk(case)
