"""Finds the bounds of a statement that runs in batches: `:from`, the key after which a batch
begins, and `:to`, its last key; and whether they limit the statement to the rows of the batch.

`:from` is no SQL. To be parsed, each placeholder is replaced by a quoted name that no column has.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import (
    A_Expr_Kind,
    BoolExprType,
    JoinType,
    MergeMatchKind,
    SetOperation,
    SubLinkType,
)

from pgrunbook.sqltext.parse_tree import nodes

# The column that stands for each placeholder in SQL that is to be parsed.
MARKS = {"from": "pgrunbook from", "to": "pgrunbook to"}
_MARKED = re.compile('"pgrunbook (from|to)"')
_OPERATORS = {"from": ">", "to": "<="}


class Use(enum.Enum):
    """What a bound is used for."""

    COMPARED = "compared"  # key > :from, or key <= :to, where that limits the statement
    ARGUMENT = "argument"  # of a function, which has to limit itself
    OTHER = "other"  # anything else: it does not limit the statement


class Bound(NamedTuple):
    """One of the bounds in a statement: its name, where it stands, and what it is used for."""

    location: int
    name: str
    use: Use


def find_bounds(node: ast.Node, table: str, key: Sequence[str]) -> list[Bound]:
    """Return the bounds of a statement in the order of its text. `key` are the columns of the table
    by which the block is cut into batches.
    """
    found = _Bounds(node, table, key).of_statement()
    return sorted(found, key=lambda place: place.location)


def fill(sql: str, uses: Sequence[Use], bounds: Mapping[Use, Mapping[str, str]]) -> str:
    """Return the SQL with its marks filled in. `uses` are those of the marks in the order of the
    text; `bounds` are the values by use and name.
    """
    remaining = iter(uses)
    return _MARKED.sub(lambda mark: bounds[next(remaining)][mark[1]], sql)


class _Part(enum.Enum):
    """What a part of a statement says of the rows that the statement takes.

    Only a comparison in a part that HOLDS limits the statement: an OR, or the optional side of an
    outer join, may take rows for which it does not hold.
    """

    TAKES = "takes"  # a query, or a relation that it reads: the statement takes no row but its
    HOLDS = "holds"  # a condition that holds for each row that is taken
    ELSE = "else"  # it says nothing of the rows


class _Bounds:
    """Walks through a statement. A comparison limits it if nothing but AND is above it in WHERE or
    in ON of an inner join: of the statement itself, or of a query that gives it its rows.
    """

    def __init__(self, statement: ast.Node, table: str, key: Sequence[str]) -> None:
        self._statement = statement
        self._key = [*key]
        self._names: set[str] = set()  # that the statement gives the table
        self._queries: list[tuple[str, ast.Node]] = []  # in WITH, by their names
        for each in nodes(statement):
            if isinstance(each, ast.CommonTableExpr):
                self._queries.append((each.ctename, each.ctequery))
            elif isinstance(each, ast.RangeVar) and each.relname == table:
                self._names.add(each.alias.aliasname if each.alias else each.relname)

    def of_statement(self) -> Iterator[Bound]:
        """Yield the bounds of the whole statement. Those of a query in WITH limit it if it takes
        its rows from there.
        """
        yield from self._of(self._statement, _Part.TAKES)
        while self._queries:
            yield from self._of(self._queries.pop()[1], _Part.ELSE)

    def _of(self, node: object, part: _Part) -> Iterator[Bound]:
        """Yield the bounds below a node, or below each node of a tuple."""
        match node:
            case tuple():
                for each in node:
                    yield from self._of(each, part)
            case ast.ColumnRef():
                yield from _find_marks(node, Use.OTHER)
            case ast.A_Expr() if part is _Part.HOLDS and self._compares(node):
                yield from _find_marks(node.rexpr, Use.COMPARED)
            case ast.FuncCall(args=args):
                for each in args or ():
                    yield from self._argument(each)
                yield from self._below(node, _Part.ELSE, without=("args",))
            case ast.RangeVar(schemaname=None, relname=name) if part is _Part.TAKES:
                yield from self._of(self._query(name), part)
            case ast.WithClause():
                pass  # its queries come where they are mentioned, or last
            case ast.SelectStmt(op=SetOperation.SETOP_UNION):
                yield from self._union(node, part)
            case ast.Node():
                yield from self._below(node, part)

    def _query(self, name: str) -> ast.Node | None:
        """Return the query in WITH of that name; None if there is none, several, or if it was
        walked through already.
        """
        found = [query for query in self._queries if query[0] == name]
        if len(found) != 1:
            return None
        self._queries.remove(found[0])
        return found[0][1]

    def _below(self, node: ast.Node, part: _Part, without: Sequence[str] = ()) -> Iterator[Bound]:
        for name in node:
            if name not in without:
                yield from self._of(getattr(node, name), _below(node, name, part))

    def _union(self, node: ast.SelectStmt, part: _Part) -> Iterator[Bound]:
        """Yield the bounds of a UNION: it is limited where each of its arms is."""
        left = list(self._of(node.larg, part))
        right = list(self._of(node.rarg, part))
        limited = _limits(left) and _limits(right)
        for place in left + right:
            if place.use is Use.COMPARED and not limited:
                yield place._replace(use=Use.OTHER)
            else:
                yield place
        yield from self._below(node, _Part.ELSE, without=("larg", "rarg"))

    def _argument(self, node: object) -> Iterator[Bound]:
        inner = node
        while isinstance(inner, ast.NamedArgExpr | ast.TypeCast):
            inner = inner.arg
        if isinstance(inner, ast.ColumnRef):
            yield from _find_marks(inner, Use.ARGUMENT)
        else:
            yield from self._of(node, _Part.ELSE)

    def _compares(self, node: ast.A_Expr) -> bool:
        """Return whether it is `key > :from` or `key <= :to`."""
        if node.kind != A_Expr_Kind.AEXPR_OP:
            return False
        for place in _find_marks(node.rexpr, Use.COMPARED):
            operator = node.name[-1].sval
            return operator == _OPERATORS[place.name] and self._columns(node.lexpr) == self._key
        return False

    def _columns(self, node: object) -> list[str]:
        """Return the names of what is compared, as far as they are columns of the table."""
        parts = node.args if isinstance(node, ast.RowExpr) else (node,)
        return [self._column(part) for part in parts]

    def _column(self, node: object) -> str:
        match node:
            case ast.ColumnRef(fields=(ast.String(sval=name),)):
                return str(name)
            case ast.ColumnRef(fields=(*_, ast.String(sval=table), ast.String(sval=name))):
                return str(name) if table in self._names else ""
        return ""


def _limits(places: Sequence[Bound]) -> bool:
    """Return whether the key is compared with both bounds."""
    return {place.name for place in places if place.use is Use.COMPARED} == {*MARKS}


def _find_marks(node: object, use: Use) -> Iterator[Bound]:
    match node:
        case ast.ColumnRef(fields=(ast.String(sval=name),)) if name in MARKS.values():
            yield Bound(node.location, name.removeprefix("pgrunbook "), use)


def _below(node: ast.Node, name: str, part: _Part) -> _Part:
    """Return what a field of the node says of the rows, if the node itself is such a part."""
    if part is _Part.TAKES:
        if name in _conditions(node):
            return _Part.HOLDS
        if name in _sources(node):
            return _Part.TAKES
    elif part is _Part.HOLDS:
        if name == "subselect" and _is_in(node):
            return _Part.TAKES
        if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
            return _Part.HOLDS
    return _Part.ELSE


def _conditions(node: ast.Node) -> tuple[str, ...]:
    """Return the names of the fields that have conditions on the rows. ON of a MERGE is none: rows
    that it does not match are taken, too.
    """
    match node:
        case ast.SelectStmt() | ast.UpdateStmt() | ast.DeleteStmt():
            return ("whereClause",)
        case ast.JoinExpr(jointype=JoinType.JOIN_INNER):
            return ("quals",)
    return ()


def _sources(node: ast.Node) -> tuple[str, ...]:
    """Return the names of the fields from which a query or a join takes its rows; of an outer join,
    only the side that is not optional.
    """
    match node:
        case ast.JoinExpr(jointype=JoinType.JOIN_INNER):
            return ("larg", "rarg")
        case ast.JoinExpr(jointype=JoinType.JOIN_LEFT):
            return ("larg",)
        case ast.JoinExpr(jointype=JoinType.JOIN_RIGHT):
            return ("rarg",)
        case ast.SelectStmt(op=SetOperation.SETOP_INTERSECT):
            return ("larg", "rarg")
        case ast.SelectStmt(op=SetOperation.SETOP_EXCEPT):
            return ("larg",)
        case ast.MergeStmt(mergeWhenClauses=clauses):
            kinds = [clause.matchKind for clause in clauses]
            if MergeMatchKind.MERGE_WHEN_NOT_MATCHED_BY_SOURCE in kinds:
                return ()  # it takes the rows of all other batches
    return ("fromClause", "usingClause", "selectStmt", "sourceRelation", "subquery")


def _is_in(node: ast.Node) -> bool:
    """Return whether it is `IN (SELECT …)` or `= ANY (SELECT …)`."""
    match node:
        case ast.SubLink(subLinkType=SubLinkType.ANY_SUBLINK, operName=operator):
            return operator is None or operator[-1].sval == "="
    return False


_STATEMENTS = (ast.UpdateStmt, ast.InsertStmt, ast.DeleteStmt, ast.MergeStmt, ast.CallStmt)


def changes_rows(node: ast.Node) -> bool:
    """Whether a statement may run in batches: it writes rows, or calls a function that may."""
    match node:
        case ast.SelectStmt(targetList=targets):
            return any(isinstance(target.val, ast.FuncCall) for target in targets or ())
    return isinstance(node, _STATEMENTS)


def moved_columns(node: Any, table: str, key: Sequence[str]) -> list[str]:
    """Return the columns of the key that the statement sets in that table. It must not: a row would
    move into another batch, and be changed twice or never.
    """
    targets: list[ast.ResTarget] = []
    match node:
        case ast.UpdateStmt(relation=ast.RangeVar(relname=name)) if name == table:
            targets += node.targetList
        case ast.MergeStmt(relation=ast.RangeVar(relname=name)) if name == table:
            for clause in node.mergeWhenClauses:
                if clause.matchKind == MergeMatchKind.MERGE_WHEN_MATCHED:
                    targets += clause.targetList or ()
    names = {target.name for target in targets}
    return [name for name in key if name in names]
