"""Finds the tables and columns that must exist for a statement, as far as it names them without a
schema: those are the run's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType
from pglast.stream import RawStream

from pgrunbook.sqltext import mentions


class Need(NamedTuple):
    """A table, or one of its columns, that a statement needs. `use` says what for:

    - `alter`: ALTER TABLE
    - `maintain`: an index or VACUUM, of a table or a materialized view
    - `comment`: COMMENT ON a column, of a table, a view, a composite type
    - `reference`: a foreign key

    `column` is empty if the table as a whole is needed; `type` is as it is written, empty for any.
    """

    table: str
    use: str
    column: str = ""
    type: str = ""


def needs(node: ast.Node) -> list[Need]:
    """Return what a statement needs; nothing if it names a schema, which may be another one."""
    found = list(_needs(node))
    if found and any(schema for schema, _ in mentions.relations(node)):
        return []
    return found


# ALTER TABLE with any other command may be about a view, a sequence, or an index.
_OF_TABLES = (
    AlterTableType.AT_AddColumn,
    AlterTableType.AT_AddConstraint,
    AlterTableType.AT_ValidateConstraint,
    AlterTableType.AT_DetachPartition,
)


def alters(node: ast.Node) -> bool:
    """Whether a statement may take something away that blocks behind it need: by RENAME, DROP, or
    any code. What a statement adds, `created_objects` tells.
    """
    match node:
        case ast.AlterTableStmt(cmds=commands):
            return not all(command.subtype in _OF_TABLES for command in commands)
        case ast.CreateStmt() | ast.IndexStmt() | ast.CommentStmt() | ast.ReindexStmt():
            return False
        case ast.VacuumStmt() | ast.InsertStmt() | ast.UpdateStmt() | ast.DeleteStmt():
            return False
    return True


def _needs(node: Any) -> Iterator[Need]:
    match node:
        case ast.CreateStmt(tableElts=elements):
            yield from _of_foreign_keys(elements or ())
        case ast.IndexStmt(relation=table, indexParams=elements):
            yield Need(table.relname, "maintain")
            for element in elements:
                if element.name:  # else it is an expression
                    yield Need(table.relname, "maintain", element.name)
        case ast.AlterTableStmt(objtype=ObjectType.OBJECT_TABLE) if not alters(node):
            yield from _of_alter_table(node)
        case ast.CommentStmt(objtype=ObjectType.OBJECT_TABLE, object=(table,)):
            yield Need(table.sval, "alter")
        case ast.CommentStmt(objtype=ObjectType.OBJECT_COLUMN, object=(table, column)):
            yield Need(table.sval, "comment", column.sval)
        case ast.CommentStmt(objtype=ObjectType.OBJECT_TABCONSTRAINT, object=(table, _)):
            yield Need(table.sval, "alter")
        case ast.VacuumStmt(rels=tables):
            for each in tables or ():
                yield Need(each.relation.relname, "maintain")


def _of_alter_table(node: ast.AlterTableStmt) -> Iterator[Need]:
    if not node.missing_ok:
        yield Need(node.relation.relname, "alter")
    elements = [command.def_ for command in node.cmds]
    yield from _of_foreign_keys(elements)
    for each in elements:
        if isinstance(each, ast.PartitionCmd):
            yield Need(each.name.relname, "alter")


def _of_foreign_keys(elements: Sequence[ast.Node]) -> Iterator[Need]:
    """Yield what foreign keys refer to, with the types of their own columns; of a column that
    exists already the text does not tell the type.
    """
    types: dict[str, ast.TypeName] = {}
    for each in elements:
        if isinstance(each, ast.ColumnDef):
            types[each.colname] = each.typeName
    for each in elements:
        if isinstance(each, ast.ColumnDef):
            for constraint in each.constraints or ():
                yield from _of_foreign_key(constraint, [each.colname], types)
        if isinstance(each, ast.Constraint):
            own = [name.sval for name in each.fk_attrs or ()]
            yield from _of_foreign_key(each, own, types)


def _of_foreign_key(
    constraint: ast.Constraint, own: Sequence[str], types: dict[str, ast.TypeName]
) -> Iterator[Need]:
    if constraint.contype is not ConstrType.CONSTR_FOREIGN:
        return
    table = constraint.pktable.relname
    yield Need(table, "reference")
    others = [name.sval for name in constraint.pk_attrs or ()]
    for name, other in zip(own, others, strict=False):  # the server says where they do not match
        type_ = RawStream()(types[name]) if name in types else ""
        yield Need(table, "reference", other, type_)
