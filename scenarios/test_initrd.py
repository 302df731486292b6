"""QEMU's -initrd takes the place of the one in the image, and a broken one is refused by name."""

from pathlib import Path

import pytest

from harness.paths import KERNEL
from harness.qemu.initrd import linked, newc
from harness.run.boot import boot
from harness.serial.log import Log
from harness.serial.symbols import programs


def program(name: str) -> bytes:
    """As it lies in the image's own initrd: the ELF without its debug information."""
    (found,) = (path for path in programs(KERNEL) if path.stem == name)
    return found.with_suffix("").read_bytes()


def booted(tmp_path: Path, archive: bytes | None, line: str) -> Log:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(archive or b"")
    given = None if archive is None else initrd
    return boot(KERNEL, f"lab={line}", tmp_path, initrd=given).log


def said(log: Log) -> list[str]:
    return [record.prose for record in log.select("spawn") if record.words == ("says",)]


def test_without_one_the_images_own_is_used(tmp_path: Path) -> None:
    log = booted(tmp_path, None, "spawn.hello code=0")
    assert log.verdict == "ok"
    assert said(log) == ["hello from EL0"] * 2


def test_a_given_one_takes_its_place(tmp_path: Path) -> None:
    # Under the name of hello lies hog, which says nothing and, asked for no bytes, exits with 0.
    log = booted(tmp_path, newc([("hello", program("hog"))]), "spawn.hello code=0")
    assert log.verdict == "ok"
    assert not said(log)


def test_what_is_not_in_it_is_not_found(tmp_path: Path) -> None:
    log = booted(tmp_path, newc([("other", program("hello"))]), "spawn.hello")
    assert log.verdict == "panic"
    assert log.records[-1].fields["why"] == "launch-refused"


def test_archives_one_after_the_other_are_one(tmp_path: Path) -> None:
    """As Linux has it: an early one, padded, then the real one."""
    early, real = newc([("microcode", b"x" * 30)]), newc([("hello", program("hello"))])
    for padding in (0, 512 - len(early) % 512):
        log = booted(tmp_path, early + bytes(padding) + real, "spawn.hello code=0")
        assert said(log) == ["hello from EL0"] * 2
    empty = booted(tmp_path, newc([]) + real, "spawn.hello code=0")
    assert said(empty) == ["hello from EL0"] * 2


def test_the_later_file_of_a_name_is_meant(tmp_path: Path) -> None:
    hog, hello = newc([("hello", program("hog"))]), newc([("hello", program("hello"))])
    assert not said(booted(tmp_path, hello + hog, "spawn.hello code=0"))
    assert said(booted(tmp_path, hog + hello, "spawn.hello code=0"))


@pytest.mark.parametrize("names", [("hello", "other"), ("other", "hello"), ("a", "hello", "b")])
def test_each_name_of_a_file_has_its_data(names: tuple[str, ...], tmp_path: Path) -> None:
    log = booted(tmp_path, linked(names, program("hello")), "spawn.hello code=0")
    assert said(log) == ["hello from EL0"] * 2


WHOLE = newc([("hello", b"x" * 100)])
BROKEN = {
    "truncated": WHOLE[:200],
    "no-trailer": WHOLE[:-124],
    "bad-magic": b"070702" + WHOLE[6:],
    "bad-number": WHOLE[:54] + b"zzzzzzzz" + WHOLE[62:],
    "bad-name": WHOLE[:94] + b"00000000" + WHOLE[102:],
    "no-archive": b"this is none" * 50,
    "trailing-data": WHOLE + b"\x1f\x8b compressed",
    "second-misaligned": WHOLE + b"\0" + WHOLE,
    "second-truncated": WHOLE + WHOLE[:-124],
}
WHY = {
    "no-trailer": "truncated",
    "no-archive": "bad-magic",
    "second-misaligned": "trailing-data",
    "second-truncated": "truncated",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_refused_by_name(how: str, tmp_path: Path) -> None:
    log = booted(tmp_path, BROKEN[how], "spawn.hello")
    assert log.verdict == "bad-args"
    assert log.records[-1].fields["why"] == f"initrd-{WHY.get(how, how)}"
