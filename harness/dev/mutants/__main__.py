"""`make mutants`: see the package's first lines. Status 0: none lives; 1: some do; 2: a word of the
command, or the file of accepted ones, is wrong; 130: Ctrl-C."""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from harness import tools
from harness.dev.mutants import accepted, document, made, reach
from harness.dev.mutants.campaign import Campaign, Pair
from harness.dev.mutants.mutant import Mutant
from harness.dev.mutants.outcome import LIVING
from harness.dev.mutants.store import Store, alone
from harness.dev.mutants.tree import Tree, digest, sources
from harness.errors import HarnessError, while_read
from harness.verdict.golden import write_atomic

FOLDER = "mutants"  # of build/


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    root = Path.cwd()
    folder = root / (os.environ.get("BUILD") or "build") / FOLDER
    try:
        with alone(folder):
            return _run(options, root, folder)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("mutants: what is known is kept; the same command goes on\n")
        return 130


def _run(options: argparse.Namespace, root: Path, folder: Path) -> int:
    found = made.mutants(root, sources(root))
    everything = [mutant for mutants in found.values() for mutant in mutants]
    entries = accepted.matched(accepted.parse(_text(root / accepted.FILE)), everything)
    there = made.named(options.files, found)
    tried = made.sample(there, options.count, options.seed)
    campaign = Campaign(
        root, folder, Store(folder / "results.jsonl", digest(root)), entries, options.jobs, _say
    )

    def measured(tree: Tree) -> reach.Reach:
        kinds = {mutant.is_python for mutant in tried}
        known = reach.opened(root, tree, options.jobs, options.tests.split(), kinds)
        known.know_functions(everything)
        return known

    pairs = campaign.run(tried, measured)
    _leave(pairs, root, folder)
    if options.docs:
        write_atomic(options.docs, document.trust(_measured(options, there, pairs)))
    return 1 if any(outcome.status in LIVING for _, outcome in pairs) else 0


def _leave(pairs: list[Pair], root: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "survivors.txt", document.survivors(pairs, root))
    write_atomic(folder / "survivors.html", document.page(pairs, root))
    _say(document.summary(pairs))
    if any(outcome.status in LIVING for _, outcome in pairs):
        shown = folder.relative_to(root)
        _say(f"alive: {shown}/survivors.txt, with diffs; {shown}/survivors.html")


def _measured(
    options: argparse.Namespace, there: list[Mutant], pairs: list[Pair]
) -> document.Measured:
    return document.Measured(
        commit=_commit(),
        command=_command(options),
        population=dict(Counter(mutant.folder for mutant in there)),
        pairs=pairs,
        toolchain=tools.toolchain(),
        qemu=tools.qemu_version(),
    )


def _command(options: argparse.Namespace) -> str:
    """What to type for the same."""
    told = {"FILES": options.files, "TESTS": options.tests, "DOCS": str(options.docs)}
    words = [f"{name}={quote(value)}" for name, value in told.items() if value]
    return " ".join(["make mutants", f"COUNT={options.count}", f"SEED={options.seed}", *words])


def _commit() -> str:
    """Its first ten digits; "+": files differed from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _say(text: str) -> None:
    with while_read():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of mutants: 1 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--files", default="", help="files, file:line, folders, patterns")
    parser.add_argument("--tests", default="", help="tests to try them on; default: all")
    parser.add_argument("--count", type=_number, default=50, help="how many; default: 50")
    parser.add_argument("--seed", type=int, default=1, help="which; default: 1")
    parser.add_argument("--jobs", type=_number, default=os.cpu_count() or 1)
    parser.add_argument("--docs", type=Path, help="the page to write, docs/trust.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
