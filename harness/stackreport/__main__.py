"""The front end: `python -m harness.stackreport --elf IMAGE …`. Status 1 says that a report was
made and has problems, 2 that none could be made.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from harness import markers
from harness.errors import HarnessError, while_read
from harness.producer import producers
from harness.stackreport import asjson, beside, diff, image, marks, notes, picture, report, text
from harness.stackreport.rows import Report

PLACE = "report"  # its name in a document


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        made = _make(options)
        with while_read():
            _write(options, made)
    except (HarnessError, OSError, ValueError) as error:
        print(f"stack report: {error}", file=sys.stderr)
        return 2
    return 1 if made.problems else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.stackreport", description=__doc__)
    add = parser.add_argument
    add("--elf", type=Path, required=True, help="a linked AArch64 image, not stripped")
    add("--notes", type=Path, help="what no tool can know (notes.py has the grammar)")
    add("--marks", type=Path, metavar="DIR", help="golden logs with [stack] records")
    add("--entry", action="append", default=[], help="report this function too; may be repeated")
    add("--top", type=int, default=10, help="how many of the largest frames (10)")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON")
    add("--html", type=Path, metavar="FILE", help="write the picture")
    add("--docs", type=Path, metavar="FILE", help="put the report between the file's two markers")
    add("--diff", type=Path, metavar="OLD.json", help="say what changed since")
    return parser.parse_args(arguments)


def _make(options: argparse.Namespace) -> Report:
    noted = notes.parse(options.notes.read_text("utf-8") if options.notes else "")
    loaded = image.load(options.elf)
    compiler = " and ".join(producers(options.elf))
    measured = marks.read(options.marks, compiler) if options.marks else []
    made = report.make(loaded, beside.read(loaded, noted), measured, options.entry)
    return made if measured or not options.marks else _without_marks(made, options.marks, compiler)


def _without_marks(made: Report, folder: Path, compiler: str) -> Report:
    """Of another compiler's goldens, so that no note is needed about them."""
    print(f"stack report: no golden in {folder} is of {compiler}: nothing is measured")
    return replace(made, problems=tuple(p for p in made.problems if not p.startswith("note mark ")))


def _write(options: argparse.Namespace, made: Report) -> None:
    as_json = asjson.to_json(made)
    # Before anything is written: the old report may be the file that is written.
    old = json.loads(options.diff.read_text("utf-8")) if options.diff else None
    if options.json:
        options.json.write_text(json.dumps(as_json, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.html:
        options.html.write_text(picture.page(made), "utf-8")
    if options.docs:
        before = options.docs.read_text("utf-8")
        generated = text.markdown(made, options.top)
        options.docs.write_text(markers.put(before, PLACE, generated, options.docs), "utf-8")
    print(text.plain(made, options.top), end="")
    if old is not None:
        print("\nSINCE", options.diff)
        print("\n".join(diff.compare(old, as_json) or ["nothing changed"]))


if __name__ == "__main__":
    sys.exit(main())
