"""The marks that `pytest -m` selects by, all of them: pytest knows no other (--strict-markers).

A case has those of its row, and nobody writes them by hand; `accepted` is for tests beside rows.

    pytest -m "gdb and stack"        pytest -m "smp or control"        pytest --markers
"""

from collections.abc import Callable, Iterator

from harness.scenario import Case

Says = Callable[[Case], bool]

# One a line: what it says of a case.
MARKS: dict[str, tuple[str, Says]] = {
    "smp": ("on several CPUs", lambda case: case.scenario.cpus > 1),
    "gdb": ("GDB looks, or pulls the trigger", lambda case: case.looks or case.trigger == "gdb"),
    "serial": ("a line typed into the serial port is the trigger", lambda c: c.trigger == "serial"),
    "warm": ("can be booted from a snapshot (--warm)", lambda case: case.can_be_warm),
    "control": ("without the protection under test", lambda case: case.control is not None),
    "mte": ("on a machine that keeps memory tags", lambda case: case.scenario.mte),
}
FAMILY = "of the labs of this family"
ACCEPTED = "accepted", "holds what is accepted; not asked by make golden, which is at it"


def of_case(case: Case) -> Iterator[str]:
    """The family, and what else is true of it."""
    yield case.scenario.family
    yield from (name for name, (_, says) in MARKS.items() if says(case))


def lines(families: set[str]) -> Iterator[str]:
    """As pytest's `markers` wants them."""
    yield ": ".join(ACCEPTED)
    yield from (f"{name}: a case {what}" for name, (what, _) in MARKS.items())
    yield from (f"{family}: a case {FAMILY}" for family in sorted(families - MARKS.keys()))
