"""harness.cli: the parts that need no kernel, and a run of the smallest one."""

import io
from pathlib import Path

import pytest

from harness import cli
from harness.errors import HarnessError
from harness.paths import KERNEL, ROOT
from harness.tests.conftest import Kernels
from harness.tests.terminal import unread

CATALOGUE = b"""\
[list] lab stack.recurse : overflow a stack
[list] param stack.recurse stack default=16384 min=4096 max=65536 : size
[list] param stack.recurse op default=1 min=0 max=63 names=all,pool : which
[list] protect guard : guard pages
[list] site pool.alloc function=pool_alloc failure=0 : no block
[end] ok
"""


@pytest.mark.parametrize(
    ("lab", "line"),
    [
        ("stack.recurse", "lab=stack.recurse"),
        ("lab=stack.recurse", "lab=stack.recurse"),
        (" stack.recurse  stack=16K ", "lab=stack.recurse stack=16K"),
    ],
)
def test_lab_is_the_boot_line_with_or_without_its_key(lab: str, line: str) -> None:
    assert cli.boot_line(lab) == line
    assert cli.entry(line) == "lab_stack_recurse"


def test_no_lab_is_told_how_to_find_one() -> None:
    with pytest.raises(HarnessError, match="make list"):
        cli.boot_line("")


def test_the_catalogue_is_plain_lines_without_a_terminal() -> None:
    assert [text.plain.split() for text in cli.catalogue_lines(CATALOGUE)] == [
        ["stack.recurse", "overflow", "a", "stack"],
        ["stack=16384", "4096..65536", "size"],
        ["op=pool", "all,pool", "which"],
        ["protect=-guard", "guard", "pages"],
        ["fault=pool.alloc", "no", "block"],
    ]


def test_what_is_in_the_way_is_status_2_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "KERNEL", tmp_path / "kernel.elf")
    monkeypatch.setattr(cli, "BUILD", tmp_path)
    assert cli.main(["run", "stack.recurse"]) == 2
    assert "run: make" in capsys.readouterr().err


def test_an_unknown_command_is_refused() -> None:
    assert cli.main(["fly"]) == 2


def test_a_machine_that_powers_off_without_an_end_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    kernels: Kernels,
) -> None:
    monkeypatch.setattr(cli, "KERNEL", kernels("prints"))
    monkeypatch.setattr(cli, "BUILD", tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert cli.main(["run", "any.lab"]) == 1
    shown = capfd.readouterr()
    assert shown.out
    assert "without an [end] line" in shown.err


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("cli list", 0),
        ("cli list --help", 0),
        ("cli run stack.recurse", 0),
        ("cli demo", 0),
        ("stackreport --elf build/kernel.elf --top 1000", 1),  # problems that nobody reads of
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(
    command: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "kernel.elf").symlink_to(ROOT / KERNEL)
    done = unread(*f"harness.{command}".split(), BUILD=str(tmp_path))
    said = done.stderr.splitlines()
    if command.startswith("cli run"):
        assert b"qemu-system-aarch64 " in said.pop(0)
    assert (done.returncode, said) == (status, [])
