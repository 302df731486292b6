"""hw pages: how much memory is left?"""

from .kernel import Command, address_of, command, static, unsigned
from .mmu import PAGE
from .table import table


@command
class Pages(Command):
    """The page allocator's count, and the early heap's: bytes in use and left."""

    word = "pages"

    def run(self, _argument):
        count = static("mem/page.c", "count")
        total, in_use = (int(count[key]) for key in ("total", "in_use"))
        yield from table(
            ("MEMORY", "UNIT", "TOTAL", "IN_USE", "FREE"),
            [("pages", f"{PAGE} bytes", total, in_use, total - in_use), _early_heap()],
        )


def _early_heap():
    start, early = address_of("__early_heap_start"), static("mem/bump.c", "early")
    at, end = unsigned(early["at"]), unsigned(early["end"])
    return "early-heap", "bytes", end - start, at - start, end - at
