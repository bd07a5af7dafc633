"""What is on a twin, as it was last seen, and what a statement has changed of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors

from pgrunbook.inventory import read
from pgrunbook.inventory.changes import read_changes, read_overwritten
from pgrunbook.inventory.objects import Definition, Object, differences, table_of
from pgrunbook.planning.timeline import Change
from pgrunbook.sqltext.created_objects import CreatedObject

# relation "t" already exists; column "c" of relation "t" already exists
_ALREADY = re.compile(
    r'(?P<kind>\w+) "(?P<name>[^"]+)"(?: (?:of|for) relation "(?P<table>[^"]+)")? already exists'
)
_DUPLICATE = (
    errors.DuplicateTable,
    errors.DuplicateColumn,
    errors.DuplicateObject,
    errors.DuplicateFunction,
)
_RELATIONS = ("table", "view", "materialized view", "sequence", "index", "foreign table")


class TwinState:
    """What is on the twin, as it was last seen; and what has changed since."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        beside: psycopg.Connection[Any],
        stood_in_for: Collection[str],
    ) -> None:
        """`stood_in_for` are the extensions that the twin's server does not have."""
        self.stood_in_for = stood_in_for
        self._conn = conn
        self._beside = beside
        self._now = read.read(conn)
        self._at = self._now.at()
        self._made: set[Object] = set()

    def written(self, replaced: Sequence[CreatedObject]) -> dict[Object, Change]:
        """What the transaction has changed, by the rows of the catalog that carry its number; what
        it has dropped, the session beside it still sees. What it has `replaced` is among it, if it
        was the same before, too.
        """
        found = read_changes(self._conn)
        if found.xid is None:
            return {}
        addresses = {*found.addresses}
        if found.deleted_from:
            addresses |= {*read_overwritten(self._beside, found.xid, found.deleted_from)}
        before = {self._at[each] for each in addresses if each in self._at}
        now = read.read_objects(self._conn, sorted(addresses))
        self._at |= now.at()
        self._now.owners |= now.owners
        known = {each: self._now[each] for each in before if each in self._now}
        same = {each: (known[each], now[each]) for each in known.keys() & now.keys()}
        kept = {each: pair for each, pair in same.items() if is_one_of(each, replaced)}
        return kept | _changes(known, now)

    def doubled(self, changes: Mapping[Object, Change]) -> list[Object]:
        """What no block has made, and differs from what has just been made by its name alone."""
        new = [(each, after) for each, (before, after) in changes.items() if before is None]
        return [old for each, after in new if after and (old := self._double(each, after))]

    def _double(self, new: Object, definition: Definition) -> Object | None:
        now = self._now
        for old, owner in now.owners.items():
            if old not in now or old in self._made or old.type != new.type:
                continue
            if owner == now.owners.get(new) and _nameless(old, now[old]) == _nameless(
                new, definition
            ):
                return old
        return None

    def in_the_way(self, exc: psycopg.Error) -> Object | None:
        """What no block has made, and code cannot make as it is there, by what PostgreSQL says."""
        said = _ALREADY.match(exc.diag.message_primary or "")
        if not said or not isinstance(exc, _DUPLICATE):
            return None
        kinds = _RELATIONS if said["kind"] == "relation" else (said["kind"],)
        for each in self._now:
            if each.type.removeprefix("table ") not in kinds or each in self._made:
                continue
            if is_called(each, said["name"]) and (said["table"] or "") in each.identity:
                return each
        return None

    def forget(self, each: Object) -> None:
        """Take it, and what is part of it, for not there before."""
        own = self._now.addresses.get(each)
        parts = [part for part, owner in self._now.owners.items() if owner == own]
        for gone in (each, *parts):
            self._now.definitions.pop(gone, None)

    def anywhere(self) -> dict[Object, Change]:
        """What has changed, wherever."""
        now = read.read(self._conn)
        self._at |= now.at()
        return _changes(self._now, now)

    def take(self, changes: Mapping[Object, Change]) -> None:
        """Know these changes."""
        self._made |= changes.keys()
        for each, (_, after) in changes.items():
            if after is None:
                self._now.definitions.pop(each, None)
            else:
                self._now.definitions[each] = after


def dropping(each: Object) -> str:
    """The statement that drops it, with what depends on it."""
    name, _, table = each.identity.rpartition(" on ")
    match each.type:
        case "table column":
            table = table_of(each)
            column = each.identity.removeprefix(f"{table}.")
            return f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"
        case "table constraint":
            return f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"
        case "trigger" | "policy" | "rule":
            return f"DROP {each.type.upper()} {each.identity.replace(' on ', ' ON ')} CASCADE"
    return f"DROP {each.type.upper()} {each.identity} CASCADE"


def is_one_of(each: Object, named: Sequence[CreatedObject]) -> bool:
    """Whether an object is called as one of these."""
    return any(one.kind == each.type and is_called(each, one.name) for one in named)


def is_called(each: Object, name: str) -> bool:
    """Whether that is the name of an object, without its schema, its table, its arguments."""
    last = each.identity.partition("(")[0].partition(" on ")[0].rpartition(".")[2]
    return last.strip('"').replace('""', '"') == name


def _nameless(each: Object, definition: Definition) -> dict[str, Any]:
    """The properties without the name, which the definition of an index holds."""
    name = each.identity.rpartition(".")[2]
    text = str(definition.properties.get("definition", ""))
    return {**definition.properties, "definition": text.replace(f" {name} ", " ", 1)}


def _changes(
    before: Mapping[Object, Definition], after: Mapping[Object, Definition]
) -> dict[Object, Change]:
    return {
        each.object: (each.before, each.after)
        for each in differences(before, after)
        if each.before != each.after
    }
