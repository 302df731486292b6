"""The report for people: plain text for a terminal, Markdown for docs/stack-report.md. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from harness.stackreport.bounds import Bound, Step
from harness.stackreport.marks import Mark
from harness.stackreport.rows import Entry, Report, StackRow, tightness

NOTHING = "-"


def plain(report: Report, top: int) -> str:
    return "\n".join(_plain(report, top)) + "\n"


def _plain(report: Report, top: int) -> Iterator[str]:
    yield f"{report.elf}  build-id {report.build_id or 'none'}"
    yield f"address-taken functions: {_taken(report)}"
    yield ""
    yield from columns(_function_rows(report, top))
    yield ""
    yield from columns(_stack_rows(report))
    yield ""
    for stack in report.stacks:
        yield f"{stack.name}: {chain(stack.bound.chain)}"
    for title, lines in (("FINDINGS", report.findings), ("PROBLEMS", report.problems)):
        if lines:
            yield from ("", title, *lines)


def markdown(report: Report, top: int) -> str:
    return "\n".join(_markdown(report, top)) + "\n"


def _markdown(report: Report, top: int) -> Iterator[str]:
    yield from ("### Stacks", "", *_table(_stack_rows(report)), "")
    yield "`ever` is the deepest that any golden measured, `tight` how much of the bound that is."
    yield from ("", "### The deepest chains", "")
    for stack in report.stacks:
        yield from (f"`{stack.name}` {stack.bound}", "", f"    {chain(stack.bound.chain)}", "")
        if stack.budget_bound:
            yield f"within its budget of {stack.budget}: {stack.budget_bound}"
            yield from ("", f"    {chain(stack.budget_bound.chain)}", "")
    yield from ("### Entry points", "", *_table(_entry_rows(report.stacks)), "")
    yield from (f"### The {top} largest frames", "", *_table(_function_rows(report, top)), "")
    yield from ("### Findings", "")
    yield from (f"- {line}" for line in report.findings or ["none"])


def _taken(report: Report) -> str:
    if report.taken is None:
        return "unknown, as the image keeps no relocations (ld --emit-relocs)"
    return f"{report.taken}, from kept relocations"


def _function_rows(report: Report, top: int) -> Iterator[Sequence[str]]:
    yield "FRAME", "FUNCTION", "FILE", "COMPILER"
    for row in report.largest(top):
        frame = f"≥ {row.frame} (dynamic)" if row.dynamic else str(row.frame)
        compiler = NOTHING if row.compiler is None else str(row.compiler)
        yield frame, row.name.partition("@")[0], row.unit or NOTHING, compiler


def _stack_rows(report: Report) -> Iterator[Sequence[str]]:
    yield (
        "STACK",
        "BOUND",
        "SIZE",
        "MARGIN",
        "BUDGET",
        "EVER",
        "TIGHT",
        "ENTRY OF THE DEEPEST CHAIN",
    )
    for stack in report.stacks:
        yield (
            stack.name,
            str(stack.bound),
            _number(stack.size or None),
            _number(stack.margin),
            _budget(stack),
            _ever(stack.mark),
            _percent(stack.tightness),
            _deepest_entry(stack),
        )


def _budget(stack: StackRow) -> str:
    return f"{stack.budget_bound} of {stack.budget}" if stack.budget_bound else NOTHING


def _deepest_entry(stack: StackRow) -> str:
    worst = max(stack.entries, key=lambda entry: _severity(entry.total), default=None)
    return worst.name if worst else NOTHING


def _severity(bound: Bound) -> tuple[bool, int]:
    return bound.status == "unbounded", bound.bytes


def _entry_rows(stacks: Iterable[StackRow]) -> Iterator[Sequence[str]]:
    yield "STACK", "ENTRY", "BOUND", "EVER", "TIGHT"
    for stack in stacks:
        for entry in stack.entries:
            mark = stack.mark_of(entry)
            yield (
                stack.name,
                _entry_name(entry),
                str(entry.total),
                _ever(mark),
                _percent(tightness(entry.total, mark)),
            )


def _entry_name(entry: Entry) -> str:
    if not entry.exception:
        return entry.name
    reserved = f", on a frame of {entry.reserved}" if entry.reserved else ""
    return f"{entry.name} (exception, {entry.levels} at once{reserved})"


def chain(steps: Sequence[Step]) -> str:
    """`a 32 → b 64 ×3 → c 16`."""
    parts = []
    for (name, size), group in groupby(steps):
        times = len(list(group))
        parts.append(f"{name.partition('@')[0]} {size}" + (f" ×{times}" if times > 1 else ""))
    return " → ".join(parts) or NOTHING


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Padded to the widest, the last column as it is."""
    table = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for index, row in enumerate(rows):
        yield f"| {' | '.join(cell.lower() if index == 0 else cell for cell in row)} |"
        if index == 0:
            yield "|" + "---|" * len(row)


def _number(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _ever(mark: Mark | None) -> str:
    return _number(mark.deepest if mark else None)


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def short(bound: Bound) -> str:
    """A bound without its reasons, where they stand elsewhere: `≤ 960`, `unbounded`."""
    return bound.status if bound.status == "unbounded" else f"{bound.status} {bound.bytes}"
