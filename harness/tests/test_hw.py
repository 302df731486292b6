"""The commands of harness/gdb on live machines, against what the kernel itself printed or answers.

One machine and one GDB per stop, shared by this module: at the fault of stack.recurse (guarded and
not) and of stack.irq, and at the first and third pool_report() of pool.exhaust. Tests that write to
a guest put back what they wrote.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import GdbError
from harness.gdb import GdbSession
from harness.log import Record, parse_lines
from harness.machine import Machine, MachineSpec
from harness.tools import find_gdb
from harness.walk import FAULT_HOOK, KERNEL

ROOT = Path(__file__).parents[2]
COMMANDS = ROOT / "harness" / "gdb"

Rows = list[dict[str, str]]


@dataclass
class Stopped:
    """A machine that GDB holds, with the commands loaded. early: what `hw` said at reset."""

    machine: Machine
    gdb: GdbSession
    early: str = ""

    def hw(self, command: str) -> str:
        return self.gdb.console(f"hw {command}")

    def rows(self, command: str) -> Rows:
        return rows(self.hw(command))

    def records(self, *area: str) -> list[Record]:
        return [r for r in parse_lines(self.machine.serial) if r.area == area]

    def number(self, expression: str) -> int:
        return int(self.gdb.evaluate(f"(unsigned long)({expression})"))

    def run_to(self, function: str) -> None:
        self.gdb.cont()
        stop = self.gdb.wait_stop(Deadline(20))
        assert stop.function == function, stop


Boot = Callable[[str, str], Stopped]


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boot]:
    """boot(boot line, function) is a machine stopped in that function."""
    with ExitStack() as machines:

        def boot(line: str, function: str) -> Stopped:
            workdir = tmp_path_factory.mktemp("hw")
            spec = MachineSpec(ROOT / KERNEL, line, gdb=True, stopped=True)
            machine = machines.enter_context(Machine(spec, workdir))
            assert machine.gdb_socket is not None
            socket, transcript = machine.gdb_socket, workdir / "gdb.txt"
            gdb = machines.enter_context(GdbSession(find_gdb(), socket, spec.kernel, transcript))
            gdb.connect()
            gdb.source(COMMANDS / "hw.py")
            stopped = Stopped(machine, gdb, refusal(gdb, "hw stacks"))
            gdb.breakpoint(function)
            stopped.run_to(function)
            return stopped

        yield boot


@pytest.fixture(scope="module")
def recurse(boot: Boot) -> Stopped:
    return boot("lab=stack.recurse", FAULT_HOOK)


@pytest.fixture(scope="module")
def unguarded(boot: Boot) -> Stopped:
    return boot("lab=stack.recurse protect=-guard,-watermark", FAULT_HOOK)


@pytest.fixture(scope="module")
def irq(boot: Boot) -> Stopped:
    return boot("lab=stack.irq", FAULT_HOOK)


@pytest.fixture(scope="module")
def pool(boot: Boot) -> Stopped:
    return boot("lab=pool.exhaust blocks=5", "pool_report")


def rows(text: str) -> Rows:
    """A table as it is printed: cells stand two blanks apart."""
    head, *lines = (re.split(r" {2,}", line.strip("* ")) for line in text.splitlines())
    return [dict(zip(head, line, strict=False)) for line in lines]


def refusal(gdb: GdbSession, command: str) -> str:
    with pytest.raises(GdbError) as refused:
        gdb.console(command)
    return refused.value.problem.removeprefix("GDB refused: ")


def only(found: Rows, **cells: str) -> dict[str, str]:
    (row,) = (row for row in found if cells.items() <= row.items())
    return row


@contextmanager
def poked(machine: Stopped, target: str, number: int) -> Iterator[None]:
    before = machine.number(target)
    machine.gdb.set_var(target, number)
    try:
        yield
    finally:
        machine.gdb.set_var(target, before)


# --- hw stacks ----------------------------------------------------------------------------------


def test_stacks_are_guarded_and_the_culprit_is_told(recurse: Stopped) -> None:
    found = recurse.rows("stacks")
    assert [row["STACK"] for row in found] == [
        "thread:victim",
        "neighbour",
        "thread:lab",
        "thread:idle",
        "emergency:cpu0",
        "irq:cpu0",
        "boot:cpu0",
    ]
    assert {(row["BELOW"], row["ABOVE"], row["WORDS"]) for row in found} == {
        ("unmapped", "unmapped", "ok")
    }
    (record,) = recurse.records("stack")
    victim = only(found, STACK=record.words[0])
    assert (victim["USED"], victim["SIZE"]) == (record.fields["used"], record.fields["size"])
    assert victim["STATUS"].split(",")[0] == "fault-below"
    assert {row["STATUS"] for row in found if row is not victim} == {"ok"}


def test_stacks_say_where_the_stack_pointers_are(recurse: Stopped) -> None:
    found = recurse.rows("stacks")
    assert only(found, STACK="thread:victim")["SP"] == culprits_sp(recurse)
    live = recurse.number("$sp") - int(only(found, STACK="irq:cpu0")["BASE"], 0)
    assert only(found, STACK="irq:cpu0")["SP"] == f"+{live:#x}*"
    assert 0x1000 - int(only(found, STACK="thread:idle")["SP"], 0) < 64  # all but at its top
    assert only(found, STACK="boot:cpu0")["SP"] == "-"


def culprits_sp(machine: Stopped) -> str:
    """Above its stack's base, by the kernel's record."""
    (record,) = machine.records("stack")
    return f"+{int(record.fields['size']) - int(record.fields['lowest_sp']):#x}"


def test_margins_are_what_neither_paint_nor_sp_has_used(recurse: Stopped) -> None:
    for row in recurse.rows("stacks"):
        words = recurse.number("sizeof(stack_marks.guard_words)")
        free = [int(row["SIZE"]) - int(row["USED"])]
        free += [int(row["SP"].strip("+*"), 0)] if row["SP"] != "-" else []
        assert int(row["MARGIN"]) == min(free) - words


def test_stacks_without_guards_and_paint(unguarded: Stopped) -> None:
    found = unguarded.rows("stacks")
    assert {(row["BELOW"], row["ABOVE"]) for row in found} == {("mapped", "mapped")}
    assert {row["USED"] for row in found} == {"-"}
    assert [row["STACK"] for row in found if row["WORDS"] == "bad"] == ["thread:victim"]
    assert only(found, STACK="thread:victim")["STATUS"].endswith("words-overwritten")
    assert only(found, STACK="thread:idle")["STATUS"] == "no-guard-below,no-guard-above"


def test_a_fault_on_the_exception_stack(irq: Stopped) -> None:
    found = irq.rows("stacks")
    (record,) = irq.records("stack")
    culprit = only(found, STACK="irq:cpu0")
    assert record.words[0] == "irq:cpu0"
    assert {key: culprit[key] for key in ("WORDS", "USED", "SP")} == {
        "WORDS": record.fields["guard"],
        "USED": record.fields["used"],
        "SP": culprits_sp(irq),
    }
    assert culprit["STATUS"].startswith("fault-below")
    assert {row["STATUS"] for row in found if row is not culprit} == {"ok"}


def test_a_stack_is_full_when_only_its_guard_words_are_left(recurse: Stopped) -> None:
    lab = "all_threads->all_next->stack"
    lowest = recurse.number(f"{lab}.base + sizeof(stack_marks.guard_words)")
    with poked(recurse, f"*(unsigned long *){lowest:#x}", 0):
        row = only(recurse.rows("stacks"), STACK="thread:lab")
        assert (row["MARGIN"], row["WORDS"], row["STATUS"]) == ("0", "ok", "full")
    with poked(recurse, f"*(unsigned long *){lab}.base", 0):
        row = only(recurse.rows("stacks"), STACK="thread:lab")
        assert (row["USED"], row["WORDS"]) == (row["SIZE"], "bad")
        assert row["STATUS"] == "words-overwritten,full"


def test_a_fault_in_a_shared_guard_is_the_culprits(recurse: Stopped) -> None:
    """The guard above idle is the one below lab, which is the newer of the two."""
    top = recurse.number("cpus[0].idle->stack.base + cpus[0].idle->stack.size")
    with (
        poked(recurse, "all_threads->frame.far", top + 8),
        poked(recurse, "all_threads->frame.sp", top - 16),
    ):
        found = recurse.rows("stacks")
    assert only(found, STACK="thread:idle")["STATUS"] == "fault-above"
    assert only(found, STACK="thread:lab")["STATUS"] == "ok"


# --- hw bt --------------------------------------------------------------------------------------


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


# --- hw threads ---------------------------------------------------------------------------------


def test_threads(recurse: Stopped) -> None:
    text = recurse.hw("threads")
    found = rows(text)
    (record,) = recurse.records("stack")
    (fault,) = (r for r in recurse.records("EXC") if r.words == ("sync",))
    assert only(found, THREAD="victim") == {
        "THREAD": "victim",
        "STATE": "THREAD_RUNNING",
        "CPU": "0",
        "PC": fault.fields["elr"],
        "SP": fault.fields["sp"],
        "USED": record.fields["used"],
        "SIZE": record.fields["size"],
        "WAITS FOR": "-",
    }
    lab, idle = only(found, THREAD="lab"), only(found, THREAD="idle")
    assert (lab["STATE"], lab["WAITS FOR"]) == ("THREAD_BLOCKED", "victim")
    assert idle["STATE"] == "THREAD_READY"
    assert idle["SP"].startswith("thread:idle+0xf")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("*")] == ["victim"]


def test_a_sleeper_waits_for_its_tick(irq: Stopped) -> None:
    lab = only(irq.rows("threads"), THREAD="lab")
    assert lab["WAITS FOR"] == f"tick {irq.number('all_threads->wake_at')}"


def test_a_killed_thread_says_by_what(recurse: Stopped) -> None:
    with (
        poked(recurse, "all_threads->state", recurse.number("THREAD_KILLED")),
        poked(recurse, "all_threads->killed_by", recurse.number("thread_pool.name")),
    ):
        assert only(recurse.rows("threads"), THREAD="victim")["STATE"] == "THREAD_KILLED by threads"


# --- hw pools, hw pages -------------------------------------------------------------------------

COUNTS = ("block", "capacity", "in_use", "high_water", "allocs", "frees", "failures")


def counts(found: Rows, name: str) -> dict[str, str]:
    row = only(found, POOL=name)
    return {key: row[key.upper()] for key in COUNTS} | {"refused": row["REFUSED"]}


def test_pools_count_as_the_kernel_reports(pool: Stopped) -> None:
    """The record comes after the stop, so it is there at the next; then the threads' pool."""
    plain, blocks = counts(pool.rows("pools"), "plain"), pool.rows("pools plain")[1:]
    pool.run_to("pool_report")
    pool.run_to("pool_report")
    threads, owners = counts(pool.rows("pools"), "threads"), pool.hw("pools threads")
    page_count = pool.gdb.evaluate("page_count()")
    pages = only(pool.rows("pages"), MEMORY="pages")
    pool.run_to("pool_report")
    printed = {r.words[0]: dict(r.fields) for r in pool.records("pool")[::2]}
    assert plain == printed["plain"]
    assert threads == printed["threads"]
    assert plain["failures"] == threads["failures"] == "1"
    assert len(blocks) == 1 + 4  # "plain: 5 of 5 blocks used" was taken for the head
    assert len(re.findall(r"  used +parked$", owners, re.MULTILINE)) == int(threads["in_use"]) - 2
    assert re.search(r"^ +0 +0x\w+ +used +idle$", owners, re.MULTILINE)
    assert int(pages["FREE"]) == int(pages["TOTAL"]) - int(pages["IN_USE"])
    assert page_count == f"{{total = {pages['TOTAL']}, in_use = {pages['IN_USE']}}}"


