"""hw where, hw pt: the kernel's own names, its own page tables."""

import pytest

from harness.tests.hw.conftest import Stopped, only, poked

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
    "'report/where.c'::regions[4].start",
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
        ("'report/where.c'::regions[4].start", "EL1: read, write; EL0: no access; device nGnRnE"),
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
