"""Follows the names of relations through the statements of a runbook: they make relations, rename
and move them, and set the path that finds them.

A hazard is told of a relation as it is before the first statement: its size and its dependents are
those of the target now. So the name in a later statement is followed back to that relation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType, CmdType, ConstrType, DropBehavior, ObjectType

from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.alter_table import called_functions
from pgrunbook.sqltext.created_objects import (
    TEMPORARY,
    CreatedObject,
    created_objects,
    created_relations,
)
from pgrunbook.sqltext.hazards import Danger, Doubt, Hazard, Thing, Trait
from pgrunbook.sqltext.mentions import Relation, relations
from pgrunbook.sqltext.things import FIRED, IN_RELATIONS, relation, thing_named

# A thing as it was before the first statement: its name then, and the path that finds it.
_Was = tuple[Thing, str]

_SCHEMA_WITH_ALL = ObjectType.OBJECT_SCHEMA, DropBehavior.DROP_CASCADE

# The worst first.
EVENTS = {
    CmdType.CMD_DELETE: "delete",
    CmdType.CMD_UPDATE: "update",
    CmdType.CMD_INSERT: "insert",
}
_FREEING = (AlterTableType.AT_DropNotNull, AlterTableType.AT_DropConstraint)
# src/include/catalog/pg_trigger.h
_TRIGGER_EVENTS = {4: "insert", 8: "delete", 16: "update", 32: "truncate"}


@dataclass(slots=True)
class Names:
    """What names mean behind some statements of a runbook, by what existed before the first.

    `path` is where a name without a schema is looked up now, as SET takes it; empty for the run's.
    """

    path: str = ""
    # what the statements have made, each with the path that finds it
    _made: dict[Relation, str] = field(default_factory=dict)
    # what they have renamed or moved: by its name and part now, and its schema now
    _was: dict[tuple[str, str], dict[str, _Was]] = field(default_factory=dict)
    # the views that they have made of one table alone, each with the table
    _views: dict[Relation, Thing] = field(default_factory=dict)
    # what existed and has become a child, or a partition, of a table that they have made
    _children: dict[Relation, list[_Was]] = field(default_factory=dict)
    # by table, what existed and has got a foreign key to it, with the letter for ON DELETE
    _referring: dict[Relation, list[tuple[str, _Was]]] = field(default_factory=dict)
    # by view, the functions that it calls
    _code: dict[Relation, tuple[str, ...]] = field(default_factory=dict)
    # tables that have got a rule or a trigger, each with the event
    _fired: set[tuple[Thing, str]] = field(default_factory=set)
    # tables of which they drop a constraint or NOT NULL: the catalog has it still
    _freed: set[Relation] = field(default_factory=set)
    # columns that have got another type: the catalog has the former one
    _retyped: set[tuple[Relation, str]] = field(default_factory=set)
    # the schemas that they have renamed: their first names, by those of now
    _schemas: dict[str, str] = field(default_factory=dict)

    def begin(self, path: str) -> None:
        """Begin a block with this path. Nothing temporary has outlived the one before."""
        self.path = path
        for schema, name in [*self._made]:
            if schema == TEMPORARY:
                del self._made[schema, name]

    def before(self, danger: Danger) -> Iterator[Danger]:
        """Yield the danger, with its thing as it was before the first statement; nothing if a
        statement has made it, as it holds no rows that anybody knows. Several, if the thing stands
        for several: a view for its table, a new parent for the children that existed.
        """
        thing = danger.thing
        if any((thing, *each.values) in self._fired for each in danger.doubts):
            yield danger._replace(doubts=(), path=self.path)
            return
        doubts = tuple(self._doubt_now(each, thing) for each in danger.doubts)
        danger = danger._replace(doubts=doubts)
        if Trait.PASSED_ON in danger.hazard.traits:
            thing = self._read_by(thing)
        if self._place_of(thing)[0] == TEMPORARY:
            return
        for was, path in self._concerned(thing, danger.hazard):
            detail = danger.detail
            if was != danger.thing:
                now = f"as {_name(danger.thing, was)}"
                detail = f"{detail}, {now}" if detail else now
            yield danger._replace(thing=was, path=path, detail=detail)
        for action, (child, path) in self._referring.get((thing.schema, thing.name), ()):
            hazard = _passed_to_referring(danger, action)
            if hazard:
                detail = f"as it refers to {_name(thing, child)}"
                yield danger._replace(hazard=hazard, thing=child, path=path, detail=detail)

    def _concerned(self, thing: Thing, hazard: Hazard) -> list[_Was]:
        """Return what existed of what a hazard of the thing concerns."""
        found_by = self._made.get((thing.schema, thing.name))
        if found_by is None or not (thing.schema or _finds(self.path, found_by)):
            return self._meant(thing)
        found = []
        if Trait.PARENT_ONLY not in hazard.traits:
            for child, path in self._children.get((thing.schema, thing.name), ()):
                found.append((child._replace(kind=thing.kind, part=thing.part), path))
        return found

    def _doubt_now(self, doubt: Doubt, thing: Thing) -> Doubt:
        """Return the doubt; if a statement has altered what the catalog would be asked, one that
        stays.
        """
        table = thing.schema, thing.name
        dropped = doubt.about in ("not null", "key") and table in self._freed
        retyped = doubt.about in ("type", "made anew") and (table, thing.part) in self._retyped
        return Doubt("altered before") if dropped or retyped else doubt

    def free(self, node: ast.Node) -> None:
        """Take account of what a statement drops before it does anything else: ALTER TABLE drops
        first, in whatever order its commands stand.
        """
        match node:
            case ast.AlterTableStmt(relation=table, cmds=commands):
                if any(each.subtype in _FREEING for each in commands):
                    self._freed.add((table.schemaname or "", table.relname))

    def code_of_views(self, node: ast.Node) -> list[str]:
        """Return the functions that are called by the views in a statement."""
        if not self._code:
            return []
        found: list[str] = []
        for view in sorted(relations(node) & self._code.keys()):
            found += self._code[view]
        return found

    def moved_into(self, node: ast.DropStmt) -> Iterator[Thing]:
        """Yield the tables that DROP SCHEMA … CASCADE drops, as a statement before has moved them
        into the schema.
        """
        if (node.removeType, node.behavior) != _SCHEMA_WITH_ALL:
            return
        dropped = {each.sval for each in node.objects}
        for (name, part), of_name in self._was.items():
            for schema in of_name:
                if schema in dropped and not part:
                    yield Thing("table", schema, name)

    def take(self, node: ast.Node) -> None:
        """Take account of the next statement."""
        for schema, name in created_relations(node):
            self._made[schema, name] = self.path
        match node:
            case ast.RenameStmt(renameType=ObjectType.OBJECT_SCHEMA):
                self._rename_schema(node.subname, node.newname)
            case ast.RenameStmt():
                for each in created_objects(node):
                    self._rename(each)
            case ast.AlterObjectSchemaStmt(relation=ast.RangeVar() as moved, newschema=schema):
                self._note(relation("table", moved), schema, moved.relname)
            case ast.DropStmt(removeType=kind, objects=objects):
                for each in objects:
                    dropped = thing_named(kind, each)
                    if dropped.kind in IN_RELATIONS and not dropped.part:
                        self._made.pop(self._place_of(dropped), None)
                        self._children.pop((dropped.schema, dropped.name), None)
                        self._referring.pop((dropped.schema, dropped.name), None)
            case ast.AlterTableStmt(relation=table, cmds=commands):
                for each in commands:
                    if each.subtype == AlterTableType.AT_AlterColumnType:
                        self._retyped.add(((table.schemaname or "", table.relname), each.name))
                    self._take_child(relation("table", table), each)
                    self._take_keys(relation("table", table), each.def_)
            case ast.ViewStmt():
                self._take_view(node)
            case ast.RuleStmt(relation=table, event=event):
                self._fired.add((relation(FIRED, table), EVENTS.get(event, "")))
            case ast.CreateTrigStmt(relation=table, events=events):
                for bit, event in _TRIGGER_EVENTS.items():
                    if events & bit:
                        self._fired.add((relation(FIRED, table), event))
        self.path = search_paths.path_behind(node, self.path)

    def _rename_schema(self, former: str, name: str) -> None:
        """Note that a schema has another name from now on, and so has what lies in it."""
        self._schemas[name] = self._schemas.pop(former, former)
        for known in (self._made, self._views, self._children, self._referring, self._code):
            _move(known, former, name)
        for (_, part), of_name in self._was.items():
            if former in of_name and not part:
                of_name[name] = of_name.pop(former)

    def _rename(self, renamed: CreatedObject) -> None:
        kind = renamed.kind.removeprefix("table ")
        if kind in IN_RELATIONS:
            former = Thing(kind, renamed.schema, renamed.was)
            if renamed.parent:
                former = Thing(kind, renamed.schema, renamed.parent, renamed.was)
            self._note(former, renamed.schema, renamed.name)

    def _note(self, former: Thing, schema: str, name: str) -> None:
        """Note that a thing has another schema or name from now on."""
        own = self._place_of(former)
        if not former.part and own in self._referring:
            self._referring[schema, name] = self._referring.pop(own)
        if own in self._made:
            if not former.part:
                schema = own[0] if own[0] == TEMPORARY else schema
                self._made[schema, name] = self._made.pop(own)
                self._children[schema, name] = self._children.pop(own, [])
            return
        (was, path), *_ = self._meant(former)
        key = (was.name, name) if former.part else (name, "")
        self._was.setdefault(key, {})[was.schema if former.part else schema] = was, path

    def _place_of(self, thing: Thing) -> Relation:
        """Return schema and name of what a statement names. pg_temp is searched first, unless the
        path names it: https://www.postgresql.org/docs/current/runtime-config-client.html
        """
        temporary = TEMPORARY, thing.name
        if thing.schema or temporary not in self._made:
            return thing.schema, thing.name
        path = [name for name in search_paths.schemas(self.path) or () if name != "pg_catalog"]
        if TEMPORARY in path[1:]:
            return thing.schema, thing.name
        return temporary

    def _meant(self, thing: Thing) -> list[_Was]:
        """Return what a thing may be, by its name before the first statement."""
        before = self._in_former_schema(thing)
        path = search_paths.with_former_names(self.path, self._schemas)
        if thing.kind not in IN_RELATIONS and thing.kind != FIRED:
            return [(before, path)]
        found = []
        for was, where in self._former(thing._replace(part=""), (before._replace(part=""), path)):
            whole = was._replace(kind=thing.kind, part=thing.part), where
            found += self._former(whole[0], whole) if thing.part else [whole]
        return found

    def _in_former_schema(self, thing: Thing) -> Thing:
        """Return the thing; if it is a schema or lies in one, with the schema's first name."""
        if thing.kind.endswith("schema"):
            return thing._replace(name=self._schemas.get(thing.name, thing.name))
        return thing._replace(schema=self._schemas.get(thing.schema, thing.schema))

    def _former(self, thing: Thing, otherwise: _Was) -> list[_Was]:
        """Return what was renamed to this name; or `otherwise`, if nothing was. Both, if the text
        does not tell which is meant: one has a schema and the other has none, or another path finds
        it.
        """
        path = otherwise[1]
        found = []
        same = False
        for schema, (was, found_by) in self._was.get((thing.name, thing.part), {}).items():
            if not schema or not thing.schema or schema == thing.schema:
                found.append((was, found_by))
            if schema == thing.schema and (schema or _finds(path, found_by)):
                same = True
        return found if same else [*found, otherwise]

    def _take_child(self, table: Thing, command: ast.AlterTableCmd) -> None:
        match command.subtype:
            case AlterTableType.AT_AddInherit:
                parent, child = relation("table", command.def_), table
            case AlterTableType.AT_AttachPartition:
                parent, child = table, relation("table", command.def_.name)
            case _:
                return
        own = parent.schema, parent.name
        if own in self._made:
            joined = self._concerned(child, Hazard.DELETES_ROWS)
            self._children[own] = [*self._children.get(own, ()), *joined]

    def _take_keys(self, table: Thing, made: Any) -> None:
        """Note the table that a new foreign key, of a table or of a column, refers to."""
        for each in (made, *(getattr(made, "constraints", None) or ())):
            if isinstance(each, ast.Constraint) and each.contype == ConstrType.CONSTR_FOREIGN:
                referred = relation("table", each.pktable)
                joined = self._concerned(table, Hazard.DELETES_ROWS)
                referring = self._referring.setdefault((referred.schema, referred.name), [])
                referring += [(each.fk_del_action, was) for was in joined]

    def _take_view(self, node: ast.ViewStmt) -> None:
        view = node.view.schemaname or "", node.view.relname
        calls = called_functions(node.query), self.code_of_views(node.query)
        self._code[view] = tuple(dict.fromkeys([*calls[0], *calls[1]]))
        # Rows are written through a view only if it reads a single relation: it is updatable then.
        match node.query:
            case ast.SelectStmt(fromClause=(ast.RangeVar() as table,)):
                self._views[view] = self._read_by(relation("table", table))

    def _read_by(self, view: Thing) -> Thing:
        read = self._views.get((view.schema, view.name))
        return read._replace(kind=view.kind) if read else view


