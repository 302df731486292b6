"""`make debug` as a person uses it: on a pty, typing commands, reading answers."""

import io
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.live import debug
from harness.live.screen import Printed, Screen
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.run.boot import boot
from harness.tests.conftest import Kernels
from harness.tests.gone import is_gone
from harness.tests.samples import SCENARIO
from harness.tests.terminal import (
    CLI,
    PROMPT,
    SECONDS,
    ask,
    leave,
    processes_with,
    stub_folder,
    terminal,
)
from harness.tools import toolchain
from harness.verdict.golden import load


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build folder of this test's own, with the kernel in it."""
    (tmp_path / "kernel.elf").symlink_to(ROOT / KERNEL)
    return tmp_path


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
                if not found and not of_the_goldens_compiler():
                    pytest.skip(f"another compiler wrote the document's {command}: {line}")
                assert found, f"{command}: {line}"


def of_the_goldens_compiler() -> bool:
    """Others inline other functions, and lay out other frames."""
    recorded = load(ROOT / "golden/stack/recurse.log")
    return recorded is None or recorded.toolchain == toolchain()


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


@pytest.mark.parametrize("how", [signal.SIG_UNBLOCK, signal.SIG_BLOCK], ids=["open", "blocked"])
def test_gdb_has_the_terminal_s_size_and_its_change(build: Path, how: int) -> None:
    """Also where the signal that tells of the change is blocked, as below `perf record`."""
    before = signal.pthread_sigmask(how, {signal.SIGWINCH})
    try:
        with terminal("debug", "crash.hang", build=build) as child:
            child.expect(PROMPT)
            assert re.search(r"\b(199|200)\b", ask(child, "show width"))  # GDB 13 takes one off
            child.setwinsize(40, 120)
            child.expect(PROMPT)  # drawn anew
            assert re.search(r"\b(119|120)\b", ask(child, "show width"))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_ctrl_z_stops_the_session_and_fg_goes_on(build: Path) -> None:
    with terminal("-i", build=build, program=("dash",)) as child:  # bash mends the terminal itself
        child.sendline(f"PS1='$ '; {shlex.join(CLI)} debug crash.hang")
        child.expect(PROMPT)
        child.sendcontrol("z")
        child.expect(r"Stopped .*\r\n\$ ")
        child.sendline("stty -a | grep -o .icanon")
        child.expect(r"\n[ -]icanon\r")
        assert "-" not in str(child.after), "the shell's terminal is as it was"
        child.sendline("fg")
        child.expect_exact("debug crash.hang\r\n")
        child.sendline("")  # GDB, which could not stop, shows its prompt again by itself or not
        child.expect(PROMPT)
        child.sendline("info breakpoints")
        child.expect_exact("lab_crash_hang")
        assert str(child.before).count("info breakpoints") == 1, "GDB alone echoes what is typed"
        child.expect(PROMPT)
        child.sendline("quit 3")
        child.expect_exact("\r\n$ ")
        child.sendline("echo left with=$?")
        child.expect_exact("with=3")


def test_a_gdb_that_is_killed_leaves_nothing_behind(build: Path) -> None:
    with terminal("debug", "crash.hang nonce=a-killed-gdb", build=build) as child:
        child.expect(PROMPT)
        child.sendline("shell kill -9 $PPID")
        child.expect(pexpect.EOF)
        child.wait()
        assert "Traceback" not in str(child.before)
        assert child.exitstatus == 256 - signal.SIGKILL
    assert not processes_with("a-killed-gdb")


@pytest.mark.parametrize(
    ("end", "left"), [(signal.SIGHUP, False), (signal.SIGTERM, False), (signal.SIGKILL, True)]
)
def test_a_session_that_is_killed_takes_all_with_it(
    end: signal.Signals, left: bool, build: Path
) -> None:
    """While the guest runs: GDB has a terminal of its own, and no shell that would end it."""
    nonce = f"ended-by-{end.name}"  # two of these tests may run at a time
    with terminal("debug", f"crash.hang nonce={nonce}", build=build) as child:
        child.expect(PROMPT)
        ask(child, "continue")
        (gdb,) = re.findall(r"me=(\d+)", ask(child, "python import os; print(f'me={os.getpid()}')"))
        lives = [os.pidfd_open(int(gdb)), *guests(nonce)]
        folder = stub_folder(child)
        child.sendline("continue")
        child.expect_exact("[lab] enter")
        assert child.pid and len(lives) == 2
        os.kill(child.pid, end)
        child.expect(pexpect.EOF)
        child.wait()
        assert all(map(is_gone, lives))
        assert folder.exists() == left


def guests(mark: str) -> list[int]:
    """A descriptor of each QEMU that has this word on its boot line."""
    return [
        os.pidfd_open(process)
        for process, command in processes_with(mark).items()
        if "-append" in command
    ]


def test_without_a_terminal_gdb_reads_its_commands(build: Path) -> None:
    done = subprocess.run(
        [*CLI, "debug", "crash.null"],
        cwd=ROOT,
        env={**os.environ, "BUILD": str(build), "DEBUGINFOD_URLS": ""},
        input="continue\nbreak debugger_fault_hook\ncontinue\nquit 3\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 3
    assert re.search(r"^\[EXC\] .*\n(.*\n)*.*Breakpoint 2, debugger_fault_hook", done.stdout, re.M)


def test_without_a_terminal_it_ends_when_asked_to(build: Path) -> None:
    """Though GDB waits for its next command."""
    environment = {**os.environ, "BUILD": str(build), "DEBUGINFOD_URLS": ""}
    with subprocess.Popen(
        [*CLI, "debug", "crash.null"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        assert session.stdout
        seen = b""
        while b"(gdb) " not in seen:
            seen += os.read(session.stdout.fileno(), 4096)
        session.terminate()
        try:
            assert session.wait(SECONDS) == 128 + signal.SIGTERM
        finally:
            session.kill()


def test_a_silent_guest_is_waited_for_as_long_as_it_takes(kernels: Kernels, tmp_path: Path) -> None:
    """A person at GDB's prompt keeps it silent for minutes; the serial port is still shown then."""
    shown = io.BytesIO()
    with Machine(MachineSpec(kernels("echo")), tmp_path) as machine:
        machine.console.timeout = 0.0
        screen = Screen(shown, Printed(machine))
        reader = threading.Thread(target=debug.show_serial, args=(machine, screen))
        reader.start()
        machine.console.send(b"q", timeout=SECONDS)
        reader.join()
        assert machine.wait_end(Deadline(SECONDS)).serial == shown.getvalue()
    assert b"ready\n" in shown.getvalue()


# --- which case --------------------------------------------------------------------------------

(CASE,) = (case for case in SCENARIO.cases() if case.trigger == "gdb")


@pytest.mark.parametrize(
    ("name", "why"),
    [("recu", "no scenario's case is called .*\n.*stack.recurse-gdb"), ("nosuch", "no scenario")],
)
def test_a_case_that_is_not_there(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug, "_collected", lambda: [("a::b[recurse-gdb]", CASE)])
    with pytest.raises(HarnessError) as refused:
        debug.find_case(name)
    assert re.search(why, str(refused.value))


def test_a_name_that_several_have(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [("a", CASE), ("b", CASE)]
    monkeypatch.setattr(debug, "_collected", lambda: twice)
    with pytest.raises(HarnessError, match="the name of several"):
        debug.find_case("recurse-gdb")


def test_what_gdb_writes_cannot_be_recorded() -> None:
    subject = debug.of_case(CASE, ROOT / KERNEL)
    with pytest.raises(HarnessError, match="cannot be recorded"), debug.recorded(subject):
        pass
