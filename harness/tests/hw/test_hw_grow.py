"""The commands of harness/hw on stacks that grow: what they say is what the kernel says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import parse_lines
from harness.serial.symbols import FAULT_HOOK
from harness.tools import find_gdb

BUDGET_SECONDS = 60.0


@contextmanager
def at_fault(line: str, folder: Path) -> Iterator[tuple[Machine, GdbSession]]:
    deadline = Deadline(BUDGET_SECONDS)
    spec = MachineSpec(ROOT / KERNEL, f"{line} nonce=hw", gdb=True, stopped=True)
    with Machine(spec, folder) as machine:
        assert machine.gdb_socket is not None
        transcript = folder / "gdb-transcript"
        with GdbSession(find_gdb(), machine.gdb_socket, ROOT / KERNEL, transcript) as gdb:
            gdb.connect(deadline)
            gdb.console(f"source {ROOT}/harness/hw/hw.py")
            gdb.breakpoint(FAULT_HOOK)
            gdb.cont()
            assert gdb.wait_stop(deadline).function == FAULT_HOOK
            yield machine, gdb


def stacks(gdb: GdbSession) -> dict[str, dict[str, str]]:
    head, *lines = (line.split() for line in gdb.console("hw stacks").splitlines())
    return {row[0]: dict(zip(head, row, strict=True)) for row in lines}


@pytest.mark.parametrize(
    ("move", "name"), [("yes", "thread:grower-0x1000"), ("no", "stale:early.2-0x2000")]
)
def test_a_place_has_the_name_of_who_is_there_now(move: str, name: str, tmp_path: Path) -> None:
    with at_fault(f"lab=grow.reused move={move}", tmp_path) as (machine, gdb):
        (exception,) = (r for r in parse_lines(machine.serial) if "far" in r.fields)
        assert exception.fields["far"] == name
        assert name in gdb.console(f"hw where {exception.fields['raw']}")


GROWING = [
    ("lab=grow.stale", "ok", "ok"),  # copied: guard words at the end of where it is now
    ("lab=grow.demand reserve=8", "-", "fault-below"),  # no page for what lies below
    ("lab=grow.masked", "-", "fault-below"),
]


@pytest.mark.parametrize(("line", "words", "status"), GROWING, ids=[row[0] for row in GROWING])
def test_a_stack_that_grows_is_seen_as_the_kernel_sees_it(
    line: str, words: str, status: str, tmp_path: Path
) -> None:
    with at_fault(line, tmp_path) as (machine, gdb):
        seen = stacks(gdb)
        records = list(parse_lines(machine.serial))
        fault = gdb.console("hw fault")
    row = seen["thread:grower"]
    (stack,) = (r for r in records if r.area == ("stack",))
    assert (row["USED"], row["SIZE"]) == (stack.fields["used"], stack.fields["size"])
    assert (row["BELOW"], row["WORDS"], row["STATUS"]) == ("unmapped", words, status)
    (exception,) = (r for r in records if "far" in r.fields)
    assert f"far     {exception.fields['far']} (" in fault, "a place that was left has its name"
    assert not [name for name in seen if name.startswith("stale:")], "which is no stack any more"
