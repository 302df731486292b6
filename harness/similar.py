"""What somebody may have meant who typed a name that there is not. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 8
CLOSE = 0.75


def similar(typed: str, known: Iterable[str]) -> str:
    """`similar: stack.recurse, stack.recurse_pages`; "" when nothing is."""
    names = near(typed, list(known))
    return f"similar: {', '.join(names)}" if names else ""


def near(typed: str, known: list[str]) -> list[str]:
    """The close ones first, then those that it is a part of, or that have its last part."""
    close = get_close_matches(typed, known, n=MOST, cutoff=CLOSE)
    tail = typed.rpartition(".")[2]
    parts = [name for name in sorted(known) if tail and (typed in name or tail in name.split("."))]
    return list(dict.fromkeys([*close, *parts]))[:MOST]
