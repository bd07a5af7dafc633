"""Where a statement that runs in batches has its bounds: `:from`, which the rows of a batch come
after, and `:to`, which is the last of them.

In the tree each stands as a column whose name nothing else has.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, JoinType, MergeMatchKind
from pglast.visitors import Visitor

# What stands for each placeholder in SQL that is to be parsed.
MARKS = {"from": "pgrunbook from", "to": "pgrunbook to"}
_MARKED = re.compile('"pgrunbook (from|to)"')
_OPERATORS = {"from": ">", "to": "<="}


class Use(enum.Enum):
    """What a bound is there for."""

    COMPARED = "compared"  # key > :from, or key <= :to, which limits the statement
    ARGUMENT = "argument"  # of a function
    OTHER = "other"


class Place(NamedTuple):
    """One of the bounds in a statement: its name, where it stands, and what it is there for."""

    location: int
    name: str
    use: Use


def places(node: ast.Node, table: str, key: Sequence[str]) -> list[Place]:
    """The bounds of a statement in the order of its text; `key` are the columns of the table that
    are to be compared.
    """
    return sorted(_Bounds(_names(node, table), key).of(node), key=lambda place: place.location)


def filled(sql: str, uses: Sequence[Use], bounds: Mapping[Use, Mapping[str, str]]) -> str:
    """The SQL with its marks filled in: each by what it is there for, and by its name."""
    remaining = iter(uses)
    return _MARKED.sub(lambda mark: bounds[next(remaining)][mark[1]], sql)


class _Bounds:
    """Walks through a statement. A comparison limits it where nothing but AND is above it."""

    def __init__(self, names: set[str], key: Sequence[str]) -> None:
        """`names` are those of the table in the statement."""
        self._names = names
        self._key = [*key]

    def of(self, node: object, *, limits: bool = False) -> Iterator[Place]:
        """The bounds below a node, or below each node of a tuple; `limits`: what it says, holds for
        every row that the statement takes.
        """
        match node:
            case tuple():
                for each in node:
                    yield from self.of(each, limits=limits)
            case ast.ColumnRef():
                yield from _marked(node, Use.OTHER)
            case ast.A_Expr() if limits and self._compares(node):
                yield from _marked(node.rexpr, Use.COMPARED)
            case ast.FuncCall(args=args):
                for each in args or ():
                    yield from self._argument(each)
                yield from self._below(node, limits=False, without="args")
            case ast.Node():
                yield from self._below(node, limits=limits)

    def _below(self, node: ast.Node, *, limits: bool, without: str = "") -> Iterator[Place]:
        for name in (name for name in node if name != without):
            below = _limits(node, name) or (limits and _joins(node))
            yield from self.of(getattr(node, name), limits=below)

    def _argument(self, node: object) -> Iterator[Place]:
        inner = node
        while isinstance(inner, ast.NamedArgExpr | ast.TypeCast):
            inner = inner.arg
        if isinstance(inner, ast.ColumnRef):
            yield from _marked(inner, Use.ARGUMENT)
        else:
            yield from self.of(node)

    def _compares(self, node: ast.A_Expr) -> bool:
        marked = [place.name for place in _marked(node.rexpr, Use.COMPARED)]
        return (
            node.kind == A_Expr_Kind.AEXPR_OP
            and bool(marked)
            and node.name[-1].sval == _OPERATORS[marked[0]]
            and self._columns(node.lexpr) == self._key
        )

    def _columns(self, node: object) -> list[str]:
        """The names of what is compared, as far as they are columns of the table."""
        parts = node.args if isinstance(node, ast.RowExpr) else (node,)
        return [self._column(part) for part in parts]

    def _column(self, node: object) -> str:
        match node:
            case ast.ColumnRef(fields=(ast.String(sval=name),)):
                return str(name)
            case ast.ColumnRef(fields=(*_, ast.String(sval=table), ast.String(sval=name))):
                return str(name) if table in self._names else ""
        return ""


class _Named(Visitor):  # type: ignore[misc]
    """The names that a statement gives a table."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.found: set[str] = set()

    def visit_RangeVar(self, _ancestors: Any, node: ast.RangeVar) -> None:
        """Note the name."""
        if node.relname == self.table:
            self.found.add(node.alias.aliasname if node.alias else node.relname)


def _names(node: ast.Node, table: str) -> set[str]:
    visitor = _Named(table)
    visitor(node)
    return visitor.found


def _marked(node: object, use: Use) -> Iterator[Place]:
    match node:
        case ast.ColumnRef(fields=(ast.String(sval=name),)) if name in MARKS.values():
            yield Place(node.location, name.removeprefix("pgrunbook "), use)


def _limits(node: ast.Node, name: str) -> bool:
    """Whether this part of the node says which rows it takes. ON of a MERGE does not: what it does
    not match is taken, too.
    """
    match node:
        case ast.SelectStmt() | ast.UpdateStmt() | ast.DeleteStmt():
            return name == "whereClause"
        case ast.JoinExpr(jointype=JoinType.JOIN_INNER):
            return name == "quals"
    return False


def _joins(node: ast.Node) -> bool:
    return isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR


_STATEMENTS = (ast.UpdateStmt, ast.InsertStmt, ast.DeleteStmt, ast.MergeStmt, ast.CallStmt)


def changes_rows(node: ast.Node) -> bool:
    """Whether it is a statement that may run in batches: one that writes rows, or calls a
    function.
    """
    match node:
        case ast.SelectStmt(targetList=targets):
            return any(isinstance(target.val, ast.FuncCall) for target in targets or ())
    return isinstance(node, _STATEMENTS)


def moved(node: Any, table: str, key: Sequence[str]) -> list[str]:
    """The columns of the key that the statement itself sets in that table: a row would move to
    another batch.
    """
    match node:
        case ast.UpdateStmt(relation=relation, targetList=targets):
            changed = list(targets)
        case ast.MergeStmt(relation=relation, mergeWhenClauses=clauses):
            matched = [c for c in clauses if c.matchKind == MergeMatchKind.MERGE_WHEN_MATCHED]
            changed = [target for clause in matched for target in clause.targetList or ()]
        case _:
            return []
    names = {target.name for target in changed} if relation.relname == table else set()
    return [name for name in key if name in names]
