"""QEMU's count of exceptions."""

import pytest

from harness.intlog import Aborts, count
from harness.tests.samples import INT_LOG


def _taken(number: int, name: str, esr: str = "") -> bytes:
    text = f"Taking exception {number} [{name}] on CPU 0\n...from EL1 to EL1\n"
    return (text + (f"...with ESR {esr}\n" if esr else "")).encode()


def test_ordinary_life_is_not_counted() -> None:
    assert count(INT_LOG) == Aborts(data=1)
    assert count(b"") == Aborts()


@pytest.mark.parametrize(
    ("exception", "aborts"),
    [
        (_taken(1, "Undefined Instruction", "0x0/0x2000000"), Aborts(undefined=1)),
        (_taken(2, "SVC", "0x15/0x56000000"), Aborts()),
        (_taken(3, "Prefetch Abort", "0x21/0x86000006"), Aborts(prefetch=1)),
        (_taken(3, "Prefetch Abort", "0x22/0x8a000000"), Aborts(pc_align=1)),
        (_taken(4, "Data Abort", "0x24/0x92000047"), Aborts(data=1)),
        (_taken(4, "Data Abort", "0x26/0x9a000000"), Aborts(sp_align=1)),
        (_taken(4, "Data Abort"), Aborts(data=1)),
        (_taken(7, "Breakpoint", "0x3c/0xf20003e8"), Aborts()),
    ],
)
def test_each_kind_is_told_apart(exception: bytes, aborts: Aborts) -> None:
    assert count(exception) == aborts
    assert count(exception * 3 + INT_LOG).total == 3 * aborts.total + 1


def test_a_syndrome_belongs_to_the_exception_above_it() -> None:
    both = _taken(4, "Data Abort") + _taken(3, "Prefetch Abort", "0x22/0x8a000000")
    assert count(both) == Aborts(data=1, pc_align=1)


def test_a_cascade_is_counted_whole() -> None:
    assert count(INT_LOG * 38).total == 38


def test_it_reads_as_a_record() -> None:
    assert str(count(b"").record()) == (
        "[qemu] aborts data=0 prefetch=0 undefined=0 sp_align=0 pc_align=0"
    )
    assert str(Aborts(data=2, undefined=1).record()) == (
        "[qemu] aborts data=2 prefetch=0 undefined=1 sp_align=0 pc_align=0"
    )
