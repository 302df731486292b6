"""The barriers that the architecture demands are in the image, each in its place.

QEMU orders everything, flushes its TLB at every change of TTBR0, and translates code again by
itself: take away a DSB, an ISB or a TLBI, and most of these scenarios print the same. So here the
image is read. A row names a function and the order that it must keep (Arm ARM D8.13 and D8.16,
B2.7, K13): "store" is a store beyond the stack, "call f" a call; what is none of these
instructions is left out, and what a row says stands in one piece. Each barrier of kernel/arch, mem
and proc stands in some row, so that a new one is thought of here.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest

from harness.paths import ROOT
from harness.stackreport.image import Image, load
from harness.tools import cross_prefix

IMAGE = ROOT / os.environ.get("BUILD", "build") / "kernel.elf"
MMU_ON = "dsb tlbi:vmalle1 ic:iallu dsb isb msr:sctlr_el1 isb"
MMU_HIGH = "msr:ttbr0_el1 isb tlbi:vmalle1 dsb isb"
FROM_EL2 = "msr:icc_sre_el2 isb"
PERHAPS = "? "  # a compiler may write it twice: a loop that is not gone through
ORDERS = {
    # An entry is seen before it is used.
    "mmu_map": ["store dsb isb"],
    "mmu_show_page": ["store dsb isb"],
    "map": ["store dsb"],  # of a space: the return to EL0 is a context synchronization event
    # An entry is gone before its page is anybody else's: written, then forgotten, then waited for.
    "mmu_unmap": ["store dsb tlbi:vaae1is dsb isb"],
    "mmu_hide_page": ["store dsb tlbi:vaae1is dsb isb", "store dsb tlbi:vaae1is dsb store dsb"],
    "user_table_forget": ["dsb tlbi:aside1is dsb isb"],
    "space_unmap": ["store call:user_table_forget call:page_free"],
    "space_destroy": ["call:user_table_forget call:destroy_table"],
    # Before the MMU is on: nothing old in the TLB or the instruction cache; after: no low half.
    "_start": [FROM_EL2, MMU_ON, MMU_HIGH, "msr:spsel isb call:boot_main"],
    "secondary_start": [FROM_EL2, MMU_ON, MMU_HIGH],
    "light_start": [FROM_EL2, MMU_ON, MMU_HIGH],
    # A system register is written before what depends on it is executed.
    "user_table_set": ["msr:ttbr0_el1 isb"],
    "user_tables_init": ["msr:ttbr0_el1 isb msr:tcr_el1 isb"],
    "mte_enable": ["msr:tcr_el1 msr:sctlr_el1 isb tlbi:vmalle1 dsb isb"],
    "mmu_accessible": ["at:s1e1w isb", "at:s1e1r isb"],
    "watch_arm": ["msr:dbgwcr0_el1 msr:mdscr_el1 isb msr:daifclr"],
    "watch_disarm": ["msr:dbgwcr0_el1 msr:mdscr_el1 isb"],
    "gic_init_cpu": ["msr:icc_sre_el1 isb", "msr:icc_igrpen1_el1 isb"],
    "timer_fire_at": ["msr:cntp_cval_el0 msr:cntp_ctl_el0 isb"],
    "timer_fire_in": ["msr:cntp_cval_el0 msr:cntp_ctl_el0 isb"],
    "timer_stop": ["msr:cntp_ctl_el0 isb"],
    "timer_next": ["msr:cntp_cval_el0 isb"],
    "timer_pause": ["msr:cntp_ctl_el0 isb", "msr:cntv_ctl_el0 isb"],
    "watchdog_arm": ["msr:cntv_ctl_el0 isb store msr:cntv_cval_el0 msr:cntv_ctl_el0"],
    # What the other CPU is to see is stored before it is interrupted; what is to be executed is in
    # memory, out of the instruction cache, and out of the pipeline.
    "gic_send": ["dsb msr:icc_sgi1r_el1 isb"],
    "write_text": [
        "store dc:cvau dsb call:mmu_unmap ic:ivau dsb isb",
        PERHAPS + "dsb call:mmu_unmap dsb isb",
    ],
    # A counter is read after all that comes before it, and before all that comes after it.
    "init_server": ["isb pmccntr_el0 isb"],
    "cost_of": ["isb pmccntr_el0 isb"],
    # All is done before the CPU stands still.
    "psci_cpu_off": ["dsb wfi"],
    "psci_system_off": ["dsb wfi"],
    "idle": ["dsb wfi"],
}
CYCLES = "pmccntr_el0"
FOLDERS = ("kernel/arch/", "kernel/mem/", "kernel/proc/")
BARRIERS = frozenset(("dsb", "isb", "dmb", "tlbi", "ic", "dc"))
NAMED = frozenset(("tlbi", "ic", "dc", "at", "msr"))
_OWN = re.compile(r"\[(?:sp|x29)\b")
_LINE = re.compile(r"^([0-9a-f]+):\t[0-9a-f]{8} \t(\S+)\s*([^/]*)")


@cache
def image() -> Image:
    return load(IMAGE)


def operations(function: str) -> list[str]:
    """What of a function counts here, in the order of its addresses; stores in a row are one."""
    found = image().functions[function]
    done: list[str] = []
    for mnemonic, operands in disassembled(found.start, found.end):
        word = operation(mnemonic, operands)
        if word and not (word == "store" and done[-1:] == ["store"]):
            done.append(word)
    return done


def operation(mnemonic: str, operands: str) -> str:
    if mnemonic == "mrs" and operands.endswith(CYCLES):
        return CYCLES
    if mnemonic in NAMED:
        return f"{mnemonic}:{operands.partition(',')[0]}"
    if mnemonic in BARRIERS or mnemonic == "wfi":
        return mnemonic
    if mnemonic.startswith(("str", "stp", "stur", "stlr")) and not _OWN.search(operands):
        return "store"
    called = re.search(r"<(\w+)>", operands)
    return f"call:{called[1]}" if mnemonic in ("bl", "b") and called else ""


def disassembled(start: int, end: int) -> Iterator[tuple[str, str]]:
    yield from (instruction for at in range(start, end, 4) if (instruction := listing().get(at)))


@cache
def listing() -> dict[int, tuple[str, str]]:
    command = [f"{cross_prefix()}objdump", "-d", str(IMAGE)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = (match for match in map(_LINE.search, said.splitlines()) if match)
    return {int(m[1], 16): (m[2], m[3].strip()) for m in found}


def faults(done: list[str], orders: list[str]) -> list[str]:
    """The orders that are kept nowhere, and the barriers that belong to none."""
    covered: set[int] = set()
    broken = []
    for order in orders:
        wanted = order.removeprefix(PERHAPS).split()
        places = [*where(wanted, done)]
        covered.update(at + n for at in places for n in range(len(wanted)))
        broken += [] if places or order.startswith(PERHAPS) else [order]
    return broken + [
        f"{word} at {at}" for at, word in enumerate(done) if is_barrier(word) and at not in covered
    ]


def where(wanted: list[str], done: list[str]) -> Iterator[int]:
    """None of them over another."""
    at = 0
    while at + len(wanted) <= len(done):
        if found := done[at : at + len(wanted)] == wanted:
            yield at
        at += len(wanted) if found else 1


def is_barrier(word: str) -> bool:
    return word.partition(":")[0] in BARRIERS


def test_each_barrier_stands_where_it_is_demanded() -> None:
    broken = {name: wrong for name in ORDERS if (wrong := faults(operations(name), ORDERS[name]))}
    assert not broken, "\n".join(f"{name} does: {' '.join(operations(name))}" for name in broken)


@pytest.mark.parametrize("function", ORDERS)
def test_any_one_that_is_missing_is_seen(function: str) -> None:
    """The control: no second place in the function hides what is missing at the first."""
    done = operations(function)
    for at in (at for at, word in enumerate(done) if is_barrier(word)):
        assert faults(done[:at] + done[at + 1 :], ORDERS[function]), f"without {done[at]} at {at}"


def test_no_barrier_stands_outside_of_the_table() -> None:
    found = {
        function.name
        for function in image().functions.values()
        if function.unit.startswith(FOLDERS) and any(map(is_barrier, operations(function.name)))
    }
    assert found
    assert not found - ORDERS.keys(), "give each its order in ORDERS"
