"""What a block is about to alter of what was there before it, by the names in its text. Knows no
server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pglast import ast

from pgrunbook.inventory.names import own
from pgrunbook.inventory.objects import Object
from pgrunbook.planning.existing_objects import ByName
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.mentions import Relation
from pgrunbook.sqltext.things import dropped_objects

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
        node = statement.node
        if isinstance(node, ast.AlterTableStmt):
            found.add((node.relation.schemaname or "", node.relation.relname))
        elif isinstance(node, _ALTERING):
            found |= statement.relations
        for made in statement.made:
            found.add((made.schema, made.parent or made.name))
    return found


def made_anew_or_dropped(
    block: Block, objects: Collection[Object], path: Sequence[str]
) -> set[Object]:
    """Return those of the objects that a block makes by their names, or drops."""
    by_name = ByName(objects)
    found: set[Object] = set()
    for made in block.made:
        found.update(by_name.find(made, path))
    dropped: set[str] = set()
    for statement in block.statements:
        dropped.update(name for name, table in dropped_objects(statement.node) if not table)
    found.update(each for each in objects if own(each.identity) in dropped)
    return found
