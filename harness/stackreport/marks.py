"""What was measured: the [stack] records of golden logs. Pure but for reading the files it is
given.

A mark knows its log and, where a backtrace stands beside it, in which function its thread began:
the last frame before thread_start. So the many victims of the labs, which share one name, are each
held against their own chain. Where the kernel found that a pointer, not SP, left the stack, the
paint below is no depth: only SP counts.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TOOLCHAIN = re.compile(r"^# toolchain: (.*)$", re.MULTILINE)
_STACK = re.compile(r"^\[stack\] (\S+) used=(\d+)\S* size=(\d+)(?:.* lowest_sp=(\d+))?")
_STRAY = re.compile(r"^\[EXC\] stray stack=(\S+) .*by=pointer")
_BACKTRACE = re.compile(r"^\[bt\] #\d+ ([^+ ]+)\+\S+ .*stack=(\S+)")


@dataclass(frozen=True)
class Mark:
    """`used` by paint, `lowest` by SP where it was known (else 0); `start` of the thread or
    empty; `stray`: a pointer wrote there."""

    log: str
    stack: str
    used: int
    size: int
    lowest: int = 0
    start: str = ""
    stray: bool = False

    @property
    def deepest(self) -> int:
        return self.lowest if self.stray else max(self.used, self.lowest)


def read(folder: Path, compiler: str = "") -> list[Mark]:
    """Every mark of every golden below a folder; `log` is the path from there. Of the image's
    compiler, or of the one that made most of them: another one's frames are no measure of it.
    """
    texts = {path: path.read_text("utf-8") for path in sorted(folder.rglob("*.log"))}
    counted = Counter(map(_compiler, texts.values())).most_common(1)
    usual = compiler or "".join(name for name, _ in counted)
    return [
        mark
        for path, text in texts.items()
        if _compiler(text) == usual
        for mark in parse(text, path.relative_to(folder).as_posix())
    ]


def _compiler(text: str) -> str:
    found = _TOOLCHAIN.search(text)
    return found[1] if found else ""


def parse(text: str, log: str, root: str = "thread_start") -> Iterator[Mark]:
    walked: list[tuple[str, str]] = []
    strayed: set[str] = set()
    for line in text.splitlines():
        if frame := _BACKTRACE.match(line):
            if line.startswith("[bt] #0 "):
                walked = []
            walked.append((frame[1], frame[2]))
        elif stray := _STRAY.match(line):
            strayed.add(stray[1])
        elif record := _STACK.match(line):
            name, used, size, lowest = record.groups()
            start, stray_too = _start(walked, name, root), bool(lowest) and name in strayed
            yield Mark(log, name, int(used), int(size), int(lowest or 0), start, stray_too)
            walked = []


def _start(walked: list[tuple[str, str]], stack: str, root: str) -> str:
    if len(walked) < 2 or walked[-1][0] != root or walked[-1][1] != stack:
        return ""
    return walked[-2][0]
