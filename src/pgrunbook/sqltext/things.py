"""The objects that statements name, however they name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType, ObjectType

from pgrunbook.sqltext.created_objects import CreatedObject, created_objects
from pgrunbook.sqltext.hazards import Thing


def relation(kind: str, node: ast.RangeVar, part: str = "") -> Thing:
    """Return a table, an index or a view by the node that names it."""
    return Thing(kind, node.schemaname or "", node.relname, part)


# The kinds that lie in pg_class, or belong to something there.
IN_RELATIONS = {
    *("table", "foreign table", "view", "materialized view", "index", "sequence"),
    *("column", "constraint", "trigger", "policy", "rule"),
}

# What may be done besides, where rows are written; and where a view, which is a rule, is read.
FIRED = "rules and triggers of"

OWNED = "all that is owned by"

_KINDS = {
    ObjectType.OBJECT_MATVIEW: "materialized view",
    ObjectType.OBJECT_TABCONSTRAINT: "constraint",
    ObjectType.OBJECT_DOMCONSTRAINT: "constraint",
    ObjectType.OBJECT_FDW: "foreign-data wrapper",
    ObjectType.OBJECT_OPCLASS: "operator class",
    ObjectType.OBJECT_OPFAMILY: "operator family",
    ObjectType.OBJECT_STATISTIC_EXT: "statistics",
    ObjectType.OBJECT_TSCONFIGURATION: "text search configuration",
    ObjectType.OBJECT_TSDICTIONARY: "text search dictionary",
    ObjectType.OBJECT_TSPARSER: "text search parser",
    ObjectType.OBJECT_TSTEMPLATE: "text search template",
    ObjectType.OBJECT_FOREIGN_SERVER: "server",
}

# What belongs to a table, whose name comes first.
_PARTS = (ObjectType.OBJECT_TRIGGER, ObjectType.OBJECT_POLICY, ObjectType.OBJECT_RULE)

# What belongs to an access method, which DROP names first.
_OF_ACCESS_METHODS = (ObjectType.OBJECT_OPCLASS, ObjectType.OBJECT_OPFAMILY)


def kind_of(object_type: int) -> str:
    """Return an object's kind, as DROP writes it, but in lower case."""
    known = ObjectType(object_type)
    return _KINDS.get(known) or str(known.name.removeprefix("OBJECT_").lower().replace("_", " "))


def thing_named(object_type: int, node: Any) -> Thing:
    """Return the object that a statement about objects of this kind names in this way."""
    kind = kind_of(object_type)
    match node:
        case ast.String(sval=name):
            return Thing(kind, "", name)
        case ast.RangeVar():
            return relation(kind, node)
        case ast.TypeName(names=names) | ast.ObjectWithArgs(objname=names) if names:
            return _last(kind, names)
        case (ast.TypeName(names=one), ast.TypeName(names=other)):  # of a cast
            return Thing(kind, "", f"({one[-1].sval} AS {other[-1].sval})")
        case (ast.TypeName(names=names), ast.String(sval=part)):  # a CHECK of a domain; a transform
            return _last(kind, names)._replace(part=part)
        case (_, *names) if ObjectType(object_type) in _OF_ACCESS_METHODS:
            return _last(kind, tuple(names))
        case (*_, ast.String()) if ObjectType(object_type) in _PARTS:
            return _last(kind, node[:-1])._replace(part=node[-1].sval)
        case (*_, ast.String()):
            return _last(kind, node)
    return Thing(kind, "", "")


def owned_by(role: ast.RoleSpec) -> Thing:
    """Return what a role owns in the database."""
    return Thing(OWNED, "", role.rolename or "current_user")


def _last(kind: str, names: tuple[ast.String, ...]) -> Thing:
    schema = names[-2].sval if len(names) > 1 else ""
    return Thing(kind, schema, names[-1].sval)


def dropped_objects(node: ast.Node) -> Iterator[tuple[str, str]]:
    """Yield the objects that a statement drops: each by its name and that of its table, if it is
    part of one.
    """
    match node:
        case ast.DropStmt(objects=objects, removeType=kind):
            for each in objects:
                thing = thing_named(kind, each)
                yield (thing.part, thing.name) if thing.part else (thing.name, "")
        case ast.AlterTableStmt(cmds=commands, relation=relation):
            losing = (AlterTableType.AT_DropColumn, AlterTableType.AT_DropConstraint)
            for command in commands:
                if command.subtype in losing:
                    yield command.name, relation.relname


def name_of(each: CreatedObject) -> tuple[str, str]:
    """Return what `dropped_objects` calls an object: DROP INDEX names no table."""
    return each.name, "" if each.kind == "index" else each.parent


def freed_names(node: ast.Node) -> Iterator[tuple[str, str]]:
    """Yield the same, and what a statement renames or moves."""
    yield from dropped_objects(node)
    for each in created_objects(node):
        if each.was:
            yield each.was, each.parent
    if isinstance(node, ast.AlterObjectSchemaStmt):
        yield thing_named(node.objectType, node.relation or node.object).name, ""
