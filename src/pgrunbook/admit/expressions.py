"""The expression of a CHECK: what it says of one column, and the same expression with one more
value let in.

Works on the text that `pg_get_expr` prints, without a connection. Rewriting keeps SQL's three
values: for every other value of the column, NULL included, the new expression gives what the old
one gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pglast
from pglast import ast, enums
from pglast.parser import deparse_protobuf, parse_sql_protobuf
from pglast.stream import RawStream

_TypeKey: TypeAlias = tuple[str, ...]

_TEXT = ("text",)
_VARCHAR: frozenset[_TypeKey] = frozenset({("varchar",)})
_TEXTS: frozenset[_TypeKey] = _VARCHAR | {_TEXT}


def parse(expression: str) -> ast.Node:
    """The parse tree of one expression. Raises pglast's ParseError."""
    node: ast.Node = pglast.parse_sql(f"SELECT {expression}")[0].stmt.targetList[0].val
    return node


def text(node: ast.Node) -> str:
    """The expression as SQL, checked to parse to the same tree. Raises ValueError if no printer
    gets there.
    """
    printed: str = RawStream()(node)
    short: str = deparse_protobuf(parse_sql_protobuf(f"SELECT {printed}")).removeprefix("SELECT ")
    for candidate in (short, printed):
        if parse(candidate) == node:
            return candidate
    raise ValueError(f"cannot be written as SQL again: {printed}")


@dataclass(frozen=True, slots=True)
class Subject:
    """The column that an expression is about, as far as its type matters.

    `types` are the types its values pass through, as `format_type` prints them: domains from the
    outside, the base type last. With `as_text` the column is compared as text: its enum may lack
    the label, and one that was added in the same transaction must not be used in it (SQLSTATE
    55P04).
    """

    column: str
    types: tuple[str, ...]
    is_enum: bool = False
    as_text: bool = False

    @property
    def keys(self) -> frozenset[_TypeKey]:
        """The types, as a parse tree names them."""
        return frozenset(_key(parse(f"NULL::{name}").typeName) for name in self.types)

    @property
    def base(self) -> _TypeKey:
        """The base type, as a parse tree names it."""
        return _key(parse(f"NULL::{self.types[-1]}").typeName)

    def reference(self) -> ast.Node:
        """The column, to compare with a value of any text. Enums go by their text, see
        `as_text`.
        """
        column = ast.ColumnRef(fields=(ast.String(sval=self.column),))
        return replace(parse("NULL::text"), arg=column) if self.is_enum else column


def replace(node: Any, **changes: Any) -> Any:
    """A copy of the node with some of its fields changed; the copy shares what lies below."""
    return type(node)(**{name: getattr(node, name) for name in node} | changes)


def conjuncts(node: ast.Node) -> tuple[ast.Node, ...]:
    """The parts that must all hold."""
    return _parts(node, enums.BoolExprType.AND_EXPR)


def disjuncts(node: ast.Node) -> tuple[ast.Node, ...]:
    """The parts of which one must hold."""
    return _parts(node, enums.BoolExprType.OR_EXPR)


def conjunction(parts: tuple[ast.Node, ...]) -> ast.Node:
    """One expression that holds if all the parts do."""
    return _joined(parts, enums.BoolExprType.AND_EXPR)


def columns(node: ast.Node) -> set[str]:
    """The columns it reads. A whole row (`f(t.*)`) is the name `*`."""
    fields = (n.fields[-1] for n in _nodes(node) if isinstance(n, ast.ColumnRef))
    return {"*" if isinstance(last, ast.A_Star) else last.sval for last in fields}


def reads(node: ast.Node, column: str) -> bool:
    """Whether it depends on the column."""
    return bool(columns(node) & {column, "*"})


def literals(node: ast.Node) -> list[str]:
    """The string constants in it, each once, in order."""
    found = (
        n.val.sval
        for n in _nodes(node)
        if isinstance(n, ast.A_Const) and isinstance(n.val, ast.String)
    )
    return list(dict.fromkeys(found))


def with_unknown_others(node: ast.Node, column: str) -> ast.Node:
    """The expression with NULL, unknown, for every condition that does not read the column.

    If it is then FALSE for a value, it is FALSE for that value whatever the other columns hold.
    """
    if isinstance(node, ast.BoolExpr):
        return replace(node, args=tuple(with_unknown_others(arg, column) for arg in node.args))
    return node if reads(node, column) else ast.A_Const(isnull=True)


