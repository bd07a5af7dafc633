"""Finds statements that PostgreSQL would refuse in the middle of a run, if the catalog can tell
that before. Reads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType
from pglast.visitors import Visitor

from pgrunbook.errors import Problem
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.doubts import Path
from pgrunbook.planning.paths import Paths
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Hazard, Thing
from pgrunbook.sqltext.long_names import collisions
from pgrunbook.sqltext.things import relation, thing_named


class Pending(NamedTuple):
    """A statement that is to run, its block, and the schemas where it looks names up."""

    block: Block
    statement: Statement
    path: Path = ()

    @property
    def node(self) -> ast.Node:
        """The statement's tree."""
        return self.statement.node

    def problem(self, what: str, *, expected: str, remedy: str) -> Problem:
        """Return the problem that it would be refused."""
        found = self.statement.sql.splitlines()[0]
        where = self.statement.place() if self.statement.file else self.block.name
        return Problem(what, where, expected, found, remedy)


def check(conn: Session, decisions: Sequence[Decision]) -> list[CheckResult]:
    """Return a result for each kind of error, or for each error that was found."""
    paths = Paths(conn)
    pending: list[Pending] = []
    for each in decisions:
        if each.pending:
            block, path = each.block, paths.of(each.block)
            pending += [Pending(block, statement, path) for statement in each.pending_statements]
    results: list[CheckResult] = []
    for what, find_errors in _CHECKS.items():
        problems = list(find_errors(conn, pending))
        results += [CheckResult(problem.where, what, problem) for problem in problems]
        if pending and not problems:
            results.append(CheckResult("statements", what))
    return results


_Row = Mapping[str, Any]


def _places(thing: Thing, path: Path) -> list[tuple[str, str]]:
    return [(schema, thing.name) for schema in thing.schemas(path)]


def _rows_by_place(
    conn: Session, query: str, wanted: Iterable[tuple[Thing, Path]]
) -> dict[tuple[str, str], _Row]:
    """Return the rows of a catalog query about relations, by schema and name."""
    places: set[tuple[str, str]] = set()
    for thing, path in wanted:
        places.update(_places(thing, path))
    if not places:
        return {}
    schemas, names = zip(*sorted(places), strict=True)
    rows = catalog.rows(conn, query, schemas=[*schemas], names=[*names])
    return {(row["schema"], row["name"]): row for row in rows}


def _first(rows: Mapping[tuple[str, str], _Row], thing: Thing, path: Path) -> _Row | None:
    """Return the row of what a name means: of the first schema of the path that has it."""
    for place in _places(thing, path):
        if place in rows:
            return rows[place]
    return None


# -- partitioned tables


def _check_partitioned(conn: Session, pending: Sequence[Pending]) -> Iterator[Problem]:
    """Find CONCURRENTLY on a partitioned table; before version 18, NOT VALID for its foreign key,
    too.
    """
    old = conn.info.server_version < 180_000
    asked: list[tuple[Pending, Thing, bool]] = []
    made: set[str] = set()
    for each in pending:
        for thing, is_key in _must_not_be_partitioned(each.node):
            if old or not is_key:
                asked.append((each, thing, is_key))
        if isinstance(each.node, ast.CreateStmt) and each.node.partspec is not None:
            made.add(each.node.relation.relname)
    there = _rows_by_place(conn, "partitioned", [(thing, each.path) for each, thing, _ in asked])
    for each, thing, is_key in asked:
        row = _first(there, thing, each.path)
        if thing.name not in made and not (row and row["partitioned"]):
            continue
        if is_key:
            yield each.problem(
                f"{thing.name} is partitioned, and takes no foreign key that is NOT VALID",
                expected="PostgreSQL 18, or a foreign key that is valid from the start",
                remedy="add it NOT VALID to each partition, validate these, then add it to the "
                "table without NOT VALID",
            )
            continue
        remedy = "leave out CONCURRENTLY, and set a short lock_timeout"
        if isinstance(each.node, ast.IndexStmt):
            remedy = (
                f"CREATE INDEX … ON ONLY {thing.name} …; CREATE INDEX CONCURRENTLY on each "
                "partition in blocks with `-- transaction: no`; ALTER INDEX … ATTACH PARTITION"
            )
        yield each.problem(
            f"{thing.name} is partitioned, and takes no CONCURRENTLY",
            expected="an index of a table that is not partitioned",
            remedy=remedy,
        )