def test_the_blocks_of_a_pool_and_a_broken_free_list(recurse: Stopped) -> None:
    by_name, by_variable = recurse.hw("pools threads"), recurse.hw("pools thread_pool")
    assert by_name == by_variable
    lines = by_name.splitlines()
    assert lines[0] == "threads: 3 of 64 blocks used"
    assert [line.split()[2:] for line in lines[2:5]] == [
        ["used", "idle"],
        ["used", "lab"],
        ["used", "victim"],
    ]
    assert {line.split()[2] for line in lines[5:]} == {"free"}
    with poked(recurse, "*(unsigned long *)thread_pool.free_list", 0xDEAD):
        broken = recurse.hw("pools threads")
    assert "the free list leads to 0xdead, which is no block of this pool" in broken
    assert broken.count("free, but not on the free list") == 60
    with poked(recurse, "thread_pool.free_list", recurse.number("all_threads")):
        assert "used, but on the free list" in recurse.hw("pools threads")


def test_who_was_refused_is_named_by_a_return_address(recurse: Stopped) -> None:
    """thread_start's last instruction is a call: its return address is already behind it."""
    after = recurse.number("(char *)&thread_start + 12")
    with poked(recurse, "thread_pool.last_failing_caller", after):
        assert only(recurse.rows("pools"), POOL="threads")["REFUSED"] == "thread_start+0xc"


