"""Finds the tables that a statement locks, and in which mode, as far as its text tells; writes the
LOCK TABLE statements that take these locks before it.

lock_timeout counts for each lock by itself, and a statement may take many: it could make the
application wait for many times as long. LOCK TABLE does nothing but wait, so that statement_timeout
bounds the wait for all of its locks together, those of partitions included.
https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType
from psycopg.sql import Identifier

from pgrunbook.postgres import catalog
from pgrunbook.postgres.locks import BLOCKS, STRONGEST
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import RELATIONS, created_objects
from pgrunbook.sqltext.search_paths import may_set_path

_MODES = [*BLOCKS]  # the weakest first, as LOCK TABLE numbers them from 1
_FOREIGN_KEY = "SHARE ROW EXCLUSIVE"
_ALL = "*"
_NO_SCHEMA = ""  # of a table that a statement makes without naming one


class WantedLock(NamedTuple):
    """A lock on a table that a statement takes.

    - `only`: without the tables that inherit from it.
    - `drops` names the constraints and columns that the statement drops, `*` stands for all of
      them. If one is a foreign key, the table that it refers to is locked, too.
    - `referenced`: a new foreign key refers to the table, so that its partitions are locked, too.
    """

    schema: str
    table: str
    mode: str
    only: bool = False
    drops: tuple[str, ...] = ()
    referenced: bool = False


def lock_statements(
    conn: Session, path: Sequence[str], statements: Sequence[Statement]
) -> list[list[str]]:
    """Return for each statement of a block the LOCK TABLE statements to send before it: of tables
    that exist, and that this role may lock. Reads only.

    A name without a schema is looked up in the schemas of the path, the first that has it, as long
    as no statement has set another path. Called when a block's message is put together.
    """
    # Each lock is taken where the statement would take it, and in its mode: earlier, or stronger,
    # it would keep others waiting while the statements before it are at work.
    wanted: list[list[WantedLock]] = []
    names: set[tuple[str, str]] = set()
    created: set[tuple[str, str]] = set()
    path_is_known = True
    for statement in statements:
        locks = []
        for lock in _locks_of_statement(statement.node):
            if lock.schema or path_is_known:
                locks.append(lock)
                schemas = [lock.schema] if lock.schema else path
                names |= {(schema, lock.table) for schema in schemas}
        wanted.append(locks)
        for new in created_objects(statement.node):
            if new.kind in RELATIONS:
                # pg_temp comes before every path
                by_name = new.schema in ("", "pg_temp")
                created.add((_NO_SCHEMA if by_name else new.schema, new.name))
        path_is_known = path_is_known and not may_set_path(statement.node)
    if not names:
        return [[] for _ in statements]
    schemas, tables = zip(*sorted(names), strict=True)
    rows = catalog.rows(conn, "lockable", schemas=[*schemas], tables=[*tables])
    there = {(row["schema"], row["table"]): row for row in rows}
    held: dict[tuple[str, str], WantedLock] = {}
    to_send = []
    for locks in wanted:
        placed = []
        for lock in locks:
            found = _find_schema(lock, path, there, created)
            if found:
                placed.append(found)
        to_send.append(list(_lock_table(_new_locks(placed, there, held))))
    return to_send


def _find_schema(
    lock: WantedLock,
    path: Sequence[str],
    there: Mapping[tuple[str, str], Mapping[str, Any]],
    created: Container[tuple[str, str]],
) -> WantedLock | None:
    """Return the lock with its schema; None if the table is none that was there before the block,
    or is not to be found.
    """
    if lock.schema:
        return None if (lock.schema, lock.table) in created else lock
    if (_NO_SCHEMA, lock.table) in created:
        return None
    for schema in path:
        if (schema, lock.table) in created:
            return None
        if (schema, lock.table) in there:
            return lock._replace(schema=schema)
    return None


def _new_locks(
    wanted: Iterable[WantedLock],
    there: Mapping[tuple[str, str], Mapping[str, Any]],
    held: dict[tuple[str, str], WantedLock],
) -> Iterator[WantedLock]:
    """Yield the locks that can be taken and that those `held` do not cover, and note them there."""
    for lock in wanted:
        row = there.get((lock.schema, lock.table))
        if not row:
            continue
        locks = []
        if row["lockable"]:
            locks.append(lock._replace(only=not row["partitioned"]) if lock.referenced else lock)
        for one in [*locks, *_locks_of_dropped(lock, row)]:
            if not _covers(held.get((one.schema, one.table)), one):
                held[one.schema, one.table] = one
                yield one


def _covers(held: WantedLock | None, lock: WantedLock) -> bool:
    """Whether who has the one lock has the other one, too."""
    if held is None or (held.only and not lock.only):
        return False
    return _MODES.index(held.mode) >= _MODES.index(lock.mode)


def _locks_of_dropped(lock: WantedLock, row: Mapping[str, Any]) -> Iterator[WantedLock]:
    """Yield the locks on the tables that lose a partition, or a foreign key that refers to them."""
    parent = row["parent"]
    if _ALL in lock.drops and parent and parent["lockable"]:
        yield WantedLock(parent["schema"], parent["table"], STRONGEST, only=True)
    for key in row["keys"]:
        if key["lockable"] and not {_ALL, key["name"], *key["columns"]}.isdisjoint(lock.drops):
            yield WantedLock(key["schema"], key["table"], STRONGEST, only=not key["partitioned"])


def _lock_table(wanted: Iterable[WantedLock]) -> Iterator[str]:
    """Yield one LOCK TABLE for each mode, the strongest first, its tables by their names."""
    # In the same order each time: two runs of ours never wait for each other.
    ordered = sorted(wanted, key=lambda lock: (-_MODES.index(lock.mode), lock))
    for mode, locks in groupby(ordered, key=lambda lock: lock.mode):
        names = []
        for lock in locks:
            name = Identifier(lock.schema, lock.table).as_string()
            names.append(f"ONLY {name}" if lock.only else name)
        yield f"LOCK TABLE {', '.join(names)} IN {mode} MODE"


def _locks_of_statement(node: ast.Node) -> Iterator[WantedLock]:
    """Yield the locks of one statement; none of a statement that this module does not know."""
    match node:
        case ast.CreateStmt():
            yield from _locks_of_foreign_keys(node.tableElts or ())
        case ast.IndexStmt(concurrent=False) | ast.IndexStmt(concurrent=None):
            yield _lock_on(node.relation, "SHARE")
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE):
            yield from _locks_of_alter_table(node)
        case ast.RenameStmt(relation=ast.RangeVar()) if node.renameType in _RENAMED:
            yield _lock_on(node.relation, STRONGEST)
        case ast.CommentStmt():
            yield from _locks_of_comment(node)
        case ast.CreateTrigStmt():
            yield _lock_on(node.relation, _FOREIGN_KEY)
        case ast.TruncateStmt(relations=relations):
            for relation in relations:
                yield _lock_on(relation, STRONGEST)
        case ast.LockStmt(relations=relations, mode=mode):
            for relation in relations:
                yield _lock_on(relation, _MODES[mode - 1])
        case ast.InsertStmt(relation=relation):
            yield _lock_on(relation, "ROW EXCLUSIVE", only=True)
        case ast.UpdateStmt(relation=relation) | ast.DeleteStmt(relation=relation):
            yield _lock_on(relation, "ROW EXCLUSIVE")
        case ast.DropStmt(removeType=ObjectType.OBJECT_TABLE, objects=names):
            for name in names:
                yield _lock_named(name, STRONGEST)._replace(drops=(_ALL,))


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


# Foreign keys go with these, or are made anew.
_DROPPING = (
    AlterTableType.AT_AlterColumnType,
    AlterTableType.AT_DropColumn,
    AlterTableType.AT_DropConstraint,
)


def _locks_of_alter_table(node: ast.AlterTableStmt) -> Iterator[WantedLock]:
    """Yield the lock on the table that its strongest command takes, if all of them are known; and
    those on others.
    """
    modes = [_mode_of(command) for command in node.cmds]
    if None not in modes:
        dropped = tuple(command.name for command in node.cmds if command.subtype in _DROPPING)
        strongest = max((mode for mode in modes if mode), key=_MODES.index)
        yield _lock_on(node.relation, strongest)._replace(drops=dropped)
    for command in node.cmds:
        match command:
            case ast.AlterTableCmd(
                subtype=AlterTableType.AT_DetachPartition, def_=ast.PartitionCmd(name=partition)
            ):
                yield _lock_on(partition, STRONGEST)
            case ast.AlterTableCmd(def_=ast.ColumnDef() | ast.Constraint() as made):
                yield from _locks_of_foreign_keys([made])


def _mode_of(command: ast.AlterTableCmd) -> str | None:
    match command.def_:
        case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN):
            # before version 18 not on tables that inherit from it, which LOCK TABLE locks, too
            return _FOREIGN_KEY
    return _ALTERING.get(command.subtype)


def _locks_of_foreign_keys(made: Iterable[ast.Node]) -> Iterator[WantedLock]:
    """Yield the locks on what the foreign keys of these columns and constraints refer to."""
    for node in made:
        match node:
            case ast.ColumnDef(constraints=constraints):
                yield from _locks_of_foreign_keys(constraints or ())
            case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN, pktable=table):
                yield _lock_on(table, _FOREIGN_KEY)._replace(referenced=True)


def _locks_of_comment(node: ast.CommentStmt) -> Iterator[WantedLock]:
    match node.objtype, node.object:
        case ObjectType.OBJECT_TABLE, tuple(names):
            yield _lock_named(names, "SHARE UPDATE EXCLUSIVE", only=True)
        case ((ObjectType.OBJECT_COLUMN | ObjectType.OBJECT_TABCONSTRAINT), tuple((*names, _))):
            yield _lock_named(names, "SHARE UPDATE EXCLUSIVE", only=True)


def _lock_on(relation: ast.RangeVar, mode: str, *, only: bool = False) -> WantedLock:
    return WantedLock(relation.schemaname or "", relation.relname, mode, only or not relation.inh)


def _lock_named(names: Sequence[ast.String], mode: str, *, only: bool = False) -> WantedLock:
    *schema, table = (name.sval for name in names)
    return WantedLock(schema[-1] if schema else "", table, mode, only)
