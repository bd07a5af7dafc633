"""Reads the expression of a CHECK, and rewrites it so that it lets one more value of a column in.

Works on the text that `pg_get_expr` prints, without a connection. Rewriting keeps SQL's three
values: for every other value of the column, NULL included, the new expression gives what the old
one gave. https://www.postgresql.org/docs/current/functions-logical.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pglast
from pglast import ast, enums
from pglast.parser import deparse_protobuf, parse_sql_protobuf
from pglast.stream import RawStream

from pgrunbook.sqltext.parse_tree import nodes, replace, rewrite

_TypeKey: TypeAlias = tuple[str, ...]

_EQUALS = (ast.String(sval="="),)
# The names of a type, as a parse tree has them, without pg_catalog.
_TEXT = ("text",)
_VARCHAR: frozenset[_TypeKey] = frozenset({("varchar",)})
_TEXTS: frozenset[_TypeKey] = _VARCHAR | {_TEXT}


def parse(expression: str) -> ast.Node:
    """Return the parse tree of one expression. Raises pglast's ParseError."""
    node: ast.Node = pglast.parse_sql(f"SELECT {expression}")[0].stmt.targetList[0].val
    return node


def text(node: ast.Node) -> str:
    """Return the expression as SQL that parses to the same tree. Raises ValueError if no printer
    gets there.
    """
    # PostgreSQL's own deparser writes what people write, but not every tree; pglast's prints more
    printed: str = RawStream()(node)
    short: str = deparse_protobuf(parse_sql_protobuf(f"SELECT {printed}")).removeprefix("SELECT ")
    for candidate in (short, printed):
        if parse(candidate) == node:
            return candidate
    raise ValueError(f"cannot be written as SQL again: {printed}")


