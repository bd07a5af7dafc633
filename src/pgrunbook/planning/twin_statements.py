"""Tells what statements do that a twin does not show, and replaces those that fail there because it
is a copy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import psycopg
from pglast import ast, parse_sql
from pglast.enums import AlterTableType, DropBehavior, ObjectType
from pglast.stream import RawStream
from psycopg import errors, sql

from pgrunbook.inventory.objects import Object, table_of
from pgrunbook.planning.timeline import Work
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import CreatedObject
from pgrunbook.sqltext.explained import executed
from pgrunbook.sqltext.things import dropped_objects

# A twin is a cluster of its own, where the roles are names alone: what these do, it cannot show.
_OF_THE_CLUSTER = (
    ast.CreateRoleStmt,
    ast.AlterRoleStmt,
    ast.AlterRoleSetStmt,
    ast.DropRoleStmt,
    ast.GrantRoleStmt,
    ast.AlterDatabaseStmt,
    ast.AlterDatabaseSetStmt,
)
_SHARED = (
    ObjectType.OBJECT_DATABASE,
    ObjectType.OBJECT_ROLE,
    ObjectType.OBJECT_TABLESPACE,
    ObjectType.OBJECT_PARAMETER_ACL,
)


def is_of_the_cluster(node: ast.Node) -> bool:
    """Whether a statement is about what all databases share."""
    match node:
        case (
            ast.GrantStmt(objtype=kind)
            | ast.CommentStmt(objtype=kind)
            | ast.SecLabelStmt(objtype=kind)
            | ast.AlterOwnerStmt(objectType=kind)
            | ast.RenameStmt(renameType=kind)
        ):
            return kind in _SHARED
    return isinstance(node, _OF_THE_CLUSTER)


def work_of_node(node: ast.Node) -> Work:
    """Return what a statement does besides what the catalog shows."""
    node = executed(node)
    if is_of_the_cluster(node):
        return Work.ROWS
    match node:
        case ast.SelectStmt(intoClause=ast.IntoClause()):
            return Work.NONE
        case ast.SelectStmt(targetList=targets, fromClause=None) if _are_constants(targets):
            return Work.UPKEEP
        case (
            ast.SelectStmt()
            | ast.InsertStmt()
            | ast.UpdateStmt()
            | ast.DeleteStmt()
            | ast.MergeStmt()
            | ast.CopyStmt()
            | ast.TruncateStmt()
            | ast.DoStmt()
            | ast.CallStmt()
            | ast.ExecuteStmt()
        ):
            return Work.ROWS
        case (
            ast.VacuumStmt()
            | ast.ReindexStmt()
            | ast.ClusterStmt()
            | ast.RefreshMatViewStmt()
            | ast.LockStmt()
            | ast.VariableSetStmt()
            | ast.ConstraintsSetStmt()
            | ast.CheckPointStmt()
        ):
            return Work.UPKEEP
    return Work.NONE


def _are_constants(targets: Sequence[ast.ResTarget] | None) -> bool:
    return bool(targets) and all(isinstance(each.val, ast.A_Const) for each in targets or ())


def as_role(statement: Statement, role: str) -> Statement:
    """Return the statement to run on a twin. SET ROLE NONE goes back to the role of the session,
    which there is that of the twin's maker: it is replaced by SET ROLE to the run's.
    """
    match statement.node:
        case ast.VariableSetStmt(
            name="role", args=None | (ast.A_Const(val=ast.String(sval="none")),)
        ):
            return replace(statement, sql=f"SET LOCAL ROLE {sql.Identifier(role).as_string()}")
    return statement


def table_written(node: ast.Node) -> tuple[str, str]:
    """Return the schema, empty if it names none, and the name of the table whose rows a statement
    changes; both are empty of another statement.
    """
    match node:
        case (
            ast.InsertStmt(relation=relation)
            | ast.UpdateStmt(relation=relation)
            | ast.DeleteStmt(relation=relation)
            | ast.MergeStmt(relation=relation)
        ):
            return relation.schemaname or "", relation.relname
    return "", ""


def substitute(
    statement: str,
    exc: psycopg.Error,
    stood_in_for: Collection[str],
    *,
    cleared: bool,
    later: Collection[CreatedObject],
) -> str | None:
    """Return what to run in place of a statement that fails on a twin only because it is a copy;
    empty to leave it out, None if it fails for another reason.

    - What it makes was copied, or is not on a twin: an extension, a role.
    - What it drops is gone, as `clear_away` has dropped it (`cleared`).
    - It comments on an extension, alters it or drops it: there the extension has another owner. One
      that a `later` statement makes anew stays, as to make it may take a superuser.
    - It refreshes a materialized view CONCURRENTLY, which has never been filled there.
    - It takes a superuser, and leaves nothing in the catalog that is compared: a setting, or the
      triggers of foreign keys, which no rows fire there.
    """
    node = parse_sql(statement)[0].stmt
    match node:
        case ast.CreateExtensionStmt(extname=name) if name in stood_in_for:
            return ""
        case _ if is_of_the_cluster(node):
            return ""
        case _ if _is_about_an_extension(node) and isinstance(exc, errors.InsufficientPrivilege):
            made_anew = {each.name for each in later if each.kind == "extension"}
            dropped = {name for name, _ in dropped_objects(node)}
            stays = dropped and dropped <= made_anew
            return "" if stays else _AS_OWNER.replace("{}", statement)
        case ast.RefreshMatViewStmt(concurrent=True):
            node.concurrent = False
            return str(RawStream()(node)) if isinstance(exc, errors.FeatureNotSupported) else None
        case ast.VariableSetStmt(name=name) if isinstance(exc, errors.InsufficientPrivilege):
            return None if name in ("role", "session_authorization") else ""
        case ast.AlterTableStmt() if isinstance(exc, errors.InsufficientPrivilege):
            return _without_system_triggers(node)
        case ast.CreateSchemaStmt() | ast.CreateExtensionStmt() | ast.AlterEnumStmt():
            there = isinstance(exc, errors.DuplicateSchema | errors.DuplicateObject)
            return "" if there else None
        case ast.DropStmt() if cleared:
            return "" if isinstance(exc, _UNKNOWN) else None
        case ast.AlterTableStmt() if cleared and isinstance(exc, _UNKNOWN):
            drops = [command for command in node.cmds if command.subtype in _DROPS]
            for command in drops:
                command.missing_ok = True
            return str(RawStream()(node)) if drops else None
    return None


def _is_about_an_extension(node: ast.Node) -> bool:
    match node:
        case (
            ast.CommentStmt(objtype=kind)
            | ast.DropStmt(removeType=kind)
            | ast.AlterObjectSchemaStmt(objectType=kind)
        ):
            return bool(kind == ObjectType.OBJECT_EXTENSION)
    return isinstance(node, ast.AlterExtensionStmt | ast.AlterExtensionContentsStmt)


def is_of_superusers(node: ast.Node, exc: psycopg.Error) -> bool:
    """Whether a statement fails as whoever is no superuser may not set this, or alter the triggers
    of foreign keys.
    """
    if not isinstance(exc, errors.InsufficientPrivilege):
        return False
    return isinstance(node, ast.VariableSetStmt | ast.AlterTableStmt)


def _without_system_triggers(node: ast.AlterTableStmt) -> str | None:
    """Return DISABLE TRIGGER ALL, and ENABLE, as whoever is no superuser may say it; None if there
    is none.
    """
    found = False
    for command in node.cmds:
        if command.subtype in _OF_USERS:
            command.subtype = _OF_USERS[command.subtype]
            found = True
    return str(RawStream()(node)) if found else None


_OF_USERS = {
    AlterTableType.AT_DisableTrigAll: AlterTableType.AT_DisableTrigUser,
    AlterTableType.AT_EnableTrigAll: AlterTableType.AT_EnableTrigUser,
}


# The session belongs to the role that has made the copy, and owns its extensions.
_AS_OWNER = """\
SELECT pg_catalog.set_config('pgrunbook.role', pg_catalog.current_setting('role'), true);
SET LOCAL ROLE NONE;
{}
;
SELECT pg_catalog.set_config('role', pg_catalog.current_setting('pgrunbook.role'), true)"""

_UNKNOWN = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)
_DROPS = (AlterTableType.AT_DropColumn, AlterTableType.AT_DropConstraint)


def work_of(part: Sequence[Statement]) -> Work:
    """Return what statements do together, besides what the catalog shows."""
    works = {work_of_node(statement.node) for statement in part}
    if Work.ROWS in works:
        return Work.ROWS
    if works == {Work.UPKEEP}:
        return Work.UPKEEP
    return Work.NONE


def replaced_objects(part: Sequence[Statement]) -> list[CreatedObject]:
    """Return what statements make with OR REPLACE."""
    return [each for statement in part for each in statement.made if each.replaces]


def cascade(statement: Statement) -> str:
    """Return a DROP, or an ALTER TABLE that drops a part, with CASCADE; empty if it is neither."""
    node = parse_sql(statement.sql)[0].stmt
    drops = []
    match node:
        case ast.DropStmt():
            drops = [node]
        case ast.AlterTableStmt():
            drops = [command for command in node.cmds if command.subtype in _DROPS]
    for each in drops:
        each.behavior = DropBehavior.DROP_CASCADE
    return str(RawStream()(node)) if drops else ""


def drop_statement(each: Object) -> str:
    """Return the statement that drops the object, with what depends on it."""
    name, _, table = each.identity.rpartition(" on ")
    match each.type:
        case "table column":
            table = table_of(each)
            column = each.identity.removeprefix(f"{table}.")
            return f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"
        case "table constraint":
            return f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"
        case "domain constraint":
            return f"ALTER DOMAIN {table} DROP CONSTRAINT {name} CASCADE"
        case "trigger" | "policy" | "rule":
            return f"DROP {each.type.upper()} {each.identity.replace(' on ', ' ON ')} CASCADE"
        case "statistics object":
            return f"DROP STATISTICS {each.identity}"
    return f"DROP {each.type.upper()} {each.identity} CASCADE"
