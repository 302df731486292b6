"""hw bt: the kernel's own backtraces, and records that lie."""

import re

import pytest

from harness.serial.symbols import FAULT_HOOK
from harness.tests.hw.conftest import Boot, Stopped, poked, rows


def backtrace(text: str) -> list[str]:
    """`hw bt`'s rows, in the form of the kernel's records but for their numbers."""
    return [
        f"{row['FUNCTION']} frame={row['FRAME']} stack={row['STACK']} {row.get('NOTE', '')}".strip()
        for row in rows(text)
        if "FRAME" in row
    ]


def kernels(machine: Stopped) -> list[str]:
    """The kernel's own [bt] records in the same form."""
    return [
        f"{record.words[1]} " + " ".join(f"{k}={v}" for k, v in record.fields.items())
        for record in machine.records("bt")
        if record.words[0] != "end"
    ]


def without_title(text: str) -> str:
    return text.partition("\n")[2]


def test_bt_of_the_victim_is_the_kernels(recurse: Stopped) -> None:
    text = recurse.hw("bt victim")
    assert text.startswith("thread victim:\n")
    assert backtrace(without_title(text)) == kernels(recurse)
    (end,) = (r for r in recurse.records("bt") if r.words == ("end",))
    assert text.splitlines()[-1] == f"end why={end.fields['why']} " + " ".join(
        f"{key}={end.fields[key]}" for key in ("frames", "depth")
    )
    numbers = [int(row["#"]) for row in rows(without_title(text)) if "FRAME" in row]
    assert [f"#{n}" for n in numbers] == [r.words[0] for r in recurse.records("bt")][:-1]


def test_bt_of_a_cpu_crosses_every_exception(irq: Stopped) -> None:
    handler, _, rest = irq.hw("bt cpu0").partition("-- sync exception --")
    (fault,) = (r for r in irq.records("EXC") if r.words == ("sync",))
    assert handler.splitlines()[0] == f"cpu0, thread {fault.fields['thread']}:"
    head = handler.splitlines()[1]
    assert backtrace(without_title(handler))[0].startswith(f"{FAULT_HOOK}+0x0 ")
    assert "emergency_entry" in handler
    assert "-- irq exception --" in rest
    assert backtrace(head + rest) == kernels(irq)


@pytest.mark.parametrize(
    ("line", "crossed"),
    [
        ("spawn.user_overflow", ["kernel"]),  # from EL0 back to who went there
        ("stack.process_kernel", ["kernel"]),  # a system call: through EL0
        ("spawn.ipc_deep", ["ipc", "ipc", "kernel"]),  # two servers, then the program they serve
    ],
)
def test_bt_goes_into_el0_and_to_whom_a_server_serves(
    boot: Boot, line: str, crossed: list[str]
) -> None:
    machine = boot(f"lab={line}", FAULT_HOOK)
    (fault,) = (r for r in machine.records("EXC") if r.words == ("sync",))
    text = machine.hw(f"bt {fault.fields['thread']}")
    assert backtrace(without_title(text)) == kernels(machine)
    (end,) = (r for r in machine.records("bt") if r.words == ("end",))
    assert text.splitlines()[-1].split()[1:] == [f"{k}={v}" for k, v in end.fields.items()]
    assert [via for via in re.findall(r" via=(\w+)", text) if via != "lr"] == crossed
    assert re.search(r" (crasher|spawner):_start\+0x\w+ +0  user:", text)
    (elr,) = re.findall(r"^  elr +(\S+)", machine.hw("fault"), re.MULTILINE)
    assert elr == fault.fields["elr"]


def test_bt_of_a_program_without_symbols(boot: Boot) -> None:
    """Its code has no name then, which is where the walk ends: nothing is guessed."""
    machine = boot("lab=spawn.user_overflow", FAULT_HOOK)
    with poked(machine, "processes[0]->name[0]", 0):
        assert "end why=return-address-not-code" in machine.hw("bt crasher.1")


def test_bt_of_everybody(recurse: Stopped) -> None:
    text = recurse.hw("bt")
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert titles == ["cpu0, thread victim", "thread lab", "thread idle"]
    assert [line.split()[1] for line in text.splitlines() if line.startswith("end ")] == [
        "why=entry"
    ] * 3
    (lab,) = (part for part in re.split(r"^(?=\S.*:$)", text, flags=re.M) if "thread lab:" in part)
    first, *rest = (row.split("+")[0] for row in backtrace(without_title(lab)))
    assert first == "thread_join"
    assert rest[-3:] == ["lab_stack_recurse", "lab_main", "thread_start"]


def test_bt_believes_no_record_outside_of_the_stacks(recurse: Stopped) -> None:
    with poked(recurse, "all_threads->frame.x[29]", 0x1000):
        assert "end why=record-in-no-stack" in recurse.hw("bt victim")
    with poked(recurse, "all_threads->frame.x[29]", recurse.number("all_threads->stack.base+4")):
        assert "end why=misaligned-record" in recurse.hw("bt victim")


def test_bt_ends_when_records_go_round_in_circles(recurse: Stopped) -> None:
    record = recurse.number("all_threads->frame.x[29]")
    with poked(recurse, f"*(unsigned long *){record:#x}", record):
        assert "end why=record-at-itself" in recurse.hw("bt victim")


def test_bt_of_two_cpus(secondary: Stopped) -> None:
    """The culprit's through its handler, the other one's where it waits."""
    text = secondary.hw("bt")
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    (fault,) = (r for r in secondary.records("EXC") if r.words == ("sync",))
    assert fault.fields["cpu"] == "1"
    culprit = f"cpu1, thread {fault.fields['thread']}"
    assert culprit in titles
    assert [title for title in titles if title.startswith("cpu0, thread ")]
    one = secondary.hw("bt cpu1")
    assert one.splitlines()[0] == f"{culprit}:"
    handler, _, rest = one.partition("-- sync exception --")
    assert "irq:cpu1" in handler
    assert backtrace(handler.splitlines()[1] + rest) == kernels(secondary)
    # Perhaps through a handler of its own: which instruction it has come to is icount's doing.
    assert secondary.hw("bt cpu0").splitlines()[-1].startswith("end why=entry ")


def test_whatever_is_looked_at_the_selected_cpu_stays(secondary: Stopped) -> None:
    for selected in ("1", "2"):
        secondary.gdb.console(f"thread {selected}")
        for command in ("bt", "stacks", "threads", "fault"):
            secondary.hw(command)
            assert secondary.gdb.evaluate("$_thread") == selected, command


def test_stacks_and_threads_of_two_cpus(secondary: Stopped) -> None:
    stacks = {row["STACK"]: row for row in secondary.rows("stacks")}
    assert {"irq:cpu0", "irq:cpu1", "emergency:cpu1", "thread:cpu1"} <= stacks.keys()
    assert stacks["irq:cpu1"]["SP"].endswith("*")
    assert [name for name, row in stacks.items() if row["STATUS"] != "ok"] == ["thread:cpu1"]
    running = [line for line in secondary.hw("threads").splitlines() if line.startswith("*")]
    assert sorted(line.split()[3] for line in running) == ["0", "1"]