@dataclass(frozen=True, slots=True)
class Subject:
    """The column that an expression is about, as far as its type matters.

    - `types` are the types its values pass through, as `format_type` prints them: domains from the
      outside, the base type last.
    - `as_text`: the column is compared as text. Its enum lacks the label; and a label that was
      added in the same transaction must not be used in it (SQLSTATE 55P04).
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
        """Return the column as it is compared with a value; an enum is cast to text, see
        `as_text`.
        """
        column = ast.ColumnRef(fields=(ast.String(sval=self.column),))
        return replace(parse("NULL::text"), arg=column) if self.is_enum else column


def conjuncts(node: ast.Node) -> tuple[ast.Node, ...]:
    """Return the parts that must all hold."""
    return _parts(node, enums.BoolExprType.AND_EXPR)


def disjuncts(node: ast.Node) -> tuple[ast.Node, ...]:
    """Return the parts of which one must hold."""
    return _parts(node, enums.BoolExprType.OR_EXPR)


def conjunction(parts: tuple[ast.Node, ...]) -> ast.Node:
    """Return one expression that holds if all the parts do."""
    return _join(parts, enums.BoolExprType.AND_EXPR)


def columns(node: ast.Node) -> set[str]:
    """Return the names of the columns that an expression reads; `*` for a whole row: `f(t.*)`."""
    names = set()
    for part in nodes(node):
        match part:
            case ast.ColumnRef(fields=(*_, ast.A_Star())):
                names.add("*")
            case ast.ColumnRef(fields=(*_, ast.String(sval=name))):
                names.add(name)
    return names


def reads(node: ast.Node, column: str) -> bool:
    """Whether an expression reads the column."""
    return bool(columns(node) & {column, "*"})


def literals(node: ast.Node) -> list[str]:
    """Return the string constants in an expression, each once, in order."""
    found: dict[str, None] = {}
    for part in nodes(node):
        match part:
            case ast.A_Const(val=ast.String(sval=value)):
                found[value] = None
    return list(found)


def with_unknown_others(node: ast.Node, column: str) -> ast.Node:
    """Return the expression with NULL in place of every condition that does not read the column.

    NULL stands for unknown. If the result is FALSE for a value of the column, the expression is
    FALSE for that value, whatever the other columns hold.
    """
    if isinstance(node, ast.BoolExpr):
        return replace(node, args=tuple(with_unknown_others(arg, column) for arg in node.args))
    return node if reads(node, column) else ast.A_Const(isnull=True)


def as_text(node: ast.Node, subject: Subject) -> ast.Node:
    """Return the expression for a column of type text: casts to the subject's types become casts to
    text.
    """
    keys = subject.keys

    def change(part: ast.Node) -> ast.Node:
        if isinstance(part, ast.TypeName) and _key(part) in keys:
            return replace(part, names=(ast.String(sval="text"),), typmods=None)
        return part

    return rewrite(node, change)


def compares_order(node: ast.Node, subject: Subject) -> bool:
    """Whether an expression compares the order of the subject's values. An enum's labels have an
    order of their own, so such an expression cannot be evaluated `as_text`.
    """
    for part in nodes(node):
        if not isinstance(part, ast.A_Expr) or part.name[-1].sval not in _ORDER:
            continue
        for side in (part.lexpr, part.rexpr):
            if _is_subject(side, subject) or _string(side, subject.keys) is not None:
                return True
    return False


_ORDER = {"<", "<=", ">", ">="}


def widen(node: ast.Node, subject: Subject, value: str) -> ast.Node:
    """Return the expression `node OR subject = value`, never NULL where `node` was FALSE.

    Lists of the column's values become one, with one more entry. Whatever else the expression says
    is kept as it is, and gets `OR subject IS NOT DISTINCT FROM value`: `=` would turn FALSE into
    NULL for a NULL column, and a CHECK accepts NULL.
    """
    alternatives = disjuncts(node)
    others: list[ast.Node] = []
    entries: list[str] = []
    first, compared = 0, None  # the place of the first list, and what it compares
    for index, part in enumerate(alternatives):
        values = listed_values(part, subject)
        if not values:
            others.append(part)
            continue
        if compared is None:
            first, compared = index, _left_side(part, subject)
        entries += values
    if compared is None:
        return _join((*alternatives, _same(subject, value)), enums.BoolExprType.OR_EXPR)
    merged = _in(compared, [*entries, value])
    return _join((*others[:first], merged, *others[first:]), enums.BoolExprType.OR_EXPR)


def as_written(node: ast.Node) -> ast.Node:
    """Return the expression with `varchar IN (…)` as somebody wrote it, and not as the server
    prints it: `(c)::text = ANY ((ARRAY['a'::character varying, …])::text[])`.

    The server would read that text back as something which it prints otherwise again: a constraint
    that is made from it would not look the same.
    """
    return rewrite(node, _undo_casts)


# The operators that the server makes of `IN` and `NOT IN`.
_MADE_OF_IN = {(enums.A_Expr_Kind.AEXPR_OP_ANY, "="), (enums.A_Expr_Kind.AEXPR_OP_ALL, "<>")}


def _undo_casts(part: ast.Node) -> ast.Node:
    match part:
        case ast.A_Expr(
            kind=kind,
            name=(ast.String(sval=name),),
            lexpr=ast.TypeCast() as left,
            rexpr=ast.TypeCast() as right,
        ) if (kind, name) in _MADE_OF_IN:
            are_texts = _key(left.typeName) == _key(right.typeName) == _TEXT
            if are_texts and _are_varchars(right.arg):
                entries = tuple(element.arg for element in right.arg.elements)
                return replace(part, kind=enums.A_Expr_Kind.AEXPR_IN, lexpr=left.arg, rexpr=entries)
    return part


def _are_varchars(node: Any) -> bool:
    """Whether a node is an array of string constants, each cast to varchar."""
    if not isinstance(node, ast.A_ArrayExpr):
        return False
    for element in node.elements or ():
        match element:
            case ast.TypeCast(arg=ast.A_Const()) if _string(element, _VARCHAR) is not None:
                continue
        return False
    return True


def _parts(node: ast.Node, operator: enums.BoolExprType) -> tuple[ast.Node, ...]:
    if isinstance(node, ast.BoolExpr) and node.boolop == operator:
        return tuple(node.args)
    return (node,)


def _join(parts: tuple[ast.Node, ...], operator: enums.BoolExprType) -> ast.Node:
    return parts[0] if len(parts) == 1 else ast.BoolExpr(boolop=operator, args=parts)


def _key(name: ast.TypeName) -> _TypeKey:
    names: _TypeKey = tuple(part.sval for part in name.names)
    return names[1:] if names[0] == "pg_catalog" else names


def _is_subject(node: Any, subject: Subject) -> bool:
    """Whether a node is the column itself, or the column cast to another of its types."""
    if isinstance(node, ast.TypeCast) and not node.typeName.typmods:
        return _key(node.typeName) in subject.keys | {_TEXT} and _is_subject(node.arg, subject)
    match node:
        case ast.ColumnRef(fields=(ast.String(sval=name),)):
            return bool(name == subject.column)
    return False


def listed_values(node: ast.Node, subject: Subject) -> list[str]:
    """Return the values of a list: `subject = 'a'`, `subject IN ('a', …)`, or what the server makes
    of these, `subject = ANY (ARRAY['a', …])`; an empty list for any other expression.
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
    if not _is_subject(node.lexpr, subject):
        return []
    keys = subject.keys
    if by_text(node.lexpr, subject):
        # The server adds casts to text. Any other cast may change which values are equal.
        keys |= _TEXTS
    values = []
    for item in items:
        value = _string(item, keys)
        if value is None:
            return []
        values.append(value)
    return values


