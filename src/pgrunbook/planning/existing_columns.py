"""Judges blocks that only add columns IF NOT EXISTS, and comment on them, if the columns exist
already. No twin is needed for that: the server says whether the types agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType, ObjectType
from pglast.stream import RawStream, maybe_double_quote_name

from pgrunbook.inventory.objects import Inventory, Object
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.judgement import Judgement
from pgrunbook.postgres import search_path, types
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block


def judge(look: Session, block: Block, target: Inventory) -> Judgement | None:
    """Return what to do with the block; None if it does anything else, so that a twin is needed."""
    path = block.search_path or search_path.of(look)
    schemas = search_path.schemas(look, path)
    run: list[int] = []
    there: dict[Object, Any] = {}
    for index, statement in enumerate(block.statements):
        columns = _columns_done(look, statement.node, target, schemas, path)
        if columns is None:
            return None
        there |= {each: target[each] for each in columns}
        if not columns:
            run.append(index)
    if not run:
        return Judgement(Action.ADOPT, reason="identical", there=there)
    reason = f"there already: {', '.join(map(str, there))}"
    return Judgement(Action.COMPLETE, tuple(run), reason, there=there)


def _columns_done(
    look: Session, node: Any, target: Inventory, schemas: Sequence[str], path: str
) -> list[Object] | None:
    """Return the columns that are as the statement makes them; an empty list if the statement has
    to run; None if a twin is needed to tell.
    """
    match node:
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE):
            return _added_columns(look, node, target, schemas, path)
        case ast.CommentStmt(objtype=ObjectType.OBJECT_COLUMN, object=(table, name)):
            column = _find_column(target, schemas, table.sval, name.sval)
            if column is None:
                return None
            same = target[column].properties.get("comment") == (node.comment or None)
            return [column] if same else []
    return None


def _added_columns(
    look: Session, node: Any, target: Inventory, schemas: Sequence[str], path: str
) -> list[Object] | None:
    """Return the columns that ALTER TABLE adds IF NOT EXISTS, if all exist and are of the types
    that are written; None otherwise.
    """
    columns: list[Object] = []
    written: list[str] = []
    for command in node.cmds:
        if command.subtype is not AlterTableType.AT_AddColumn or not command.missing_ok:
            return None
        within = [node.relation.schemaname] if node.relation.schemaname else schemas
        column = _find_column(target, within, node.relation.relname, command.def_.colname)
        if column is None:
            return None
        columns.append(column)
        written.append(RawStream()(command.def_.typeName))
    found = [target[each].properties.get("type") for each in columns]
    return columns if types.format_types(look, written, path) == found else None


def _find_column(target: Inventory, schemas: Sequence[str], table: str, name: str) -> Object | None:
    """Return the column of the first schema that has it."""
    for schema in schemas:
        identity = ".".join(map(maybe_double_quote_name, (schema, table, name)))
        column = Object("table column", identity)
        if column in target:
            return column
    return None
