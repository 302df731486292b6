"""The report as one HTML page with inline SVG, nothing fetched: one bar a stack, scaled to its own
size.

The coloured segments are the deepest chain, from the stack's top (left) down; a red line is the
budget, a black triangle what was ever measured. Pointing at a segment names it. Pure.
"""

from collections.abc import Iterator
from html import escape

from harness.stackreport.bounds import Step
from harness.stackreport.rows import Report, StackRow
from harness.stackreport.text import chain, short

WIDTH = 1000
BAR = 26
HUES = 12

_STYLE = """\
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; max-width: 1040px; color: #222; }
h2 { font-size: 15px; margin: 1.4em 0 .2em; font-weight: 600; } h2 small { font-weight: 400; color:
#555; } p { margin: .2em 0; font-family: ui-monospace, monospace; font-size: 12px; color: #555; }
svg { display: block; width: 100%; } li { font-family: ui-monospace, monospace; } .bad { color:
#b00020; }"""


def page(report: Report) -> str:
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f"<title>Stacks of {escape(report.elf)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>Stacks of {escape(report.elf)}</h1>"
    yield f"<p>build-id {escape(report.build_id or 'none')}</p>"
    for stack in report.stacks:
        yield from _stack(stack)
    for title, lines in (("Problems", report.problems), ("Findings", report.findings)):
        if lines:
            items = "".join(f"<li>{escape(line)}</li>" for line in lines)
            yield f'<h2 class="{"bad" if title == "Problems" else ""}">{title}</h2><ul>{items}</ul>'
    yield "</body></html>"


def _stack(stack: StackRow) -> Iterator[str]:
    mark = f", measured {stack.mark.deepest} ({stack.mark.log})" if stack.mark else ""
    budget = f", {stack.budget_bound} of a budget of {stack.budget}" if stack.budget_bound else ""
    said = f"{stack.bound} of {stack.size or '?'}{budget}{mark}"
    yield f"<h2>{escape(stack.name)} <small>{escape(said)}</small></h2>"
    label = f"{stack.name}: {short(stack.bound)} of {stack.size} bytes"
    yield f'<svg viewBox="0 0 {WIDTH} {BAR + 14}" role="img" aria-label="{escape(label)}">'
    yield f'<rect width="{WIDTH}" height="{BAR}" fill="#eee" stroke="#999"/>'
    full = stack.size or max(stack.bound.bytes, 1)
    yield from _segments(stack.bound.chain, full)
    if stack.budget:
        yield _line(stack.budget, full, "#d00000", f"budget {stack.budget}")
    if stack.mark:
        yield _triangle(min(stack.mark.deepest, full), full, f"measured {stack.mark.deepest}")
    yield f"</svg><p>{escape(chain(stack.bound.chain))}</p>"


def _segments(steps: tuple[Step, ...], full: int) -> Iterator[str]:
    at = 0
    for index, step in enumerate(steps):
        left, right = _x(at, full), _x(at + step.bytes, full)
        at += step.bytes
        title = escape(f"{step.function}: {step.bytes} bytes, {at} from the top")
        yield (
            f'<rect x="{left:.2f}" width="{right - left:.2f}" height="{BAR}"'
            f' fill="hsl({index % HUES * 360 // HUES} 60% 62%)"><title>{title}</title></rect>'
        )


def _line(value: int, full: int, colour: str, title: str) -> str:
    x = _x(value, full)
    return (
        f'<line x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{BAR + 4}" stroke="{colour}" stroke-width="2">'
        f"<title>{escape(title)}</title></line>"
    )


def _triangle(value: int, full: int, title: str) -> str:
    x = _x(value, full)
    points = f"{x:.2f},{BAR} {x - 5:.2f},{BAR + 10} {x + 5:.2f},{BAR + 10}"
    return f'<polygon points="{points}" fill="#000"><title>{escape(title)}</title></polygon>'


def _x(value: int, full: int) -> float:
    return WIDTH * min(value, full) / full
