"""What is asked: rows of scenarios/, with their controls. Pure; no machine in it.

A file of scenarios/ takes all it needs from here. The names are those of row.py.
"""

from harness.scenario.row import (
    DETERMINISTIC,
    GLOBAL_KEYS,
    PROBING,
    UNHURRIED_MS,
    Case,
    Control,
    Scenario,
    Trigger,
    Walk,
    duplicates,
    halted_and_killed,
    is_elsewhere,
    number,
)

__all__ = [
    "DETERMINISTIC",
    "GLOBAL_KEYS",
    "PROBING",
    "UNHURRIED_MS",
    "Case",
    "Control",
    "Scenario",
    "Trigger",
    "Walk",
    "duplicates",
    "halted_and_killed",
    "is_elsewhere",
    "number",
]
