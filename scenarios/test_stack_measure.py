"""Stack labs: watermarks that tell the truth, beside the true lowest SP, and two that cannot."""

from harness.scenario import Case, Control, Scenario, Walk

NO_PAINT = Control("protect=-watermark", "survived")

SCENARIOS = [
    Scenario("stack.watermark", verdict="caught by=watermark", controls=(NO_PAINT,)),
    Scenario(
        "stack.watermark",
        args="depth=3 stacks=all",
        name="watermark-within",
        verdict="ok",
        uncontrolled="a measurement within its budget; stack.watermark is the one over it",
    ),
    Scenario("stack.watermark_levels", verdict="caught by=watermark", controls=(NO_PAINT,)),
    # What paint cannot see. The control is the same depth, written so that it can.
    Scenario(
        "stack.watermark_untouched",
        verdict="survived",
        controls=(Control("touch=1", "caught by=watermark", golden=True),),
    ),
    Scenario(
        "stack.watermark_lookalike",
        verdict="survived",
        controls=(Control("lookalike=0", "caught by=watermark", golden=True),),
    ),
]


def test_stack_measure(case: Case, walk: Walk) -> None:
    walk(case)
