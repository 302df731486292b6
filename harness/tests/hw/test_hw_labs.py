"""hw labs, and how structs print."""

import re
from pathlib import Path

from harness.deadline import Deadline
from harness.paths import KERNEL, ROOT
from harness.qemu.machine import Machine, MachineSpec
from harness.serial.log import Record, parse_lines
from harness.tests.hw.conftest import Stopped, poked


def test_labs_are_the_kernels_catalogue(recurse: Stopped, tmp_path: Path) -> None:
    with Machine(MachineSpec(ROOT / KERNEL, "lab=list"), tmp_path) as machine:
        serial = machine.wait_end(Deadline(20)).serial
    lines = iter(recurse.hw("labs").splitlines()[1:])
    for record in (r for r in parse_lines(serial) if r.area == ("list",)):
        if record.words[0] in ("lab", "param"):
            assert re.split(r" {2,}", next(lines).strip()) == listed(record)
    assert next(lines, None) is None


def listed(record: Record) -> list[str]:
    if record.words[0] == "lab":
        return [record.words[1], record.prose]
    at = record.fields
    return [record.words[2], at["default"], f"{at['min']}..{at['max']}", record.prose]


def test_a_changed_parameter_is_marked(recurse: Stopped) -> None:
    with poked(recurse, "stack_recurse_args.past", 300):
        assert re.search(r"^ +past +300\* +256\.\.3072 ", recurse.hw("labs"), re.MULTILINE)


def test_structs_print_as_one_line(recurse: Stopped) -> None:
    base = recurse.number("all_threads->stack.base")
    stack = f"thread:victim {base:#x} + 16384, guard 4096"
    assert recurse.gdb.evaluate("all_threads->stack") == stack
    assert recurse.gdb.evaluate("*all_threads") == f"thread victim THREAD_RUNNING, stack {stack}"
    assert recurse.gdb.evaluate("*all_threads->all_next").endswith(", waits for victim")
    assert recurse.gdb.evaluate("thread_pool") == (
        f"pool threads: 3 of 64 blocks of {recurse.number('thread_pool.block')} in use,"
        " high water 3, 0 failures"
    )
    frame = recurse.gdb.evaluate("all_threads->frame")
    assert re.match(
        r"frame elr=0x\w+ <recurse(\+\d+)?> sp=0x\w+ spsr=0x\w+ esr=0x\w+ far=0x\w+", frame
    )
