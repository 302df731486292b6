"""Warm boots: that nothing of one is in the next, and that any doubt ends in a cold one.

The whole catalogue, cold against warm, is scenarios/test_warm.py.
"""

import os
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.debugger.session import GdbSession
from harness.errors import HarnessError, RspError
from harness.live import debug
from harness.paths import ARTIFACTS, KERNEL, ROOT
from harness.qemu.fast.warm import (
    RAM_BASE,
    ROOM,
    BootArgs,
    Fingerprint,
    NotWarm,
    Snapshot,
    Warm,
    WarmPool,
)
from harness.qemu.machine import Machine, MachineSpec
from harness.qemu.rsp import Rsp
from harness.run.capsule import SNAPSHOT, Capsule
from harness.run.walk import Run, Walker
from harness.scenario import Case, Scenario
from harness.serial.symbols import FAULT_HOOK, Symbols
from harness.tests.terminal import PROMPT, terminal
from harness.tools import find_gdb
from harness.verdict.failure import ScenarioFailed
from harness.verdict.judge import Evidence

IMAGE = ROOT / KERNEL
SPEC = MachineSpec(IMAGE, "lab=stack.recurse nonce=1", memory_mib=32)
FLASH_BYTES, BANK_BYTES = 128 << 20, 64 << 20  # of QEMU's virt board, from address 0 on
LINE = "lab=stack.watermark depth=3 nonce=1"


def soon() -> Deadline:
    return Deadline(20)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(SPEC) as warm:
        yield warm


# --- one boot after another --------------------------------------------------------------------


def test_the_same_line_prints_the_same_bytes(warm: Warm) -> None:
    boots = {warm.boot(line, soon()) for line in [LINE, SPEC.append] * 5}
    assert len(boots) == 2
    assert {boot.serial.rpartition(b"[end] ")[2] for boot in boots} == {
        b"ok\n",
        b"caught by=guard-page\n",
    }


def test_every_byte_of_ram_is_the_snapshots(tmp_path: Path) -> None:
    """After a boot that wrote all over the place, RAM is as it was when it was saved."""

    def memory(snapshot: Snapshot, val: int, size: int) -> bytes:
        file = tmp_path / "memory"
        snapshot.machine.qmp.execute("pmemsave", soon(), filename=str(file), val=val, size=size)
        return file.read_bytes()

    def ram(snapshot: Snapshot) -> bytes:
        return memory(snapshot, RAM_BASE, SPEC.memory_mib << 20)

    with Snapshot(SPEC) as snapshot:
        snapshot.run_to(Symbols.from_elf(IMAGE).address("boot_main"), soon())
        saved = ram(snapshot)
        snapshot.save(soon())
        snapshot.again({}, soon())
        used = ram(snapshot)
        snapshot.load(soon())
        assert saved != used
        assert ram(snapshot) == saved
        for bank in range(0, FLASH_BYTES, BANK_BYTES):
            assert not any(memory(snapshot, bank, BANK_BYTES)), "what is not in the snapshot"


def test_another_stop_than_the_power_off_is_no_boot() -> None:
    with Warm(SPEC) as warm:
        warm.stub.stop_at(Symbols.from_elf(IMAGE).address("recurse"), soon())
        with pytest.raises(NotWarm, match="expected the power-off, but the machine stopped at 0x"):
            warm.boot(SPEC.append, soon())


def test_a_poke_that_does_not_take_is_no_boot() -> None:
    with Warm(SPEC) as warm, pytest.raises(RspError, match="written there is not there"):
        warm.again({0x7000_0000: b"poke"}, soon(), physical=True)  # 32 MiB of RAM end before


def test_all_that_was_printed_is_there(warm: Warm) -> None:
    """Also what is printed behind the last line that anybody waits for."""
    assert warm.boot(LINE, soon()).serial.endswith(b"[end] ok\n")
    assert warm.boot("lab=nope nonce=1", soon()).serial.count(b"[end] bad-args") == 1


# --- any line ----------------------------------------------------------------------------------


def tree(line: str) -> bytes:
    """As much of a device tree as BootArgs looks at."""
    value = line.encode() + b"\0"
    padded = value + b"\0" * (-len(value) % 4)
    return b"head" + struct.pack(">III", 3, len(value), 0x51) + padded + struct.pack(">I", 9)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=ROOM))
def test_the_tree_is_as_if_made_for_the_line(line: str) -> None:
    made = tree("~" * ROOM)
    args = BootArgs(made, "~" * ROOM)
    poked = bytearray(made)
    poked[args.offset : args.offset + len(args.holding(line))] = args.holding(line)
    assert len(poked) == len(made)
    alone = tree(line)
    assert poked[: len(alone) - 4] == alone[:-4]
    rest = struct.unpack(f">{(len(poked) - len(alone)) // 4}I", poked[len(alone) - 4 : -4])
    assert set(rest) <= {4}  # FDT_NOP
    assert poked[-4:] == alone[-4:]


