"""Looks for what blocks make among what is there, by the names in their text. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from pgrunbook.inventory.names import own, parent
from pgrunbook.inventory.objects import Object
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.created_objects import CreatedObject


def find_existing(look: Session, blocks: Sequence[Block]) -> dict[str, Sequence[CreatedObject]]:
    """Return what the target has, by name, of the objects that blocks make: by block."""
    by_place: dict[tuple[str, bool], list[tuple[str, CreatedObject]]] = defaultdict(list)
    for block in blocks:
        for path, each in block.made_along(search_path.of(look)):
            by_place[path, is_new(each)].append((block.name, each))
    found: dict[str, list[CreatedObject]] = defaultdict(list)
    for (path, new), objects in by_place.items():
        asked = {
            "kinds": [each.kind for _, each in objects],
            "schemas": [each.schema for _, each in objects],
            "parents": [each.parent for _, each in objects],
            "names": [each.name for _, each in objects],
        }
        schemas = search_path.schemas(look, path)
        if new:
            schemas = schemas[:1]
        for row in catalog.rows(look, "there", **asked, searched=schemas):
            name, each = objects[row["number"]]
            found[name].append(each)
    return dict(found)


def is_new(each: CreatedObject) -> bool:
    """Whether a statement puts the object into the first schema of the path, whatever the others
    have of that name. What is part of a table, or was there by another name, may be in any.
    """
    return not each.parent and not each.was


def path_to(schemas_of: Callable[[str], Sequence[str]], path: str, each: CreatedObject) -> str:
    """Return the part of a path along which a statement that makes an object may have put it.

    `schemas_of` returns the schemas that a path leads to: see `search_path.schemas`.
    """
    if is_new(each) and not each.schema:
        found = schemas_of(path)
        if found:
            return search_path.written(found[:1])
    return path


def called_as(named: Iterable[CreatedObject], objects: Iterable[Object]) -> frozenset[Object]:
    """Return the objects that are called as one of these that statements make."""
    names = {(one.kind, one.name) for one in named}
    if not names:
        return frozenset()
    return frozenset(each for each in objects if (each.type, own(each.identity)) in names)


def is_called(each: Object, name: str) -> bool:
    """Whether an object has the name, but for its schema, its table and its arguments."""
    return own(each.identity) == name


class ByName:
    """Objects by what they are called: there may be thousands, and as many that blocks make."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._objects: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for each in objects:
            self._objects[each.type, own(each.identity)].append(each)

    def find(self, named: CreatedObject, path: Sequence[str]) -> list[Object]:
        """Return those that a statement names; one without a schema is looked up along the path."""
        schemas = (None, *schemas_of(named, path))
        found = []
        for each in self._objects.get((named.kind, named.name), ()):
            # the identity of an index does not tell its table
            on_it = each.type == "index" or parent(each.identity) == named.parent
            if on_it and each.schema in schemas:
                found.append(each)
        return found


def schemas_of(named: CreatedObject, path: Sequence[str]) -> Sequence[str]:
    """Return the schemas in which an object that a statement makes may be."""
    if named.schema:
        return [named.schema]
    return path[:1] if is_new(named) else path
