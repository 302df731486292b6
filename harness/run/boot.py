"""One boot outside any scenario: a boot line in, what the kernel said out.

For checks that are not rows of a table: the catalogue, refusals of the boot line, determinism. A
scenario is walk.py's business.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.deadline import Deadline
from harness.errors import HarnessError
from harness.qemu.fast.warm import WarmPool
from harness.qemu.machine import Machine, MachineSpec
from harness.scenario import UNHURRIED_MS
from harness.serial.log import Log, parse
from harness.serial.symbols import build_id

BUDGET_SECONDS = 30.0
UNHURRIED = f"watchdog={UNHURRIED_MS}"


@dataclass(frozen=True)
class Boot:
    """The machine ended by itself, and the log is whole and its own."""

    log: Log
    serial: bytes
    int_log: bytes


def boot(
    kernel: Path,
    line: str,
    folder: Path,
    *,
    nonce: str | None = None,
    warm: WarmPool | None = None,
    **spec: Any,
) -> Boot:
    """Boot `line`, a nonce added (a fixed one makes two boots equal in every byte). Without icount
    the line says how long the watchdog waits, UNHURRIED at best.

    warm: from a snapshot there, if nothing speaks against it: for a sweep. spec: further fields of
    MachineSpec. Raises what Machine and log.parse raise.
    """
    check_watchdog(line, **spec)
    nonce = nonce or secrets.token_hex(4)
    append = " ".join((line, f"nonce={nonce}")).strip()
    serial, int_log = _boot(MachineSpec(kernel, append=append, **spec), folder, warm)
    return Boot(parse(serial, build_id=build_id(kernel), nonce=nonce), serial, int_log)


def check_watchdog(line: str, *, icount: str | None = "", **_: Any) -> None:
    """ValueError for a boot whose verdict a busy host would decide."""
    if icount is None and " watchdog=" not in line:
        raise ValueError(f"{line!r} without icount: say how long the watchdog waits, {UNHURRIED}")


def _boot(spec: MachineSpec, folder: Path, warm: WarmPool | None) -> tuple[bytes, bytes]:
    if warm:
        with suppress(HarnessError):  # a cold boot tells what is the matter
            done = warm.boot(spec, Deadline(BUDGET_SECONDS))
            return done.serial, done.int_log
    machine = Machine(spec, folder)
    with machine:
        serial = machine.wait_end(Deadline(BUDGET_SECONDS)).serial
    return serial, machine.int_log.read_bytes()
