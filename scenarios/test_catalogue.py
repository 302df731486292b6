"""Nothing is forgotten: labs, scenarios, controls, goldens, each held against the others by name.

The kernel is asked for its own catalogue (lab=list); the scenarios are read from every module
beside this one, whatever part of them this pytest run selected.
"""

import secrets
from importlib import import_module
from inspect import isfunction, signature
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.paths import GOLDEN, KERNEL
from harness.qemu.machine import Machine, MachineSpec
from harness.scenario import Scenario, duplicates
from harness.serial.log import Log, parse
from harness.serial.symbols import build_id
from harness.verdict.golden import goldens, load, orphans

HERE = Path(__file__).parent
ROOT = HERE.parent
BUDGET_SECONDS = 30.0


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """What the kernel answers to lab=list."""
    nonce, kernel = secrets.token_hex(4), ROOT / KERNEL
    spec = MachineSpec(kernel, append=f"lab=list nonce={nonce}")
    with Machine(spec, tmp_path_factory.mktemp("catalogue")) as machine:
        ending = machine.wait_end(Deadline(BUDGET_SECONDS))
    return parse(ending.serial, build_id=build_id(kernel), nonce=nonce)


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    modules = [import_module(f"{HERE.name}.{path.stem}") for path in sorted(HERE.glob("test_*.py"))]
    return [scenario for module in modules for scenario in getattr(module, "SCENARIOS", ())]


def test_every_lab_has_a_scenario(catalogue: Log, scenarios: list[Scenario]) -> None:
    lonely = _listed(catalogue, "lab") - {scenario.lab for scenario in scenarios}
    assert not lonely, f"labs without a scenario: {_names(lonely)}; add rows in scenarios/"


def test_every_scenario_has_a_lab(catalogue: Log, scenarios: list[Scenario]) -> None:
    unknown = {scenario.lab for scenario in scenarios} - _listed(catalogue, "lab")
    assert not unknown, f"scenarios without a lab in the kernel: {_names(unknown)}"


def test_every_protection_dies_somewhere(catalogue: Log, scenarios: list[Scenario]) -> None:
    switched = {name for scenario in scenarios for name in _switched_off(scenario)}
    untested = _listed(catalogue, "protect") - switched
    assert not untested, (
        f"protections that no control switches off: {_names(untested)}; a protection without a"
        " scenario that dies without it is not there: add Control('protect=-NAME', verdict)"
    )


def test_every_row_is_run() -> None:
    idle = {path.name for path in HERE.glob("test_*.py") if _has_idle_rows(path.stem)}
    assert not idle, f"rows that no test takes: {_names(idle)}; add a test with (case, walk)"


def test_no_two_cases_share_a_name(scenarios: list[Scenario]) -> None:
    twice = duplicates(scenarios)
    assert not twice, f"cases with the same name: {', '.join(twice)}; give one a name="


@pytest.mark.accepted
def test_every_scenario_has_a_golden(scenarios: list[Scenario]) -> None:
    missing = _claimed(scenarios) - set(goldens(ROOT / GOLDEN))
    assert not missing, f"missing goldens: {_paths(missing)}; run: make golden"


@pytest.mark.accepted
def test_every_backtrace_is_looked_at_by_gdb(scenarios: list[Scenario]) -> None:
    """Three views: what the kernel walked GDB unwinds too, unless the row says why it cannot."""
    wordless = {s.title for s in scenarios if s.gdb_view is False}
    assert not wordless, f"gdb_view=False: {_names(wordless)}; say why in words instead"
    asked = [s for s in scenarios if not isinstance(s.gdb_view, str)]
    unseen = {f"{s.family}.{s.title}" for s in asked if _areas(s) & {"bt", "gdb"} == {"bt"}}
    assert not unseen, f"[bt] without [gdb]: {_names(unseen)}; set gdb_view=True, or say why not"


@pytest.mark.accepted
def test_every_golden_has_a_scenario(scenarios: list[Scenario]) -> None:
    unused = orphans(ROOT / GOLDEN, _claimed(scenarios) | _held_otherwise())
    assert not unused, f"goldens that no scenario writes: {_paths(set(unused))}; run: make golden"


def _areas(scenario: Scenario) -> set[str]:
    """The areas of the records in a row's golden."""
    (name,) = {case.golden for case in scenario.cases() if case.golden and not case.control}
    recorded = load(ROOT / GOLDEN / name)
    return {record.area[0] for record in recorded.records if record.area} if recorded else set()


def _has_idle_rows(stem: str) -> bool:
    module = import_module(f"{HERE.name}.{stem}")
    tests = [f for name, f in vars(module).items() if name.startswith("test_") and isfunction(f)]
    return hasattr(module, "SCENARIOS") and not any(
        "case" in signature(f).parameters for f in tests
    )


def _listed(catalogue: Log, what: str) -> set[str]:
    """[list] lab NAME, [list] protect NAME."""
    return {r.words[1] for r in catalogue.select("list") if r.words[:1] == (what,)}


def _switched_off(scenario: Scenario) -> set[str]:
    pairs = (pair for control in scenario.controls for pair in control.args.split())
    values = (pair.removeprefix("protect=") for pair in pairs if pair.startswith("protect="))
    return {item[1:] for value in values for item in value.split(",") if item.startswith("-")}


def _held_otherwise() -> set[Path]:
    """GOLDENS of the modules beside this one: what their tests hold without a case."""
    modules = [import_module(f"{HERE.name}.{path.stem}") for path in HERE.glob("test_*.py")]
    return {ROOT / GOLDEN / name for module in modules for name in getattr(module, "GOLDENS", ())}


def _claimed(scenarios: list[Scenario]) -> set[Path]:
    cases = (case for scenario in scenarios for case in scenario.cases())
    return {ROOT / GOLDEN / case.golden for case in cases if case.golden}


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _paths(paths: set[Path]) -> str:
    return ", ".join(sorted(str(path.relative_to(ROOT)) for path in paths))
