"""Spawn labs: programs at EL0, and what becomes of those that break."""

from pathlib import Path

import pytest

from harness.paths import KERNEL, ROOT
from harness.run.boot import boot
from harness.scenario import Case, Control, Scenario, Walk, is_elsewhere
from harness.tools import VERSIONS

# It dies on the `ret` of a program.
AT_A_RET = (
    "clang before 15 writes no CFI of epilogues: at a ret GDB goes by an x29 that is the caller's"
    if not is_elsewhere("clang<15", VERSIONS)
    else None
)
OWN_FAULT = "the CPU itself refuses it at EL0: there is no switch for that"
CHAIN_ONLY = "VA 0 is mapped nowhere; what these rows hold is the chain across IPC"
NOTHING_BROKEN = "nothing is broken here; that all comes back is what the lab checks"

NO_SWITCH = "refusals have no switch; with one gone from the kernel a seed ends in another verdict"

# What only keeps a program honest: without it the program runs, or dies alone.
POLICY = (
    "magic",
    "class",
    "byte-order",
    "type",
    "machine",
    "no-segments",
    "memory-short",
    "misaligned",
    "overlap",
    "write-execute",
    "entry-outside",
)
# What keeps the kernel whole has no switch. What each is for, and what shows it.
STRUCTURE = {
    "truncated": "the kernel would read behind the file's end: elf.truncated in test_host.py",
    "headers-outside": "the kernel would read behind what it has of the file: elf.headers there",
    "file-outside": "the kernel would ask for what the fs server then refuses: elf.file there",
    "memory-huge": "the next check would refuse this one, too: no program has room for it",
    "kernel-half": "the kernel would ask for a page outside of EL0's half: elf.half there",
}


def bad_elf(how: str, *controls: Control, uncontrolled: str = "") -> Scenario:
    return Scenario(
        "spawn.bad_elf",
        args=f"how={how}",
        name=f"bad_elf-{how}",
        verdict="caught by=elf-check",
        controls=controls,
        uncontrolled=uncontrolled,
    )


def crasher(how: str, detector: str) -> Scenario:
    return Scenario(
        "spawn.crasher",
        args=f"how={how}",
        name=f"crasher-{how}",
        verdict=f"contained by={detector}",
        aborts=2,
        uncontrolled=OWN_FAULT,
    )


