"""`make debug` and `make replay` as a person uses them: on a pty, typing commands, reading answers.

And what a capsule keeps, refuses, and brings back.
"""

import io
import json
import os
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
import pytest

from harness import debug
from harness.boot import boot
from harness.capsule import FILE, Capsule, WrongImage
from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.failure import ScenarioFailed
from harness.machine import Machine, MachineSpec
from harness.scenario import Case, Scenario
from harness.symbols import build_id
from harness.tests.conftest import Kernels
from harness.walk import ARTIFACTS, KERNEL, Run, Walker

ROOT = Path(__file__).parents[2]
SECONDS = 20
CLI = (sys.executable, "-m", "harness.cli")
PROMPT = r"\(gdb\) (\x1b\[\?2004h)?"  # not at the end: the serial port may print behind it

Failed = Callable[[str], tuple[Path, str]]


@contextmanager
def terminal(
    *arguments: str, build: Path, program: tuple[str, ...] = CLI
) -> Iterator["pexpect.spawn[str]"]:
    """`python -m harness.cli …` on a pty of 200 columns. It is gone afterwards in any case."""
    environment = {**os.environ, "BUILD": str(build), "TERM": "dumb", "DEBUGINFOD_URLS": ""}
    environment.pop("TMUX", None)  # whoever runs the tests keeps an unsplit window
    child = pexpect.spawn(
        program[0],
        [*program[1:], *arguments],
        cwd=str(ROOT),
        env=environment,
        encoding="utf-8",
        timeout=SECONDS,
        dimensions=(50, 200),
    )
    child.delaybeforesend = None
    try:
        yield child
    finally:
        child.close(force=True)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build folder of this test's own, with the kernel in it."""
    (tmp_path / "kernel.elf").symlink_to(ROOT / KERNEL)
    return tmp_path


def ask(child: "pexpect.spawn[str]", command: str) -> str:
    """Type a command at the prompt; its answer, up to the next prompt."""
    child.sendline(command)
    child.expect(PROMPT)
    return str(child.before)


def leave(child: "pexpect.spawn[str]", mark: str) -> None:
    """Quit GDB; neither socket nor process is left behind."""
    (socket,) = re.findall(r"remote (/\S+)", ask(child, "info connections"))
    folder = Path(socket).parent
    assert folder.stat().st_mode & 0o777 == 0o700, "the stub is its owner's alone"
    assert processes_with(mark)
    child.sendline("quit")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    assert not folder.exists()
    assert not processes_with(mark)


