"""The tables of docs/stack-report.md: the bounds of this kernel's stacks, beside the marks."""

from pathlib import Path

from harness import tools
from harness.documents.page import Page, recorded_by
from harness.paths import GOLDEN, KERNEL, NOTES
from harness.stackreport import beside, image, marks, notes, report, text

TOP = 10  # of the largest frames


def bounds(root: Path) -> str | None:
    """Bounds belong to one toolchain, that of the goldens; under another the page stays."""
    if recorded_by(root) != tools.toolchain():
        return None
    loaded = image.load(root / KERNEL)
    noted = notes.parse((root / NOTES).read_text("utf-8"))
    made = report.make(loaded, beside.read(loaded, noted), marks.read(root / GOLDEN))
    return text.markdown(made, TOP)


PAGE = Page(Path("docs/stack-report.md"), {"report": bounds})
