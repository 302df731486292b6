"""hw threads: who is there, and what does each wait for?"""

from .kernel import Command, command, context, runs_on, text, threads
from .marks import content, marks
from .names import Names, Stack
from .table import table

HEAD = ("", "THREAD", "STATE", "CPU", "PC", "SP", "USED", "SIZE", "WAITS FOR")


@command
class Threads(Command):
    """Every thread: state, where it stands, how much of its stack it used, what it waits for.

    * marks the one that a CPU runs, or ran when its handler was entered: its PC and SP are then
    those of the handler's frame. The backtrace of one: hw bt THREAD.
    """

    word = "threads"

    def run(self, _argument):
        names = Names()
        known = marks()
        rows = [_row(thread, names, known) for thread in threads()]
        yield from table(HEAD, rows)


def _row(thread, names, known):
    stack = Stack.of(thread["stack"])
    pc, sp, _, _ = context(thread)
    return (
        "*" if runs_on(thread) else " ",
        text(thread["name"]),
        _state(thread),
        int(thread["cpu"]["index"]) if int(thread["cpu"]) else None,
        names.code(pc),
        names.sp(sp),
        known.of(stack).used(content(stack)) if stack.size else None,
        stack.size,
        _waits_for(thread),
    )


def _state(thread):
    by = text(thread["killed_by"])
    return f"{thread['state']} by {by}" if by else str(thread["state"])


def _waits_for(thread):
    if int(thread["waits_for"]):
        return text(thread["waits_for"]["name"])
    return f"tick {int(thread['wake_at'])}" if int(thread["wake_at"]) else None
