"""The relations that a statement names, as its text tells: what code it calls does may be more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import ObjectType
from pglast.visitors import Visitor

# A relation as SQL names it: its schema, or nothing, and its name.
Relation = tuple[str, str]

# How many of the names of an object are its own, and not its relation's.
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

# Statements that call no function but those of a default, a CHECK or an index: what they change
# hangs on the relations that they name.
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
    visitor = _Relations()
    visitor(node)
    return visitor.found


# Statements that may make anything.
_CODE = (ast.DoStmt, ast.CallStmt, ast.SelectStmt, ast.CreateExtensionStmt, ast.AlterExtensionStmt)


def runs_code(node: ast.Node) -> bool:
    """Return whether a statement does nothing but run code, of which only the server knows what it
    makes.
    """
    return isinstance(node, _CODE)


def is_plain(node: ast.Node) -> bool:
    """Return whether a statement changes the schema of nothing but what hangs on the relations that
    it names.
    """
    return isinstance(node, _PLAIN)


# GRANT locks no table, and what makes a type or a function has no relation to lock.
_LOCKING = (ast.CreateStmt, ast.IndexStmt, ast.AlterTableStmt)
_COMMENTED = (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_COLUMN, ObjectType.OBJECT_INDEX)


def locks_what_it_changes(node: ast.Node) -> bool:
    """Return whether all that a statement writes to the catalogs is about relations that it locks
    until its transaction ends, or about their row types. A function in a default, a CHECK or an
    index might do more: none is expected to change a schema.
    """
    if isinstance(node, ast.CommentStmt):
        return node.objtype in _COMMENTED
    return isinstance(node, _LOCKING)


class _Relations(Visitor):  # type: ignore[misc]  # pglast leaves it without types
    def __init__(self) -> None:
        self.found: set[Relation] = set()

    def visit_RangeVar(self, _: Any, relation: ast.RangeVar) -> None:
        """Called by pglast for each relation."""
        self.found.add((relation.schemaname or "", relation.relname))

    def visit_IndexStmt(self, _: Any, index: ast.IndexStmt) -> None:
        """Called by pglast for CREATE INDEX."""
        if index.idxname:
            self.found.add((index.relation.schemaname or "", index.idxname))

    def visit_RenameStmt(self, _: Any, rename: ast.RenameStmt) -> None:
        """Called by pglast for RENAME TO."""
        if rename.relation and _OWN_NAMES.get(rename.renameType) == 0:
            self.found.add((rename.relation.schemaname or "", rename.newname))

    def visit_AlterObjectSchemaStmt(self, _: Any, move: ast.AlterObjectSchemaStmt) -> None:
        """Called by pglast for SET SCHEMA."""
        if move.relation:
            self.found.add((move.newschema, move.relation.relname))

    def visit_CommentStmt(self, _: Any, comment: ast.CommentStmt) -> None:
        """Called by pglast for COMMENT ON."""
        self.found.update(_relation(comment.objtype, comment.object))

    def visit_DropStmt(self, _: Any, drop: ast.DropStmt) -> None:
        """Called by pglast for DROP."""
        for name in drop.objects:
            self.found.update(_relation(drop.removeType, name))


def _relation(kind: ObjectType, name: Any) -> Iterator[Relation]:
    if kind not in _OWN_NAMES or not isinstance(name, tuple):
        return
    match [part.sval for part in name[: len(name) - _OWN_NAMES[kind]]]:
        case [*_, schema, relation]:
            yield schema, relation
        case [relation]:
            yield "", relation
