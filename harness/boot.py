"""One boot outside any scenario: a boot line in, what the kernel said out.

For checks that are not rows of a table: the catalogue, refusals of the boot line, determinism. A
scenario is walk.py's business.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.deadline import Deadline
from harness.log import Log, parse
from harness.machine import Machine, MachineSpec
from harness.symbols import build_id

BUDGET_SECONDS = 30.0


@dataclass(frozen=True)
class Boot:
    """The machine ended by itself, and the log is whole and its own."""

    log: Log
    serial: bytes
    int_log: bytes


def boot(kernel: Path, line: str, folder: Path, *, nonce: str | None = None, **spec: Any) -> Boot:
    """Boot `line`, a nonce added (a fixed one makes two boots equal in every byte).

    spec: further fields of MachineSpec. Raises what Machine and log.parse raise.
    """
    nonce = nonce or secrets.token_hex(4)
    append = " ".join((line, f"nonce={nonce}")).strip()
    machine = Machine(MachineSpec(kernel, append=append, **spec), folder)
    with machine:
        ending = machine.wait_end(Deadline(BUDGET_SECONDS))
    log = parse(ending.serial, build_id=build_id(kernel), nonce=nonce)
    return Boot(log, ending.serial, machine.int_log.read_bytes())
