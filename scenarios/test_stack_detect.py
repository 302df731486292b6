"""Stack labs: software detectors. Guard words, canaries, erasure, signed and shadowed returns."""

from pathlib import Path

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot
from harness.scenario import Case, Control, Scenario, Walk, halted_and_killed
from harness.tools import signing_cpu

NO_SENTINEL = Control("protect=-sentinel", "survived")
NO_CANARY = Control("protect=-canary", "survived")
NO_PAC = Control("protect=-pac", "survived")
PC_IS_BROKEN = "the pc is a broken pointer, and GDB has nothing to unwind from"

SIGNING = signing_cpu()


def by_sentinel(lab: str) -> list[Scenario]:
    return halted_and_killed(lab, "sentinel", gdb_view=True, controls=(NO_SENTINEL,))


def by_sentinel_word(lab: str, word: int) -> Scenario:
    """A check that looks at three words of four is no check of the fourth."""
    return Scenario(
        lab,
        args=f"word={word}",
        name=f"{lab.partition('.')[2]}-word-{word}",
        verdict="caught by=sentinel",
        gdb_view="the words differ, the backtrace is that of word=0, at which GDB looks",
        controls=(NO_SENTINEL,),
    )


def by_signature(lab: str, **fields: str) -> list[Scenario]:
    return halted_and_killed(
        lab, "pac", aborts=1, cpu=SIGNING, gdb_view=PC_IS_BROKEN, controls=(NO_PAC,), **fields
    )


SCENARIOS = [
    *by_sentinel("stack.sentinel_tick"),
    *by_sentinel("stack.sentinel_switch"),
    *by_sentinel("stack.sentinel_exit"),
    *(
        by_sentinel_word(f"stack.sentinel_{found}", word)
        for found in ("tick", "switch", "exit")
        for word in (1, 2, 3)
    ),
    *halted_and_killed("stack.canary", "canary", gdb_view=True, controls=(NO_CANARY,)),
    Scenario("stack.canaries", verdict="ok", controls=(NO_CANARY,)),
    Scenario(
        "stack.erase",
        verdict="ok",
        controls=(Control("protect=-erase", "survived"),),
    ),
    *by_signature("stack.return_address"),
    # FEAT_FPAC: the authentication itself faults, in the function that would have returned.
    Scenario(
        "stack.return_address",
        name="return_address-fpac",
        verdict="caught by=pac",
        aborts=1,
        gdb_view="the kernel goes by the x30 that was read, GDB by the frame that is gone",
        controls=(NO_PAC,),
        cpu="max,pauth-impdef=on",
        only="qemu>=8.2",
    ),
    # The canary, which is on in the control too, does not notice: CVE-2023-4039.
    *by_signature("stack.vla_smash", only="gcc<12.4"),
    # It lies above the record since, so the array meets it first.
    Scenario(
        "stack.vla_smash",
        name="vla_smash-canary",
        verdict="caught by=canary",
        gdb_view="the records above the array are overwritten, and GDB has nothing to unwind from",
        uncontrolled="-canary makes it a constant, which this overwrites as well",
        cpu=SIGNING,
        only="gcc>=12.4",
    ),
    *halted_and_killed(
        "stack.shadow",
        "shadow-stack",
        gdb_view=True,
        controls=(Control("protect=-shadow", "survived"),),
    ),
]


def test_stack_detect(case: Case, walk: Walk) -> None:
    walk(case)


def test_canaries_differ_between_boots(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        (record,) = boot(ROOT / KERNEL, "lab=stack.canaries", tmp_path).log.select("stack-lab")
        seen.add(record.fields["raw"])
    assert len(seen) == 3


def test_signing_wants_a_cpu_that_signs(tmp_path: Path) -> None:
    end = boot(ROOT / KERNEL, "lab=stack.return_address", tmp_path).log.records[-1]
    assert (end.words, end.fields["why"]) == (("bad-args",), "no-pac")