def test_a_pool_that_was_never_made(recurse: Stopped) -> None:
    unmade = [row["POOL"] for row in recurse.rows("pools") if row["VARIABLE"] == "pool"]
    assert set(unmade) == {"not made yet"}  # each of the labs' own
    assert refusal(recurse.gdb, "hw pools nosuch") == ('no pool is called "nosuch". Type: hw pools')


def test_the_early_heap(recurse: Stopped) -> None:
    heap = only(recurse.rows("pages"), MEMORY="early-heap")
    used = recurse.number("'mem/page.c'::bump") - recurse.number("&__early_heap_start")
    total = recurse.number("(char *)&__early_heap_end - (char *)&__early_heap_start")
    assert [int(heap[key]) for key in ("TOTAL", "IN_USE", "FREE")] == [total, used, total - used]


# --- hw where, hw pt ----------------------------------------------------------------------------

ADDRESSES = (
    "all_threads->stack.base - 16",
    "all_threads->stack.base",
    "all_threads->stack.base + all_threads->stack.size - 1",
    "all_threads->stack.base + all_threads->stack.size + 8",
    "cpus[0].irq_stack.base - 1",
    "cpus[0].emergency_stack.base + 0x80",
    "0",
    "8",
    "4096",
    "&recurse",
    "(char *)&recurse + 0x2c",
    "(char *)&__text_end - 1",
    "&__rodata_start",
    "&lab_hold",
    "all_threads",
    "&__image_end",
    "$sp",
    "$pc",
    "'core/where.c'::regions[4].start",
    "0xffffff8000000000",
    "0xffffff80ffffffff",
    "0xfffffff000000000",
    "0x0001000000000000",
)


