"""Bad input is refused by name: cmdline.c, and the keys of kernel/lab's boot_line.c and param.c.

Each row is a boot line, the `why` and the `key` of its [end] bad-args, and a piece of the advice.
"""

from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot

PAGE = "lab=inject.once fault=page.alloc,"

REFUSED = [
    ("", "no-lab", None, "lab=list"),
    ("lab=stack.nope", "bad-value", "lab", "lab=list"),
    ("recurse", "not-key-value", None, "recurse"),
    ("lab=stack.recurse past", "not-key-value", None, "past"),
    ("lab=stack.recurse past=", "not-key-value", None, "past="),
    ("lab=stack.recurse lab=stack.canary", "duplicate-key", None, "lab"),
    ("lab=list extra=1", "unknown-key", None, "takes: none"),
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
    ("lab=inject.once op=thraed", "bad-value", "op", "run,stack,tagged,thread"),
    ("lab=inject.once op=1", "bad-value", "op", "is none of all,block"),
    ("lab=inject.once fault=page.aloc", "bad-value", "fault", "page.alloc page.run pool.alloc"),
    ("lab=inject.once fault=page", "bad-value", "fault", '"page" is no site'),
    (f"lab=inject.once fault={'p' * 99}", "bad-value", "fault", "pppp"),
    ("lab=inject.once fault=,nth=1", "bad-value", "fault", "is no site"),
    (PAGE + "nth=0", "bad-value", "fault", '"nth=0": which call fails, from 1'),
    (PAGE + "nth=-1", "bad-value", "fault", '"nth=-1"'),
    (PAGE + "nth=", "bad-value", "fault", '"nth="'),
    (PAGE + "nth=18446744073709551616", "bad-value", "fault", '"nth=184467440737095516'),
    (PAGE + "nth=1,nth=2", "bad-value", "fault", '"nth=2": this stands there twice'),
    (PAGE + "every=0", "bad-value", "fault", '"every=0"'),
    (PAGE + "prob=0", "bad-value", "fault", '"prob=0": calls of 100 that fail, 1 to 100'),
    (PAGE + "prob=101", "bad-value", "fault", '"prob=101"'),
    (PAGE + "prob=1,seed=x", "bad-value", "fault", '"seed=x": any number'),
    (PAGE + "nth=1,seed=1", "bad-value", "fault", "seed= is for prob="),
    (PAGE + "nth=1,every=2", "bad-value", "fault", "exclude each other"),
    (PAGE + "times=0", "bad-value", "fault", '"times=0"'),
    (PAGE + "space=4Q", "bad-value", "fault", '"space=4Q": bytes that pass'),
    (PAGE + "who=", "bad-value", "fault", "1 to 15 characters"),
    (PAGE + "who=a-name-of-sixteen", "bad-value", "fault", "1 to 15 characters"),
    (PAGE + "who=a,who=b", "bad-value", "fault", '"who=b": this stands there twice'),
    (PAGE + "often=3", "bad-value", "fault", '"often=3": expected nth=, every='),
    (PAGE + "nth=1,", "bad-value", "fault", "expected nth=, every="),
    (PAGE + "x" * 200, "bad-value", "fault", "longer than any word"),
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
    ("lab=inject.once op=page fault=page.alloc,nth=1K,times=0x2,who=lab", "op", "page"),
]


@pytest.mark.parametrize(("line", "key", "value"), ACCEPTED, ids=[row[1] for row in ACCEPTED])
def test_accepted(line: str, key: str, value: str, tmp_path: Path) -> None:
    (enter,) = boot(ROOT / KERNEL, line, tmp_path).log.select("lab")
    assert enter.fields[key] == value


def test_line_for_the_serial_port_is_checked_too(tmp_path: Path) -> None:
    from harness.deadline import Deadline
    from harness.qemu.machine import Machine, MachineSpec
    from harness.serial.log import parse

    spec = MachineSpec(ROOT / KERNEL, append="lab=stack.recurse hold=serial")
    with Machine(spec, tmp_path) as machine:
        machine.expect(rb"\[lab\] holding [^\n]*\n", Deadline(30))
        machine.console.sendline(b"hello")
        machine.expect(rb"\[lab\] what [^\n]*\n", Deadline(30))
        machine.console.sendline(b"go past=1")
        ending = machine.wait_end(Deadline(30))
    assert parse(ending.serial).records[-1].fields["why"] == "out-of-range"


def test_a_nul_at_the_serial_port_is_a_byte_like_any_other(tmp_path: Path) -> None:
    """It ends the text of its line there. Were it passed over, past=1 would be read."""
    from harness.deadline import Deadline
    from harness.qemu.machine import Machine, MachineSpec

    spec = MachineSpec(ROOT / KERNEL, append="lab=stack.recurse hold=serial")
    with Machine(spec, tmp_path) as machine:
        machine.expect(rb"\[lab\] holding [^\n]*\n", Deadline(30))
        machine.console.send(b"go\0 past=1\n")
        ending = machine.wait_end(Deadline(30))
    assert b"[end] caught by=" in ending.serial
