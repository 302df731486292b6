"""`make run` as a person and a script use it: statuses, refusals, other machines, input that ends,
and what is shown while nothing comes."""

import io
import os
import re
import shlex
import subprocess
from pathlib import Path

import pexpect
import pytest

from harness.errors import HarnessError
from harness.live import wanted
from harness.live.waiting import AFTER, Waiting
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import MachineSpec
from harness.similar import near
from harness.tests.conftest import Kernels
from harness.tests.terminal import CLI, PROMPT, ask, leave, processes_with, terminal

SECONDS = 60.0


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "kernel.elf").symlink_to(ROOT / KERNEL)
    return tmp_path


def run(build: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """`make run` without make, in a script: nothing is typed but `typed`."""
    return subprocess.run(
        [*CLI, "run", *arguments],
        cwd=ROOT,
        env={**os.environ, "BUILD": str(build)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


# --- the exit status ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lab", "verdict", "status"),
    [
        ("cost.switch", "ok", 0),
        ("stack.guard_touch", "caught", 0),
        ("stack.guard_touch on-fault=kill", "contained", 0),
        ("stack.guard_touch protect=-guard,-sentinel", "survived", 0),
        ("crash.hang watchdog=50", "hang", 1),
        ("crash.bug", "panic", 1),
        ("stack.guard_touch stack=1", "bad-args", 2),
    ],
)
def test_the_status_says_how_it_ended(lab: str, verdict: str, status: int, build: Path) -> None:
    done = run(build, lab)
    assert done.stdout.splitlines()[-1].startswith(f"[end] {verdict}"), done.stdout
    assert done.returncode == status, done.stderr


def test_make_fails_with_it(build: Path) -> None:
    """What a script sees; the build is there, and make has nothing else to do."""
    command = ["make", "run", "LAB=stack.guard_tuch"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "similar: stack.guard_touch" in done.stderr


# --- what was meant -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("stack.recurs", "similar: stack.recurse"),
        ("recurse", "similar: stack.recurse"),
        ("stack.recurse stakc=8K", "similar: stack"),
        ("stack.recurse wathcdog=8", "similar: watchdog"),
        ("stack.recurse protect=-canary,-gaurd", "similar: guard"),
        ("grow.copy adjust=frame", "similar: frames"),
        ("inject.once op=thread fault=page.aloc,nth=2", "similar: page.alloc"),
        ("stack.recurse on-fault=kil", "make list"),
    ],
)
def test_a_misspelt_word_is_answered_with_similar_ones(line: str, meant: str, build: Path) -> None:
    done = run(build, line)
    assert done.returncode == 2
    (hint,) = [row for row in done.stderr.splitlines() if row.startswith("  next: ")]
    assert meant in hint


def test_nothing_is_similar_to_what_nobody_meant() -> None:
    assert near("xyzzy", ["stack.recurse", "heap.wrap"]) == []
    assert near("wrap", ["stack.recurse", "heap.wrap"]) == ["heap.wrap"]


# --- another machine ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lab", "typed"),
    [
        ("stack.two_cpus", "SMP=2"),
        ("stack.secondary cpu=3", "SMP=4"),
        ("stack.return_address", "CPU=max"),
        ("pool.overflow kind=2", "MTE=1"),
    ],
)
def test_a_refused_machine_says_what_to_type_and_that_works(
    lab: str, typed: str, build: Path
) -> None:
    refused = run(build, lab)
    assert refused.returncode == 2
    assert f"  next: make run LAB={shlex.quote(lab)} {typed}\n" in refused.stderr
    name, _, value = typed.partition("=")
    assert run(build, f"--{name.lower()}={value}", lab).returncode == 0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("SMP=0", "SMP=0 is no number of CPUs: expected a number of CPUs, 1 to 512"),
        ("SMP=two", "SMP=two is no number"),
        ("SMP=-1", "SMP=-1 is no number"),
        ("SMP=513", "SMP=513 is no number"),
        ("MEM=0", "MEM=0 is no size of memory: expected mebibytes"),
        ("MEM=7M", "8M to 255G"),
        ("MEM=12X", "MEM=12X is no size"),
        ("MEM=1000G", "MEM=1000G is no size"),
        ("MTE=perhaps", "MTE=perhaps is no switch: expected 1 or 0"),
        ("CPU=cortex-a71", "similar: cortex-a7"),
        ("CPU=cortex-a9", "CPU=cortex-a9 is no 64-bit CPU that QEMU has: expected one of"),
        ("MTE=1 CPU=cortex-a72", "CPU=cortex-a72 keeps no memory tags, which MTE=1 asks for"),
    ],
)
def test_a_value_that_is_none_is_refused_by_name(typed: str, says: str) -> None:
    asked = dict(word.split("=") for word in typed.split())
    with pytest.raises(HarnessError) as refused:
        wanted.apply(MachineSpec(Path("kernel.elf")), asked)
    assert says in str(refused.value)


