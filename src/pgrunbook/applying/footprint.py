"""The tables that a statement locks, in which mode, as far as its text tells; and how they are
locked all at once.

lock_timeout counts for each lock by itself, and a statement may take many. LOCK TABLE does nothing
but wait, so that statement_timeout bounds the wait for all of its locks together, those of
partitions included. https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType
from psycopg.sql import Identifier

from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.locks import BLOCKS, STRONGEST
from pgrunbook.runbooks.scripts import Statement

_MODES = [*BLOCKS]  # the weakest first, as LOCK TABLE numbers them from 1
_FOREIGN_KEY = "SHARE ROW EXCLUSIVE"
_ALL = "*"


class Wanted(NamedTuple):
    """A lock on a table, with all that inherit from it unless `only` it is meant; one for a `key`,
    a foreign one, with its partitions. `losing` names the constraints and the columns that the
    statement drops: it locks the tables, too, that a foreign key among them refers to.
    """

    schema: str
    table: str
    mode: str
    only: bool = False
    losing: tuple[str, ...] = ()
    key: bool = False


def acquired(conn: Connection, schema: str, statements: Sequence[Statement]) -> list[list[str]]:
    """For each of the statements, those to send before it: LOCK TABLE on what exists, where this
    role may do so.

    Each lock is taken where the statement would take it, and in its mode: earlier, or stronger,
    would keep others waiting while the statements before it are at work. Reads only.
    """
    wanted: list[list[Wanted]] = []
    named: set[tuple[str, str]] = set()
    made: set[tuple[str, str]] = set()
    for statement in statements:
        locks = [_in(schema, lock) for lock in _of(statement.node)]
        wanted.append(locks)
        named |= {(lock.schema, lock.table) for lock in locks}
        if isinstance(statement.node, ast.CreateStmt):
            made.add(_name(schema, statement.node.relation))
    names = sorted(named - made)
    if not names:
        return [[] for _ in statements]
    schemas, tables = zip(*names, strict=True)
    found = catalog.rows(conn, "lockable", schemas=[*schemas], tables=[*tables])
    there = {(row["schema"], row["table"]): row for row in found}
    held: dict[tuple[str, str], Wanted] = {}
    return [[*_statements(_new(each, there, held))] for each in wanted]


def _in(schema: str, lock: Wanted) -> Wanted:
    return lock if lock.schema else lock._replace(schema=schema)


def _name(schema: str, relation: ast.RangeVar) -> tuple[str, str]:
    return relation.schemaname or schema, relation.relname


def _new(
    wanted: Iterable[Wanted],
    there: Mapping[tuple[str, str], Mapping[str, Any]],
    held: dict[tuple[str, str], Wanted],
) -> Iterator[Wanted]:
    """Those of the locks that can be taken and are not `held` yet, which is brought up to date."""
    for lock in wanted:
        if not (row := there.get((lock.schema, lock.table))):
            continue
        own = lock._replace(only=not row["partitioned"]) if lock.key else lock
        for one in [*([own] if row["lockable"] else []), *_losing(lock, row)]:
            before = held.get((one.schema, one.table))
            if (
                before is None
                or _MODES.index(before.mode) < _MODES.index(one.mode)
                or (before.only and not one.only)
            ):
                held[one.schema, one.table] = one
                yield one


def _losing(lock: Wanted, row: Mapping[str, Any]) -> Iterator[Wanted]:
    """The locks on the tables that lose a partition, or a foreign key that refers to them."""
    if _ALL in lock.losing and (parent := row["parent"]) and parent["lockable"]:
        yield Wanted(parent["schema"], parent["table"], STRONGEST, only=True)
    for key in row["keys"]:
        if key["lockable"] and not {_ALL, key["name"], *key["columns"]}.isdisjoint(lock.losing):
            yield Wanted(key["schema"], key["table"], STRONGEST, only=not key["partitioned"])


def _statements(wanted: Iterable[Wanted]) -> Iterator[str]:
    """One LOCK TABLE for each mode, the strongest first, its tables by their names: the order is
    the same each time.
    """
    ordered = sorted(wanted, key=lambda lock: (-_MODES.index(lock.mode), lock))
    for mode, those in groupby(ordered, key=lambda lock: lock.mode):
        names = ", ".join(
            f"{'ONLY ' * w.only}{Identifier(w.schema, w.table).as_string()}" for w in those
        )
        yield f"LOCK TABLE {names} IN {mode} MODE"


def _of(node: ast.Node) -> Iterator[Wanted]:
    """The locks of one statement; none of a statement that this module does not know."""
    match node:
        case ast.CreateStmt():
            yield from _referring(node.tableElts or ())
        case ast.IndexStmt(concurrent=False) | ast.IndexStmt(concurrent=None):
            yield _on(node.relation, "SHARE")
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE):
            yield from _altered(node)
        case ast.RenameStmt(relation=ast.RangeVar()) if node.renameType in _RENAMED:
            yield _on(node.relation, STRONGEST)
        case ast.CommentStmt():
            yield from _commented(node)
        case ast.CreateTrigStmt():
            yield _on(node.relation, _FOREIGN_KEY)
        case ast.TruncateStmt(relations=relations):
            yield from (_on(relation, STRONGEST) for relation in relations)
        case ast.LockStmt(relations=relations, mode=mode):
            yield from (_on(relation, _MODES[mode - 1]) for relation in relations)
        case ast.InsertStmt(relation=relation):
            yield _on(relation, "ROW EXCLUSIVE", only=True)
        case ast.UpdateStmt(relation=relation) | ast.DeleteStmt(relation=relation):
            yield _on(relation, "ROW EXCLUSIVE")
        case ast.DropStmt(removeType=ObjectType.OBJECT_TABLE, objects=names):
            yield from (_named(name, STRONGEST)._replace(losing=(_ALL,)) for name in names)


_RENAMED = (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_COLUMN, ObjectType.OBJECT_TABCONSTRAINT)

# Of the forms of ALTER TABLE: https://www.postgresql.org/docs/current/sql-altertable.html
_ALTERING = {
    AlterTableType.AT_AddColumn: STRONGEST,
    AlterTableType.AT_AddConstraint: STRONGEST,
    AlterTableType.AT_AlterColumnType: STRONGEST,
    AlterTableType.AT_ColumnDefault: STRONGEST,
    AlterTableType.AT_DetachPartition: STRONGEST,
    AlterTableType.AT_DropColumn: STRONGEST,
    AlterTableType.AT_DropConstraint: STRONGEST,
    AlterTableType.AT_DropNotNull: STRONGEST,
    AlterTableType.AT_SetNotNull: STRONGEST,
    AlterTableType.AT_SetStatistics: "SHARE UPDATE EXCLUSIVE",
    AlterTableType.AT_ValidateConstraint: "SHARE UPDATE EXCLUSIVE",
}


def _altered(node: ast.AlterTableStmt) -> Iterator[Wanted]:
    """The lock on the table that its strongest command takes, if all of them are known; and those
    on others.
    """
    modes = [_altering(command) for command in node.cmds]
    losing = (AlterTableType.AT_DropColumn, AlterTableType.AT_DropConstraint)
    if None not in modes:
        lost = tuple(command.name for command in node.cmds if command.subtype in losing)
        strongest = max((mode for mode in modes if mode), key=_MODES.index)
        yield _on(node.relation, strongest)._replace(losing=lost)
    for command in node.cmds:
        match command:
            case ast.AlterTableCmd(
                subtype=AlterTableType.AT_DetachPartition, def_=ast.PartitionCmd(name=partition)
            ):
                yield _on(partition, STRONGEST)
            case ast.AlterTableCmd(def_=ast.ColumnDef() | ast.Constraint() as made):
                yield from _referring([made])


def _altering(command: ast.AlterTableCmd) -> str | None:
    match command.def_:
        case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN):
            # before version 18 not on tables that inherit from it, which LOCK TABLE locks, too
            return _FOREIGN_KEY
    return _ALTERING.get(command.subtype)


def _referring(made: Iterable[ast.Node]) -> Iterator[Wanted]:
    """The locks on what the foreign keys of these columns and constraints refer to."""
    for node in made:
        match node:
            case ast.ColumnDef(constraints=constraints):
                yield from _referring(constraints or ())
            case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN, pktable=table):
                yield _on(table, _FOREIGN_KEY)._replace(key=True)


def _commented(node: ast.CommentStmt) -> Iterator[Wanted]:
    match node.objtype, node.object:
        case ObjectType.OBJECT_TABLE, tuple(names):
            yield _named(names, "SHARE UPDATE EXCLUSIVE", only=True)
        case ((ObjectType.OBJECT_COLUMN | ObjectType.OBJECT_TABCONSTRAINT), tuple((*names, _))):
            yield _named(names, "SHARE UPDATE EXCLUSIVE", only=True)


def _on(relation: ast.RangeVar, mode: str, *, only: bool = False) -> Wanted:
    return Wanted(relation.schemaname or "", relation.relname, mode, only or not relation.inh)


def _named(names: Sequence[ast.String], mode: str, *, only: bool = False) -> Wanted:
    *schema, table = (name.sval for name in names)
    return Wanted(schema[-1] if schema else "", table, mode, only)
