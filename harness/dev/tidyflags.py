"""The compiler's command lines as clang-tidy can read them.

The kernel is built by GCC, with options that clang does not know and takes for errors. `make lint`
calls this as `python -m harness.dev.tidyflags FROM TO HEADERS`: both are compile_commands.json, and
the folder of stddef.h and its like. The copy has clang's target and none of the options below.
Warnings are dropped too: GCC gave its own.
"""

import json
import shlex
import sys
from pathlib import Path

# What an option begins with -> why clang-tidy must not see it.
DROPPED = {
    "-W": "warnings are the build's; clang-tidy's own list is .clang-tidy",
    "-fcallgraph-info": "GCC only",
    "-fconserve-stack": "GCC only",
    "-fno-allow-store-data-races": "GCC only",
    "-fno-shrink-wrap": "GCC only",
    "-fno-ipa": "GCC only",
    "-fno-partial-inlining": "GCC only",
    "-fstack-usage": "GCC only: it would write files",
    "-fstack-clash-protection": "changes code, not meaning",
    "-fstack-check": "GCC only",
    "-mstack-protector-guard": "GCC only in clang 14",
    "-mno-outline-atomics": "changes code, not meaning",
    "-mstack-probe-size": "changes code, not meaning",
    "-Xclang": "the kernel's clang has it for the canary's register",
    "-mllvm": "changes code, not meaning",
    "-mgeneral-regs-only": "refuses nothing that clang-tidy looks for",
    "--param": "GCC only",
    "-M": "dependency files are the build's",
}

# Options whose value is the next word.
WITH_VALUE = frozenset({"--param", "-Xclang", "-mllvm", "-MF", "-MT", "-MQ"})

CLANG = ("clang", "--target=aarch64-none-elf")


def translate(arguments: list[str], headers: str) -> list[str]:
    """GCC's command line without what DROPPED names, run by clang with these headers of its own."""
    kept = [*CLANG, "-isystem", headers]
    words = iter(arguments[1:])
    for word in words:
        if any(word.startswith(prefix) for prefix in DROPPED):
            if word in WITH_VALUE:
                next(words, None)
        else:
            kept.append(word)
    return kept


def translate_entry(entry: dict[str, object], headers: str) -> dict[str, object]:
    given = entry.get("arguments")
    arguments = given if isinstance(given, list) else shlex.split(str(entry["command"]))
    return {
        "directory": entry["directory"],
        "file": entry["file"],
        "arguments": translate([str(word) for word in arguments], headers),
    }


def main() -> int:
    source, target, headers = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    given = json.loads(source.read_text(encoding="utf-8"))
    entries = [translate_entry(entry, headers) for entry in given]
    text = json.dumps(entries, indent=1)
    # An unchanged file keeps its date: else every file would be looked at again after any build.
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
