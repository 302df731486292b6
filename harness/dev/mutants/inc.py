"""Mutants of C, from tree-sitter's syntax tree of the text as it stands.

The tree is the text's, before the preprocessor: a macro is what its author wrote, positions are
those of the file, and a body of LAB(…) parses like any other. A compiler's tree (libclang) has
types, which no operator needs, and puts every position of a macro's argument into the header that
defines it. What the grammar cannot read (an ERROR node) is left out. Pure.
"""

import re
from collections.abc import Iterator
from functools import cache

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from harness.dev.mutants.mutant import Mutant, numbered

BARRIERS = re.compile(rb"\b(dsb|dmb|isb|tlbi|barrier|smp_[rw]?mb)|\b(ic|dc) [ic]")
_SWAPS = {
    "<": ("boundary", "<="),
    "<=": ("boundary", "<"),
    ">": ("boundary", ">="),
    ">=": ("boundary", ">"),
    "==": ("condition", "!="),
    "!=": ("condition", "=="),
    "&&": ("condition", "||"),
    "||": ("condition", "&&"),
}
_NEGATED = frozenset(
    ("if_statement", "while_statement", "do_statement", "for_statement", "conditional_expression")
)
_ASSIGNING = frozenset(("gnu_asm_expression", "assignment_expression", "update_expression"))
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)")
_LITERAL = re.compile(r"\b" + _NUMBER.pattern + r"\b")
_BLANK = " \t\n\\"
_OTHER_VALUES = {"true": "false", "false": "true", "0": "1", "NULL": ""}
_STATEMENT = re.compile(
    r".*_statement|declaration|preproc_def|preproc_function_def|field_declaration"
)

_Change = tuple[str, Node, str]  # the operator, what it changes, and into what


def mutants(path: str, source: bytes) -> list[Mutant]:
    return list(numbered(_all(path, source)))


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_c.language()))


def _all(path: str, source: bytes) -> Iterator[Mutant]:
    for node in _walk(_parser().parse(source).root_node):
        for operator, changed, new in _changes(node):
            yield _mutant(path, operator, changed, changed.start_byte, _text(changed), new)
        for operator, at, old, new in _in_macro(node):
            yield _mutant(path, operator, node, at, old, new)


def _walk(node: Node) -> Iterator[Node]:
    """Everything but what the grammar could not read, and assertions, which are the compiler's."""
    if node.type == "ERROR" or _is_assertion(node):
        return
    yield node
    for child in node.children:
        yield from _walk(child)


def _is_assertion(node: Node) -> bool:
    return bool(node.parent) and _text(node).startswith("_Static_assert")


def _mutant(path: str, operator: str, node: Node, start: int, old: str, new: str) -> Mutant:
    statement = _statement(node)
    return Mutant(
        path=path,
        operator=operator,
        function=_function(node),
        line=node.start_point[0] + 1,
        first=statement.start_point[0] + 1,
        last=_last_line(statement),
        start=start,
        end=start + len(old.encode()),
        old=old,
        new=new,
    )


def _changes(node: Node) -> Iterator[_Change]:
    if node.type in _NEGATED:
        yield from _negated(node)
    elif node.type == "binary_expression":
        yield from _swapped(node)
    elif node.type == "number_literal":
        yield from _larger(node)
    elif node.type == "return_statement":
        yield from _returned(node)
    elif node.type == "expression_statement":
        yield from _removed(node)


def _negated(node: Node) -> Iterator[_Change]:
    condition = node.child_by_field_name("condition")
    if not condition or _is_equality(condition):
        return  # == and != are swapped, which is the same
    text = f"!({_text(condition).removeprefix('(').removesuffix(')')})"
    if condition.type == "parenthesized_expression":
        yield "condition", condition, f"({text})"
    else:
        yield "condition", condition, f"!({_text(condition)})"


def _is_equality(condition: Node) -> bool:
    if condition.type == "parenthesized_expression":
        condition = condition.named_children[0]
    operator = condition.child_by_field_name("operator")
    return bool(operator and operator.type in ("==", "!="))