def by_text(left: Any, subject: Subject) -> bool:
    """Whether a comparison is one of texts: the column is a text, or is cast to one."""
    if subject.base in _TEXTS:
        return True
    return isinstance(left, ast.TypeCast) and _key(left.typeName) == _TEXT


def _array(node: Any) -> tuple[Any, ...]:
    """Return the elements of an array; of anything else a single None, which is not a constant."""
    match node:
        case ast.A_ArrayExpr(elements=elements):
            return tuple(elements or ())
        case ast.TypeCast(arg=ast.A_ArrayExpr(elements=elements), typeName=name) if (
            _key(name) == _TEXT
        ):
            return tuple(elements or ())
    return (None,)


def _string(node: Any, keys: frozenset[_TypeKey]) -> str | None:
    """Return the string of a constant, which may be cast to these types; None if it is anything
    else. A cast with a length does not count: it could cut the string.
    """
    match node:
        case ast.A_Const(val=ast.String(sval=value)):
            return str(value)
        case ast.TypeCast(arg=arg, typeName=ast.TypeName(typmods=None, arrayBounds=None) as name):
            return _string(arg, keys) if _key(name) in keys else None
    return None


def _left_side(node: ast.A_Expr, subject: Subject) -> ast.Node:
    """Return what is compared with the new list: the column without the casts that the server would
    add to it anew.
    """
    if subject.as_text or subject.base in _TEXTS:
        return subject.reference()
    return node.lexpr


def _in(left: ast.Node, values: list[str]) -> ast.A_Expr:
    entries = tuple(map(_constant, dict.fromkeys(values)))
    return ast.A_Expr(kind=enums.A_Expr_Kind.AEXPR_IN, name=_EQUALS, lexpr=left, rexpr=entries)


def _same(subject: Subject, value: str) -> ast.A_Expr:
    kind = enums.A_Expr_Kind.AEXPR_NOT_DISTINCT
    left, right = subject.reference(), _constant(value)
    return ast.A_Expr(kind=kind, name=_EQUALS, lexpr=left, rexpr=right)


def _constant(value: str) -> ast.A_Const:
    return ast.A_Const(val=ast.String(sval=value), isnull=False)
