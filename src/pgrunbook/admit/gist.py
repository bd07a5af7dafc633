"""Writes an expression as a text that is the same before the server has read it and after: the
server prints `IN` otherwise than `widen` writes it.

It is the key under which `AnswerCache` knows what was found of an expression: when the server
prints it under a block's lock, it need not be evaluated again.
"""

from __future__ import annotations

from pglast import ast, enums
from pglast.stream import RawStream

from pgrunbook.admit.expressions import (
    Subject,
    as_written,
    by_text,
    conjuncts,
    disjuncts,
    listed_values,
)
from pgrunbook.sqltext.parse_tree import replace


def gist(node: ast.Node, subject: Subject) -> str:
    """Return one text for what `widen` writes and for what the server prints of it.

    A part that compares the subject with values is written as these values, every other one as it
    is. Two expressions that mean the same may still have two texts.
    """
    texts = []
    for whole in conjuncts(node):
        texts.append(" OR ".join(_gist(part, subject) for part in disjuncts(whole)))
    return " AND ".join(texts)


def _gist(node: ast.Node, subject: Subject) -> str:
    equal = _equality(node)
    if equal and (values := listed_values(equal, subject)):
        return f"same {by_text(equal.lexpr, subject)} {values}"
    if values := listed_values(node, subject):
        return f"in {by_text(node.lexpr, subject)} {values}"
    printed: str = RawStream()(as_written(node))
    return printed


def _equality(node: ast.Node) -> ast.A_Expr | None:
    """Return `a = b`, if the node is `a IS NOT DISTINCT FROM b`, or what the server makes of that,
    `NOT (a IS DISTINCT FROM b)`; None otherwise.
    """
    kinds = enums.A_Expr_Kind
    match node:
        case ast.A_Expr(kind=kinds.AEXPR_NOT_DISTINCT):
            compared = node
        case ast.BoolExpr(
            boolop=enums.BoolExprType.NOT_EXPR,
            args=(ast.A_Expr(kind=kinds.AEXPR_DISTINCT) as compared,),
        ):
            pass
        case _:
            return None
    return replace(compared, kind=kinds.AEXPR_OP, name=(ast.String(sval="="),))
