"""hw inject on a live machine: the sites are the kernel's, and the call asked for fails."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.errors import GdbError
from harness.paths import HW, KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import Record, parse_lines
from harness.tools import find_gdb

SECONDS = 20

Boot = Callable[[str], tuple[Machine, GdbSession]]


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    """A machine at the entry of its lab, under GDB with the commands loaded."""
    with ExitStack() as owned:

        def boot(lab: str) -> tuple[Machine, GdbSession]:
            spec = MachineSpec(ROOT / KERNEL, f"lab={lab}", gdb=True, stopped=True, icount=None)
            machine = owned.enter_context(Machine(spec, tmp_path))
            assert machine.gdb_socket is not None
            transcript = tmp_path / "gdb.txt"
            gdb = owned.enter_context(
                GdbSession(find_gdb(), machine.gdb_socket, spec.kernel, transcript)
            )
            gdb.connect()
            gdb.source(HW)
            gdb.breakpoint("lab_enter", temporary=True)
            gdb.cont()
            assert gdb.wait_stop(Deadline(SECONDS)).function == "lab_enter"
            return machine, gdb

        yield boot


def hw(gdb: GdbSession, line: str) -> str:
    """The command's own last line: GDB announces breakpoints before it."""
    return gdb.console_moving(f"hw inject {line}", Deadline(SECONDS)).splitlines()[-1]


def injected(gdb: GdbSession) -> bool:
    return gdb.evaluate("$hw_injected") == "1"


def records(machine: Machine, gdb: GdbSession) -> list[Record]:
    gdb.close()
    return list(parse_lines(machine.wait_end(Deadline(SECONDS)).serial))


def test_the_sites_are_the_kernels_own(boot: Boot, tmp_path: Path) -> None:
    _, gdb = boot("inject.once")
    with Machine(MachineSpec(ROOT / KERNEL, "lab=list"), tmp_path / "list") as machine:
        serial = machine.wait_end(Deadline(SECONDS)).serial
    listed = [r for r in parse_lines(serial) if r.area == ("list",) and r.words[0] == "site"]
    head, *lines = gdb.console("hw inject").splitlines()
    assert re.split(r" {2,}", head) == ["SITE", "FUNCTION", "FAILURE", "WHICH MEANS"]
    assert [re.split(r" {2,}", line) for line in lines] == [
        [r.words[1], r.fields["function"], r.fields["failure"], r.prose] for r in listed
    ]


def test_the_next_call_fails(boot: Boot) -> None:
    machine, gdb = boot("inject.once op=page")
    assert re.fullmatch(
        r"page\.alloc: call 1, at operation_page\+0x\w+ in thread lab, returns 0: no page is left",
        hw(gdb, "page.alloc"),
    )
    assert injected(gdb)
    assert gdb.backtrace()[0].function == "operation_page"
    assert gdb.registers()["x0"] == 0
    assert str(records(machine, gdb)[-2]) == "[inject] step op=page outcome=refused leaked=0"


def test_the_nth_call_fails(boot: Boot) -> None:
    """Of sixteen blocks the third is refused; the lab had counted on it."""
    machine, gdb = boot("pool.exhaust")
    assert "call 3, at drain_blocks+" in hw(gdb, "pool.alloc nth=3")
    assert gdb.evaluate("pool->in_use") == "2"
    assert str(records(machine, gdb)[-1]) == "[end] panic why=early-refusal"


def test_a_negative_failure_is_returned(boot: Boot) -> None:
    machine, gdb = boot("inject.once op=stack")
    assert "returns -1: no translation table is left" in hw(gdb, "map.page nth=2")
    assert gdb.evaluate("(int) $x0") == "-1"
    assert str(records(machine, gdb)[-2]) == "[inject] step op=stack outcome=refused leaked=0"


def test_another_stop_comes_first(boot: Boot) -> None:
    machine, gdb = boot("inject.once op=page")
    gdb.breakpoint("psci_system_off")
    said = hw(gdb, "page.alloc nth=2")
    assert said == "page.alloc: no call 2 came; the machine stands at psci_system_off"
    assert not injected(gdb)
    assert str(records(machine, gdb)[-2]) == "[inject] step op=page outcome=done leaked=0"


def test_the_machine_is_gone_first(boot: Boot) -> None:
    _, gdb = boot("inject.once op=page")
    assert hw(gdb, "heap.alloc") == "heap.alloc: no call 1 came; the machine is gone"
    assert not injected(gdb)


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("page.aloc", 'no site is called "page.aloc". Type: hw inject'),
        ("page.alloc nth=0", '"nth=0": expected nth=N, N from 1 to 1000000000'),
        ("page.alloc nth=x", '"nth=x": expected nth=N, N from 1 to 1000000000'),
        ("page.alloc 3", '"3": expected nth=N, N from 1 to 1000000000'),
        ("page.alloc nth=1 x", '"nth=1 x": expected nth=N, N from 1 to 1000000000'),
    ],
)
def test_what_is_wrong_is_refused_by_name(boot: Boot, line: str, refused: str) -> None:
    _, gdb = boot("inject.once op=page")
    with pytest.raises(GdbError) as error:
        gdb.console(f"hw inject {line}")
    assert error.value.problem.removeprefix("GDB refused: ") == refused
