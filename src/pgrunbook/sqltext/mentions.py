"""Finds the relations that a statement names. Functions that it calls may reach others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pglast import ast
from pglast.enums import ObjectType

from pgrunbook.sqltext.parse_tree import nodes

# A relation as SQL names it: its schema, or nothing, and its name.
Relation = tuple[str, str]

# How many of the names with which a statement names an object are not those of its relation: of
# `schema.table.column`, one.
_OWN_NAMES = {
    ObjectType.OBJECT_TABLE: 0,
    ObjectType.OBJECT_VIEW: 0,
    ObjectType.OBJECT_MATVIEW: 0,
    ObjectType.OBJECT_SEQUENCE: 0,
    ObjectType.OBJECT_INDEX: 0,
    ObjectType.OBJECT_FOREIGN_TABLE: 0,
    ObjectType.OBJECT_COLUMN: 1,
    ObjectType.OBJECT_TABCONSTRAINT: 1,
    ObjectType.OBJECT_TRIGGER: 1,
    ObjectType.OBJECT_POLICY: 1,
    ObjectType.OBJECT_RULE: 1,
}

# Statements that call no function but those of a default, a CHECK or an index: all that they change
# belongs to the relations that they name.
_PLAIN = (
    ast.CreateStmt,
    ast.IndexStmt,
    ast.AlterTableStmt,
    ast.CommentStmt,
    ast.CreateTrigStmt,
    ast.CreatePolicyStmt,
    ast.AlterPolicyStmt,
    ast.ReindexStmt,
    ast.VacuumStmt,
    ast.InsertStmt,
    ast.UpdateStmt,
    ast.DeleteStmt,
    ast.TruncateStmt,
)


def relations(node: ast.Node) -> set[Relation]:
    """Return the relations that a statement names."""
    found: set[Relation] = set()
    for each in nodes(node):
        named_by = _NAMED_BY.get(type(each))
        if named_by:
            found.update(named_by(each))
    return found


# Statements that may make anything, as only the server knows what they call.
_CODE = (ast.DoStmt, ast.CallStmt, ast.SelectStmt, ast.CreateExtensionStmt, ast.AlterExtensionStmt)


def runs_code(node: ast.Node) -> bool:
    """Whether a statement only runs code: its text does not tell what it makes."""
    return isinstance(node, _CODE)


def adds_its_own_rows(node: ast.Node) -> bool:
    """Whether a statement reads no rows: an INSERT of rows that it holds itself, or a SET."""
    match node:
        case ast.VariableSetStmt():
            return True
        case ast.InsertStmt(selectStmt=None | ast.SelectStmt(valuesLists=(_, *_))):
            reads = node.onConflictClause or node.returningClause or node.withClause
            return not reads and len(relations(node)) == 1
    return False


def is_plain(node: ast.Node) -> bool:
    """Whether a statement changes the definitions of nothing but the relations that it names, and
    of what belongs to these.
    """
    return isinstance(node, _PLAIN)


# GRANT locks no table, and what makes a type or a function has no relation to lock.
_LOCKING = (ast.CreateStmt, ast.IndexStmt, ast.AlterTableStmt)
_COMMENTED = (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_COLUMN, ObjectType.OBJECT_INDEX)


def locks_what_it_changes(node: ast.Node) -> bool:
    """Whether all that a statement writes to the catalogs is about relations that it locks until
    its transaction ends, or about their row types.

    A function in a default, a CHECK or an index might do more: none is expected to change a schema.
    """
    if isinstance(node, ast.CommentStmt):
        return node.objtype in _COMMENTED
    return isinstance(node, _LOCKING)


def _by_itself(relation: ast.RangeVar) -> Iterator[Relation]:
    yield relation.schemaname or "", relation.relname


def _by_index(index: ast.IndexStmt) -> Iterator[Relation]:
    if index.idxname:
        yield index.relation.schemaname or "", index.idxname


def _by_rename(rename: ast.RenameStmt) -> Iterator[Relation]:
    if rename.relation and _OWN_NAMES.get(rename.renameType) == 0:
        yield rename.relation.schemaname or "", rename.newname


def _by_move(move: ast.AlterObjectSchemaStmt) -> Iterator[Relation]:
    if move.relation:
        yield move.newschema, move.relation.relname


def _by_comment(comment: ast.CommentStmt) -> Iterator[Relation]:
    yield from _relation(comment.objtype, comment.object)


def _by_drop(drop: ast.DropStmt) -> Iterator[Relation]:
    for name in drop.objects:
        yield from _relation(drop.removeType, name)


def _relation(kind: ObjectType, name: Any) -> Iterator[Relation]:
    if kind not in _OWN_NAMES or not isinstance(name, tuple):
        return
    match [part.sval for part in name[: len(name) - _OWN_NAMES[kind]]]:
        case [*_, schema, relation]:
            yield schema, relation
        case [relation]:
            yield "", relation


# By the type of a node, and not by `match`: a statement may have millions of nodes.
_NAMED_BY: dict[type[ast.Node], Callable[[Any], Iterator[Relation]]] = {
    ast.RangeVar: _by_itself,
    ast.IndexStmt: _by_index,
    ast.RenameStmt: _by_rename,
    ast.AlterObjectSchemaStmt: _by_move,
    ast.CommentStmt: _by_comment,
    ast.DropStmt: _by_drop,
}
