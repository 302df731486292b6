"""Page labs: none left, given back wrongly, used after."""

from dataclasses import replace

from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed

UNCHECKED = (Control("protect=-page-check", "survived"),)

USED_AFTER_FREE = halted_and_killed(
    "page.use_after_free", "page-check", aborts=1, controls=UNCHECKED
)

SCENARIOS = [
    Scenario("page.exhaust", verdict="caught by=page-check", controls=UNCHECKED),
    Scenario("page.double_free", verdict="caught by=page-check", controls=UNCHECKED),
    Scenario(
        "page.bad_free",
        verdict="ok",
        uncontrolled="no switch lets them through; the control is the fuzzer's mutant",
    ),
    *USED_AFTER_FREE,
    *(
        replace(row, name=f"{row.title}-write", args=f"{row.args} write=1".strip())
        for row in USED_AFTER_FREE
    ),
]


def test_page(case: Case, walk: Walk) -> None:
    walk(case)
