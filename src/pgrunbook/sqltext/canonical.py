"""One way to write each piece of SQL, so that what a file says and what the server prints can be
compared.

The server stores expressions after parse analysis, and prints them with casts and operators of its
own: `'x'::text` for `'x'`, `= ANY (ARRAY[…])` for `IN (…)`. The rules here undo just that. Where
they fail, two equal pieces look different, and a run refuses: it never takes different ones for
equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pglast import ast, enums
from pglast.printers.dml import system_types
from pglast.stream import RawStream

_NUMERIC = {"int2", "int4", "int8", "float4", "float8", "numeric"}


def text(node: ast.Node) -> str:
    """The canonical text of a piece of a parse tree."""
    printed: str = RawStream()(_canonical(node))
    return printed


def type_name(node: ast.TypeName) -> str:
    """The canonical text of a type."""
    if node.typmods or node.arrayBounds or node.setof or node.pct_type:
        return text(node)
    return _plain_type(tuple(part.sval for part in node.names))


@lru_cache(maxsize=1_000)
def _plain_type(names: tuple[str, ...]) -> str:
    """The same of a type that is no more than its name: most columns have one of a few."""
    return text(ast.TypeName(names=tuple(ast.String(sval=name) for name in names), typemod=-1))


@lru_cache(maxsize=1_000)
def key(contype: int, columns: tuple[str, ...]) -> str:
    """The canonical text of a PRIMARY KEY or UNIQUE constraint that is no more than its columns."""
    keys = tuple(ast.String(sval=name) for name in columns)
    return text(ast.Constraint(contype=contype, keys=keys, initially_valid=True))


def replace(node: ast.Node, **changes: Any) -> Any:
    """A copy of the node with some of its fields changed; the copy shares what lies below."""
    return type(node)(**{name: getattr(node, name) for name in node} | changes)


def columns(node: Any) -> list[str]:
    """The names of the columns that an expression mentions, each once, in order."""
    if isinstance(node, ast.ColumnRef):
        return [node.fields[-1].sval] if isinstance(node.fields[-1], ast.String) else []
    parts = node if isinstance(node, tuple) else _values(node) if isinstance(node, ast.Node) else ()
    return list(dict.fromkeys(name for part in parts for name in columns(part)))


def _values(node: ast.Node) -> list[Any]:
    return [getattr(node, name) for name in node]


def _canonical(node: Any) -> Any:
    """The same tree in canonical form, from the leaves upwards; the same object where it is that
    already.
    """
    if isinstance(node, tuple):
        parts = tuple(_canonical(part) for part in node)
        return node if all(new is old for new, old in zip(parts, node, strict=True)) else parts
    if not isinstance(node, ast.Node):
        return node
    fields = {name: getattr(node, name) for name in node}
    changes = {name: new for name, old in fields.items() if (new := _canonical(old)) is not old}
    copy = type(node)(**fields | changes) if changes else node
    match copy:
        case ast.TypeName():
            return _type(copy)
        case ast.TypeCast():
            return _cast(copy)
        case ast.A_Expr():
            return _expression(copy)
        case ast.BoolExpr(boolop=enums.BoolExprType.AND_EXPR, args=args):
            return _and(*args)
    return copy


def _type(node: ast.TypeName) -> ast.TypeName:
    """`timestamptz` and `timestamp with time zone` are one type, named as the grammar names the
    latter.
    """
    *schema, last = node.names
    if [part.sval for part in schema] not in ([], ["pg_catalog"]):
        return node
    builtin = f"pg_catalog.{last.sval}" in system_types
    return replace(node, names=(ast.String(sval="pg_catalog"), last) if builtin else (last,))


def _cast(node: ast.TypeCast) -> Any:
    """A cast of a constant, of a list of constants, or of a column to text, is the server's own
    addition.
    """
    target = node.typeName.names[-1].sval
    match node.arg:
        case ast.A_Const(val=ast.String(sval=value)) if (
            target in _NUMERIC and not node.typeName.arrayBounds
        ):
            return ast.A_Const(val=ast.Float(fval=value), isnull=False)
        case ast.A_Const() | ast.A_ArrayExpr():
            return node.arg
        case ast.ColumnRef() if target in {"text", "varchar", "bpchar"}:
            return node.arg
    return node


def _expression(node: ast.A_Expr) -> Any:
    kinds = enums.A_Expr_Kind
    match node.kind:
        case kinds.AEXPR_IN:
            listed = ast.A_ArrayExpr(elements=node.rexpr)
            positive = node.name[0].sval == "="
            return replace(
                node, kind=kinds.AEXPR_OP_ANY if positive else kinds.AEXPR_OP_ALL, rexpr=listed
            )
        case kinds.AEXPR_LIKE | kinds.AEXPR_ILIKE:
            return replace(node, kind=kinds.AEXPR_OP)
        case kinds.AEXPR_NOT_DISTINCT:
            distinct = replace(node, kind=kinds.AEXPR_DISTINCT)
            return ast.BoolExpr(boolop=enums.BoolExprType.NOT_EXPR, args=(distinct,))
        case kinds.AEXPR_BETWEEN:
            low, high = node.rexpr
            return _and(_compare(node.lexpr, ">=", low), _compare(node.lexpr, "<=", high))
    return node


def _compare(left: Any, operator: str, right: Any) -> ast.A_Expr:
    name = (ast.String(sval=operator),)
    return ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_OP, name=name, lexpr=left, rexpr=right)


def _and(*parts: Any) -> ast.BoolExpr:
    """One AND of all the parts, without one AND inside another."""
    conjunction = enums.BoolExprType.AND_EXPR
    nested = (
        p.args if isinstance(p, ast.BoolExpr) and p.boolop == conjunction else (p,) for p in parts
    )
    return ast.BoolExpr(boolop=conjunction, args=tuple(part for group in nested for part in group))
