"""What <Tab> offers after each command that takes a name: what the command would take, now."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.tests.hw.conftest import COMMANDS, Stopped, poked
from harness.tools import find_gdb

# typed: some of what has to be offered for the last word, and nothing that begins otherwise.
OFFERED = {
    "pools th": ["thread_pool", "threads"],
    "bt ": ["cpu0", "idle", "lab", "victim"],
    "bt vic": ["victim"],
    "paint vi": ["victim"],
    "paint thread:vi": ["thread:victim"],
    "paint victim ": ["again"],
    "inject page.a": ["page.alloc"],
    "inject page.alloc ": ["nth="],
    "blame guard-": ["guard-word"],
    "blame ": ["canary", "freelist", "guard-word", "pool"],
    "where all_thr": ["all_threads"],
    "pt all_thr": ["all_threads"],
}
NOTHING = (
    "pools nosuch",
    "pools threads ",
    "bt victim ",
    "paint victim again ",
    "inject page.alloc nth=1 ",
    "heap ",  # none is made
    "procs 9",
    "stacks ",
)


def offered(machine: Stopped, typed: str) -> list[str]:
    """The last words."""
    return [line.rsplit(" ", 1)[1] for line in machine.hw_complete(typed)]


@pytest.mark.parametrize("typed", OFFERED)
def test_a_name_is_completed(recurse: Stopped, typed: str) -> None:
    words = offered(recurse, typed)
    begun = typed.rsplit(" ", 1)[1]
    assert set(OFFERED[typed]) <= set(words)
    assert all(word.startswith(begun) for word in words)
    assert words == sorted(set(words))


@pytest.mark.parametrize("typed", NOTHING)
def test_nothing_is_offered_that_would_be_refused(recurse: Stopped, typed: str) -> None:
    assert offered(recurse, typed) == []


def test_a_heap_is_completed_by_file_and_variable(heap: Stopped) -> None:
    assert offered(heap, "heap heap_labs.c:h") == ["heap_labs.c:heap"]


def test_every_command_that_takes_a_name_completes_it() -> None:
    """A new one, too."""
    sources = {file.stem: file.read_text("utf-8") for file in Path(COMMANDS).glob("*.py")}
    takes = {
        name
        for name, text in sources.items()
        if re.search(r'^    usage = "[^"]', text, re.M) and name != "kernel"
    }
    completes = {
        name for name, text in sources.items() if re.search(r"^    def names\(", text, re.M)
    }
    assert takes == completes - {"kernel"}
    assert takes == {typed.split()[0] for typed in (*OFFERED, "heap x", "procs x")}


def test_where_the_command_would_refuse_nothing_is_offered(recurse: Stopped) -> None:
    """Nor anything said: an error in the middle of a line that one types is in the way."""
    with poked(recurse, "((unsigned char *)&__build_id)[16]", 0xAB):
        assert offered(recurse, "bt ") == []
    with poked(recurse, "all_threads->all_next", recurse.number("all_threads")):
        assert offered(recurse, "bt ") == []
    assert offered(recurse, "bt vic") == ["victim"]


def test_without_a_machine_nothing_is_offered() -> None:
    script = ["source harness/hw/hw.py", "complete hw bt ", "complete hw poo"]
    argv = [str(find_gdb()), "--nx", "-q", "-batch", *(word for s in script for word in ("-ex", s))]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("hw pools\n", "")
