"""What changed since an older report (its JSON): frames, bounds, and which of them got worse.
Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import HarnessError
from harness.stackreport.asjson import SCHEMA


class OldReportError(HarnessError):
    """What --diff was given is no report, or one of another schema."""


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line a change; none when nothing that is reported changed. Both as asjson.to_json()
    makes."""
    if not isinstance(old, dict) or old.get("schema") != SCHEMA:
        raise OldReportError(f"the old report has not schema {SCHEMA}", hint="make stack-report")
    return [*_stacks(old, new), *_functions(old, new)]


def _named(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


def _stacks(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = _named(old["stacks"]), _named(new["stacks"])
    for name in sorted(before.keys() | after.keys()):
        was, now = _bound(before.get(name)), _bound(after.get(name))
        if was["text"] != now["text"]:
            yield f"stack {name}: {was['text']} → {now['text']}{_delta(was['bytes'], now['bytes'])}"
        if _path(was) != _path(now) and was["text"] != "none" != now["text"]:
            yield f"stack {name}: the deepest chain is now {' → '.join(_path(now))}"


def _bound(stack: Mapping[str, Any] | None) -> dict[str, Any]:
    return stack["bound"] if stack else {"text": "none", "bytes": None, "chain": []}


def _path(bound: Mapping[str, Any]) -> list[str]:
    return [step["function"] for step in bound["chain"]]


def _functions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = _named(old["functions"]), _named(new["functions"])
    changed = []
    for name in before.keys() | after.keys():
        was = before[name]["frame"] if name in before else None
        now = after[name]["frame"] if name in after else None
        if was != now:
            changed.append((-abs((now or 0) - (was or 0)), name, was, now))
    for _, name, was, now in sorted(changed):
        yield f"frame {name}: {_or_none(was)} → {_or_none(now)}{_delta(was, now)}"


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)


def _delta(was: int | None, now: int | None) -> str:
    return "" if was is None or now is None else f" ({now - was:+d})"
