"""Walking through PostgreSQL's parse trees, and copies of them with some nodes changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from pglast import ast


def replace(node: Any, **changes: Any) -> Any:
    """Return a copy of the node with some of its fields changed. It shares what lies below."""
    fields = {name: getattr(node, name) for name in node}
    return type(node)(**fields | changes)


def nodes(node: Any) -> Iterator[ast.Node]:
    """Yield the node and all below it, from the left to the right; of a constant not what it is."""
    # By a stack of our own: a tree may be deeper than Python's. It may have millions of nodes, most
    # of them constants.
    left = [node]
    while left:
        each = left.pop()
        if isinstance(each, tuple):
            left += reversed(each)
        elif isinstance(each, ast.A_Const):
            yield each
        elif isinstance(each, ast.Node):
            yield each
            for name in _branches(each.__class__):
                below = getattr(each, name)
                if below is not None:
                    left.append(below)


@cache
def _branches(kind: Any) -> Sequence[str]:
    """Return the fields in which nodes of this type have others, or lists of them, the last one
    first: pglast gives the type of each field in C.
    """
    found: list[str] = []
    for name, (in_c, *_) in kind.__slots__.items():
        if in_c.endswith("*") and in_c != "char*":
            found.insert(0, name)
    return found


def calls_of(node: ast.Node, function: str) -> Iterator[tuple[ast.Node, ...]]:
    """Yield the arguments of each call of a function, in whichever schema, at the node or below."""
    for each in nodes(node):
        if isinstance(each, ast.FuncCall) and each.funcname[-1].sval == function:
            yield each.args or ()


def rewrite(node: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    """Return a copy with every node changed, from the leaves upwards."""
    if isinstance(node, tuple):
        return tuple(rewrite(part, change) for part in node)
    if not isinstance(node, ast.Node):
        return node
    fields = {name: rewrite(getattr(node, name), change) for name in node}
    return change(replace(node, **fields))


def strings(node: ast.Node) -> Iterator[str]:
    """Yield the strings in a statement as PostgreSQL takes them, names and constants, without
    quotes and escapes: `€` of `U&'\\20AC'`; and the words of the parse tree.
    """
    yield from _within(node(skip_none=True))


def _within(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from _within(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _within(each)
