"""Every page of docs/ that has made parts; `make docs [ONLY=…]` writes them anew.

    python -m harness.documents.pages [--golden] [NAME…]

`make golden` does the same with --golden: whoever adds a lab has read its golden, and no page is
stale then. That leaves out the pages that boot for long. Not here: what is measured in wall time
(`make bench DOCS=…`) and what takes hours (`make mutants DOCS=…`).
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.documents import (
    boot_stacks,
    catalogue,
    costs,
    growing_stacks,
    memory_labs,
    spawn_chains,
    stack_report,
    stack_suite,
)
from harness.documents.page import Page
from harness.errors import HarnessError, status_of
from harness.similar import similar

COMMAND = "make docs"
PAGES = (
    stack_suite.PAGE,
    boot_stacks.PAGE,
    growing_stacks.PAGE,
    memory_labs.PAGE,
    stack_report.PAGE,
    costs.PAGE,
    spawn_chains.PAGE,
    *catalogue.PAGES,
)


def main(arguments: Sequence[str]) -> int:
    """2: a page could not be written, since a golden is missing, say; the others are."""
    root = Path.cwd()
    pages: list[Page] = []
    status = status_of(lambda: pages.extend(chosen(arguments)))
    return max([status, *(status_of(partial(write, page, root)) for page in pages)])


def chosen(arguments: Sequence[str]) -> list[Page]:
    """Those that are named; all without a name, or with --golden all that are quick."""
    if arguments == ["--golden"]:
        return [page for page in PAGES if not page.slow]
    known = {page.name: page for page in PAGES}
    for name in arguments:
        if name not in known:
            near = similar(name, known) or f"there are: {', '.join(known)}"
            raise HarnessError(f"no page {name} has made parts", hint=f"make docs ONLY=…; {near}")
    return [known[name] for name in arguments] or list(PAGES)


def write(page: Page, root: Path) -> None:
    for path in page.write(root):
        sys.stdout.write(f"docs: {path} written anew\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
