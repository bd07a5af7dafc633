"""Judges blocks that the parameter `adopt` names: what they make must exist by name, unless a later
statement has dropped or renamed it. Knows no server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from pglast import ast
from pglast.enums import AlterTableType, DropBehavior

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Address, Definition, Inventory, Object
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.existing_objects import ByName
from pgrunbook.planning.judgement import Judgement
from pgrunbook.records.words import listed
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.created_objects import TEMPORARY, CreatedObject, created_objects
from pgrunbook.sqltext.things import freed_names, name_of

_LISTED = 6  # of what is there
_SAID = "done by hand, as the parameter adopt says"


def judge_named(
    blocks: Sequence[Block],
    adopted: Collection[str],
    there: Mapping[str, Sequence[CreatedObject]],
    target: Inventory,
    path: Sequence[str],
) -> dict[str, Judgement]:
    """Judge the blocks that are `adopted`. Returns the judgements by the blocks' names.

    - `blocks` are all that are pending, in their order.
    - `there` has, by block, the objects that it makes and that exist by name.
    - `target` is the target's inventory, `path` the search path of blocks.
    """
    lasting: dict[str, list[CreatedObject]] = {block.name: [] for block in blocks}
    for name, made in _lasting(blocks):
        lasting[name].append(made)
    named = _Named(target, path)
    judged = {}
    for name in adopted:
        absent = [each for each in lasting[name] if each not in there.get(name, ())]
        if absent:
            judged[name] = _refuse(name, absent)
        else:
            judged[name] = _adopt(lasting[name], named.objects(lasting[name]))
    return judged


class _Named:
    """The objects of the target that blocks name, with their parts."""

    def __init__(self, target: Inventory, path: Sequence[str]) -> None:
        self._target, self._path = target, path
        self._by_name = ByName(target)
        self._parts: dict[Address, list[Object]] = defaultdict(list)
        for part, owner in target.owners.items():
            self._parts[owner].append(part)

    def objects(self, made: Sequence[CreatedObject]) -> dict[Object, Definition]:
        """Return those that statements make, and the parts of the tables among them."""
        found: set[Object] = set()
        for one in made:
            for each in self._by_name.find(one, self._path):
                found |= {each, *self._parts.get(self._target.addresses[each], ())}
        return {each: self._target[each] for each in found if each in self._target}


def _adopt(found: Sequence[CreatedObject], objects: Mapping[Object, Definition]) -> Judgement:
    how = "nothing of it can be looked for"
    if found:
        how = f"there by name: {listed(_names(found), _LISTED)}"
    return Judgement(Action.ADOPT, reason=f"{_SAID}; {how}", there=objects)


def _refuse(block: str, absent: Sequence[CreatedObject]) -> Judgement:
    problem = Problem(
        "was not done by hand, though the parameter adopt says so",
        where=block,
        expected=f"there by name: {', '.join(_names(absent))}",
        found="absent",
        remedy=f"do by hand what is absent; or leave {block} out of the parameter: it is applied "
        "then",
    )
    return Judgement(Action.REFUSE, (), "not done by hand", (problem,))


def _names(objects: Sequence[CreatedObject]) -> list[str]:
    return [*dict.fromkeys(map(str, reversed(objects)))]


def _lasting(blocks: Sequence[Block]) -> Iterator[tuple[str, CreatedObject]]:
    """Yield what blocks make and no later statement takes away, each with its block; the last
    first.
    """
    gone: set[tuple[str, str]] = set()
    temporary: set[str] = set()
    for block in blocks:
        temporary |= {made.name for made in block.made if made.schema == TEMPORARY}
    for block in reversed(blocks):
        for statement in reversed(block.statements):
            for made in reversed(created_objects(statement.node)):
                # an object that PostgreSQL has named cannot be told from others
                lasts = made.name and gone.isdisjoint(_names_of_whole(made))
                if lasts and temporary.isdisjoint((made.name, made.parent)):
                    yield block.name, made
            if _may_take_more(statement.node):
                return
            gone |= {*_taken_away(statement.node)}


def _names_of_whole(made: CreatedObject) -> Iterator[tuple[str, str]]:
    """Yield the names with which an object is dropped: its own, its table's, its schema's."""
    yield name_of(made)
    if made.parent:
        yield from ((made.parent, ""), ("", made.parent))
    if made.schema:
        yield made.schema, ""


def _may_take_more(node: ast.Node) -> bool:
    """Whether a statement may drop what it does not name."""
    match node:
        case ast.DropOwnedStmt():
            return True
        case ast.DropStmt(behavior=DropBehavior.DROP_CASCADE):
            return True
        case ast.AlterTableStmt(cmds=commands):
            return any(each.behavior == DropBehavior.DROP_CASCADE for each in commands)
    return False


def _taken_away(node: ast.Node) -> Iterator[tuple[str, str]]:
    """Yield what a statement drops, renames or moves, by its name and that of its table. A column
    may take parts of its table along: they are told by an empty name and the table's.
    """
    yield from freed_names(node)
    if isinstance(node, ast.AlterTableStmt):
        table = node.relation.relname
        for each in node.cmds:
            if each.subtype == AlterTableType.AT_DropColumn:
                yield "", table
            index = getattr(each.def_, "indexname", None)
            if index:  # the constraint takes it, and its name
                yield index, ""
