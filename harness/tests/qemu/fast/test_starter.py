"""A start by cloning is a start like any other: the same child, by every property that counts."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.paths import KERNEL, ROOT
from harness.qemu.child import Clone, spawn
from harness.qemu.fast import starter
from harness.qemu.fast.starter import MOST_FDS, Starter, StarterError, starter_of
from harness.qemu.machine import Machine, MachineSpec
from harness.tests.conftest import Kernels, waiting
from harness.tests.gone import is_gone
from harness.tools import find_qemu

SHELL = "/bin/sh"
PR_GET_TID_ADDRESS = 40  # of linux/prctl.h: only with CONFIG_CHECKPOINT_RESTORE
MIB = 1 << 20


@pytest.fixture(autouse=True, scope="module")
def _clones() -> None:
    """A sandbox may refuse what it takes; then machines are started the usual way, and well."""
    address = ctypes.c_void_p()
    if ctypes.CDLL(None).prctl(PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0):
        pytest.skip("this kernel has no PR_GET_TID_ADDRESS")
    made = Starter("/bin/true")
    with Path("/dev/null").open("r+b") as null:
        try:
            os.waitpid(start(made, "", {n: null.fileno() for n in range(3)}), 0)
        except StarterError as error:
            if "clone3" in str(error):
                pytest.skip(str(error))
            raise
    made.close()


@pytest.fixture
def shell() -> Iterator[Starter]:
    made = Starter(SHELL)
    yield made
    made.close()


def run(shell: Starter, script: str, **how: Any) -> str:
    """What a clone of the shell says to a script, on both of its streams."""
    ours, theirs = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        child = Clone(start(shell, script, {0: null, 1: theirs, 2: theirs}, **how))
    finally:
        os.close(theirs)
        os.close(null)
    with os.fdopen(ours) as output:
        said = output.read()
    assert child.wait() == 0, said
    return said


def start(
    shell: Starter,
    script: str,
    fds: Mapping[int, int],
    *,
    environment: Mapping[str, str] | None = None,
    file_limit: int = MIB,
) -> int:
    return shell.start(
        [SHELL, "-c", script],
        fds=fds,
        environment=environment or {"PATH": os.environ["PATH"]},
        file_limit=file_limit,
    )


# --- the same child ------------------------------------------------------------------------------

# All that a start decides, as the child itself sees it. exec, for the signals: dash blocks them all
# for a moment while it waits for a child.
SELF = r"""
pwd; env | grep -v ^_= | sort; cat /proc/$$/limits
tr '\0' ' ' < /proc/$$/cmdline | sed 's/ *$//'
for fd in /proc/$$/fd/*; do echo "${fd##*/}"; done
awk '{print "parent", $4, "leads", $1 == $5, $1 == $6, "nice", $19}' /proc/$$/stat
exec grep -E '^(Sig(Blk|Ign|Cgt)|Groups|Seccomp|NoNewPrivs|THP|Umask|CapEff)' /proc/self/status
"""


def told(tmp_path: Path, *, often: bool) -> str:
    waiting(SHELL)
    output = tmp_path / "said"
    with output.open("wb") as said, Path("/dev/null").open("rb") as null, output.open() as passed:
        child = spawn(
            [SHELL, "-c", SELF],
            stdio=(null.fileno(), said.fileno(), said.fileno()),
            pass_fds=[passed.fileno()],
            file_limit=MIB,
            often=often,
        )
        assert isinstance(child, Clone) == often
        assert child.wait() == 0
    return output.read_text()


def test_a_clone_is_what_subprocess_would_have_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when directory and environment have changed since the waiting program began."""
    first = told(tmp_path, often=True)
    assert "LD_PRELOAD" not in first
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINCE", "then")
    second = told(tmp_path, often=True)
    assert second == told(tmp_path, often=False)
    assert f"{tmp_path}\n" in second
    assert "SINCE=then\n" in second
    assert re.search(rf"^Max file size +{MIB} +{MIB} ", second, re.M)
    assert f"parent {os.getpid()} leads 1 1" in second
    assert second != first


