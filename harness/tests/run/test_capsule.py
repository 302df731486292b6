"""What a capsule keeps, refuses and brings back: `make replay` on a pty, and the capsule itself."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from harness.errors import HarnessError
from harness.live import debug
from harness.paths import ARTIFACTS, KERNEL, ROOT
from harness.run.capsule import FILE, Capsule, WrongImage
from harness.run.walk import Run, Walker
from harness.scenario import Case, Scenario
from harness.serial.symbols import build_id
from harness.tests.terminal import PROMPT, ask, leave, terminal
from harness.verdict.failure import ScenarioFailed

Failed = Callable[[str], tuple[Path, str]]

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