def processes_with(mark: str) -> list[str]:
    """Command lines that hold this word."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            found.append(file.read_text(errors="replace"))
    return [line for line in found if mark in line]


# --- on a pty ----------------------------------------------------------------------------------


def test_debug_a_lab(build: Path) -> None:
    with terminal("debug", "stack.recurse stack=8K nonce=debug-a-lab", build=build) as child:
        child.expect_exact("`continue` runs to lab_stack_recurse")
        child.expect(PROMPT)
        assert "[lab] enter" not in ask(child, "continue")
        assert "stack = 8192" in ask(child, "print stack_recurse_args")
        assert "lab_stack_recurse+0x0" in ask(child, "hw threads")
        leave(child, "debug-a-lab")


def test_a_hunt_backwards(build: Path) -> None:
    """The symptom at the tick, blame, the culprit: docs/debugging.md shows this one."""
    lab = "stack.sentinel_tick nonce=a-hunt-backwards"
    with terminal("debug", "--reverse", lab, build=build) as child:
        child.expect(r"recorded, \d+ instructions")
        child.expect(PROMPT)
        assert "lab_stack_sentinel_tick" in ask(child, "continue")
        assert "debugger_fault_hook" in ask(child, "continue")
        told = ask(child, "hw blame guard-word")
        assert "until overwrite_guard_word() wrote it" in told
        assert "SIGTRAP" not in told, "the way back is not announced stop by stop"
        assert "[boot]" not in told, "nor is printed again what was printed"
        assert "str xzr" in " ".join(ask(child, "x/i $pc").split())
        ask(child, "reverse-stepi")
        assert "debugger_fault_hook" in ask(child, "continue")
        assert "psci_system_off" in ask(child, "continue")
        leave(child, "a-hunt-backwards")


@pytest.mark.parametrize(
    ("chapter", "opened", "before"),
    [
        ("The commands", ("stack.recurse",), ("break debugger_fault_hook", "continue", "continue")),
        ("A hunt: from the tick back to the culprit", ("--reverse", "stack.sentinel_tick"), ()),
    ],
)
def test_the_sessions_in_the_docs(
    chapter: str, opened: tuple[str, ...], before: tuple[str, ...], build: Path
) -> None:
    """Each line that is shown is printed today, in that order; numbers and offsets may differ. What
    the serial port prints falls anywhere between GDB's lines: it is looked for in a boot.
    """
    serial = boot(ROOT / KERNEL, f"lab={opened[-1]}", build).serial.decode()
    printed = [unnumbered(line) for line in serial.splitlines()]
    with terminal("debug", *opened, build=build) as child:
        child.expect(PROMPT)
        for command in before:
            ask(child, command)
        for command, *shown in session_in_the_docs(chapter):
            answer = iter([unnumbered(line) for line in ask(child, command).splitlines()])
            for line in map(unnumbered, shown):
                found = line in printed if line[0] == "[" else any(line in said for said in answer)
                assert found, f"{command}: {line}"


def session_in_the_docs(chapter: str) -> Iterator[list[str]]:
    """Each command with the lines that are shown as its answer."""
    text = (ROOT / "docs" / "debugging.md").read_text("utf-8")
    text = text.partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^    (\S.*|\s+\S.*)$", text, re.MULTILINE)
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("(gdb) "):
            found.append([line.removeprefix("(gdb) ")])
        elif found:
            found[-1].append(line)
    assert len(found) >= 5, f"the docs show no session under {chapter}"
    yield from found


def unnumbered(line: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\b\d+", "N", " ".join(line.split()))


def test_debug_a_scenario_by_what_pytest_calls_it(build: Path) -> None:
    with terminal("debug", "--scenario", "stack.recurse-gdb", build=build) as child:
        child.expect_exact("at lab_stack_recurse")
        child.expect(PROMPT)
        assert "stack = 8192, past = 1024" in ask(child, "print stack_recurse_args")


def test_debug_types_what_the_test_typed(build: Path) -> None:
    name = "scenarios/test_stack.py::test_stack[recurse-serial]"
    with terminal("debug", "--scenario", name, build=build) as child:
        child.expect_exact("[lab] holding for=serial")
        child.expect(PROMPT)
        assert "stack = 8192, past = 1024" in ask(child, "print stack_recurse_args")


def test_with_the_tui_the_serial_port_goes_to_a_file(build: Path) -> None:
    with terminal("debug", "--tui", "stack.recurse", build=build) as child:
        child.expect_exact("serial.log")
        child.sendline("")  # TERM=dumb has no TUI: GDB says so, and that is what shows it was asked
        child.expect("Cannot enable the TUI")


def test_ctrl_c_stops_the_guest_and_not_the_session(build: Path) -> None:
    with terminal("debug", "crash.hang watchdog=600000", build=build) as child:
        child.expect(PROMPT)
        child.sendline("delete")
        child.sendline("continue")
        child.expect_exact("[lab] enter")
        child.sendintr()
        child.expect("SIGINT")
        child.expect(PROMPT)
        assert "lab" in ask(child, "hw threads")


def test_a_silent_guest_is_waited_for_as_long_as_it_takes(kernels: Kernels, tmp_path: Path) -> None:
    """A person at GDB's prompt keeps it silent for minutes; the serial port is still shown then."""
    shown = io.BytesIO()
    with Machine(MachineSpec(kernels("echo")), tmp_path) as machine:
        machine.console.timeout = 0.0
        reader = threading.Thread(target=debug.show_serial, args=(machine, shown))
        reader.start()
        machine.console.send(b"q", timeout=SECONDS)
        reader.join()
        assert machine.wait_end(Deadline(SECONDS)).serial == shown.getvalue()
    assert b"ready\n" in shown.getvalue()


def test_what_is_printed_again_is_shown_once() -> None:
    shown = io.BytesIO()
    once = debug.Once(shown)
    for data in (b"boot\none\ntw", b"o\nthr", b"boot\none\n", b"twoboot\none\ntwo\nthree\nend\n"):
        once.write(data)
    assert shown.getvalue() == b"boot\none\ntwo\nthree\nend\n"


# --- which case --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [("brok", "no scenario's case is called .*\n.*stack.broken-gdb"), ("nosuch", "no scenario")],
)
def test_a_case_that_is_not_there(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug, "_collected", lambda: [("a::b[broken-gdb]", CASES["gdb"])])
    with pytest.raises(HarnessError) as refused:
        debug.find_case(name)
    assert re.search(why, str(refused.value))


