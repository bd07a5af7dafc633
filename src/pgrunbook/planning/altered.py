"""What has drifted and a block is about to alter, by the names in its text. Knows no server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pglast import ast
from pglast.enums import ObjectType

from pgrunbook.inventory.names import names, own
from pgrunbook.inventory.objects import Object
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning.existing_objects import ByName
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.created_objects import RELATIONS
from pgrunbook.sqltext.hazards import Thing
from pgrunbook.sqltext.mentions import Relation
from pgrunbook.sqltext.things import IN_RELATIONS, kind_of, relation, thing_named

# of the relations that they name they alter all
_ALTERING = (
    ast.AlterObjectSchemaStmt,
    ast.AlterOwnerStmt,
    ast.CommentStmt,
    ast.DropStmt,
    ast.GrantStmt,
    ast.RenameStmt,
)


def altered_relations(block: Block) -> set[Relation]:
    """Return the relations that a block makes, alters or drops, or of which it does so with a part.
    Those whose rows it reads or changes, or that a foreign key refers to, are not among them.
    """
    found: set[Relation] = set()
    for statement in block.statements:
        if isinstance(statement.node, _ALTERING):
            found |= statement.relations
        for each in _by_alter(statement.node):
            found.add((each.schemaname or "", each.relname))
        for made in statement.made:
            if made.parent or made.kind in RELATIONS:
                found.add((made.schema, made.parent or made.name))
    return found


def _by_alter(node: ast.Node) -> Iterator[ast.RangeVar]:
    match node:
        case ast.AlterTableStmt(relation=table, cmds=commands):
            yield table
            for each in commands:
                if isinstance(each.def_, ast.PartitionCmd):  # it is attached, or detached
                    yield each.def_.name
        case ast.CreateStmt(inhRelations=parents) if parents:  # INHERITS, PARTITION OF
            yield from parents
        case ast.AlterSeqStmt(sequence=sequence):
            yield sequence
        case ast.AlterPolicyStmt(table=table):
            yield table


def _altered_things(node: ast.Node) -> Iterator[Thing]:
    """Yield the objects that a statement alters, renames or drops; of a part, the whole."""
    match node:
        case ast.DropStmt(objects=objects, removeType=kind):
            yield from (thing_named(kind, each) for each in objects)
        case ast.GrantStmt(objects=objects, objtype=kind) if objects:
            yield from (thing_named(kind, each) for each in objects)
        case ast.CommentStmt(object=named, objtype=kind):
            yield thing_named(kind, named)
        case ast.AlterOwnerStmt(object=named, objectType=kind):
            yield thing_named(kind, named)
        case ast.AlterObjectSchemaStmt(objectType=kind):
            yield thing_named(kind, node.relation or node.object)
        case ast.RenameStmt(renameType=kind):
            yield thing_named(kind, node.relation or node.object)
        case ast.AlterFunctionStmt(func=named, objtype=kind):
            yield thing_named(kind, named)
        case ast.AlterDomainStmt(typeName=named):
            yield thing_named(ObjectType.OBJECT_DOMAIN, named)
        case ast.AlterEnumStmt(typeName=named):
            yield thing_named(ObjectType.OBJECT_TYPE, named)
        case ast.AlterTableStmt(relation=named, objtype=kind):  # of an index, too
            yield relation(kind_of(kind), named)


class DriftByName:
    """Drift by the names of what has drifted: there may be thousands, and as many blocks.

    `parts` has the identity of the relation, or the domain, that an object is a part of.
    """

    def __init__(self, drifted: Iterable[Drift], parts: Mapping[Object, str]) -> None:
        self._drift = {each.object: each for each in drifted}
        self._objects = ByName(self._drift)
        self._by_relation: dict[tuple[str, ...], list[Object]] = defaultdict(list)
        self._by_own: dict[str, list[Object]] = defaultdict(list)  # of no part of a table
        for each, drift in self._drift.items():
            part_of = drift.whole.identity if drift.whole else parts.get(each)
            self._by_relation[names(part_of or each.identity)].append(each)
            if each.type == "domain constraint" and part_of:
                self._by_own[own(part_of)].append(each)
            elif each.type == "index" or not part_of:
                self._by_own[own(each.identity)].append(each)

    def altered_by(
        self, block: Block, relations: Collection[Relation], path: Sequence[str]
    ) -> list[Drift]:
        """Return the drift of what a block is about to alter, and of its parts.

        `relations` are those that it alters, with their schemas; `path` is its search path.
        """
        found: set[Object] = set()
        for each in relations:
            found.update(self._by_relation.get(each, ()))
        for made in block.made:
            found.update(self._objects.find(made, path))
        for statement in block.statements:
            for thing in _altered_things(statement.node):
                found.update(self._called(thing, path))
        return [self._drift[each] for each in sorted(found)]

    def _called(self, thing: Thing, path: Sequence[str]) -> Iterator[Object]:
        schemas = (None, *thing.schemas(tuple(path)))
        for each in self._by_own.get(thing.name, ()):
            # a function may be called as a table
            alike = (each.type in IN_RELATIONS) == (thing.kind in IN_RELATIONS)
            if alike and each.schema in schemas:
                yield each