def _swapped(node: Node) -> Iterator[_Change]:
    operator = node.child_by_field_name("operator")
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    assert operator and left and right
    if found := _SWAPS.get(_text(operator)):
        yield found[0], operator, found[1]
    elif _text(operator) == "|":
        yield "bit", node, _text(left)
        yield "bit", node, _text(right)


def _larger(node: Node) -> Iterator[_Change]:
    parent = node.parent
    if parent and parent.type == "return_statement":
        return  # `return` has it
    if found := _NUMBER.fullmatch(_text(node)):
        yield "constant", node, _one_more(found)


def _one_more(number: re.Match[str]) -> str:
    more = int(number[1], 0 if number[1][:2].lower() == "0x" else 10) + 1
    return (f"{more:#x}" if number[1][:2].lower() == "0x" else str(more)) + number[2]


def _returned(node: Node) -> Iterator[_Change]:
    value = next((child for child in node.named_children if child.type != "comment"), None)
    if not value:
        return
    new = _OTHER_VALUES.get(_text(value), "0")
    if number := _NUMBER.fullmatch(_text(value)):
        new = _one_more(number)
    if new:
        yield "return", value, new


def _removed(node: Node) -> Iterator[_Change]:
    inside = node.named_children[0] if node.named_children else None
    if not inside:
        return
    text = inside.text or b""
    if inside.type in ("call_expression", "gnu_asm_expression") and BARRIERS.search(text):
        yield "barrier", node, ";"
    elif inside.type == "call_expression" and _function(
        node
    ):  # outside it is a macro that declares
        yield "call", node, ";"
    elif inside.type in _ASSIGNING:
        yield "assignment", node, ";"


def _in_macro(node: Node) -> Iterator[tuple[str, int, str, str]]:
    """A macro's value is text for the grammar: its numbers, and the terms of an or."""
    if node.type != "preproc_arg":
        return
    text = _text(node)
    code = text.split("/*")[0].split("//")[0]
    for number in _LITERAL.finditer(code):
        at = node.start_byte + len(text[: number.start()].encode())
        yield "constant", at, number[0], _one_more(number)
    terms = list(_terms(code))
    for start, end in terms if len(terms) > 1 else ():
        at = node.start_byte + len(text[:start].encode())
        yield "bit", at, code[start:end], "0"


def _terms(code: str) -> Iterator[tuple[int, int]]:
    """Where the terms of `(a | b | c)` stand, or of `a | b` without brackets."""
    left, right = _inside(code)
    depth, start = 0, left
    for at in range(left, right):
        depth += (code[at] == "(") - (code[at] == ")")
        if code[at] == "|" and not depth and "|" not in code[at - 1 : at] + code[at + 1 : at + 2]:
            yield _trimmed(code, start, at)
            start = at + 1
    yield _trimmed(code, start, right)


def _inside(code: str) -> tuple[int, int]:
    """Without the brackets around all of it."""
    left, right = _trimmed(code, 0, len(code))
    depth = 0
    for at in range(left, right):
        depth += (code[at] == "(") - (code[at] == ")")
        if not depth and at < right - 1:
            return left, right
    return (left + 1, right - 1) if code[left:right].startswith("(") else (left, right)


def _trimmed(code: str, start: int, end: int) -> tuple[int, int]:
    text = code[start:end]
    left = len(text) - len(text.lstrip(_BLANK))
    return start + left, max(start + left, start + len(text.rstrip(_BLANK)))


def _statement(node: Node) -> Node:
    """The innermost statement; of one with a body, what stands before that (_last_line)."""
    while node.parent and not _STATEMENT.fullmatch(node.type):
        node = node.parent
    return node


def _last_line(statement: Node) -> int:
    body = statement.child_by_field_name("body") or statement.child_by_field_name("consequence")
    return (body.start_point[0] if body else statement.end_point[0]) + 1


def _function(node: Node) -> str:
    """The function, lab or macro that it stands in."""
    above: Node | None = node
    while above and above.type not in (
        "function_definition",
        "preproc_def",
        "preproc_function_def",
    ):
        above = above.parent
    if not above:
        return ""
    name = above.child_by_field_name("name") or above.child_by_field_name("declarator")
    return " ".join(_text(name).split("(")[0].split()).lstrip("* ") if name else ""


def _text(node: Node) -> str:
    return (node.text or b"").decode()
