"""hw threads: states, places, and what each waits for."""

from harness.tests.hw.conftest import Stopped, only, poked, rows


def test_threads(recurse: Stopped) -> None:
    text = recurse.hw("threads")
    found = rows(text)
    (record,) = recurse.records("stack")
    (fault,) = (r for r in recurse.records("EXC") if r.words == ("sync",))
    assert only(found, THREAD="victim") == {
        "THREAD": "victim",
        "STATE": "THREAD_RUNNING",
        "CPU": "0",
        "PC": fault.fields["elr"],
        "SP": fault.fields["sp"],
        "USED": record.fields["used"],
        "SIZE": record.fields["size"],
        "WAITS FOR": "-",
    }
    lab, idle = only(found, THREAD="lab"), only(found, THREAD="idle")
    assert (lab["STATE"], lab["WAITS FOR"]) == ("THREAD_BLOCKED", "victim")
    assert idle["STATE"] == "THREAD_READY"
    assert idle["SP"].startswith("thread:idle+0xf")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("*")] == ["victim"]


def test_a_sleeper_waits_for_its_tick(irq: Stopped) -> None:
    lab = only(irq.rows("threads"), THREAD="lab")
    assert lab["WAITS FOR"] == f"tick {irq.number('all_threads->wake_at')}"


def test_a_killed_thread_says_by_what(recurse: Stopped) -> None:
    with (
        poked(recurse, "all_threads->state", recurse.number("THREAD_KILLED")),
        poked(recurse, "all_threads->killed_by", recurse.number("thread_pool.name")),
    ):
        assert only(recurse.rows("threads"), THREAD="victim")["STATE"] == "THREAD_KILLED by threads"
