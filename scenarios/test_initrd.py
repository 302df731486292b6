"""QEMU's -initrd takes the place of the one in the image, and a broken one is refused by name."""

from pathlib import Path

import pytest

from harness.boot import boot
from harness.initrd import newc
from harness.log import Log
from harness.symbols import programs
from harness.walk import KERNEL


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


WHOLE = newc([("hello", b"x" * 100)])
BROKEN = {
    "truncated": WHOLE[:200],
    "no-trailer": WHOLE[:-124],
    "bad-magic": b"070702" + WHOLE[6:],
    "bad-number": WHOLE[:54] + b"zzzzzzzz" + WHOLE[62:],
    "bad-name": WHOLE[:94] + b"00000000" + WHOLE[102:],
    "no-archive": b"this is none" * 50,
}
WHY = {"no-trailer": "truncated", "no-archive": "bad-magic"}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_refused_by_name(how: str, tmp_path: Path) -> None:
    log = booted(tmp_path, BROKEN[how], "spawn.hello")
    assert log.verdict == "bad-args"
    assert log.records[-1].fields["why"] == f"initrd-{WHY.get(how, how)}"