def test_a_name_that_several_have(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [("a", CASES["gdb"]), ("b", CASES["gdb"])]
    monkeypatch.setattr(debug, "_collected", lambda: twice)
    with pytest.raises(HarnessError, match="the name of several"):
        debug.find_case("broken-gdb")


def test_what_gdb_writes_cannot_be_recorded() -> None:
    subject = debug.of_case(CASES["gdb"], ROOT / KERNEL)
    with pytest.raises(HarnessError, match="cannot be recorded"), debug.recorded(subject):
        pass


# --- capsules ----------------------------------------------------------------------------------

BROKEN = Scenario(
    "stack.guard_touch",
    verdict="caught by=sentinel",  # it is caught by the guard page
    aborts=1,
    name="broken",
    triggers=("boot", "serial", "gdb"),
    poke={"stack": 8192},
    cpu="max,pauth-impdef=on",
    memory_mib=64,
    uncontrolled="a scenario that fails, for its capsule",
)
CASES: dict[str, Case] = {case.trigger: case for case in BROKEN.cases()}


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failed:
    """failed(trigger): the folder that a failing case left, and the message."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "kernel.elf").symlink_to(ROOT / KERNEL)

    def failed(trigger: str) -> tuple[Path, str]:
        case = CASES[trigger]
        with pytest.raises(ScenarioFailed) as failure:
            Walker(tmp_path)(case)
        return tmp_path / ARTIFACTS / case.full_id, str(failure.value)

    return failed


@pytest.mark.parametrize("trigger", ["boot", "serial", "gdb"])
def test_a_failure_leaves_a_capsule_that_lands_at_the_fault(
    failed: Failed, trigger: str, tmp_path: Path
) -> None:
    folder, message = failed(trigger)
    relative = folder.relative_to(tmp_path)
    assert message.splitlines()[-1] == f"reopen    make replay CAPSULE={relative}"
    there = {path.name for path in folder.iterdir()}
    assert there >= {"capsule.json", "command", "serial.log", "registers", "gdb-transcript"}
    with terminal("replay", str(folder), build=tmp_path / "build") as child:
        child.expect_exact("touch_below")  # in the backtrace of the fault
        child.expect(PROMPT)
        assert "thread:victim-0x1" in ask(child, "hw fault")
        assert "stack = 8192" in ask(child, "print stack_guard_touch_args")


def test_a_capsule_says_exactly_what_ran(failed: Failed) -> None:
    folder, _ = failed("boot")
    capsule = json.loads((folder / "capsule.json").read_text())
    assert capsule["build_id"] == build_id(ROOT / KERNEL)
    typed = shlex.split((folder / "command").read_text())
    assert typed[typed.index("-append") + 1] == capsule["append"]
    assert typed[typed.index("-cpu") + 1] == BROKEN.cpu
    nonce = capsule["append"].partition("nonce=")[2]
    assert f" nonce={nonce} " in (folder / "serial.log").read_text()
    registers = dict(line.split() for line in (folder / "registers").read_text().splitlines())
    assert {"x0", "x30", "sp", "pc", "cpsr"} <= registers.keys()
    assert "touch_below" in (folder / "gdb-transcript").read_text()


def test_a_capsule_that_was_carried_away_lands_at_the_fault(failed: Failed, tmp_path: Path) -> None:
    """Sent to a colleague: a copy, the original gone; by the command that the failure printed."""
    folder, _ = failed("serial")
    carried = tmp_path / "elsewhere" / "a capsule"
    shutil.copytree(folder, carried)
    shutil.rmtree(folder)
    arguments = ["replay", f"CAPSULE={carried}", f"BUILD={tmp_path / 'build'}"]
    with terminal(*arguments, build=tmp_path / "build", program=("make",)) as child:
        child.expect_exact("touch_below")
        child.expect(PROMPT)
        assert "thread:victim-0x1" in ask(child, "hw fault")
        nonce = Capsule.load(carried).append.partition("nonce=")[2]
        leave(child, f"nonce={nonce}")


def test_a_replay_on_another_image_is_refused(failed: Failed, tmp_path: Path) -> None:
    """Not a byte of code differs, only the build-id."""
    folder, _ = failed("boot")
    image = (ROOT / KERNEL).read_bytes()
    ours = bytes.fromhex(build_id(ROOT / KERNEL))
    assert image.count(ours) == 1
    kernel = tmp_path / "build" / "kernel.elf"
    kernel.unlink()
    kernel.write_bytes(image.replace(ours, bytes(20)))
    with terminal("replay", str(folder), build=tmp_path / "build") as child:
        child.expect_exact(f"its build-id is {'0' * 40}, the capsule's {ours.hex()}")
        child.expect_exact("git checkout")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 2


def test_another_image_is_refused(tmp_path: Path) -> None:
    capsule = Capsule.of_case(CASES["boot"], "lab=stack.guard_touch", "0" * 40)
    capsule.save(tmp_path)
    with pytest.raises(WrongImage) as refused:
        debug.of_capsule(Capsule.load(tmp_path), ROOT / KERNEL)
    ours = build_id(ROOT / KERNEL)
    assert f"its build-id is {ours}, the capsule's {'0' * 40}" in str(refused.value)


def test_a_capsule_is_read_as_it_was_written(tmp_path: Path) -> None:
    for trigger, case in CASES.items():
        capsule = Capsule.of_case(case, f"lab=x {trigger}", "ab")
        capsule.save(tmp_path)
        assert Capsule.load(tmp_path) == capsule


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pokes": []}', '{"pokes": [], "cup": 1}'])
def test_what_is_no_capsule(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(HarnessError, match="is no capsule"):
        Capsule.load(tmp_path)


def test_no_capsule_there(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="there is no capsule in"):
        Capsule.load(tmp_path)


def test_the_capsule_is_the_machine_that_the_test_ran(tmp_path: Path) -> None:
    spec = Run(CASES["boot"], ROOT / KERNEL, tmp_path).capsule.spec(ROOT / KERNEL, gdb=False)
    assert (spec.cpu, spec.memory_mib, spec.icount) == (BROKEN.cpu, 64, BROKEN.icount)