def test_a_machine_prints_the_same_bytes_either_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = MachineSpec(ROOT / KERNEL, "lab=stack.recurse nonce=0")

    def boot(name: str) -> tuple[type, bytes, bytes]:
        with Machine(spec, tmp_path / name) as machine:
            serial = machine.wait_end(Deadline(20)).serial
            return type(machine._drain._child), serial, machine.int_log.read_bytes()

    waiting(str(find_qemu()))
    cloned = boot("cloned")
    monkeypatch.setattr(starter, "library", lambda: tmp_path / "none")
    usual = boot("usual")
    assert cloned[0] is Clone
    assert usual[0] is subprocess.Popen
    assert cloned[1:] == usual[1:]
    assert b"[end]" in cloned[1]


def test_descriptors_come_to_their_numbers(shell: Starter, tmp_path: Path) -> None:
    """Numbers that trade places, and nothing open but what was passed."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("the first\n")
    two.write_text("the second\n")
    with one.open() as first, two.open() as second:
        a, b = first.fileno(), second.fileno()
        ours, theirs = os.pipe()
        script = f"cat /proc/$$/fd/{a} /proc/$$/fd/{b}; ls /proc/$$/fd"
        pid = start(shell, script, {0: a, 1: theirs, 2: theirs, a: b, b: a})
        os.close(theirs)
    with os.fdopen(ours) as output:
        *content, fds = output.read().split("\n", 2)
    assert content == ["the second", "the first"]
    assert sorted(map(int, fds.split())) == sorted({0, 1, 2, a, b})
    os.waitpid(pid, 0)


def test_arguments_are_words(shell: Starter) -> None:
    words = ["$HOME", "two words", "", "back\\slash", "ü"]
    ours, theirs = os.pipe()
    script = 'for word; do printf "%s|" "$word"; done'
    pid = shell.start(
        [SHELL, "-c", script, "sh", *words],
        fds={0: ours, 1: theirs, 2: theirs},
        environment={},
        file_limit=MIB,
    )
    os.close(theirs)
    with os.fdopen(ours) as output:
        assert output.read() == "|".join([*words, ""])
    os.waitpid(pid, 0)


# --- it lives no longer than we do ---------------------------------------------------------------

OWNER = """
    import os, time
    from harness.tests.qemu.fast.test_starter import SHELL, start
    from harness.qemu.fast.starter import Starter
    shell = Starter(SHELL)
    with open("/dev/null", "r+b") as null:
        fds = {n: null.fileno() for n in range(3)}
        pids = [start(shell, "exec sleep 600", fds) for _ in range(2)]
    print(shell._process.pid, *pids, flush=True)
    time.sleep(600)
"""


def test_a_killed_owner_leaves_neither_clones_nor_the_waiting_one() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    watched = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
    owner.kill()
    owner.communicate()
    assert [is_gone(pidfd) for pidfd in watched] == [True, True, True]


def test_who_comes_too_late_is_not_started(shell: Starter, tmp_path: Path) -> None:
    """Its owner is another by now: nobody would ever send the signal."""
    shell._owner = os.getppid()
    mark = tmp_path / "started"
    with Path("/dev/null").open("r+b") as null:
        fds = {n: null.fileno() for n in range(3)}
        child = Clone(start(shell, f"touch {mark}", fds))
    assert child.wait() == 125
    assert not mark.exists()


def test_clones_outlive_the_one_that_waits(shell: Starter) -> None:
    ours, theirs = os.pipe()
    with Path("/dev/null").open("r+b") as null:
        child = Clone(start(shell, "read line; exit 3", {0: ours, 1: null.fileno(), 2: 2}))
    assert shell._process is not None
    shell._process.kill()
    shell._process.wait()
    os.write(theirs, b"go on\n")
    assert child.wait() == 3
    os.close(ours)
    os.close(theirs)


# --- what is in the way is told, and the machine started all the same -----------------------------


def test_a_waiting_one_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = Starter(SHELL)
    assert killed._process is not None
    killed._process.kill()
    killed._process.wait()
    monkeypatch.setattr("harness.qemu.child.starter_of", lambda program: killed)
    with Path("/dev/null").open("r+b") as null:
        n = null.fileno()
        for _ in range(2):
            with pytest.raises(StarterError):
                start(killed, "exit 3", {0: n, 1: n, 2: n})
        child = spawn(
            [SHELL, "-c", "exit 3"],
            stdio=(n, n, n),
            pass_fds=[],
            file_limit=MIB,
            often=True,
        )
    assert child.wait() == 3
    killed.close()


def test_a_waiting_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual way would be wrong: what was ordered may still come, into the same log."""
    stopped = Starter(SHELL)
    monkeypatch.setattr("harness.qemu.child.starter_of", lambda program: stopped)
    with Path("/dev/null").open("r+b") as null:
        n = null.fileno()
        how: dict[str, Any] = {"stdio": (n, n, n), "pass_fds": [], "file_limit": MIB}
        how |= {"often": True}
        assert spawn([SHELL, "-c", "exit 3"], **how).wait() == 3
        assert stopped._process is not None
        monkeypatch.setattr(starter, "SECONDS", 0.2)
        stopped._process.send_signal(signal.SIGSTOP)
        with pytest.raises(HarnessError, match="who clones it does not answer"):
            spawn([SHELL, "-c", "exit 3"], **how)
    stopped.close()
    assert stopped._process.returncode == -signal.SIGKILL