def test_a_line_that_does_not_fit_is_refused() -> None:
    args = BootArgs(tree("~" * 8), "~" * 8)
    assert args.holding("a" * 11)
    with pytest.raises(NotWarm, match="a boot line of 12 bytes; a warm one has 11"):
        args.holding("a" * 12)


@pytest.mark.parametrize("other", [b"", b"no tree", tree("~~~~")[8:], tree("~~~~~")])
def test_a_tree_without_the_line_is_refused(other: bytes) -> None:
    with pytest.raises(NotWarm, match="device tree's bootargs"):
        BootArgs(other, "~~~~")


def test_the_kernel_still_refuses_a_line_that_is_too_long(warm: Warm) -> None:
    boot = warm.boot(f"lab=stack.recurse {'x' * 1020}", soon())
    assert b"[end] bad-args why=too-long" in boot.serial


# --- any doubt ---------------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[WarmPool]:
    with WarmPool() as pool:
        yield pool


def test_another_image_is_another_machine(pool: WarmPool, tmp_path: Path) -> None:
    """The same path, rebuilt: its stamp is enough, whatever its build-id says."""
    kernel = tmp_path / "kernel.elf"
    shutil.copy(IMAGE, kernel)
    spec = replace(SPEC, kernel=kernel)
    pool.boot(spec, soon())
    before = Fingerprint.of(spec)
    os.utime(kernel, ns=(1, 1))
    assert Fingerprint.of(spec) != before
    assert pool.boot(spec, soon()).serial
    assert len(list(pool)) == 2


@pytest.mark.parametrize(
    "change", [{"cpu": "max"}, {"memory_mib": 64}, {"cpus": 2}, {"icount": "shift=1,sleep=off"}]
)
def test_another_machine_is_another_machine(change: dict[str, object]) -> None:
    assert Fingerprint.of(replace(SPEC, **change)) != Fingerprint.of(SPEC)  # type: ignore[arg-type]


def test_the_boot_line_is_not_what_a_machine_is() -> None:
    assert Fingerprint.of(replace(SPEC, append="lab=list")) == Fingerprint.of(SPEC)


def test_another_qemu_is_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = Fingerprint.of(SPEC)
    other = tmp_path / "qemu-system-aarch64"
    other.symlink_to(before.qemu[0])
    monkeypatch.setenv("HIGHWATER_QEMU", str(other))
    assert Fingerprint.of(SPEC) != before


@pytest.mark.parametrize("change", [{"icount": None}, {"initrd": Path("x")}])
def test_what_is_never_warm(change: dict[str, object]) -> None:
    with pytest.raises(NotWarm, match="starts cold"):
        Warm(replace(SPEC, **change))  # type: ignore[arg-type]


def test_a_machine_that_was_killed_is_replaced(pool: WarmPool) -> None:
    boot = pool.boot(SPEC, soon())
    (warm,) = pool
    os.kill(warm.machine.pid, signal.SIGKILL)
    with pytest.raises(HarnessError):
        pool.boot(SPEC, soon())
    assert list(pool) == []
    assert pool.boot(SPEC, soon()) == boot


def test_a_boot_that_does_not_end_ends_the_machine(pool: WarmPool) -> None:
    pool.boot(SPEC, soon())  # what comes before the boot takes its time
    with pytest.raises(RspError, match=r"no answer within 0.5 s"):
        pool.boot(replace(SPEC, append="lab=stack.recurse hold=gdb watchdog=600000"), Deadline(0.5))
    assert list(pool) == []


def test_a_deadline_that_has_passed_is_told_as_one(pool: WarmPool) -> None:
    pool.boot(SPEC, soon())
    (warm,) = pool
    with pytest.raises(RspError, match=r"no answer within 0 s"):
        warm.load(Deadline(0))


