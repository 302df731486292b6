"""A run as the kernel prints it, and what belongs to it: for all tests that read logs."""

from dataclasses import dataclass
from pathlib import Path

from harness.scenario import Control, Scenario
from harness.serial.symbols import Symbols
from harness.verdict.judge import Build, Evidence
from harness.verdict.views import SIGNAL_FRAME

BUILD_ID = "9f3c0a11223344556677889900aabbccddeeff01"
NONCE = "4d2a"
BUILD = Build(BUILD_ID, "aarch64-linux-gnu-gcc 12.2.0", "7.2")
OTHER_BUILD = Build(BUILD_ID, "aarch64-none-elf-gcc 13.2.1", "7.2")

SERIAL = f"""\
[boot] highwater build={BUILD_ID} nonce={NONCE} el=1 cpus=1 ram=134217728
[boot] args : lab=stack.recurse nonce={NONCE}
[boot] protect guard=on sentinel=on canary=on watermark=on
[lab] enter name=stack.recurse stack=16384 past=2048 : overflow a thread's stack by recursion
[stack-lab] recursing thread=victim size=16384 : until sp is 2048 bytes past the end
[EXC] sync ec=0x25 fsc=0x07 op=write far=thread:victim-0x10 elr=recurse+0x0 sp=thread:victim+0x0 \
mode=EL1t cpu=0 thread=victim raw=0xffffffe000001ff0 : (DABT) data abort, same EL
[EXC] overflow stack=thread:victim guard=below beyond=16 by=sp : ran through its own stack
[bt] #0 recurse+0x0 frame=0 stack=thread:victim
[bt] #1 recurse+0x2c frame=48 stack=thread:victim via=lr
[bt] #2 recurse+0x2c frame=48 stack=thread:victim times=338
[bt] #340 recurse_thread+0x1c frame=32 stack=thread:victim
[bt] #341 thread_start+0x8 frame=0 stack=thread:victim
[bt] end why=entry frames=342 depth=16384
[stack] thread:victim used=16384 size=16384 guard=ok lowest_sp=16384
[end] caught by=guard-page
""".encode()

INT_LOG = b"""\
Taking exception 11 [Hypervisor Call] on CPU 0
...from EL1 to EL2
...with ESR 0x16/0x5a000000
...handled as PSCI call
Taking exception 5 [IRQ] on CPU 0
...from EL1 to EL1
...with ESR 0x25/0x96000047
...with ELR 0xffffffe000080200
...to EL1 PC 0xffffffe000081a80 PSTATE 0x3c5
Exception return from AArch64 EL1 to AArch64 EL1 PC 0xffffffe000080200
Taking exception 4 [Data Abort] on CPU 0
...from EL1 to EL1
...with ESR 0x25/0x96000047
...with FAR 0xffffffe000001ff0
...with ELR 0xffffffe000080200
...to EL1 PC 0xffffffe000081a00 PSTATE 0x3c5
"""

SCENARIO = Scenario(
    "stack.recurse",
    verdict="caught by=guard-page",
    aborts=1,
    triggers=("boot", "serial", "gdb"),
    poke={"past": 2048},
    controls=(
        Control("protect=-guard", "caught by=sentinel"),
        Control("protect=-guard,-sentinel", "survived"),
    ),
)

# Where the functions of the sample stand.
FUNCTIONS = {
    "recurse": 0x1000,
    "recurse_thread": 0x2000,
    "thread_start": 0x3000,
    "vector_sync": 0x4000,
}


@dataclass(frozen=True)
class Frame:
    """One frame as GDB tells it."""

    address: int
    function: str | None


NAMES = Symbols(tuple(FUNCTIONS.values()), tuple(FUNCTIONS), 0x5000)


def look() -> list[Frame]:
    """GDB's backtrace in the hook that agrees with SERIAL."""
    handlers = [
        Frame(0x9000, "debugger_fault_hook"),
        Frame(0x8000, "fault"),
        Frame(0x4004, SIGNAL_FRAME),
    ]
    return [
        *handlers,
        Frame(0x1000, "recurse"),
        *[Frame(0x102C, "recurse")] * 339,
        Frame(0x201C, "recurse_thread"),
        Frame(0x3008, "thread_start"),
    ]


def evidence(serial: bytes = SERIAL, int_log: bytes = INT_LOG, *, looked: bool = True) -> Evidence:
    return Evidence(serial, int_log, NONCE, (tuple(look()),) if looked else None)


GOLDEN_TEXT = """\
# highwater golden 1
# lab: stack.recurse
# boot: lab=stack.recurse past=2048
# toolchain: aarch64-linux-gnu-gcc 12.2.0
# qemu: 7.2
[lab] enter name=stack.recurse stack=16384 past=2048 : overflow a thread's stack by recursion
[stack-lab] recursing thread=victim size=16384 : until sp is 2048 bytes past the end
[EXC] sync ec=0x25 fsc=0x07 op=write far=thread:victim-0x10 elr=recurse+0x0 sp=thread:victim+0x0 \
mode=EL1t cpu=0 thread=victim : (DABT) data abort, same EL
[EXC] overflow stack=thread:victim guard=below beyond=16~25% by=sp : ran through its own stack
[bt] #0 recurse+0x0 frame=0~25% stack=thread:victim
[bt] #1 recurse+0x2c frame=48~25% stack=thread:victim via=lr
[bt] #2 recurse+0x2c frame=48~25% stack=thread:victim times=338~25%
[bt] #340 recurse_thread+0x1c frame=32~25% stack=thread:victim
[bt] #341 thread_start+0x8 frame=0~25% stack=thread:victim
[bt] end why=entry frames=342~25% depth=16384~25%
[stack] thread:victim used=16384~25% size=16384 guard=ok lowest_sp=16384~25%
[end] caught by=guard-page
[gdb] #0 recurse+0x0
[gdb] #1 recurse+0x2c
[gdb] #2 recurse+0x2c times=338~25%
[gdb] #340 recurse_thread+0x1c
[gdb] #341 thread_start+0x8
[qemu] aborts data=1 prefetch=0 undefined=0 sp_align=0 pc_align=0
"""


def write_golden(root: Path, text: str = GOLDEN_TEXT) -> Path:
    """The sample's golden under root/, where stack.recurse looks for it."""
    path = root / "stack" / "recurse.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