def as_text(node: ast.Node, subject: Subject) -> ast.Node:
    """The expression for a column of type text: casts to the subject's types become casts to
    text.
    """
    keys = subject.keys

    def change(part: ast.Node) -> ast.Node:
        if isinstance(part, ast.TypeName) and _key(part) in keys:
            return replace(part, names=(ast.String(sval="text"),), typmods=None)
        return part

    return _rewritten(node, change)


def compares_order(node: ast.Node, subject: Subject) -> bool:
    """Whether it asks if the subject's values come before or after each other: for enums not an
    order of texts.
    """
    for part in _nodes(node):
        if isinstance(part, ast.A_Expr) and part.name[-1].sval in {"<", "<=", ">", ">="}:
            for side in (part.lexpr, part.rexpr):
                if _is_subject(side, subject) or _string(side, subject.keys) is not None:
                    return True
    return False


def widen(node: ast.Node, subject: Subject, value: str) -> ast.Node:
    """The expression `node OR subject = value`, never NULL where `node` was FALSE.

    A list of the column's values gets one more entry. Whatever else it says is kept as it is, with
    `IS NOT DISTINCT FROM`: `=` would turn FALSE into NULL for a NULL column, and a CHECK accepts
    NULL.
    """
    alternatives = disjuncts(node)
    kept: list[ast.Node] = []
    entries: list[str] = []
    first, compared = 0, None  # where the first list stands, and what it compares
    for index, part in enumerate(alternatives):
        values = listed_values(part, subject)
        if not values:
            kept.append(part)
            continue
        if compared is None:
            first, compared = index, _compared(part, subject)
        entries += values
    if compared is None:
        return _joined((*alternatives, _same(subject, value)), enums.BoolExprType.OR_EXPR)
    merged = _in(compared, [*entries, value])
    return _joined((*kept[:first], merged, *kept[first:]), enums.BoolExprType.OR_EXPR)


def as_written(node: ast.Node) -> ast.Node:
    """The expression with `varchar IN (…)` where the server shows what it made of that.

    It prints `(c)::text = ANY ((ARRAY['a'::character varying, …])::text[])`, and reads this back as
    something that it prints otherwise: a constraint made again from it would not look the same.
    """
    return _rewritten(node, _as_written)


def _as_written(part: ast.Node) -> ast.Node:
    kinds = enums.A_Expr_Kind
    match part:
        case ast.A_Expr(
            kind=kind, name=(ast.String(sval=name),), lexpr=ast.TypeCast(), rexpr=ast.TypeCast()
        ):
            left, right = part.lexpr, part.rexpr
            is_in = (kind, name) in {(kinds.AEXPR_OP_ANY, "="), (kinds.AEXPR_OP_ALL, "<>")}
            if (
                is_in
                and _key(left.typeName) == _key(right.typeName) == _TEXT
                and _are_varchars(right.arg)
            ):
                entries = tuple(element.arg for element in right.arg.elements)
                return replace(part, kind=kinds.AEXPR_IN, lexpr=left.arg, rexpr=entries)
    return part


def _are_varchars(node: Any) -> bool:
    return isinstance(node, ast.A_ArrayExpr) and all(
        isinstance(element, ast.TypeCast)
        and isinstance(element.arg, ast.A_Const)
        and _string(element, _VARCHAR) is not None
        for element in node.elements or ()
    )


def _nodes(node: Any) -> Iterator[ast.Node]:
    """The node and all below it, from the left to the right."""
    if isinstance(node, ast.Node):
        yield node
    parts = node if isinstance(node, tuple) else _fields(node)
    for part in parts:
        yield from _nodes(part)


def _fields(node: Any) -> tuple[Any, ...]:
    return tuple(getattr(node, name) for name in node) if isinstance(node, ast.Node) else ()


def _rewritten(node: Any, change: Callable[[ast.Node], ast.Node]) -> Any:
    """A copy with every node changed, from the leaves upwards."""
    if isinstance(node, tuple):
        return tuple(_rewritten(part, change) for part in node)
    if not isinstance(node, ast.Node):
        return node
    return change(replace(node, **{name: _rewritten(getattr(node, name), change) for name in node}))


