"""hw fault: syndromes, decoded as the kernel decodes them."""

from collections.abc import Callable

import pytest

from harness.tests.hw.conftest import Stopped, poked


@pytest.mark.parametrize("name", ["recurse", "irq"])
def test_fault_is_the_reports(name: str, request: pytest.FixtureRequest) -> None:
    machine: Stopped = request.getfixturevalue(name)
    (record,) = (r for r in machine.records("EXC") if r.words == ("sync",))
    said = dict(line.split(None, 1) for line in machine.hw("fault").splitlines()[1:])
    of_class, of_status = record.prose.split("; ")
    assert said["kind"] == "sync"
    assert said["class"] == f"{record.fields['ec']} {of_class}"
    assert said["status"] == f"{record.fields['fsc']} {of_status}"
    assert said["far"] == f"{record.fields['far']} ({record.fields['raw']})"
    assert {key: said[key] for key in ("op", "elr", "sp", "mode")} == {
        key: record.fields[key] for key in ("op", "elr", "sp", "mode")
    }


def test_fault_that_is_none(pool: Stopped) -> None:
    assert pool.hw("fault") == (
        "cpu0 handles no exception: it runs thread lab at pool_report+0x0\n"
    )


ESR = "all_threads->frame.esr"
FAR_NOT_VALID = 1 << 10
WRITE = 1 << 6


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda esr: 0x15 << 26, "class", "0x15 (SVC) supervisor call"),
        (lambda esr: 0x15 << 26, "far", "not valid"),
        (lambda esr: 0x3E << 26, "class", "0x3e reserved exception class"),
        (lambda esr: esr | FAR_NOT_VALID, "far", "not valid"),
        (lambda esr: esr & ~WRITE, "op", "read"),
        (lambda esr: 0x21 << 26 | 0x0F, "op", "exec"),
        (lambda esr: 0x21 << 26 | 0x0F, "status", "0x0f permission fault, level 3"),
        (lambda esr: 0x25 << 26 | 0x3E, "status", "0x3e reserved"),
    ],
)
def test_other_syndromes(
    recurse: Stopped, change: Callable[[int], int], key: str, said: str
) -> None:
    with poked(recurse, ESR, change(recurse.number(ESR))):
        found = dict(line.split(None, 1) for line in recurse.hw("fault").splitlines()[1:])
    assert found[key] == said
