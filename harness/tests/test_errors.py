"""Every message says what was wrong, shows the evidence, and what to type next."""

import os
from pathlib import Path

import pytest

from harness import errors


def test_the_whole_message() -> None:
    error = errors.MachineDied(
        "QEMU exited with status 1",
        command="qemu-system-aarch64 -append 'lab=x y=1'",
        serial=b"[boot] one\n[boot] two\n",
        stderr=b"no such thing\n",
    )
    assert str(error) == (
        "QEMU exited with status 1\n"
        "  last serial lines:\n"
        "    [boot] one\n"
        "    [boot] two\n"
        "  QEMU said:\n"
        "    no such thing\n"
        "  command:\n"
        "    qemu-system-aarch64 -append 'lab=x y=1'"
    )


def test_what_is_empty_is_not_shown_but_silence_is() -> None:
    message = str(errors.MachineSilent("silent", command="qemu"))
    assert "(nothing was printed)" in message
    assert "QEMU said" not in message


def test_the_tail_is_bounded_and_printable() -> None:
    text = errors.tail(b"x" * 1_000_000 + b"\n" + b"line\n" * 100 + b"\x1b[2J\xff\x00 end")
    lines = text.splitlines()
    assert len(lines) == errors.LAST_LINES
    assert lines[-1] == "\\x1b[2J\N{REPLACEMENT CHARACTER}\\x00 end"
    assert len(errors.tail(b"y" * 1_000_000)) <= 256


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (
            errors.ToolMissing("gdb", install="apt install gdb-multiarch", tried=["a", "b"]),
            ["gdb is not installed (looked for: a, b)", "next: apt install gdb-multiarch"],
        ),
        (
            errors.WrongVersion("qemu", found="6.2", wanted="7.2 or newer", install="apt upgrade"),
            ["qemu is 6.2, but 7.2 or newer is needed", "next: apt upgrade"],
        ),
        (errors.KernelNotBuilt(Path("k.elf")), ["k.elf does not exist", "next: run: make"]),
        (
            errors.QmpError("cont", error_class="GenericError", desc="Resetting required"),
            ["QMP cont: GenericError: Resetting required"],
        ),
        (
            errors.GdbTimeout("late", command="bt", transcript=Path("t"), output=b"oops"),
            ["late", "bt", "GDB said:\n    oops", "transcript:\n    t"],
        ),
        (
            errors.LogError("no [end]", line=7, text="[bt] #0"),
            ["serial line 7: no [end]", "[bt] #0"],
        ),
        (
            errors.WrongBuild("nonce", expected="4d2a", seen="0000"),
            ["from another nonce: expected 4d2a, saw 0000", "next: run: make"],
        ),
        (
            errors.GoldenError("missing", path=Path("g.log"), diff="+ a", hint="make golden"),
            ["missing", "g.log", "+ a", "next: make golden"],
        ),
    ],
)
def test_messages(error: errors.HarnessError, parts: list[str]) -> None:
    for part in parts:
        assert part in str(error)


def test_a_front_end_says_what_stood_in_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    def stuck() -> None:
        raise errors.HarnessError("no way", hint="go round")

    assert errors.status_of(stuck) == 2
    assert capsys.readouterr() == ("", "no way\n  next: go round\n")
    assert errors.status_of(lambda: None) == 0


def test_a_pipe_that_broke_elsewhere_is_no_reader_who_left() -> None:
    def breaks() -> None:
        os.write(output, b"to a socket of QEMU's, say")

    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    with pytest.raises(BrokenPipeError):
        errors.status_of(breaks)
    os.close(output)
