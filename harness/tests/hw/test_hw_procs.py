"""hw procs and the printers of processes and messages, on a machine that stands in a launch."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import GdbError
from harness.paths import HW, KERNEL
from harness.run.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Three spawners in each other, and the innermost's launch is at the fs server."""
    with Session(Path(KERNEL), "spawn.depth depth=4", tmp_path) as session:
        session.gdb.source(HW)
        session.run_to("load_program", hit=4)
        yield session


def rows(session: Session) -> list[list[str]]:
    head, *lines = session.gdb.console("hw procs").splitlines()
    assert re.split(r" {2,}", head.strip())[:4] == ["PID", "PROGRAM", "PARENT", "STATE"]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def test_every_process_and_its_parent(session: Session) -> None:
    found = rows(session)
    assert [row[:4] for row in found] == [
        ["1", "spawner", "kernel", "blocked"],
        ["2", "spawner", "1", "blocked"],
        ["3", "spawner", "2", "blocked"],
    ]
    for row in found:
        pages, handles, regions, user, kernel = map(int, row[-5:])
        # init and the gate; and the child, until it is waited for.
        assert (handles, regions) == (2 + (row is found[-1]), 0)
        assert pages > 5
        assert 0 < user < 16384
        assert 0 < kernel < 8192


def test_what_one_has_and_waits_for(session: Session) -> None:
    first, *rest = session.gdb.console("hw procs 3").splitlines()
    assert first.startswith("process 3 spawner of 2, ")
    assert rest[:2] == ["handle 0: endpoint init", "handle 1: endpoint gate"]
    assert rest[2].startswith("handle 2: process ")
    assert rest[3] == "waits for the answer to: kind 0 from 3"


def test_where_each_stands_at_el0_is_named_by_its_program(session: Session) -> None:
    found = re.findall(r" (\S+):program\+0x\w+ ", session.gdb.console("hw procs"))
    assert found == ["spawner"] * 3


def test_stacks_that_are_not_mapped_now_are_read_all_the_same(session: Session) -> None:
    """EL0's stacks of three processes, and the tables are another's, or nobody's."""
    text = session.gdb.console("hw stacks")
    assert re.findall(r"^user:spawner\.(\d) .* ok +\d+ ", text, re.MULTILINE) == ["3", "2", "1"]


def test_guards_of_el0_are_those_of_each_process(session: Session, tmp_path: Path) -> None:
    text = session.gdb.console("hw stacks")
    assert len(re.findall(r"^user:\S+ .* unmapped +unmapped ", text, re.MULTILINE)) == 3
    line = "spawn.depth depth=4 protect=-guard"
    with Session(Path(KERNEL), line, tmp_path / "unguarded") as unguarded:
        unguarded.gdb.source(HW)
        unguarded.run_to("load_program", hit=4)
        text = unguarded.gdb.console("hw stacks")
    assert len(re.findall(r"^user:\S+ .* mapped +mapped ", text, re.MULTILINE)) == 3


def test_a_process_prints_as_one_line(session: Session) -> None:
    printed = session.gdb.console("print *processes[1]")
    assert re.search(r"process 2 spawner of 1, \d+ pages, 2 handles, user stack user:", printed)


def test_a_message_shows_its_data(session: Session) -> None:
    printed = session.gdb.console("print processes[2]->message")
    assert "message kind 0 from 3, status 0, words 1 " in printed
    assert printed.rstrip().endswith("7 bytes: spawner")


def test_an_unknown_pid_is_refused(session: Session) -> None:
    with pytest.raises(GdbError, match=r"no process has pid 9\. Type: hw procs"):
        session.gdb.console("hw procs 9")
