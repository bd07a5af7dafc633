"""The statement that another one holds, and has executed."""

from __future__ import annotations

from pglast import ast

from pgrunbook.sqltext.options import is_on


def executed(node: ast.Node) -> ast.Node:
    """Return what is executed where this statement is: EXPLAIN with ANALYZE executes its query,
    COPY the one that it has in place of a table, and FETCH that of a cursor.
    """
    match node:
        case ast.ExplainStmt(options=options, query=query) if is_on(options, "analyze"):
            return query
        case ast.CopyStmt(query=ast.Node() as query) | ast.DeclareCursorStmt(query=query):
            return query
    return node