def _move(known: dict[Relation, Any], former: str, schema: str) -> None:
    """Move what is known of the relations of a schema to another one."""
    for lies_in, name in list(known):
        if lies_in == former:
            known[schema, name] = known.pop((former, name))


def _passed_to_referring(danger: Danger, on_delete: str) -> Hazard | None:
    """Return the hazard for the rows that refer to the table of a danger, if there is one.
    `on_delete` is the letter for ON DELETE of src/include/nodes/parsenodes.h.
    """
    match danger.hazard, on_delete:
        case Hazard.TRUNCATES, _ if danger.detail == "CASCADE":
            return Hazard.TRUNCATES
        case Hazard.DELETES_ROWS, "c":
            return Hazard.DELETES_ROWS
        case Hazard.DELETES_ROWS, "n" | "d":
            return Hazard.UPDATES_ROWS
    return None


def _finds(path: str, other: str) -> bool:
    """Whether a name along this path may be what the other path has found."""
    return path in (other, search_paths.ANYWHERE)


def _name(thing: Thing, was: Thing) -> str:
    """Return what a statement calls a thing; of a part of the same table, the part's name alone."""
    if thing.part and (thing.schema, thing.name) == (was.schema, was.name):
        return thing.part
    return ".".join(each for each in (thing.schema, thing.name, thing.part) if each)
