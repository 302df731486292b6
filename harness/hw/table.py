"""Rows of words to lines that line up. Numbers go right, words left. Pure: knows neither GDB nor
the kernel.
"""


def table(head, rows):
    """Lines: the head, then the rows. An int is a number; None and "" are shown as '-'."""
    rows = [tuple(row) for row in rows]
    texts = [tuple(head), *(tuple(map(_text, row)) for row in rows)]
    right = [any(isinstance(row[n], int) for row in rows) for n in range(len(head))]
    widths = [max(len(row[n]) for row in texts) for n in range(len(head))]
    return [_line(row, widths, right) for row in texts]


def _text(cell):
    return "-" if cell is None or cell == "" else str(cell)


def _line(cells, widths, right):
    parts = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(parts).rstrip()
