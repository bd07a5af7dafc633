"""Walking through PostgreSQL's parse trees, and copies of them with some nodes changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pglast import ast


def replace(node: Any, **changes: Any) -> Any:
    """Return a copy of the node with some of its fields changed. It shares what lies below."""
    fields = {name: getattr(node, name) for name in node}
    return type(node)(**fields | changes)


def nodes(node: Any) -> Iterator[ast.Node]:
    """Yield the node and all below it, from the left to the right."""
    if isinstance(node, tuple):
        for part in node:
            yield from nodes(part)
    elif isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from nodes(getattr(node, name))


def rewrite(node: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    """Return a copy with every node changed, from the leaves upwards."""
    if isinstance(node, tuple):
        return tuple(rewrite(part, change) for part in node)
    if not isinstance(node, ast.Node):
        return node
    fields = {name: rewrite(getattr(node, name), change) for name in node}
    return change(replace(node, **fields))
