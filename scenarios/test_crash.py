"""Crash labs: kernel/labs/crash/crash.c, one for every class of fault that is not about a stack."""

from harness.scenario import Case, Control, Scenario, Walk

# Without a watchdog only the harness's own budget ends the machine: keep it short.
NO_WATCHDOG = Control("protect=-watchdog", "no-end")
NOWHERE = "the pc itself is wrong: for GDB there is no frame to unwind from"
SILENT = "nothing is reported: what each death is called is the lab's own line"
MMU_IS_NO_SWITCH = "the tables say so from the first instruction on; no switch takes that back"


def by_mmu(lab: str, detector: str, *, gdb_view: bool | str = True) -> Scenario:
    """What the page tables alone catch."""
    return Scenario(
        lab,
        verdict=f"caught by={detector}",
        aborts=1,
        gdb_view=gdb_view,
        uncontrolled=MMU_IS_NO_SWITCH,
    )


SCENARIOS = [
    Scenario(
        "crash.hang",
        args="watchdog=50",
        verdict="hang by=watchdog",
        gdb_view=True,
        controls=(NO_WATCHDOG,),
    ),
    by_mmu("crash.null", "null-page"),
    by_mmu("crash.write_rodata", "w^x"),
    by_mmu("crash.write_text", "w^x"),
    by_mmu("crash.unmapped", "mmu"),
    by_mmu("crash.low_half", "mmu"),
    by_mmu("crash.exec_rodata", "w^x", gdb_view=NOWHERE),
    by_mmu("crash.exec_data", "w^x", gdb_view=NOWHERE),
    by_mmu("crash.exec_stack", "w^x", gdb_view=NOWHERE),
    by_mmu("crash.exec_null", "null-page", gdb_view=NOWHERE),
    by_mmu("crash.wild_pc", "mmu", gdb_view=NOWHERE),
    # 14 addresses, each written to and gone to.
    Scenario(
        "crash.edges",
        verdict="ok",
        aborts=28,
        gdb_view=SILENT,
        uncontrolled=MMU_IS_NO_SWITCH,
    ),
    # Nine of them are misaligned, which no older QEMU tells before the abort: the same classes.
    Scenario(
        "crash.edges",
        args="odd=1",
        name="edges-odd",
        only="qemu>=10",
        verdict="ok",
        aborts=19,
        gdb_view=SILENT,
        uncontrolled=MMU_IS_NO_SWITCH,
    ),
    Scenario(
        "crash.undefined",
        verdict="caught by=exception",
        gdb_view=True,
        uncontrolled="the CPU itself refuses what is no instruction",
    ),
    Scenario(
        "crash.bug",
        verdict="panic",
        gdb_view=True,
        uncontrolled="an assertion is only as good as its condition; here it is never true",
    ),
]


def test_crash(case: Case, walk: Walk) -> None:
    walk(case)