def _must_not_be_partitioned(node: ast.Node) -> Iterator[tuple[Thing, bool]]:
    """Yield what must not be partitioned for a statement, and whether that is because of a foreign
    key.
    """
    match node:
        case ast.IndexStmt(concurrent=True, relation=table):
            yield relation("table", table), False
        case ast.DropStmt(concurrent=True, removeType=kind, objects=objects):
            for each in objects:
                yield thing_named(kind, each), False
        case ast.AlterTableStmt(relation=table, cmds=commands):
            for command in commands:
                if command.subtype == AlterTableType.AT_AddConstraint:
                    key = command.def_
                    if key.contype == ConstrType.CONSTR_FOREIGN and key.skip_validation:
                        yield relation("table", table), True


# -- enums


class _Mentions(Visitor):  # type: ignore[misc]
    """The strings, types and relations that a statement mentions."""

    def __init__(self, node: ast.Node) -> None:
        self.strings: set[str] = set()
        self.names: set[str] = set()
        self(node)

    def visit_A_Const(self, _: object, node: ast.A_Const) -> None:
        if isinstance(node.val, ast.String):
            self.strings.add(node.val.sval)

    def visit_TypeName(self, _: object, node: ast.TypeName) -> None:
        self.names.add(node.names[-1].sval if node.names else "")

    def visit_RangeVar(self, _: object, node: ast.RangeVar) -> None:
        self.names.add(node.relname)


def _check_labels(conn: Session, pending: Sequence[Pending]) -> Iterator[Problem]:
    """Find labels of an enum that are used in the transaction that adds them."""
    uses = list(_label_uses(pending, made_too=conn.info.server_version < 170_000))
    if not uses:
        return
    users = _relations_with(conn, pending, {type_ for _, type_, _ in uses})
    for each, type_, label in uses:
        # The string may be a label of another type, or none at all.
        names = _Mentions(each.node).names
        if type_ in names or names & users[type_]:
            yield each.problem(
                f"uses {label!r}, which its own block adds to {type_}",
                expected="a label that was committed before: a new one cannot be used in the "
                "transaction that adds it",
                remedy=f"move ALTER TYPE {type_} ADD VALUE into a block before this one",
            )


def _label_uses(
    pending: Sequence[Pending], *, made_too: bool
) -> Iterator[tuple[Pending, str, str]]:
    """Yield the statements that mention a label which an earlier statement of their transaction has
    added; each with the type and the label.

    `made_too`: also labels of types that the transaction itself has made. From version 17 on these
    may be used.
    """
    made: set[str] = set()
    added: list[tuple[str, str]] = []
    block: Block | None = None
    for each in pending:
        if each.block is not block:
            block, made, added = each.block, set(), []
        if not block.transaction:
            continue
        if isinstance(each.node, ast.CreateEnumStmt):
            made.add(each.node.typeName[-1].sval)
        strings = _Mentions(each.node).strings if added else set()
        for type_, label in added:
            if label in strings:
                yield each, type_, label
        if isinstance(each.node, ast.AlterEnumStmt) and each.node.oldVal is None:
            type_ = each.node.typeName[-1].sval
            if made_too or type_ not in made:
                added.append((type_, each.node.newVal))


def _relations_with(
    conn: Session, pending: Sequence[Pending], enums: set[str]
) -> dict[str, set[str]]:
    """Return the relations that have, or will have, a column of each type."""
    relations: dict[str, set[str]] = {enum: set() for enum in enums}
    for row in catalog.rows(conn, "enum_columns", enums=sorted(enums)):
        relations[row["enum"]].add(row["relation"])
    for each in pending:
        if isinstance(each.node, ast.CreateStmt | ast.AlterTableStmt):
            for enum in enums & _Mentions(each.node).names:
                relations[enum].add(each.node.relation.relname)
    return relations