def test_where_names_what_the_kernel_names(recurse: Stopped) -> None:
    """The kernel's where_any() is called for each, with the line of no emergency."""
    line = "cpus[0].text[2]"
    for expression in ADDRESSES:
        recurse.gdb.set_var(f"{line}.buffer", "(char *)cpus[0].line[2]")
        recurse.gdb.set_var(f"{line}.size", 200)
        recurse.gdb.set_var(f"{line}.length", 0)
        address = recurse.number(expression)
        recurse.gdb.console(f"call (void)where_any(&{line}, {address:#x})")
        named = recurse.gdb.read_memory("cpus[0].line[2]", recurse.number(f"{line}.length"))
        assert recurse.hw(f"where {expression}") == f"{named.decode()}\n", expression


def test_where_of_the_fault_is_the_reports(recurse: Stopped, irq: Stopped) -> None:
    for machine in (recurse, irq):
        (fault,) = (r for r in machine.records("EXC") if r.words == ("sync",))
        assert machine.hw(f"where {fault.fields['raw']}") == f"{fault.fields['far']}\n"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("recurse", "EL1: read, execute; EL0: no access; normal memory, write-back"),
        ("&__rodata_start", "EL1: read; EL0: no access; normal memory, write-back"),
        ("&lab_hold", "EL1: read, write; EL0: no access; normal memory, write-back"),
        ("all_threads->stack.base", "EL1: read, write; EL0: no access; normal memory, write-back"),
        ("'core/where.c'::regions[4].start", "EL1: read, write; EL0: no access; device nGnRnE"),
        ("all_threads->stack.base - 1", "-> unmapped: translation fault, level 3"),
        ("0", "-> unmapped: TTBR0 is switched off (TCR_EL1.EPD0)"),
        ("0x0001000000000000", "-> unmapped: no address of TTBR0's 39 bits"),
    ],
)
def test_pt_says_what_is_allowed(recurse: Stopped, expression: str, said: str) -> None:
    assert recurse.hw(f"pt {expression}").rstrip().endswith(said)