def test_what_is_given_changes_the_machine_and_nothing_else_does() -> None:
    plain = MachineSpec(Path("kernel.elf"), "lab=x.y")
    assert wanted.apply(plain, {}) == plain
    spec = wanted.apply(plain, {"SMP": "2", "MEM": "1G", "MTE": "1"})
    assert (spec.cpus, spec.memory_mib, spec.mte, spec.cpu) == (2, 1024, True, "max")
    assert wanted.apply(plain, {"MTE": "0", "CPU": "max,sve=off"}).cpu == "max,sve=off"


def test_make_passes_what_is_typed() -> None:
    command = ["make", "-n", "run", "LAB=x.y", "SMP=2", "CPU=max", "MEM=1G", "MTE=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert '--smp="$SMP" --cpu="$CPU" --mem="$MEM" --mte="$MTE"' in done.stdout


def test_a_scenario_is_booted_as_its_test_boots_it(build: Path) -> None:
    """One that wants tags, one that is typed to, one that GDB writes into."""
    for name, lab in (
        ("overflow-tagged", "name=pool.overflow"),
        ("recurse-serial", "name=stack.recurse stack=8192"),
        ("recurse-gdb", "name=stack.recurse stack=8192"),
    ):
        done = run(build, "--scenario", name)
        assert done.returncode == 0, done.stderr
        assert f"[lab] enter {lab}" in done.stdout
        assert "[end] caught" in done.stdout


def test_the_printed_command_can_be_pasted(build: Path) -> None:
    done = run(build, "--smp=2", "stack.two_cpus past=1K")
    command = done.stderr.splitlines()[0]
    assert "-smp 2" in command
    again = subprocess.run(
        command, shell=True, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert again.stdout.decode().splitlines() == done.stdout.splitlines()


# --- input that ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["", "got\n", "\n"])
def test_a_lab_that_nobody_can_let_go_is_stopped_by_name(typed: str, build: Path) -> None:
    done = run(build, "stack.guard_touch hold=serial", typed=typed)
    assert done.returncode == 2
    assert "the input ended while the lab waits for a line (hold=serial)" in done.stderr
    assert "echo go | make run" in done.stderr


@pytest.mark.parametrize("typed", ["go\n", "go stack=8K", "what\ngo\n"])
def test_a_line_from_a_pipe_lets_it_go(typed: str, build: Path) -> None:
    done = run(build, "stack.guard_touch hold=serial", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "[end] caught by=guard-page" in done.stdout


def test_a_lab_that_waits_for_gdb_is_stopped_by_name(build: Path) -> None:
    done = run(build, "stack.guard_touch hold=gdb")
    assert done.returncode == 2
    assert "waits for GDB (hold=gdb)" in done.stderr


@pytest.mark.parametrize("holding", [True, False])
def test_ctrl_d_leaves_and_nothing_is_left(holding: bool, build: Path, kernels: Kernels) -> None:
    """Whether it holds, or says nothing at all."""
    mark = f"nonce=ctrl-d-{holding}"
    if not holding:
        (build / "kernel.elf").unlink()
        (build / "kernel.elf").symlink_to(kernels("silent"))
    with terminal("run", f"stack.guard_touch hold=serial {mark}", build=build) as child:
        child.timeout = SECONDS
        child.expect("lab. holding" if holding else "waiting")
        assert processes_with(mark)
        child.sendeof()
        child.expect(r"the input ended \(Ctrl-D\): the machine was stopped")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 2
    assert not processes_with(mark)


def test_a_person_types_at_a_terminal(build: Path) -> None:
    with terminal("run", "stack.guard_touch hold=serial", build=build) as child:
        child.timeout = SECONDS
        child.expect("lab. holding for=serial")
        child.sendline("go stack=8K")
        child.expect("enter name=stack.guard_touch stack=8192")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0


# --- while nothing comes ------------------------------------------------------------------------


def test_a_terminal_is_told_that_for_what_and_how_long(build: Path) -> None:
    line = "crash.hang watchdog=600000"
    with terminal("run", line, build=build) as child:
        child.timeout = SECONDS
        child.expect(
            r"\[waiting 1 s, Ctrl-C stops it\] for what comes after \[lab\] enter name=cra"
        )
        child.expect(r"\[waiting 2 s")
        child.sendintr()
        child.expect("interrupted: the machine did not end by itself")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 130


def test_a_pipe_is_told_nothing(build: Path, kernels: Kernels) -> None:
    (build / "kernel.elf").unlink()
    (build / "kernel.elf").symlink_to(kernels("silent"))
    with subprocess.Popen(
        [*CLI, "run", "x.y"],
        cwd=ROOT,
        env={**os.environ, "BUILD": str(build)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stderr
        assert b"qemu-system-aarch64 " in child.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=3 * AFTER)
        child.terminate()
        output, errors = child.communicate(timeout=SECONDS)
    assert errors == b"", "QEMU's command alone"
    assert output in (b"", b"[boot] going to sleep\n"), "the guest's own line, if it came by then"


def test_what_comes_wipes_what_was_said() -> None:
    screen = io.BytesIO()
    waiting = Waiting(screen, shown=True)
    waiting.seen(b"[boot] a\n[lab] half")
    waiting.tick()
    assert screen.getvalue() == b"", "nothing in the middle of a line"
    waiting.seen(b" a line\n")
    waiting.tick()
    said = screen.getvalue()
    assert re.fullmatch(rb"\r\[waiting 0 s, .*\] for what comes after \[lab\] half a line", said)
    waiting.wipe()
    assert screen.getvalue() == said + b"\r" + b" " * (len(said) - 1) + b"\r"
    waiting.wipe()
    assert screen.getvalue().count(b"\r") == 3


# --- make debug ---------------------------------------------------------------------------------


def test_debug_refuses_before_gdb_is_there(build: Path) -> None:
    with terminal("debug", "stack.recurs", build=build) as child:
        child.timeout = SECONDS
        child.expect('the kernel refused: "stack.recurs" is not allowed')
        child.expect("similar: stack.recurse")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 2
        assert "(gdb)" not in str(child.before)


def test_debug_takes_a_machine_and_stops_at_the_fault_and_before_the_power_off(
    build: Path,
) -> None:
    mark = "nonce=debug-two"
    with terminal("debug", "--smp=2", f"stack.two_cpus {mark}", build=build) as child:
        child.timeout = SECONDS
        child.expect(PROMPT)
        assert "lab_stack_two_cpus" in ask(child, "continue")
        assert "debugger_fault_hook" in ask(child, "continue")
        ask(child, "delete 2")
        assert "psci_system_off" in ask(child, "continue")
        leave(child, mark)