def _parts(node: ast.Node, operator: enums.BoolExprType) -> tuple[ast.Node, ...]:
    return (
        tuple(node.args) if isinstance(node, ast.BoolExpr) and node.boolop == operator else (node,)
    )


def _joined(parts: tuple[ast.Node, ...], operator: enums.BoolExprType) -> ast.Node:
    return ast.BoolExpr(boolop=operator, args=parts) if len(parts) > 1 else parts[0]


def _key(name: ast.TypeName) -> _TypeKey:
    names: _TypeKey = tuple(part.sval for part in name.names)
    return names[1:] if names[0] == "pg_catalog" else names


def _is_subject(node: Any, subject: Subject) -> bool:
    """The column itself, or its value under another of its types."""
    if isinstance(node, ast.TypeCast) and not node.typeName.typmods:
        return _key(node.typeName) in subject.keys | {_TEXT} and _is_subject(node.arg, subject)
    match node:
        case ast.ColumnRef(fields=(ast.String(sval=name),)):
            return bool(name == subject.column)
    return False


def listed_values(node: ast.Node, subject: Subject) -> list[str]:
    """The values, if the expression is `subject = 'a'`, `subject IN ('a', …)`, or what the server
    makes of that, `subject = ANY (ARRAY['a', …])`; else none.
    """
    kinds = enums.A_Expr_Kind
    match node:
        case ast.A_Expr(kind=kinds.AEXPR_OP, name=(ast.String(sval="="),), rexpr=right):
            items = (right,)
        case ast.A_Expr(kind=kinds.AEXPR_IN, name=(ast.String(sval="="),), rexpr=right):
            items = right
        case ast.A_Expr(kind=kinds.AEXPR_OP_ANY, name=(ast.String(sval="="),), rexpr=right):
            items = _array(right)
        case _:
            return []
    # What the server adds to a text that it compares with the column. Another cast may change what
    # is equal.
    keys = subject.keys | _TEXTS if by_text(node.lexpr, subject) else subject.keys
    values = [_string(item, keys) for item in items]
    known = [value for value in values if value is not None]
    return known if _is_subject(node.lexpr, subject) and len(known) == len(values) else []


def by_text(left: Any, subject: Subject) -> bool:
    """Whether the comparison is one of texts: the column's own, or because of a cast."""
    return subject.base in _TEXTS or (
        isinstance(left, ast.TypeCast) and _key(left.typeName) == _TEXT
    )


def _array(node: Any) -> tuple[Any, ...]:
    match node:
        case ast.A_ArrayExpr(elements=elements):
            return tuple(elements or ())
        case ast.TypeCast(arg=ast.A_ArrayExpr(elements=elements), typeName=name) if (
            _key(name) == _TEXT
        ):
            return tuple(elements or ())
    return (None,)


def _string(node: Any, keys: frozenset[_TypeKey]) -> str | None:
    """The string constant under casts to these types, if it is one. A length in a cast would cut
    it.
    """
    match node:
        case ast.A_Const(val=ast.String(sval=value)):
            return str(value)
        case ast.TypeCast(arg=arg, typeName=ast.TypeName(typmods=None, arrayBounds=None) as name):
            return _string(arg, keys) if _key(name) in keys else None
    return None


def _compared(node: ast.A_Expr, subject: Subject) -> ast.Node:
    """What to compare with the list: the column as it was, without the casts that the server adds
    again.
    """
    return subject.reference() if subject.as_text or subject.base in _TEXTS else node.lexpr


def _in(left: ast.Node, values: list[str]) -> ast.A_Expr:
    entries = tuple(
        ast.A_Const(val=ast.String(sval=value), isnull=False) for value in dict.fromkeys(values)
    )
    equals = (ast.String(sval="="),)
    return ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_IN, name=equals, lexpr=left, rexpr=entries)


def _same(subject: Subject, value: str) -> ast.A_Expr:
    constant = ast.A_Const(val=ast.String(sval=value), isnull=False)
    equals = (ast.String(sval="="),)
    kind = enums.A_Expr_Kind.AEXPR_NOT_DISTINCT
    return ast.A_Expr(kind=kind, name=equals, lexpr=subject.reference(), rexpr=constant)