def test_pt_walks_to_the_descriptor_that_the_kernel_finds(recurse: Stopped) -> None:
    for expression in ("$sp", "recurse", "all_threads->stack.base", "0xffffff8047012345"):
        walked = recurse.hw(f"pt {expression}").splitlines()
        found = recurse.number(f"mmu_descriptor((unsigned long)({expression}), 0)")
        assert int(walked[-2].split()[3], 0) == found
    assert walked[-2].split()[-3:] == ["2", "MiB", "block"]
    assert walked[-1].startswith("-> pa 0x47012345;")


def test_pt_and_stacks_see_a_guard_that_was_mapped_behind_our_back(recurse: Stopped) -> None:
    base = recurse.number("all_threads->stack.base")
    table = int(recurse.hw(f"pt {base}").splitlines()[-2].split()[1], 0)
    guard = table + recurse.number("(char *)&_start - (char *)&_start_physical")
    guard += (base - 1 >> 12) % 512 * 8
    stack = recurse.number(f"mmu_descriptor({base}, 0)")
    with poked(recurse, f"*(unsigned long *){guard:#x}", stack):
        victim = only(recurse.rows("stacks"), STACK="thread:victim")
        assert (victim["BELOW"], victim["ABOVE"]) == ("mapped", "unmapped")
        assert "no-guard-below" in victim["STATUS"]


# --- hw fault -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recurse", "irq"])
def test_fault_is_the_reports(name: str, request: pytest.FixtureRequest) -> None:
    machine: Stopped = request.getfixturevalue(name)
    (record,) = (r for r in machine.records("EXC") if r.words == ("sync",))
    said = dict(line.split(None, 1) for line in machine.hw("fault").splitlines()[1:])
    of_class, of_status = record.prose.split("; ")
    assert said["kind"] == "sync"
    assert said["class"] == f"{record.fields['ec']} {of_class}"
    assert said["status"] == f"{record.fields['fsc']} {of_status}"
    assert said["far"] == f"{record.fields['far']} ({record.fields['raw']})"
    assert {key: said[key] for key in ("op", "elr", "sp", "mode")} == {
        key: record.fields[key] for key in ("op", "elr", "sp", "mode")
    }


def test_fault_that_is_none(pool: Stopped) -> None:
    assert pool.hw("fault") == (
        "cpu0 handles no exception: it runs thread lab at pool_report+0x0\n"
    )


