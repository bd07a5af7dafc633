"""Keeps the objects of a twin as they were last read, and finds what a statement has changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import errors

from pgrunbook.inventory import read
from pgrunbook.inventory.catalogs import OIDS
from pgrunbook.inventory.names import own, parent
from pgrunbook.inventory.objects import Address, Definition, Object, differences
from pgrunbook.planning.existing_objects import called_as, is_called
from pgrunbook.planning.timeline import Change, Work
from pgrunbook.planning.twin_statements import (
    cascade,
    drop_statement,
    is_of_superusers,
    replaced_objects,
    substitute,
    table_written,
    work_of_node,
)
from pgrunbook.planning.twin_written import Written
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import RELATIONS, CreatedObject
from pgrunbook.sqltext.mentions import runs_code
from pgrunbook.sqltext.things import dropped_objects

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
# what a function returns, or the columns of a view
_OF_ANOTHER_SHAPE = (errors.InvalidFunctionDefinition, errors.InvalidTableDefinition)


# Not by to_regclass: it takes the right to use the schema.
_IS_CATALOG = b"""
SELECT 1 FROM pg_catalog.pg_class
 WHERE relname OPERATOR(pg_catalog.=) %s::pg_catalog.name
   AND relnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid"""


class TwinState:
    """The objects of a twin as they were last read. Finds what has changed since."""

    def __init__(
        self,
        conn: Session,
        beside: Session,
        stood_in_for: Collection[str],
        *,
        cleared: bool = False,
        as_is: bool = False,
    ) -> None:
        """Read all objects.

        - `conn` runs the blocks.
        - `beside` is a second session: it still sees what the open transaction of `conn` has
          dropped.
        - `stood_in_for` are the extensions that the twin's server does not have.
        - `cleared`: what the blocks make was dropped before.
        - `as_is`: what the role may not do there, it may not do on the target; see `Twin`.
        """
        self._stood_in_for = stood_in_for
        self._as_is = as_is
        self.cleared = cleared
        self._conn = conn
        self._beside = beside
        self._now = read.read(conn)
        self._at = self._now.at()
        self._made: set[Object] = set()
        self.written = Written(conn, beside)
        # whose code may change anything, whatever the statement is
        self.has_event_triggers = any(each.type == "event trigger" for each in self._now)
        # what statements make that are still to be run
        self.later: Counter[CreatedObject] = Counter()
        self.named: set[str] = set()  # the relations that blocks name
        self._unnamed: set[Object] = set()  # what blocks have made and do not name
        self.code_was_run = False
        self.may_find = False  # the block at work may find what it makes: it was done by hand
        self.catalog_written = ""  # by a statement that was left out, of the block at work

    def transaction_changes(
        self, replaced: Sequence[CreatedObject], *, near: bool = False
    ) -> dict[Object, Change]:
        """Return what the open transaction has changed, or its present statement: see
        `Written`. Objects that it has `replaced` (OR REPLACE) count even if they are the
        same as before.

        `near`: all that it changes hangs on relations that it has locked.
        """
        addresses, lost = self.written.look(near=near)
        now = read.read_objects(self._conn, sorted(addresses), lost)
        if now.gone:  # unless another one has taken its place and its name
            gone = {self._at[each] for each in now.gone if each in self._at}
            addresses |= {address for address, each in self._at.items() if each in gone}
            now = read.read_objects(self._conn, sorted(addresses))
        before = {self._at[each] for each in addresses if each in self._at}
        now_at = now.at()
        if self.written.in_part and self._has_other_schemas(now_at):
            # what the transaction has made there is called otherwise, too
            self.written.begin_anew()
            return self.transaction_changes(replaced, near=near)
        self._at |= now_at
        self._now.owners |= now.owners
        known = {each: self._now[each] for each in before if each in self._now}
        changes = _changes(known, now)
        for each in called_as(replaced, known.keys() & now.keys()):
            changes[each] = known[each], now[each]
        return changes

    def _has_other_schemas(self, now_at: Mapping[Address, Object]) -> bool:
        """Return whether a schema has another name."""
        for address, each in now_at.items():
            if each.type == "schema" and self._at.get(address, each) != each:
                return True
        return False

    def note_run(self, statement: Statement) -> None:
        """Note that a statement was run: what it makes, no later one has to make any more."""
        self.later -= Counter(replace(each, replaces=True) for each in statement.made)
        self.code_was_run = self.code_was_run or runs_code(statement.node)

    def duplicates(self, changes: Mapping[Object, Change]) -> list[Object]:
        """Return the objects that no block has made, and that are equal, but for the name, to one
        which was just made.
        """
        found = []
        for each, (before, after) in changes.items():
            if before is None and after is not None:
                duplicate = self._duplicate(each, after)
                if duplicate:
                    found.append(duplicate)
        return found

    def _duplicate(self, new: Object, definition: Definition) -> Object | None:
        now = self._now
        properties = _without_name(new, definition)
        if new not in now.owners and new.type != "statistics object":
            return None
        for old in now:
            if old in self._made or old.type != new.type:
                continue
            same_table = now.owners.get(old) == now.owners.get(new)
            if same_table and _without_name(old, now[old]) == properties:
                return old
        return None

    def substitute(self, statement: Statement, exc: psycopg.Error) -> str | None:
        """Return what to run in place of a statement: see `twin_statements.substitute`. One that
        changes rows of a system catalog, which takes a superuser, is left out, and noted. So is
        one of a block done by hand that makes what is there.
        """
        if self._as_is and is_of_superusers(statement.node, exc):
            return None
        if isinstance(exc, errors.InsufficientPrivilege) and not self._as_is:
            catalog = self._catalog(statement)
            if catalog:
                self.catalog_written = catalog
                return ""
        if self.may_find and isinstance(exc, (*_DUPLICATE, errors.DuplicateSchema)):
            return ""
        return substitute(
            statement.sql, exc, self._stood_in_for, cleared=self.cleared, later=self.later
        )

    def _catalog(self, statement: Statement) -> str:
        """Return the system catalog whose rows a statement changes; empty if it changes none."""
        schema, name = table_written(statement.node)
        if schema in ("", "pg_catalog") and self._conn.execute(_IS_CATALOG, [name]).fetchone():
            return name
        return ""

    def find_obstacles(self, exc: psycopg.Error, statement: Statement) -> list[Object]:
        """Return what is in a statement's way, and was there neither before it nor before the
        blocks: `clear_away` has left it.
        """
        if not self.cleared:
            return []
        found = self._overload(exc) or self._other_shape(exc, replaced_objects([statement]))
        # DO and CALL may make objects that their text does not name: the error names them.
        if not found and work_of_node(statement.node) is Work.ROWS:
            found = self._obstacle(exc)
        return [found] if found else self._dependents(exc, statement)

    def _dependents(self, exc: psycopg.Error, statement: Statement) -> list[Object]:
        """Return what depends on an object that is dropped, if only later statements make it."""
        if not isinstance(exc, errors.DependentObjectsStillExist):
            return []
        before = self._dropped()
        gone: set[Object] = set()
        # What is a part of another object, or of an extension, CASCADE does not drop, either.
        with suppress(psycopg.Error), self._conn.transaction(force_rollback=True):
            self._conn.execute(cascade(statement).encode())
            gone = self._dropped() - before
        named = {name for name, _ in dropped_objects(statement.node)}
        found = {each for each in gone if own(each.identity) not in named}
        # The column of a table is dropped without it.
        for each in list(found):
            owner = self._now.owners.get(each)
            if owner and owner in self._at:
                found.add(self._at[owner])
        return sorted(called_as(self.later, found - self._made))

    def _obstacle(self, exc: psycopg.Error) -> Object | None:
        """Return the object of which the error says that it exists already, if no block has made
        it; None otherwise.
        """
        said = _ALREADY.match(exc.diag.message_primary or "")
        if not said or not isinstance(exc, _DUPLICATE):
            return None
        kinds = RELATIONS if said["kind"] == "relation" else {said["kind"]}
        for each in self._now:
            if each.type.removeprefix("table ") not in kinds or each in self._made:
                continue
            if is_called(each, said["name"]) and said["table"] in (None, parent(each.identity)):
                return each
        return None

    def _overload(self, exc: psycopg.Error) -> Object | None:
        """Return the function that makes a call ambiguous, if only a later statement makes it and
        the twin has it already; None if the error is another one.
        """
        if not isinstance(exc, errors.AmbiguousFunction):
            return None
        for each in self.later:
            if re.search(rf'[ ."]{re.escape(each.name)}["(]', exc.diag.message_primary or ""):
                found = self._left(each, "pg_proc")
                if found:
                    return found
        return None

    def _other_shape(self, exc: psycopg.Error, replaced: Sequence[CreatedObject]) -> Object | None:
        """Return what OR REPLACE finds in a shape that it cannot alter, as the error says, if a
        later statement makes one of that name, too: it has made this one.
        """
        if not isinstance(exc, _OF_ANOTHER_SHAPE):
            return None
        for each in replaced:
            alike = [one for one in self.later if (one.kind, one.name) == (each.kind, each.name)]
            if sum(self.later[one] for one in alike) > 1:
                return self._left(each, "pg_class" if each.kind in RELATIONS else "pg_proc")
        return None

    def _left(self, each: CreatedObject, catalog: str) -> Object | None:
        """Return the relation or function that is called so, and that no block has made."""
        called = "to_regclass" if catalog == "pg_class" else "to_regprocedure"
        oid = None
        # before 16, a type that is not there is an error
        with suppress(psycopg.Error), self._conn.transaction():
            asked = f"SELECT pg_catalog.{called}(%s)::oid::bigint".encode()
            ((oid,),) = self._conn.execute(asked, [each.signature])
        found = self._at.get(Address(OIDS[catalog], oid)) if oid else None
        return found if found in self._now and found not in self._made else None

    def drop(self, each: Object) -> None:
        """Drop the object in the open transaction, and what depends on it, as if never there. What
        the block has dropped before stays a change of the block.
        """
        if each not in self._now:
            return  # it went with another one
        before = self._dropped()
        self._conn.execute(drop_statement(each).encode())
        for gone in self._dropped() - before:
            self._forget(gone)

    def _dropped(self) -> set[Object]:
        """Return what the open transaction has dropped."""
        changes = self.transaction_changes([])
        return {each for each, (_, after) in changes.items() if after is None}

    def _forget(self, each: Object) -> None:
        """Take the object and its parts for absent: they were dropped, and no block did so."""
        own = self._now.addresses.get(each)
        parts = [part for part, owner in self._now.owners.items() if owner == own]
        for gone in (each, *parts):
            self._now.definitions.pop(gone, None)

    def all_changes(self) -> dict[Object, Change]:
        """Return what has changed since the last look, in any number of transactions. Reads all
        objects again.
        """
        now = read.read(self._conn)
        self._at |= now.at()
        self._now.owners |= now.owners
        changes = _changes(self._now, now)
        return {each: change for each, change in changes.items() if not each.shared}

    def in_unnamed_partitions(self, changes: Mapping[Object, Change]) -> frozenset[Object]:
        """Return those of the changed objects that are, or belong to, a partition which code has
        made: no block names it.
        """
        found = set()
        for each, (before, _) in changes.items():
            if before is None and own(each.identity) not in self.named:
                self._unnamed.add(each)
        for each in changes:
            owner = self._now.owners.get(each)
            table = self._at.get(owner, each) if owner else each
            states = [*changes.get(table, ()), self._now.get(table)]
            is_partition = any(state and "partition" in state.properties for state in states)
            if is_partition and table in self._unnamed:
                found.add(each)
        return frozenset(found)

    def take(self, changes: Mapping[Object, Change]) -> None:
        """Take these changes for the blocks' own."""
        self._made |= changes.keys()
        for each, (_, after) in changes.items():
            if after is None:
                self._now.definitions.pop(each, None)
            else:
                self._now.definitions[each] = after


def _without_name(each: Object, definition: Definition) -> dict[str, Any]:
    """Return the properties without the object's name."""
    # pg_get_indexdef prints the index's name, too, and pg_get_statisticsobjdef its schema
    text = str(definition.properties.get("definition", ""))
    for name in (each.identity, each.identity.rpartition(".")[2]):
        text = text.replace(f" {name} ", " ", 1)
    return {**definition.properties, "definition": text}


def _changes(
    before: Mapping[Object, Definition], after: Mapping[Object, Definition]
) -> dict[Object, Change]:
    # a table that is made anew may have its columns in another order
    found = differences(before, after, renumbered=True)
    return {each.object: (each.before, each.after) for each in found}
