"""The pages of docs/ that are written from rows, goldens and the image: all of them anew.

    make pages

`make golden` does the same when it has accepted something: whoever adds a lab has read its golden,
and no page is stale. A test of each page holds the committed text against its generator. Not here:
what is held within bands (costs), measured in wall time (bench), or boots for long (chains).
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from harness import tools
from harness.documents import boot_stacks, growing_stacks, memory_labs, stack_suite
from harness.errors import status_of
from harness.paths import GOLDEN, KERNEL
from harness.stackreport import beside, image, marks, notes, report, text
from harness.stackreport.__main__ import into
from harness.verdict.golden import load, write_atomic

COMMAND = "make pages"
Page = Callable[[str, Path], str]  # the text as it is, the root → the text as it should be


def stack_report(before: str, root: Path) -> str:
    """Bounds belong to one toolchain, that of the goldens; under another the page stays."""
    golden = load(root / GOLDEN / "stack/recurse.log")
    if golden is None or golden.toolchain != tools.toolchain():
        return before
    loaded = image.load(root / KERNEL)
    noted = notes.parse((root / "kernel/stack-notes.toml").read_text("utf-8"))
    made = report.make(loaded, beside.read(loaded, noted), marks.read(root / GOLDEN))
    return into(before, text.markdown(made, 10))


PAGES: Mapping[str, Page] = {
    "docs/stack-suite.md": lambda _, root: stack_suite.document(root, stack_suite.catalogue(root)),
    "docs/boot-stacks.md": lambda _, root: boot_stacks.document(root, stack_suite.catalogue(root)),
    "docs/growing-stacks.md": growing_stacks.document,
    "docs/memory-labs.md": memory_labs.DOCUMENT.rewritten,
    "docs/stack-report.md": stack_report,
}


def main() -> int:
    """2: a page could not be written, since a golden is missing; the others are."""
    root = Path.cwd()
    return max([status_of(partial(rewrite, root, name)) for name in PAGES])


def rewrite(root: Path, name: str) -> None:
    before = (root / name).read_text("utf-8")
    after = PAGES[name](before, root)
    if after != before:
        write_atomic(root / name, after)
        sys.stdout.write(f"pages: {name} written anew\n")


if __name__ == "__main__":
    sys.exit(main())
