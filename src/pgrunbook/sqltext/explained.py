"""The statement that EXPLAIN is about."""

from __future__ import annotations

from typing import Any

from pglast import ast


def executed(node: ast.Node) -> ast.Node:
    """Return what is executed where this statement is: EXPLAIN with ANALYZE executes its query."""
    if isinstance(node, ast.ExplainStmt):
        analyzed = [each.arg for each in node.options or () if each.defname == "analyze"]
        if analyzed and _is_on(analyzed[-1]):
            return node.query
    return node


def _is_on(value: Any) -> bool:
    """Tell whether an option is on, as defGetBoolean does (src/backend/commands/define.c)."""
    match value:
        case ast.Integer(ival=number):
            return bool(number)
        case ast.Boolean(boolval=on):
            return bool(on)
        case ast.String(sval=word):
            return word.lower() in ("true", "on")
    return True