def test_a_script_is_not_stopped_at_its_main(tmp_path: Path) -> None:
    """Its shell would be: that is another program, and the script must not run either."""
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    assert waiting(str(script)) is None
    forced = Starter(str(script))
    with Path("/dev/null").open("r+b") as null, pytest.raises(StarterError, match="main"):
        start(forced, "", {n: null.fileno() for n in range(3)})
    forced.close()
    assert not (tmp_path / "ran").exists()


def test_a_program_without_dynamic_libraries(kernels: Kernels) -> None:
    """Not even one for this machine: an ELF that the kernel refuses."""
    forced = Starter(str(kernels("floor")))
    with Path("/dev/null").open("r+b") as null, pytest.raises(StarterError):
        start(forced, "", {n: null.fileno() for n in range(3)})
    forced.close()


def test_too_many_descriptors_are_for_the_usual_way(shell: Starter) -> None:
    with pytest.raises(StarterError, match="17 descriptors"):
        start(shell, "", dict.fromkeys(range(MOST_FDS + 1), 0))
    assert run(shell, "echo still there") == "still there\n"


def test_a_directory_that_is_gone(
    shell: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual way can start there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StarterError, match="directory"):
        run(shell, "")
    monkeypatch.chdir(tmp_path)
    assert run(shell, "pwd") == f"{tmp_path}\n"


def test_what_a_clone_cannot_do_it_says_itself(
    shell: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "never")
    ours, theirs = os.pipe()
    child = Clone(start(shell, "", {0: ours, 1: theirs, 2: theirs}))
    os.close(theirs)
    with os.fdopen(ours) as output:
        assert re.fullmatch(r"starter: .*/never: No such file or directory\n", output.read())
    assert child.wait() == 125


def test_a_changed_program_is_another_one(tmp_path: Path) -> None:
    program = tmp_path / "sh"
    program.write_bytes(Path(SHELL).read_bytes())
    program.chmod(0o755)
    first = waiting(str(program))
    assert first is waiting(str(program)) is not None
    os.utime(program, (1, 1))
    assert starter_of(str(program)) is None
    assert waiting(str(program)) not in (None, first)


def test_qemu_is_worth_one_from_the_second_start_on(kernels: Kernels, tmp_path: Path) -> None:
    boots = textwrap.dedent("""
        import sys
        from pathlib import Path
        from harness.deadline import Deadline
        from harness.qemu.machine import Machine, MachineSpec
        for name in "abc":
            with Machine(MachineSpec(Path(sys.argv[1])), Path(sys.argv[2]) / name) as machine:
                machine.wait_end(Deadline(20))
                print(type(machine._drain._child).__name__)
    """)
    argv = [sys.executable, "-c", boots, str(kernels("floor")), str(tmp_path)]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["Popen", "Clone", "Clone"]
