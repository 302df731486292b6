"""Every value that a parameter may have ends in a verdict with a name, and every other in bad-args.

Generated from the kernel's own catalogue: of each lab's each parameter the smallest value, the
largest, and the one beyond each; of one whose values have names each of them, a misspelt one and a
number. On the machine of the lab's first row; warm where it can be, as there are 700 boots.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.paths import KERNEL
from harness.qemu.fast.warm import WarmPool
from harness.run.boot import boot
from harness.scenario import Scenario, Walk
from harness.serial.catalogue import Catalogue, Lab, Param, read
from harness.serial.log import Log

HERE = Path(__file__).parent
IMAGE = HERE.parent / KERNEL
LISTED = "boot/list.log"
GOLDENS = (LISTED,)

NAMED = {"ok", "caught", "contained", "survived", "bad-args"}
# What a lab is about: its parameter says so.
ELSE = {
    "boot.light act=4": "hang by=watchdog",
    "boot.smp overflow=4": "double-fault by=last-report",
    "crash.hang": "hang by=watchdog",
    "grow.seed left=928": "hang by=watchdog",
    "stack.emergency": "double-fault",
    "stack.emergency_overflow": "double-fault by=last-report",
    "time.hang": "hang by=watchdog",
    "time.stopped stop=1": "hang by=no-tick",
}


def first_rows() -> dict[str, Scenario]:
    """By lab; any row knows what machine its lab needs."""
    modules = (import_module(f"{HERE.name}.{path.stem}") for path in sorted(HERE.glob("test_*.py")))
    rows = [row for module in modules for row in getattr(module, "SCENARIOS", ())]
    return {row.lab: row for row in reversed(rows)}


ROWS = first_rows()


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return read(boot(IMAGE, "lab=list", tmp_path_factory.mktemp("list")).log.records)


def inside(param: Param) -> list[str]:
    if param.names:
        return list(param.names)
    return [str(value) for value in dict.fromkeys((param.least, param.most))]


def outside(param: Param) -> list[str]:
    if param.names:
        return ["misspelt", str(param.least), f"{param.names[0]}x"]
    below = [str(param.least - 1)] if param.least else ["-1"]
    return [*below, str(param.most + 1)] if param.most < 2**64 - 1 else below


def expected(line: str) -> str:
    """A verdict, or the word of one; "": any that has a name."""
    return next((verdict for known, verdict in ELSE.items() if line.startswith(known)), "")


def is_named(log: Log, line: str) -> bool:
    other = expected(line)
    return log.verdict.split(" ")[0] in NAMED or bool(other and log.verdict.startswith(other))


def refusal(log: Log) -> tuple[str, str | None]:
    end = log.records[-1]
    return f"{end.words[0]} {end.fields.get('why', '')}", end.fields.get("key")


def run(row: Scenario, line: str, folder: Path, warm: WarmPool) -> Log:
    machine: dict[str, Any] = {"cpus": row.cpus, "cpu": row.cpu, "mte": row.mte}
    return boot(IMAGE, f"lab={line}", folder, warm=warm, **machine).log


def problems(lab: Lab, folder: Path, warm: WarmPool) -> Iterator[str]:
    row = ROWS[lab.name]
    for param in lab.params:
        for value in inside(param):
            line = f"{lab.name} {param.key}={value}"
            log = run(row, line, folder, warm)
            if not is_named(log, line):
                yield f"{line}: {log.records[-1]}"
        why = "bad-value" if param.names else "out-of-range"
        for value in outside(param):
            line = f"{lab.name} {param.key}={value}"
            log = run(row, line, folder, warm)
            if refusal(log) != (f"bad-args {why}", param.key):
                yield f"{line}: {log.records[-1]}"


@pytest.mark.parametrize("lab", sorted(ROWS))
def test_each_value_ends_by_name(
    lab: str, catalogue: Catalogue, warm: WarmPool, tmp_path: Path
) -> None:
    (found,) = (known for known in catalogue.labs if known.name == lab)
    wrong = list(problems(found, tmp_path, warm))
    assert not wrong, "\n".join(wrong)


def test_what_is_expected_otherwise_is_a_value(catalogue: Catalogue) -> None:
    known = {lab.name: {param.key for param in lab.params} for lab in catalogue.labs}
    for line in ELSE:
        lab, _, pair = line.partition(" ")
        assert lab in known, line
        assert not pair or pair.partition("=")[0] in known[lab], line


def test_the_catalogue_is_its_golden(walk: Walk, tmp_path: Path) -> None:
    """And whole: no line of it was cut, and no word of one shows through another."""
    log = boot(IMAGE, "lab=list", tmp_path).log
    listed = [str(record) for record in log.records if record.area == ("list",)]
    assert not [line for line in listed if line.endswith("~")]
    walk.hold(LISTED, "lab=list", listed)


def test_names_are_words_and_no_two_alike(catalogue: Catalogue) -> None:
    for lab in catalogue.labs:
        for param in lab.params:
            assert len(set(param.names)) == len(param.names), (lab.name, param)
            assert all(name and not set(name) & set(" =,:~") for name in param.names), param


@pytest.mark.parametrize("line", ["list extra=1", "list stack=16K"])
def test_the_catalogue_takes_no_parameters(line: str, tmp_path: Path) -> None:
    end = boot(IMAGE, f"lab={line}", tmp_path).log.records[-1]
    assert (end.words, end.fields["why"]) == (("bad-args",), "unknown-key")
    assert "no key of list" in end.prose
