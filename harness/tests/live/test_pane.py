"""`make debug` inside a real tmux, which is told what to type and tells what it shows.

In tmux's control mode every byte of every pane arrives as an event, so nothing is looked at twice
or waited for by the clock.
"""

import os
import re
import secrets
import shlex
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect
import pytest

from harness.errors import HarnessError
from harness.live import pane
from harness.paths import KERNEL, ROOT
from harness.tests.gone import is_gone
from harness.tests.terminal import SECONDS, processes_with

GDBS, SERIALS = "%0", "%1"


class Tmux:
    """A server of its own, with one window that runs a command. shown: what each pane printed."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        server = ["-C", "-f", "/dev/null", "-S", str(folder / "tmux")]
        window = ["new-session", "-x", "180", "-y", "60", shlex.join(command)]
        self.shown: defaultdict[str, str] = defaultdict(str)
        self._seen: defaultdict[str, int] = defaultdict(int)
        self.client = pexpect.spawn(
            "tmux",
            [*server, *window],
            cwd=str(ROOT),
            encoding="utf-8",
            timeout=SECONDS,
            echo=False,
            env={k: v for k, v in {**os.environ, **environment}.items() if k != "TMUX"},
        )
        self.client.delaybeforesend = None
        self.server = os.pidfd_open(int(self.ask("#{pid}")))

    def type(self, pane: str, line: str) -> None:
        self.client.sendline(f"send-keys -t {pane} {shlex.quote(line)} Enter")

    def ask(self, form: str) -> str:
        """One of tmux's own variables."""
        self.client.sendline(f"display-message -p -t {GDBS} 'told={form}'")
        while not (line := self._line()).startswith("told="):
            pass
        return line.removeprefix("told=")

    def expect(self, pane: str, pattern: str) -> None:
        """Until a pane has printed this, after what was expected of it before."""
        while not (found := re.compile(pattern).search(self.shown[pane], self._seen[pane])):
            self._line()
        self._seen[pane] = found.end()

    def expect_end(self) -> None:
        """The last pane is closed, and the server gone with it."""
        while not self._line().startswith("%exit"):
            pass
        self.client.expect(pexpect.EOF)
        assert is_gone(self.server)

    def _line(self) -> str:
        """tmux's next line. Of an %output, the pane's text is kept; what is not plain is octal."""
        line = str(self.client.readline()).rstrip("\r\n")
        assert line, f"tmux ended; the panes: {dict(self.shown)}"
        if told := re.match(r"%output (%\d+) (.*)", line):
            self.shown[told[1]] += re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), told[2])
        return line


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def tmux(tmp_path: Path, mark: str) -> Iterator[Tmux]:
    """`make debug` of a lab that waits at its serial port; what it leaves when it is killed, its
    folder with the stub's socket, goes with this one. (A socket's path has at most 107 bytes.)
    """
    (tmp_path / "kernel.elf").symlink_to(ROOT / KERNEL)
    lab = f"stack.recurse hold=serial nonce={mark}"
    command = [sys.executable, "-m", "harness.cli", "debug", lab]
    with TemporaryDirectory(prefix="hw-") as short:
        environment = {"BUILD": str(tmp_path), "DEBUGINFOD_URLS": "", "TMPDIR": short}
        started = Tmux(tmp_path, command, environment)
        yield started
        if started.client.isalive():
            started.client.sendline("kill-server")
        started.client.close(force=True)


def test_the_serial_port_has_a_pane_of_its_own(tmux: Tmux, mark: str) -> None:
    tmux.expect(GDBS, r"\(gdb\) ")
    tmux.type(GDBS, "continue")
    tmux.expect(SERIALS, r"\[lab\] holding for=serial")
    tmux.type(SERIALS, "go stack=8K")
    tmux.expect(GDBS, "lab_stack_recurse")
    tmux.type(GDBS, "print stack_recurse_args.stack")
    tmux.expect(GDBS, r"= 8192\s")
    assert "[boot] highwater" in tmux.shown[SERIALS]
    assert "(gdb)" not in tmux.shown[SERIALS]
    assert "[boot]" not in tmux.shown[GDBS]
    assert "[lab]" not in tmux.shown[GDBS]
    tmux.type(GDBS, "quit")
    tmux.expect_end()
    assert not processes_with(mark)


def test_the_pane_closes_when_the_session_is_killed(tmux: Tmux) -> None:
    tmux.expect(GDBS, r"\(gdb\) ")
    os.kill(int(tmux.ask("#{pane_pid}")), signal.SIGKILL)
    tmux.expect_end()


def test_outside_of_tmux_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    assert not pane.in_tmux()


def test_a_tmux_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMUX", f"{tmp_path / 'nobody'},1,0")
    monkeypatch.setenv("TMUX_PANE", "%0")
    refused = re.escape("tmux gives no pane for the serial port: ")
    with pytest.raises(HarnessError, match=refused), pane.serial_pane(lambda _: None):
        pass
