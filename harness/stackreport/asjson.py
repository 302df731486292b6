"""The report as JSON, for --json and for --diff of a later one. Pure."""

from typing import Any

from harness.stackreport.bounds import Bound
from harness.stackreport.rows import Report, StackRow, tightness

SCHEMA = 1


def to_json(report: Report) -> dict[str, Any]:
    """docs/stack-report.md documents it; `schema` changes when a reader would have to."""
    return {
        "schema": SCHEMA,
        "elf": report.elf,
        "build_id": report.build_id,
        "address_taken": report.taken,
        "functions": [
            {
                "name": f.name,
                "unit": f.unit,
                "frame": f.frame,
                "dynamic": f.dynamic,
                "compiler": f.compiler,
            }
            for f in sorted(report.functions, key=lambda f: f.name)
        ],
        "stacks": [_stack_json(stack) for stack in report.stacks],
        "findings": list(report.findings),
        "problems": list(report.problems),
    }


def _stack_json(stack: StackRow) -> dict[str, Any]:
    mark = stack.mark
    return {
        "name": stack.name,
        "size": stack.size,
        "bound": _bound_json(stack.bound),
        "margin": stack.margin,
        "unbounded": stack.unbounded or None,
        "budget": stack.budget
        and stack.budget_bound
        and {"bytes": stack.budget, "bound": _bound_json(stack.budget_bound)},
        "watermark": mark
        and {"used": mark.used, "lowest_sp": mark.lowest or None, "log": mark.log},
        "tightness": _rounded(stack.tightness),
        "entries": [
            {
                "function": e.name,
                "exception": e.exception,
                "levels": e.levels,
                "reserved": e.reserved,
                "bound": _bound_json(e.bound),
                "tightness": _rounded(tightness(e.total, stack.mark_of(e))),
            }
            for e in stack.entries
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _bound_json(bound: Bound) -> dict[str, Any]:
    return {
        "status": bound.status,
        "bytes": None if bound.status == "unbounded" else bound.bytes,
        "text": str(bound),
        "reasons": sorted(bound.reasons),
        "chain": [{"function": s.function, "bytes": s.bytes} for s in bound.chain],
    }
