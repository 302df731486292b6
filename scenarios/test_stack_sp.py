"""Stack labs: SP itself is broken, each way classified by name and never as a plain overflow."""

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

NO_GUARD = Control("protect=-guard", "survived")
UNNOTICED = Control("protect=-sp-check", "survived")
MMU_IS_NO_SWITCH = "nothing is mapped there, or nothing writable, whatever the switches say"


def by_mmu(lab: str) -> list[Scenario]:
    return halted_and_killed(lab, "mmu", aborts=1, uncontrolled=MMU_IS_NO_SWITCH)


def by_check(lab: str) -> list[Scenario]:
    return halted_and_killed(lab, "sp-check", gdb_view=True, controls=(UNNOTICED,))


SCENARIOS = [
    *by_mmu("stack.sp_unmapped"),
    *by_mmu("stack.sp_text"),
    *by_check("stack.sp_device"),
    *by_check("stack.sp_other"),
    *by_check("stack.sp_misaligned"),
    *halted_and_killed("stack.sp_above", "guard-page", aborts=1, controls=(NO_GUARD,)),
]


def test_stack_sp(case: Case, walk: Walk) -> None:
    walk(case)
