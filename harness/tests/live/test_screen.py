"""GDB and the guest on one screen: whole lines, and in the order in which things happened."""

import io
import os
import signal
import sys
from pathlib import Path

import pexpect
import pytest

from harness.live import screen
from harness.live.screen import Once, Screen
from harness.tests.terminal import terminal

BREAK = b"\nBreakpoint 1, "
HOOK = b"hook (f=0x0) at fault.c:138\n"


class Guest:
    """What it has said and nobody has seen."""

    def __init__(self) -> None:
        self.said = b""

    def __call__(self) -> bytes:
        said, self.said = self.said, b""
        return said


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def shown() -> io.BytesIO:
    return io.BytesIO()


def test_a_line_of_gdb_is_not_torn(guest: Guest, shown: io.BytesIO) -> None:
    screen = Screen(shown, guest, shared=True)
    screen.gdb(BREAK)
    guest.said = b"[bt] one\n"
    screen.serial()
    assert shown.getvalue() == BREAK
    screen.gdb(HOOK)
    assert shown.getvalue() == BREAK + HOOK + b"[bt] one\n"


def test_what_was_printed_before_the_stop_stands_before_it(guest: Guest, shown: io.BytesIO) -> None:
    """Also when GDB was quicker than the thread that follows the serial port."""
    screen = Screen(shown, guest, shared=True)
    guest.said = b"[EXC] one\n"
    screen.gdb(BREAK + HOOK)
    assert shown.getvalue() == b"[EXC] one\n" + BREAK + HOOK


@pytest.mark.parametrize("prompt", [(b"(gdb) ",), (b"\x1b[?2004h(gdb) ", b"h", b"w ")])
def test_at_the_prompt_the_guest_is_seen_at_once(
    prompt: tuple[bytes, ...], guest: Guest, shown: io.BytesIO
) -> None:
    screen = Screen(shown, guest, shared=True)
    for piece in prompt:
        screen.gdb(piece)
    screen.typed(b"stacks")
    for said in (b"[lab] one\n", b"[lab] two\n"):
        guest.said = said
        screen.serial()
    assert shown.getvalue() == b"".join(prompt) + b"\n[lab] one\n[lab] two\n"


@pytest.mark.parametrize("line", [b"--Type <RET> for more--", b"Quit anyway? (y or n) "])
def test_a_question_is_answered_first(line: bytes, guest: Guest, shown: io.BytesIO) -> None:
    screen = Screen(shown, guest, shared=True)
    screen.gdb(line)
    guest.said = b"[lab] one\n"
    screen.serial()
    assert shown.getvalue() == line


def test_the_line_behind_the_prompt_is_one_again(guest: Guest, shown: io.BytesIO) -> None:
    screen = Screen(shown, guest, shared=True)
    screen.gdb(b"(gdb) ")
    screen.gdb(b"continue\n" + BREAK)
    guest.said = b"[lab] one\n"
    screen.serial()
    screen.gdb(HOOK)
    assert shown.getvalue() == b"(gdb) continue\n" + BREAK + HOOK + b"[lab] one\n"


@pytest.mark.parametrize("before", [b"", b"(gdb) "], ids=["line", "prompt"])
def test_half_a_line_of_the_guest_waits_for_its_rest(
    before: bytes, guest: Guest, shown: io.BytesIO
) -> None:
    """What GDB said when it let the guest go may arrive as late as this."""
    screen = Screen(shown, guest, shared=True)
    screen.gdb(before)
    guest.said = b"[la"
    screen.serial()
    screen.gdb(b"continue\nContinuing.\n")
    guest.said = b"b] one\n[la"
    screen.serial()
    assert shown.getvalue() == before + b"continue\nContinuing.\n[lab] one\n"


def test_what_was_typed_is_echoed_before_the_guest_answers(guest: Guest, shown: io.BytesIO) -> None:
    screen = Screen(shown, guest, shared=True)
    screen.gdb(b"(gdb) con")
    assert screen.typed(b"tinue\r") == b"tinue\r"
    guest.said = b"[lab] one\n"
    screen.serial()
    screen.gdb(b"tinue\r\nContinuing.\r\n")
    assert shown.getvalue() == b"(gdb) continue\r\nContinuing.\r\n[lab] one\n"


def test_typing_at_a_running_guest_holds_nothing_back(guest: Guest, shown: io.BytesIO) -> None:
    screen = Screen(shown, guest, shared=True)
    screen.typed(b"x\r")
    guest.said = b"[lab] one\n"
    screen.serial()
    assert shown.getvalue() == b"[lab] one\n"


def test_half_a_line_is_shown_where_nobody_else_prints(guest: Guest, shown: io.BytesIO) -> None:
    guest.said = b"[la"
    Screen(shown, guest).serial()
    assert shown.getvalue() == b"[la"


@pytest.mark.parametrize("end", ["\n", ""])
def test_half_a_line_is_shown_when_gdb_has_ended(
    end: str, guest: Guest, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """GDB itself, killed, may leave half a line."""
    guest.said = b"[la"
    gdb = ["printf", f"from GDB{end}"]
    assert Screen(sys.stdout.buffer, guest, shared=True).run(gdb) == 0
    assert capfdbinary.readouterr().out == f"from GDB{end}[la".encode()


class Gdb:
    """kill: what a signal is sent with."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self.kill = self.signals.append


def test_a_ctrl_z_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On GDB's pty it would flush what GDB has printed: the prompt that is drawn again."""
    monkeypatch.setattr("os.killpg", lambda *_: None)
    master, tty = os.openpty()
    with os.fdopen(master), os.fdopen(tty) as keyboard:
        monkeypatch.setattr("sys.stdin", keyboard)
        gdb = Gdb()
        typed = screen._suspension(gdb)
        assert (typed(b"cont"), gdb.signals) == (b"cont", [])
        assert (typed(b"co\x1ant"), gdb.signals) == (b"cont", [signal.SIGWINCH])


# What runs on the pty has ended before anybody looks.
LATE = """
import contextlib, os, sys
from harness.live import screen

@contextlib.contextmanager
def late(gdb):
    os.waitid(os.P_PID, gdb.pid, os.WEXITED | os.WNOWAIT)
    yield

screen._resized = late
sys.exit(screen.Screen(sys.stdout.buffer, bytes, shared=True).run(["echo", "x" * 3000, "end"]))
"""


def test_the_last_words_of_gdb_are_shown(tmp_path: Path) -> None:
    """Also those that it says as it ends, and more of them than are read in one piece."""
    with terminal("-c", LATE, build=tmp_path, program=(sys.executable,)) as child:
        child.expect("x{3000} end")
        child.expect(pexpect.EOF)


def test_what_is_printed_again_is_shown_once() -> None:
    said = (b"boot\none\ntw", b"o\nthr", b"boot\none\n", b"twoboot\none\ntwo\nthree\nend\n")
    once = Once()
    assert b"".join(map(once.fresh, said)) == b"boot\none\ntwo\nthree\nend\n"
