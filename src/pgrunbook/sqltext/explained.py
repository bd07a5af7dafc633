"""The statement that EXPLAIN is about."""

from __future__ import annotations

from pglast import ast

from pgrunbook.sqltext.options import is_on


def executed(node: ast.Node) -> ast.Node:
    """Return what is executed where this statement is: EXPLAIN with ANALYZE executes its query."""
    if isinstance(node, ast.ExplainStmt) and is_on(node.options, "analyze"):
        return node.query
    return node
