"""Bad input is refused by name: kernel/core/cmdline.c and the keys of kernel/core/lab.c.

Each row is a boot line, the `why` and the `key` of its [end] bad-args, and a piece of the advice.
"""

from pathlib import Path

import pytest

from harness.boot import boot
from harness.walk import KERNEL

ROOT = Path(__file__).parent.parent

REFUSED = [
    ("", "no-lab", None, "lab=list"),
    ("lab=stack.nope", "bad-value", "lab", "lab=list"),
    ("recurse", "not-key-value", None, "recurse"),
    ("lab=stack.recurse past", "not-key-value", None, "past"),
    ("lab=stack.recurse past=", "not-key-value", None, "past="),
    ("lab=stack.recurse lab=stack.canary", "duplicate-key", None, "lab"),
    ("lab=stack.recurse wide=1", "unknown-key", None, "stack past"),
    ("lab=stack.recurse past=1", "out-of-range", "past", "bytes below"),
    ("lab=stack.recurse past=4K", "out-of-range", "past", "bytes below"),
    ("lab=stack.recurse past=abc", "out-of-range", "past", "abc"),
    ("lab=stack.recurse past=-1", "out-of-range", "past", "-1"),
    ("lab=stack.recurse past=0x", "out-of-range", "past", "0x"),
    ("lab=stack.recurse past=18446744073709551616", "out-of-range", "past", "number"),
    ("lab=stack.recurse past=0x400000000000000K", "out-of-range", "past", "number"),
    ("lab=stack.recurse on-fault=die", "bad-value", "on-fault", "halt or kill"),
    ("lab=stack.recurse hold=usb", "bad-value", "hold", "serial or gdb"),
    ("lab=stack.recurse watchdog=0", "bad-value", "watchdog", "milliseconds"),
    ("lab=stack.recurse protect=guard", "bad-value", "protect", "-NAME"),
    ("lab=stack.recurse protect=-guard,-gaurd", "bad-value", "protect", "lab=list"),
    (f"lab=stack.recurse protect=-{'g' * 40}", "bad-value", "protect", "-NAME"),
    (f"lab=stack.recurse past={'1' * 1024}", "too-long", None, "1024 bytes"),
    (" ".join(f"k{i}=1" for i in range(40)), "too-many-words", None, "32 at most"),
    ("lab=stack.recurse past=\u00fc", "bad-character", None, "key=value"),
]


@pytest.mark.parametrize(
    ("line", "why", "key", "advice"), REFUSED, ids=[f"{r[1]}-{i}" for i, r in enumerate(REFUSED)]
)
def test_refused(line: str, why: str, key: str | None, advice: str, tmp_path: Path) -> None:
    log = boot(ROOT / KERNEL, line, tmp_path).log
    end = log.records[-1]
    assert log.verdict == "bad-args"
    assert (end.fields["why"], end.fields.get("key")) == (why, key)
    assert advice in end.prose
    assert not list(log.select("lab")), "the lab must not begin"


ACCEPTED = [
    ("lab=stack.watermark  depth=0x3", "depth", "3"),
    ("lab=stack.watermark\tbudget=4k", "budget", "4096"),
    ("lab=stack.watermark protect=-guard,+guard depth=5", "depth", "5"),
]


@pytest.mark.parametrize(("line", "key", "value"), ACCEPTED, ids=[row[1] for row in ACCEPTED])
def test_accepted(line: str, key: str, value: str, tmp_path: Path) -> None:
    (enter,) = boot(ROOT / KERNEL, line, tmp_path).log.select("lab")
    assert enter.fields[key] == value


def test_line_for_the_serial_port_is_checked_too(tmp_path: Path) -> None:
    from harness.deadline import Deadline
    from harness.log import parse
    from harness.machine import Machine, MachineSpec

    spec = MachineSpec(ROOT / KERNEL, append="lab=stack.recurse hold=serial")
    with Machine(spec, tmp_path) as machine:
        machine.expect(rb"\[lab\] holding [^\n]*\n", Deadline(30))
        machine.console.sendline(b"hello")
        machine.expect(rb"\[lab\] what [^\n]*\n", Deadline(30))
        machine.console.sendline(b"go past=1")
        ending = machine.wait_end(Deadline(30))
    assert parse(ending.serial).records[-1].fields["why"] == "out-of-range"