SCENARIOS = [
    Scenario(
        "spawn.hello",
        verdict="ok",
        triggers=("boot", "serial", "gdb"),
        poke={"code": 7},
        uncontrolled=NOTHING_BROKEN,
    ),
    crasher("null", "null-page"),
    crasher("kernel-read", "el0"),
    crasher("execute-data", "w^x"),
    Scenario(
        "spawn.crasher",
        args="how=undefined",
        name="crasher-undefined",
        verdict="contained by=exception",
        gdb_view=True,
        uncontrolled=OWN_FAULT,
    ),
    Scenario(
        "spawn.crasher",
        args="how=kernel-argument",
        name="crasher-kernel-argument",
        verdict="caught by=useraccess",
        controls=(Control("protect=-useraccess", "survived"),),
    ),
    Scenario(
        "spawn.user_overflow",
        verdict="contained by=guard-page",
        aborts=2,
        triggers=("boot", "serial", "gdb"),
        controls=(
            Control("protect=-guard", "contained by=sentinel"),
            Control("protect=-guard,-sentinel", "survived"),
        ),
    ),
    Scenario("spawn.depth", verdict="ok", uncontrolled=NOTHING_BROKEN),
    Scenario(
        "spawn.depth", verdict="ok", args="depth=63", name="depth-63", uncontrolled=NOTHING_BROKEN
    ),
    Scenario("spawn.storm", verdict="ok", uncontrolled=NOTHING_BROKEN),
    Scenario("spawn.orphans", verdict="ok", uncontrolled=NOTHING_BROKEN),
    Scenario("spawn.oom", verdict="ok", uncontrolled=NOTHING_BROKEN),
    *(
        Scenario(
            "spawn.oom",
            args=f"leak={leak}",
            name=f"oom-leak{of}",
            verdict="caught by=leak-check",
            controls=(Control("protect=-leak-check", "survived"),),
        )
        for leak, of in ((1, ""), (2, "-handle"))
    ),
    Scenario("spawn.hog", verdict="ok", uncontrolled=NOTHING_BROKEN),
    Scenario(
        "spawn.hog",
        args="bytes=1M regions=0",
        name="hog-ram",
        verdict="ok",
        uncontrolled=NOTHING_BROKEN,
    ),
    *(
        Scenario(
            "spawn.user_pointer",
            args="on-fault=kill",
            name=f"user_pointer{suffix}",
            verdict="contained by=pan",
            aborts=2,
            cpu=cpu,
            controls=(Control("protect=-pan", "survived"),),
        )
        for suffix, cpu in (("", "cortex-a72"), ("-max", "max"))
    ),
    Scenario(
        "spawn.user_pointer",
        args="on-fault=kill table=1",
        name="user_pointer-table-max",
        verdict="contained by=pan",
        aborts=2,
        cpu="max",
        controls=(Control("protect=-pan", "survived"),),
    ),
    Scenario(
        "spawn.user_pointer",
        args="on-fault=kill table=1",
        name="user_pointer-table",
        verdict="survived",
        uncontrolled="this is the control of user_pointer-table-max: a CPU that has no PAN",
    ),
    # Executable at EL0, and no code to the kernel: with the process's table in TTBR0 nothing else
    # is in the way. Without it the empty table is.
    Scenario(
        "spawn.user_code",
        args="on-fault=kill table=1",
        name="user_code-table",
        verdict="contained by=pxn",
        aborts=2,
        gdb_view=AT_A_RET,
        controls=(Control("protect=-pxn", "survived"),),
    ),
    Scenario(
        "spawn.user_code",
        args="on-fault=kill",
        name="user_code",
        verdict="contained by=pan",
        aborts=2,
        gdb_view=AT_A_RET,
        controls=(
            Control("protect=-pan", "contained by=pxn"),
            Control("protect=-pan,-pxn", "survived"),
        ),
    ),
    Scenario(
        "spawn.hostile",
        verdict="caught by=system-call",
        controls=(Control("protect=-useraccess", "survived"),),
    ),
    Scenario(
        "spawn.server_dies",
        args="on-fault=kill",
        name="server_dies",
        verdict="contained by=null-page",
        aborts=1,
        controls=(Control("on-fault=halt", "caught by=null-page"),),
    ),
    Scenario(
        "spawn.server_dies",
        args="how=exit",
        name="server_dies-exit",
        verdict="ok",
        uncontrolled=NOTHING_BROKEN,
    ),
    Scenario(
        "spawn.edges",
        verdict="caught by=elf-check",
        controls=(Control("protect=-elf-check", "survived"),),
    ),
    Scenario("spawn.files", verdict="ok", uncontrolled=NO_SWITCH),
    Scenario("spawn.fuzz", args="calls=60 seed=5", verdict="ok", uncontrolled=NO_SWITCH),
    *(bad_elf(how, uncontrolled=why) for how, why in STRUCTURE.items()),
    *(bad_elf(how, Control("protect=-elf-check", "survived")) for how in POLICY),
    Scenario(
        "spawn.ipc_deep",
        verdict="caught by=null-page",
        aborts=1,
        uncontrolled=CHAIN_ONLY,
    ),
    Scenario(
        "spawn.ipc_deep",
        args="on-fault=kill",
        name="ipc_deep-kill",
        verdict="contained by=null-page",
        aborts=1,
        uncontrolled=CHAIN_ONLY,
    ),
]


def test_spawn(case: Case, walk: Walk) -> None:
    walk(case)


# Each seed is a machine of its own: 8 programs of 500 calls, one after the other. In 1023 init is
# preempted in the middle of a process that it gives back.
@pytest.mark.parametrize("seed", (1000, 1023, 2000, 3000, 4000))
def test_thousands_of_calls_at_random_break_nothing(seed: int, tmp_path: Path) -> None:
    line = f"lab=spawn.fuzz seed={seed} calls=500 programs=8"
    log = boot(ROOT / KERNEL, line, tmp_path).log
    assert log.verdict == "ok", log.records[-3:]
    fuzzed = [record.fields for record in log.select("spawn") if record.words == ("fuzzed",)]
    assert [row["seed"] for row in fuzzed] == [str(seed + n) for n in range(8)]
    assert {row["calls"] for row in fuzzed} == {"500"}