# -- names


def _check_long_names(_conn: Session, pending: Sequence[Pending]) -> Iterator[Problem]:
    """Find two names that become the same, as the server cuts them off."""
    texts = [(each.node, each.statement.sql) for each in pending]
    for place, first, second, kept in collisions(texts):
        yield pending[place].problem(
            f"{second} is {kept} to PostgreSQL, which {first} is too",
            expected="names that differ in their first 63 bytes",
            remedy="give one of them a shorter name",
        )


# -- replica identities


# Statements that may contain an UPDATE or a DELETE. INSERT … ON CONFLICT DO UPDATE is not among
# them: the server complains only when a row conflicts.
_WRITING = (ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt, ast.SelectStmt)
_NEEDING = (Hazard.UPDATES_ROWS, Hazard.DELETES_ROWS)


def _check_replica_identity(conn: Session, pending: Sequence[Pending]) -> Iterator[Problem]:
    """Find UPDATE and DELETE of a table that is published and has no replica identity.
    https://www.postgresql.org/docs/current/logical-replication-publication.html
    """
    asked = []
    for number, each in enumerate(pending):
        if not isinstance(each.node, _WRITING):
            continue
        for danger in dangers([(each.node, 0)]):
            if danger.hazard not in _NEEDING:
                continue
            if not any(_may_give_identity(b.node, danger.thing) for b in pending[:number]):
                asked.append((each, danger))
    wanted = [(danger.thing, each.path) for each, danger in asked]
    rows = _rows_by_place(conn, "unidentified", wanted)
    there = _rows_by_place(conn, "partitioned", wanted) if rows else {}
    for each, danger in asked:
        meant = _first(there, danger.thing, each.path)
        row = meant and rows.get((meant["schema"], meant["name"]))
        change = "deletes" if danger.hazard is Hazard.DELETES_ROWS else "updates"
        if row and row[change]:
            yield each.problem(
                f"{row['lacking']} has no replica identity, and {row['publications']} publishes "
                f"{change}",
                expected="a primary key, or another replica identity",
                remedy=f"ALTER TABLE {row['lacking']} REPLICA IDENTITY FULL, in a block before "
                "this one; or USING INDEX of a unique one without NULLs",
            )


def _may_give_identity(node: ast.Node, table: Thing) -> bool:
    """Whether a statement may give the table an identity, or change what is published."""
    match node:
        case ast.AlterTableStmt(relation=there, cmds=commands) if there.relname == table.name:
            for command in commands:
                if command.subtype == AlterTableType.AT_ReplicaIdentity:
                    return True
                if getattr(command.def_, "contype", None) == ConstrType.CONSTR_PRIMARY:
                    return True
        case ast.DropStmt(removeType=ObjectType.OBJECT_PUBLICATION) | ast.AlterPublicationStmt():
            return True
    return False


# -- extensions


def _check_extensions(conn: Session, pending: Sequence[Pending]) -> Iterator[Problem]:
    """Find extensions that are to be made, and that the server does not have."""
    made = [each for each in pending if isinstance(each.node, ast.CreateExtensionStmt)]
    if not made:
        return
    names = [each.node.extname for each in made]
    available = {row["name"] for row in catalog.rows(conn, "available", names=names)}
    for each in made:
        if each.node.extname not in available:
            yield each.problem(
                f"the server does not have the extension {each.node.extname}",
                expected="one that pg_available_extensions lists",
                remedy="have it installed on the server's machine, then run again",
            )


_CHECKS: dict[str, Callable[[Session, Sequence[Pending]], Iterator[Problem]]] = {
    "ask nothing of a partitioned table that it cannot do": _check_partitioned,
    "use no label of an enum before it is committed": _check_labels,
    "have names that PostgreSQL keeps apart": _check_long_names,
    "make extensions that the server has": _check_extensions,
    "change rows of published tables that have an identity": _check_replica_identity,
}