ESR = "all_threads->frame.esr"
FAR_NOT_VALID = 1 << 10
WRITE = 1 << 6


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda esr: 0x15 << 26, "class", "0x15 (SVC) supervisor call"),
        (lambda esr: 0x15 << 26, "far", "not valid"),
        (lambda esr: 0x3E << 26, "class", "0x3e reserved exception class"),
        (lambda esr: esr | FAR_NOT_VALID, "far", "not valid"),
        (lambda esr: esr & ~WRITE, "op", "read"),
        (lambda esr: 0x21 << 26 | 0x0F, "op", "exec"),
        (lambda esr: 0x21 << 26 | 0x0F, "status", "0x0f permission fault, level 3"),
        (lambda esr: 0x25 << 26 | 0x3E, "status", "0x3e reserved"),
    ],
)
def test_other_syndromes(
    recurse: Stopped, change: Callable[[int], int], key: str, said: str
) -> None:
    with poked(recurse, ESR, change(recurse.number(ESR))):
        found = dict(line.split(None, 1) for line in recurse.hw("fault").splitlines()[1:])
    assert found[key] == said


# --- hw labs, printers --------------------------------------------------------------------------


def test_labs_are_the_kernels_catalogue(recurse: Stopped, tmp_path: Path) -> None:
    with Machine(MachineSpec(ROOT / KERNEL, "lab=list"), tmp_path) as machine:
        serial = machine.wait_end(Deadline(20)).serial
    lines = iter(recurse.hw("labs").splitlines()[1:])
    for record in (r for r in parse_lines(serial) if r.area == ("list",)):
        if record.words[0] != "protect":
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
    assert re.match(r"frame elr=0x\w+ <recurse> sp=0x\w+ spsr=0x\w+ esr=0x\w+ far=0x\w+", frame)


# --- what stands in the way ---------------------------------------------------------------------


def test_before_the_mmu_is_on(recurse: Stopped) -> None:
    assert recurse.early.startswith("the MMU is still off (pc=0x40200000 is physical)")
    assert recurse.early.endswith("Type: tbreak boot_main   then: continue")


def test_another_image_is_refused(recurse: Stopped) -> None:
    with poked(recurse, "((unsigned char *)&__build_id)[16]", 0xAB):
        refused = refusal(recurse.gdb, "hw stacks")
    assert re.match(r"wrong image: \S+kernel.elf has build-id (\w{40}), the guest ab", refused)
    assert "Type: file IMAGE" in refused
    recurse.hw("pages")


@pytest.mark.parametrize("word", ["where", "pt"])
def test_an_argument_is_missing_or_wrong(recurse: Stopped, word: str) -> None:
    assert refusal(recurse.gdb, f"hw {word}") == f"type: hw {word} ADDR   (more: help hw {word})"
    assert refusal(recurse.gdb, f"hw {word} nosuch") == (
        f'hw {word}: No symbol "nosuch" in current context.'
    )


def test_other_refusals(recurse: Stopped) -> None:
    assert refusal(recurse.gdb, "hw bt nobody") == (
        'no thread or CPU is called "nobody". Type: hw threads'
    )
    assert refusal(recurse.gdb, "hw stacks all") == "type: hw stacks   (more: help hw stacks)"
    with poked(recurse, "all_threads->all_next", recurse.number("all_threads")):
        assert "comes back to itself: a link is overwritten" in refusal(recurse.gdb, "hw threads")


def test_without_a_machine_and_help() -> None:
    script = ["source harness/gdb/hw.py", "help hw", "hw stacks"]
    argv = [str(find_gdb()), "--nx", "-q", "-batch", *(word for s in script for word in ("-ex", s))]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    listed = re.findall(r"^hw (\w+) -- .", ended.stdout, re.MULTILINE)
    assert listed == "blame bt fault labs pages pools pt stacks threads where".split()
    assert ended.stderr.startswith("no machine is attached. Type, in a shell: make debug LAB=")
