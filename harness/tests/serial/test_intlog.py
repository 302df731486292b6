"""QEMU's count of exceptions."""

import re

import pytest

from harness.errors import IntLogError
from harness.serial.intlog import Aborts, count
from harness.tests.samples import INT_LOG

LAST = "...to EL1 PC 0xffff PSTATE 0x3c5\n"
IRQ = (5, "IRQ", "0x25/0x96000047")
DATA = (4, "Data Abort", "0x25/0x96000047")
SP_ALIGN = (4, "Data Abort", "0x26/0x9a000000")
PC_ALIGN = (3, "Prefetch Abort", "0x22/0x8a000000")


def _lines(number: int, name: str, esr: str, cpu: int = 0) -> list[str]:
    return [
        f"Taking exception {number} [{name}] on CPU {cpu}\n",
        "...from EL1 to EL1\n",
        f"...with ESR {esr}\n",
        "...with FAR 0x10\n",
        "...with ELR 0xffff\n",
        LAST,
    ]


def _taken(number: int, name: str, esr: str) -> bytes:
    return "".join(_lines(number, name, esr)).encode()


def _mixed(*exceptions: tuple[int, str, str]) -> bytes:
    """One on each CPU, all at one moment: every CPU writes its n-th line before any its next."""
    columns = [_lines(*exception, cpu=cpu) for cpu, exception in enumerate(exceptions)]
    return "".join(line for row in zip(*columns, strict=True) for line in row).encode()


def test_ordinary_life_is_not_counted() -> None:
    assert count(INT_LOG) == Aborts(data=1)
    assert count(b"") == Aborts()
    assert count(b"qemu_system_shutdown_request reason=6\n") == Aborts()


@pytest.mark.parametrize(
    ("exception", "aborts"),
    [
        (_taken(1, "Undefined Instruction", "0x0/0x2000000"), Aborts(undefined=1)),
        (_taken(2, "SVC", "0x15/0x56000000"), Aborts()),
        (_taken(3, "Prefetch Abort", "0x21/0x86000006"), Aborts(prefetch=1)),
        (_taken(*PC_ALIGN), Aborts(pc_align=1)),
        (_taken(4, "Data Abort", "0x24/0x92000047"), Aborts(data=1)),
        (_taken(*SP_ALIGN), Aborts(sp_align=1)),
        (_taken(7, "Breakpoint", "0x3c/0xf20003e8"), Aborts()),
    ],
)
def test_each_kind_is_told_apart(exception: bytes, aborts: Aborts) -> None:
    assert count(exception) == aborts
    assert count(exception * 3 + INT_LOG).total == 3 * aborts.total + 1


@pytest.mark.parametrize("before", ["0x22/0x8a000000", "0x26/0x9a000000"])
def test_the_syndrome_that_an_interrupt_repeats_is_not_its_own(before: str) -> None:
    assert count(_taken(5, "IRQ", before)) == Aborts()


def test_a_cascade_is_counted_whole() -> None:
    assert count(INT_LOG * 38).total == 38


@pytest.mark.parametrize(
    ("exceptions", "aborts"),
    [
        ((DATA, IRQ), Aborts(data=1)),
        ((IRQ, DATA), Aborts(data=1)),
        ((DATA, DATA, IRQ), Aborts(data=2)),
        ((DATA, (3, "Prefetch Abort", "0x21/0x86000006")), Aborts(data=1, prefetch=1)),
        ((IRQ, (5, "IRQ", "0x26/0x9a000000")), Aborts()),
    ],
)
def test_cpus_that_write_at_one_moment_are_counted(
    exceptions: tuple[tuple[int, str, str], ...], aborts: Aborts
) -> None:
    assert count(_mixed(*exceptions)) == aborts
    assert count(_mixed(*exceptions) * 2 + INT_LOG).total == 2 * aborts.total + 1


def test_a_cpu_may_take_its_next_before_another_has_ended_its_first() -> None:
    slow, quick = _lines(*DATA, cpu=1), "".join(_lines(*IRQ, cpu=0))
    assert count((slow[0] + quick * 2 + "".join(slow[1:])).encode()) == Aborts(data=1)


@pytest.mark.parametrize("exceptions", [(SP_ALIGN, IRQ), (DATA, PC_ALIGN), (DATA, SP_ALIGN, IRQ)])
def test_a_syndrome_that_may_be_any_cpus_is_refused(
    exceptions: tuple[tuple[int, str, str], ...],
) -> None:
    with pytest.raises(IntLogError, match=r"line 11: \d exceptions of several CPUs are mixed"):
        count(INT_LOG[: INT_LOG.index(b"Taking exception 4")] + _mixed(*exceptions))


HEAD = "Taking exception 4 [Data Abort] on CPU 0\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (INT_LOG.replace(b"\n", b"\r\n"), "line 1: it ends in CR LF"),
        (INT_LOG[:-1], "line 16: the last line is cut off"),
        (INT_LOG[: INT_LOG.rindex(b"...to EL1")], "line 15: it ends in the middle of an exception"),
        (HEAD.encode(), "line 1: it ends in the middle"),
        ((HEAD + LAST).encode(), "line 1: an exception without its syndrome"),
        ((HEAD + HEAD).encode(), "line 2: CPU 0 is still in another one"),
        (LAST.encode(), "line 1: no exception has begun"),
        (b"\n", "line 1: QEMU writes no such line"),
        (b"x\0\n", "line 1: QEMU writes no such line"),
        (b"taking exception 4 [Data Abort] on CPU 0\n", "QEMU writes no such line"),
        ((HEAD + "...and so on\n").encode(), "line 2: QEMU writes no such line of an exception"),
        ((HEAD[:-1] + HEAD).encode(), "line 1: QEMU writes no such line"),
    ],
)
def test_what_cannot_be_read_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(IntLogError, match=re.escape(problem)):
        count(text)


def test_it_reads_as_a_record() -> None:
    assert str(count(b"").record()) == (
        "[qemu] aborts data=0 prefetch=0 undefined=0 sp_align=0 pc_align=0"
    )
    assert str(Aborts(data=2, undefined=1).record()) == (
        "[qemu] aborts data=2 prefetch=0 undefined=1 sp_align=0 pc_align=0"
    )
