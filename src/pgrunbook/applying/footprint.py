"""The tables that a statement locks, in which mode, as far as its text tells; and how they are
locked all at once.

lock_timeout counts for each lock by itself, and a statement may take many. LOCK TABLE does nothing
but wait: so statement_timeout bounds the wait for all of its locks together, those of partitions
included. https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType
from psycopg.sql import Identifier

from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.locks import BLOCKS, STRONGEST
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import RELATIONS, created_objects
from pgrunbook.sqltext.search_paths import may_set_path

_MODES = [*BLOCKS]  # the weakest first, as LOCK TABLE numbers them from 1
_FOREIGN_KEY = "SHARE ROW EXCLUSIVE"
_ALL = "*"
_BY_ITS_NAME = ""  # in place of the schema of a table that was made without one


class Wanted(NamedTuple):
    """A lock on a table that a statement takes.

    - `only`: without the tables that inherit from it.
    - `losing` names the constraints and columns that the statement drops: it locks the tables, too,
      that a foreign key among them refers to. `*` are all.
    - `key`: a foreign key refers to the table, so that its partitions are locked, too.
    """

    schema: str
    table: str
    mode: str
    only: bool = False
    losing: tuple[str, ...] = ()
    key: bool = False


def acquired(
    conn: Connection, path: Sequence[str], statements: Sequence[Statement]
) -> list[list[str]]:
    """Return for each of the statements those to send before it: LOCK TABLE on what exists, where
    this role may do so. Reads only.

    A name without a schema is looked up in the schemas of the path, the first that has it, as long
    as no statement has set another path.
    """
    # Each lock is taken where the statement would take it, and in its mode: earlier, or stronger,
    # it would keep others waiting while the statements before it are at work.
    wanted: list[list[Wanted]] = []
    names: set[tuple[str, str]] = set()
    made: set[tuple[str, str]] = set()
    path_is_known = True
    for statement in statements:
        locks = [lock for lock in _of(statement.node) if lock.schema or path_is_known]
        wanted.append(locks)
        for lock in locks:
            schemas = [lock.schema] if lock.schema else path
            names |= {(schema, lock.table) for schema in schemas}
        for new in created_objects(statement.node):
            if new.kind in RELATIONS:
                # pg_temp comes before every path
                by_name = new.schema in ("", "pg_temp")
                made.add((_BY_ITS_NAME if by_name else new.schema, new.name))
        path_is_known = path_is_known and not may_set_path(statement.node)
    if not names:
        return [[] for _ in statements]
    schemas, tables = zip(*sorted(names), strict=True)
    found = catalog.rows(conn, "lockable", schemas=[*schemas], tables=[*tables])
    there = {(row["schema"], row["table"]): row for row in found}
    held: dict[tuple[str, str], Wanted] = {}
    acquired = []
    for locks in wanted:
        placed = [each for lock in locks if (each := _place(lock, path, there, made))]
        acquired.append(list(_lock_statements(_acquire(placed, there, held))))
    return acquired


def _place(
    lock: Wanted,
    path: Sequence[str],
    there: Mapping[tuple[str, str], Mapping[str, Any]],
    made: Container[tuple[str, str]],
) -> Wanted | None:
    """Return the lock with its schema; None if the table is none that was there before the block,
    or is not to be found.
    """
    if lock.schema:
        return None if (lock.schema, lock.table) in made else lock
    if (_BY_ITS_NAME, lock.table) in made:
        return None
    for schema in path:
        if (schema, lock.table) in made:
            return None
        if (schema, lock.table) in there:
            return lock._replace(schema=schema)
    return None


def _acquire(
    wanted: Iterable[Wanted],
    there: Mapping[tuple[str, str], Mapping[str, Any]],
    held: dict[tuple[str, str], Wanted],
) -> Iterator[Wanted]:
    """Yield the locks that can be taken and that those `held` do not cover, and note them there."""
    for lock in wanted:
        row = there.get((lock.schema, lock.table))
        if not row:
            continue
        locks = []
        if row["lockable"]:
            locks.append(lock._replace(only=not row["partitioned"]) if lock.key else lock)
        for one in [*locks, *_locks_of_losing(lock, row)]:
            if not _covers(held.get((one.schema, one.table)), one):
                held[one.schema, one.table] = one
                yield one


def _covers(held: Wanted | None, lock: Wanted) -> bool:
    """Whether who has the one lock has the other one, too."""
    if held is None or (held.only and not lock.only):
        return False
    return _MODES.index(held.mode) >= _MODES.index(lock.mode)


def _locks_of_losing(lock: Wanted, row: Mapping[str, Any]) -> Iterator[Wanted]:
    """Yield the locks on the tables that lose a partition, or a foreign key that refers to them."""
    parent = row["parent"]
    if _ALL in lock.losing and parent and parent["lockable"]:
        yield Wanted(parent["schema"], parent["table"], STRONGEST, only=True)
    for key in row["keys"]:
        if key["lockable"] and not {_ALL, key["name"], *key["columns"]}.isdisjoint(lock.losing):
            yield Wanted(key["schema"], key["table"], STRONGEST, only=not key["partitioned"])


def _lock_statements(wanted: Iterable[Wanted]) -> Iterator[str]:
    """Yield one LOCK TABLE for each mode, the strongest first, its tables by their names."""
    # In the same order each time: two runs of ours never wait for each other.
    ordered = sorted(wanted, key=lambda lock: (-_MODES.index(lock.mode), lock))
    for mode, locks in groupby(ordered, key=lambda lock: lock.mode):
        names = []
        for lock in locks:
            name = Identifier(lock.schema, lock.table).as_string()
            names.append(f"ONLY {name}" if lock.only else name)
        yield f"LOCK TABLE {', '.join(names)} IN {mode} MODE"


def _of(node: ast.Node) -> Iterator[Wanted]:
    """Yield the locks of one statement; none of a statement that this module does not know."""
    match node:
        case ast.CreateStmt():
            yield from _referring(node.tableElts or ())
        case ast.IndexStmt(concurrent=False) | ast.IndexStmt(concurrent=None):
            yield _on(node.relation, "SHARE")
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE):
            yield from _of_alter_table(node)
        case ast.RenameStmt(relation=ast.RangeVar()) if node.renameType in _RENAMED:
            yield _on(node.relation, STRONGEST)
        case ast.CommentStmt():
            yield from _of_comment(node)
        case ast.CreateTrigStmt():
            yield _on(node.relation, _FOREIGN_KEY)
        case ast.TruncateStmt(relations=relations):
            for relation in relations:
                yield _on(relation, STRONGEST)
        case ast.LockStmt(relations=relations, mode=mode):
            for relation in relations:
                yield _on(relation, _MODES[mode - 1])
        case ast.InsertStmt(relation=relation):
            yield _on(relation, "ROW EXCLUSIVE", only=True)
        case ast.UpdateStmt(relation=relation) | ast.DeleteStmt(relation=relation):
            yield _on(relation, "ROW EXCLUSIVE")
        case ast.DropStmt(removeType=ObjectType.OBJECT_TABLE, objects=names):
            for name in names:
                yield _named(name, STRONGEST)._replace(losing=(_ALL,))


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
_LOSING = (
    AlterTableType.AT_AlterColumnType,
    AlterTableType.AT_DropColumn,
    AlterTableType.AT_DropConstraint,
)


def _of_alter_table(node: ast.AlterTableStmt) -> Iterator[Wanted]:
    """Yield the lock on the table that its strongest command takes, if all of them are known; and
    those on others.
    """
    modes = [_mode_of(command) for command in node.cmds]
    if None not in modes:
        losing = tuple(command.name for command in node.cmds if command.subtype in _LOSING)
        strongest = max((mode for mode in modes if mode), key=_MODES.index)
        yield _on(node.relation, strongest)._replace(losing=losing)
    for command in node.cmds:
        match command:
            case ast.AlterTableCmd(
                subtype=AlterTableType.AT_DetachPartition, def_=ast.PartitionCmd(name=partition)
            ):
                yield _on(partition, STRONGEST)
            case ast.AlterTableCmd(def_=ast.ColumnDef() | ast.Constraint() as made):
                yield from _referring([made])


def _mode_of(command: ast.AlterTableCmd) -> str | None:
    match command.def_:
        case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN):
            # before version 18 not on tables that inherit from it, which LOCK TABLE locks, too
            return _FOREIGN_KEY
    return _ALTERING.get(command.subtype)


def _referring(made: Iterable[ast.Node]) -> Iterator[Wanted]:
    """Yield the locks on what the foreign keys of these columns and constraints refer to."""
    for node in made:
        match node:
            case ast.ColumnDef(constraints=constraints):
                yield from _referring(constraints or ())
            case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN, pktable=table):
                yield _on(table, _FOREIGN_KEY)._replace(key=True)


def _of_comment(node: ast.CommentStmt) -> Iterator[Wanted]:
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