def test_a_worn_machine_is_replaced(pool: WarmPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.qemu.fast.warm.MOST_BOOTS", 2)
    boots = {pool.boot(SPEC, soon()) for _ in range(5)}
    (warm,) = pool
    assert (len(boots), warm.boots) == (1, 1)


def test_only_the_last_few_live(pool: WarmPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.qemu.fast.warm.KEPT", 2)
    for mib in (32, 48, 64):
        pool.boot(replace(SPEC, memory_mib=mib), soon())
    assert [warm.spec.memory_mib for warm in pool] == [48, 64]


def test_nothing_is_left_of_it() -> None:
    with Warm(SPEC) as warm:
        folder = warm.machine.workdir
        assert [file.name for file in folder.iterdir() if file.suffix == ".qcow2"] == []
        pid = warm.machine.pid
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_nobody_at_the_other_end(tmp_path: Path) -> None:
    with pytest.raises(RspError, match="nobody is there"), Rsp(tmp_path / "socket"):
        pass


def test_what_the_monitor_prints_is_heard(warm: Warm) -> None:
    assert "unknown command: 'nosuch'" in warm.stub.monitor("nosuch", soon())
    told = warm.stub.monitor("info mtree", soon())  # of several packets
    assert len(told) > 4096
    assert told.startswith("address-space: ") and told.endswith("\r\n")


def test_a_snapshot_that_qemu_does_not_have_is_a_doubt() -> None:
    with (
        Snapshot(SPEC) as never_saved,
        pytest.raises(NotWarm, match=r"refused loadvm warm: .*warm"),
    ):
        never_saved.load(soon())


def test_another_answer_than_the_monitor_s(tmp_path: Path) -> None:
    """As of a machine that stops by itself in between."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "gdb"))
        server.listen()
        with Rsp(tmp_path / "gdb") as stub:
            answering, _ = server.accept()
            with answering:
                answering.sendall(b"+$O6f6e65#00$T05#b9")
                with pytest.raises(RspError, match=r"no output, but b'T05'"):
                    stub.monitor("loadvm warm", soon())


# --- a case ------------------------------------------------------------------------------------

ROW = Scenario("stack.watermark", "ok", "depth=3", uncontrolled="it is warm.py that is under test")


class Doubtful(WarmPool):
    def boot(self, spec: MachineSpec, deadline: Deadline) -> None:  # type: ignore[override]
        raise NotWarm("something is not as it should be")


def run(pool: WarmPool, folder: Path) -> Evidence:
    case = Run(Case(ROW), IMAGE, folder, warm=pool)
    case.clear()
    return case.boot()


def test_a_case_is_warm(pool: WarmPool, tmp_path: Path) -> None:
    evidence = run(pool, tmp_path)
    assert evidence.serial.endswith(b"[end] ok\n")
    (warm,) = pool
    assert warm.boots == 1


def test_a_case_in_doubt_is_cold(tmp_path: Path) -> None:
    with Doubtful() as pool:
        evidence = run(pool, tmp_path)
    assert evidence.serial.endswith(b"[end] ok\n")
    assert "not as it should be" in (tmp_path / "not-warm").read_text()


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("serial", {}),
        ("gdb", {}),
        ("boot", {"gdb_view": True}),
        ("boot", {"icount": None, "args": "watchdog=600000"}),
    ],
)
def test_a_case_that_somebody_touches_is_cold(trigger: str, change: dict[str, object]) -> None:
    assert Case(ROW).can_be_warm
    row = replace(ROW, triggers=(trigger,), **change)  # type: ignore[arg-type]
    assert not Case(row, trigger).can_be_warm  # type: ignore[arg-type]


# --- a case that fails ---------------------------------------------------------------------------

WRONG = replace(ROW, lab="stack.guard_touch", args="", verdict="caught by=sentinel", name="wrong")


def test_a_failure_leaves_the_moment_it_began(pool: WarmPool, tmp_path: Path) -> None:
    """Its capsule goes on from there, by hand in GDB, to the same end; the file stays as it is."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "kernel.elf").symlink_to(IMAGE)
    with pytest.raises(ScenarioFailed):
        Walker(tmp_path, warm=pool)(Case(WRONG))
    folder = tmp_path / ARTIFACTS / Case(WRONG).full_id
    kept = shutil.copy(folder / SNAPSHOT, tmp_path)
    subject = debug.of_capsule(Capsule.load(folder), IMAGE, Path(kept))
    assert subject.title.endswith("from its snapshot")
    with Machine(subject.spec, tmp_path / "again") as machine:
        assert machine.gdb_socket is not None
        transcript = tmp_path / "gdb.txt"
        with GdbSession(find_gdb(), machine.gdb_socket, IMAGE, transcript) as gdb:
            assert gdb.connect().function == "boot_main"
            gdb.breakpoint(FAULT_HOOK)
            gdb.cont()
            assert gdb.wait_stop(soon()).function == FAULT_HOOK
        serial = machine.wait_end(soon()).serial
    assert serial == (folder / "serial.log").read_bytes()
    with terminal("replay", str(folder), build=tmp_path / "build") as child:
        child.expect_exact("from its snapshot")
        child.expect_exact("touch_below")  # in the backtrace of the fault
        child.expect(PROMPT)
    assert Path(kept).stat().st_size == (folder / SNAPSHOT).stat().st_size


def test_a_cold_failure_has_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "kernel.elf").symlink_to(IMAGE)
    with Doubtful() as pool, pytest.raises(ScenarioFailed):
        Walker(tmp_path, warm=pool)(Case(WRONG))
    assert not (tmp_path / ARTIFACTS / Case(WRONG).full_id / SNAPSHOT).exists()
