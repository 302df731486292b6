"""The machine that a person asks for: SMP= CPU= MEM= MTE= of make run and make debug, as a spec.

What is not given stays as it was. A value that no machine has is refused by name, with what there
is; whether QEMU can really make it, QEMU says. Pure, but for asking QEMU which CPUs it knows.
"""

import argparse
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

from harness.errors import HarnessError
from harness.qemu.machine import MachineSpec
from harness.similar import similar
from harness.tools import find_qemu

MOST_CPUS = 512  # of QEMU's virt board with a GICv3
MEMORY_MIB = range(8, 255 * 1024 + 1)
MTE_CPU = "max"  # the only one of QEMU's that keeps memory tags
_SIZE = re.compile(r"([1-9]\d*)([KMG]?)(?:i?B)?")
_MIB = {"": 1, "M": 1, "G": 1024}
_AARCH32 = re.compile(r"arm\d|pxa|sa11|ti925|cortex-(?:a7|a8|a9|a15|m\d+|r\d+f?)$")
_SWITCH = {"1": True, "on": True, "yes": True, "0": False, "off": False, "no": False}


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, (_, what) in WANTED.items():
        parser.add_argument(f"--{name.lower()}", help=f"{name}=: {what}")


def given(options: argparse.Namespace) -> dict[str, str]:
    """SMP, CPU, MEM, MTE, as far as they were given."""
    found = {name: getattr(options, name.lower()) for name in WANTED}
    return {name: value.strip() for name, value in found.items() if value is not None}


def apply(spec: MachineSpec, asked: Mapping[str, str]) -> MachineSpec:
    """HarnessError when a value is none. Tags want a CPU that keeps them: unless one was named, it
    is taken.
    """
    fields: dict[str, Any] = {}
    for name, value in asked.items():
        fields |= WANTED[name][0](value)
    if fields.get("mte"):
        fields.setdefault("cpu", MTE_CPU)
    changed = replace(spec, **fields)
    if changed.mte and changed.cpu.partition(",")[0] != MTE_CPU:
        raise HarnessError(
            f"CPU={changed.cpu} keeps no memory tags, which MTE=1 asks for",
            hint=f"CPU={MTE_CPU}, or leave CPU out",
        )
    return changed


def words(asked: Mapping[str, str]) -> str:
    """As they are typed."""
    return "".join(f" {name}={quote(value)}" for name, value in asked.items())


def _smp(value: str) -> dict[str, Any]:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MOST_CPUS:
        raise _refused("SMP", value, f"a number of CPUs, 1 to {MOST_CPUS}")
    return {"cpus": int(value)}


def _mem(value: str) -> dict[str, Any]:
    match = _SIZE.fullmatch(value)
    if match and match[2] in _MIB:
        size = int(match[1]) * _MIB[match[2]]
        if size in MEMORY_MIB:
            return {"memory_mib": size}
    raise _refused("MEM", value, "mebibytes, or with M or G behind: 8M to 255G")


def _mte(value: str) -> dict[str, Any]:
    if value.lower() not in _SWITCH:
        raise _refused("MTE", value, "1 or 0")
    return {"mte": _SWITCH[value.lower()]}


def _cpu(value: str) -> dict[str, Any]:
    """Features may stand behind the name (`max,sve=off`): those QEMU checks."""
    name, known = value.partition(",")[0], _cpus()
    if name not in known:
        near = similar(name, known)
        raise _refused("CPU", value, f"one of {', '.join(known)}", near)
    return {"cpu": value}


def _cpus() -> list[str]:
    """The 64-bit ones of this QEMU."""
    command = (str(find_qemu()), "-cpu", "help")
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    names = (line.strip() for line in said.splitlines() if line.startswith(" "))
    return [name for name in names if name and not _AARCH32.match(name)]


def _refused(name: str, value: str, allowed: str, near: str = "") -> HarnessError:
    hint = near or "make help; docs/debugging.md"
    return HarnessError(f"{name}={value} is no {_MEANS[name]}: expected {allowed}", hint=hint)


_MEANS = {
    "SMP": "number of CPUs",
    "CPU": "64-bit CPU that QEMU has",
    "MEM": "size of memory",
    "MTE": "switch",
}
WANTED: Mapping[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "SMP": (_smp, "how many CPUs"),
    "CPU": (_cpu, "which CPU, as QEMU names it"),
    "MEM": (_mem, "how much memory: 256M"),
    "MTE": (_mte, "1: the machine keeps memory tags"),
}
