"""What is generated inside a text that is otherwise written by hand stands between two markers.

    <!-- NAME: begin -->
    …
    <!-- NAME: end -->

A name has no place twice. Pure; whoever writes the file does so with golden.write_atomic.
"""

import re

from harness.errors import HarnessError

_BEGIN = re.compile(r"^<!-- (\S.*): begin -->$", re.M)


def names(text: str) -> list[str]:
    """Of all places in a text, in their order."""
    return _BEGIN.findall(text)


def between(text: str, name: str, where: object) -> str:
    """What stands there now, without the blank lines at its ends."""
    _, middle, _ = _cut(text, name, where)
    return middle.strip("\n") + "\n"


def put(text: str, name: str, made: str, where: object) -> str:
    """The text with `made` in that place, between blank lines. `where` is told if there is none."""
    before, _, after = _cut(text, name, where)
    return f"{before}\n{made.strip(chr(10))}\n\n{after}"


def _cut(text: str, name: str, where: object) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise HarnessError(
            f"{where} has no place for {name}, or two",
            hint=f"write there, once: {begin.strip()} and, below it, {end}",
        )
    before, rest = text.split(begin)
    middle, after = rest.split(end)
    return before + begin, middle, end + after
