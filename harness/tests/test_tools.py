"""Tools are found, or refused with what to type. The tools of these tests are shell scripts."""

import re
from pathlib import Path

import pytest

from harness import tools
from harness.deadline import Deadline
from harness.errors import ToolMissing, WrongVersion


def script(path: Path, output: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{output}'\necho ran >> {path}.ran\n")
    path.chmod(0o755)
    return path


def test_the_installed_ones() -> None:
    assert tools.find_qemu().name.startswith("qemu-system-aarch64")
    assert re.fullmatch(r"\d+\.\d+", tools.qemu_version())
    assert re.fullmatch(r"(aarch64-[a-z-]+-gcc|clang) \d+\.\d+\.\d+", tools.toolchain())
    assert "gdb" in tools.find_gdb().name


def test_qemu_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHWATER_QEMU", "/nonexistent/qemu")
    with pytest.raises(ToolMissing, match="apt install qemu-system-arm") as missing:
        tools.find_qemu()
    assert "/nonexistent/qemu" in str(missing.value)


def test_nothing_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HIGHWATER_QEMU", "HIGHWATER_GDB", "CROSS_COMPILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="qemu-system-aarch64 is not installed"):
        tools.find_qemu()
    with pytest.raises(ToolMissing, match="gdb-multiarch, aarch64-none-elf-gdb"):
        tools.find_gdb()
    with pytest.raises(ToolMissing, match="apt install gcc-aarch64-linux-gnu"):
        tools.toolchain(tmp_path / "not-built-yet")
    with pytest.raises(ToolMissing, match="apt install util-linux"):
        tools.find_setpriv()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("QEMU emulator version 6.2.0 (Debian 1:6.2)", r"is 6\.2\.0, but 7\.2 or newer is needed"),
        ("QEMU emulator version 7.1.9", r"is 7\.1\.9, but"),
        ("I am no QEMU", "is of unknown version, but"),
    ],
)
def test_wrong_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, told: str) -> None:
    monkeypatch.setenv("HIGHWATER_QEMU", str(script(tmp_path / "qemu", says)))
    with pytest.raises(WrongVersion, match=told) as wrong:
        tools.find_qemu()
    assert "HIGHWATER_QEMU" in str(wrong.value)


def test_qemu_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    qemu = script(tmp_path / "qemu", "QEMU emulator version 10.0.2")
    monkeypatch.setenv("HIGHWATER_QEMU", str(qemu))
    assert [tools.find_qemu(), tools.find_qemu()] == [qemu, qemu]
    assert tools.qemu_version() == "10.0"
    assert (tmp_path / "qemu.ran").read_text() == "ran\n"


def test_arm_s_own_tools_come_first_for_gcc_and_last_for_gdb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CROSS_COMPILE", raising=False)
    monkeypatch.delenv("HIGHWATER_GDB", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script(tmp_path / "aarch64-none-elf-gcc", "13.3.1")
    arm = script(tmp_path / "aarch64-none-elf-gdb", "")
    assert tools.toolchain(tmp_path / "not-built-yet") == "aarch64-none-elf-gcc 13.3.1"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.find_gdb() == arm
    multiarch = script(tmp_path / "gdb-multiarch", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:")
    assert tools.find_gdb() == multiarch


def test_deadline() -> None:
    deadline = Deadline(60)
    assert 59 < deadline.remaining() <= 60
    assert not deadline.expired
    assert deadline.at_most(1).remaining() <= 1
    assert Deadline(-1).expired
    assert Deadline(0).expired
