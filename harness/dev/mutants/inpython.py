"""Mutants of Python, from its own ast: it knows the place of every node, to the byte. Pure.

Left alone is what does nothing when the program runs: annotations, decorators, text, what stands
under TYPE_CHECKING or in `if __name__ == "__main__"`. A plain name's assignment is not removed:
that ends in a NameError wherever it is used.
"""

import ast
from collections.abc import Iterator

from harness.dev.mutants.mutant import Mutant, numbered

_SWAPS: dict[type[ast.cmpop], tuple[str, str, str]] = {
    ast.Lt: ("boundary", "<", "<="),
    ast.LtE: ("boundary", "<=", "<"),
    ast.Gt: ("boundary", ">", ">="),
    ast.GtE: ("boundary", ">=", ">"),
    ast.Eq: ("condition", "==", "!="),
    ast.NotEq: ("condition", "!=", "=="),
    ast.Is: ("condition", "is", "is not"),
    ast.IsNot: ("condition", "is not", "is"),
    ast.In: ("condition", "in", "not in"),
    ast.NotIn: ("condition", "not in", "in"),
}
_Change = tuple[str, int, int, str]  # the operator, from where to where, and what instead


def mutants(path: str, source: bytes) -> list[Mutant]:
    return list(numbered(_Finder(path, source)))


class _Finder:
    """Walks the tree with the function and the statement that each node stands in."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._starts = [0]
        for line in source.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def __iter__(self) -> Iterator[Mutant]:
        yield from self._under(ast.parse(self._source), "", None)

    def _under(self, node: ast.AST, function: str, statement: ast.stmt | None) -> Iterator[Mutant]:
        if isinstance(node, ast.stmt):
            statement = node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        for operator, start, end, new in self._changes(node):
            yield self._mutant(operator, start, end, new, function, statement)
        for child in _children(node):
            yield from self._under(child, function, statement)

    def _mutant(
        self, operator: str, start: int, end: int, new: str, function: str, of: ast.stmt | None
    ) -> Mutant:
        line = self._source.count(b"\n", 0, start) + 1
        first, last = (of.lineno, _last_line(of)) if of else (line, line)
        old = self._source[start:end].decode()
        return Mutant(self._path, operator, function, line, first, last, start, end, old, new)

    def _changes(self, node: ast.AST) -> Iterator[_Change]:
        if isinstance(node, ast.If) and _is_not_run(node.test):
            return
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            yield from self._negated(node.test)
        elif isinstance(node, ast.Compare):
            yield from self._swapped(node)
        elif isinstance(node, ast.BoolOp):
            yield from self._other_word(node)
        elif isinstance(node, ast.Constant):
            yield from self._other_constant(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            yield "bit", *self._place(node), self._text(node.left)
            yield "bit", *self._place(node), self._text(node.right)
        elif isinstance(node, ast.stmt):
            yield from self._other_statement(node)

    def _negated(self, test: ast.expr) -> Iterator[_Change]:
        alone = isinstance(test, ast.Compare) and len(test.ops) == 1
        if alone and _SWAPS[type(test.ops[0])][0] == "condition":  # type: ignore[attr-defined]
            return  # the comparison is swapped, which is the same
        yield "condition", *self._place(test), f"(not ({self._text(test)}))"

    def _swapped(self, node: ast.Compare) -> Iterator[_Change]:
        before = node.left
        for operator, after in zip(node.ops, node.comparators, strict=True):
            kind, old, new = _SWAPS[type(operator)]
            start, end = self._place(before)[1], self._place(after)[0]
            at = self._source.find(old.encode(), start, end)
            if at >= 0:
                yield kind, at, at + len(old), new
            before = after

    def _other_word(self, node: ast.BoolOp) -> Iterator[_Change]:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for before, after in zip(node.values, node.values[1:], strict=False):
            at = self._source.find(old.encode(), self._place(before)[1], self._place(after)[0])
            if at >= 0:
                yield "condition", at, at + len(old), new

    def _other_constant(self, node: ast.Constant) -> Iterator[_Change]:
        if isinstance(node.value, bool):
            yield "constant", *self._place(node), str(not node.value)
        elif isinstance(node.value, int | float):
            yield "constant", *self._place(node), str(node.value + 1)

    def _other_statement(self, node: ast.stmt) -> Iterator[_Change]:
        if isinstance(node, ast.Return) and node.value and not _is_nothing(node.value):
            value = "False" if self._text(node.value) == "True" else "None"
            if not isinstance(node.value, ast.Constant):
                yield "return", *self._place(node.value), value
        elif isinstance(node, ast.Raise) or _is_call(node):
            yield "call", *self._place(node), "pass"
        elif isinstance(node, ast.AugAssign) or _assigns_inside(node):
            yield "assignment", *self._place(node), "pass"

    def _place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.expr) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and _is_not_run(node.test):
        yield from node.orelse
        return
    skipped = ("decorator_list", "annotation", "returns", "type_params")
    for name, value in ast.iter_fields(node):
        if name not in skipped:
            values = value if isinstance(value, list) else [value]
            yield from (child for child in values if isinstance(child, ast.AST))


def _is_not_run(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (text := ast.unparse(test)) or text.startswith("__name__ ==")


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _assigns_inside(node: ast.stmt) -> bool:
    """To an attribute or an element, which was there before."""
    within = ast.Attribute | ast.Subscript
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], within)


def _is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


def _last_line(statement: ast.stmt) -> int:
    """Of a statement with a body: the line before that begins."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        return max(statement.lineno, body[0].lineno - 1)
    return statement.end_lineno or statement.lineno
