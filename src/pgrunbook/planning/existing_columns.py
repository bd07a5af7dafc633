"""Blocks that add columns IF NOT EXISTS, where these are there, and comment on them: no twin is
needed to judge them. The server says whether the types agree.
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
    """What to do with the block; None if that is not so simple."""
    path = block.search_path or search_path.of(look)
    schemas = search_path.schemas(look, path)
    run: list[int] = []
    there: dict[Object, Any] = {}
    for index, statement in enumerate(block.statements):
        done = _done(look, statement.node, target, schemas, path)
        if done is None:
            return None
        there |= {each: target[each] for each in done}
        run += [] if done else [index]
    if not run:
        return Judgement(Action.ADOPT, reason="identical", there=there)
    reason = f"there already: {', '.join(map(str, there))}"
    return Judgement(Action.COMPLETE, tuple(run), reason, there=there)


def _done(
    look: Session, node: Any, target: Inventory, schemas: Sequence[str], path: str
) -> list[Object] | None:
    """The columns that are there as the statement wants them; none, if it is to be run; None, if
    that cannot be told.
    """
    match node:
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE):
            return _columns(look, node, target, schemas, path)
        case ast.CommentStmt(objtype=ObjectType.OBJECT_COLUMN, object=names):
            *_, table, column = names
            if len(names) == 2 and (each := _found(target, schemas, table.sval, column.sval)):
                commented = target[each].properties.get("comment") == (node.comment or None)
                return [each] if commented else []
    return None


def _columns(
    look: Session, node: Any, target: Inventory, schemas: Sequence[str], path: str
) -> list[Object] | None:
    wanted = []
    for command in node.cmds:
        if command.subtype is not AlterTableType.AT_AddColumn or not command.missing_ok:
            return None
        column = command.def_
        within = [node.relation.schemaname] if node.relation.schemaname else schemas
        each = _found(target, within, node.relation.relname, column.colname)
        if each is None:
            return None
        wanted.append((each, column))
    written = [RawStream()(column.typeName) for _, column in wanted]
    if types.format_types(look, written, path) != [
        target[each].properties.get("type") for each, _ in wanted
    ]:
        return None
    return [each for each, _ in wanted]


def _found(target: Inventory, schemas: Sequence[str], *names: str) -> Object | None:
    objects = (
        Object("table column", ".".join(map(maybe_double_quote_name, (schema, *names))))
        for schema in schemas
    )
    return next((each for each in objects if each in target), None)
