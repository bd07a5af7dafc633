"""What is expected to be there: the effects of all blocks, of all runbooks, in the order of their
commits.

A later block may extend, alter, rename or drop what an earlier one has made: the last one that set
an object says what is expected of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger import ledger, write
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection

_WITH_READINGS = 6  # the first version of the ledger that has effects and readings


@dataclass(frozen=True, slots=True)
class Setter:
    """The block that last set an object, and when (UTC)."""

    runbook: str
    block: str
    run_id: str
    at: datetime

    def __str__(self) -> str:
        when = f"{self.at:%Y-%m-%d %H:%M} UTC, run {self.run_id[:8]}"
        return f"{self.block} of {self.runbook}, {when}"


# What a block has changed: of each object the definition before and after, None if absent.
Changes = dict[Object, tuple[Definition | None, Definition | None]]


@dataclass(slots=True)
class Fold:
    """What a schema's blocks have left: each object's definition, None if it is to be absent, and
    the blocks that have set it, the last one last.

    `changes` has what each block that is in place has changed, by runbook and block: of one that
    was applied several times, since the first. `unread`: objects of which a ledger of before
    version 6 has the name alone; they, and what another major version of the server has printed,
    are read anew by the next run that writes.
    """

    definitions: dict[Object, Definition | None] = field(default_factory=dict)
    history: dict[Object, list[Setter]] = field(default_factory=dict)
    versions: dict[Object, int] = field(default_factory=dict)
    changes: dict[tuple[str, str], Changes] = field(default_factory=dict)
    parts: dict[Object, str] = field(default_factory=dict)  # what each is a part of
    unread: set[Object] = field(default_factory=set)
    adopted: set[Object] = field(default_factory=set)  # somebody else had made them
    last_block: int = 0

    def setter(self, known: Object) -> Setter:
        """The block that was the last one to set an object."""
        return self.history[known][-1]

    @property
    def made(self) -> set[Object]:
        """The objects that blocks have made or adopted; not those that they have only altered."""
        made = set()
        for changes in self.changes.values():
            for known, (before, after) in changes.items():
                if before is None or before == after:
                    made.add(known)
        return made

    @property
    def schemas(self) -> set[str]:
        """The schemas that the objects are, or are in."""
        return {known.schema for known in self.history if known.schema}

    def effect(
        self, runbook: str, block: str, copied: Mapping[Object, Definition]
    ) -> list[list[object]] | None:
        """What a block has changed, as the ledger of a copy of the database is to have it: the
        properties that it has set, on what the copy has. None, if only names are known of it.
        Nothing is expected of what could not be copied.
        """
        changes = self.changes.get((runbook, block), {})
        if not self.unread.isdisjoint(changes):
            return None
        return [
            [
                *known,
                _on(copied.get(known), now, was),
                _on(copied.get(known), now, now),
                self.parts.get(known),
            ]
            for known, (was, now) in changes.items()
            if now is None or known in copied
        ]

    def outdated(self, version: int) -> set[Object]:
        """The objects whose definitions another major version has printed."""
        return {known for known, printed in self.versions.items() if printed != version}

    def _forget(self, known: Object) -> None:
        for each in (self.definitions, self.history, self.versions):
            each.pop(known, None)
        self.unread.discard(known)
        self.adopted.discard(known)

    def _take(self, row: Mapping[str, Any]) -> None:
        """Take account of a block's row: of what it has changed, or of the names of what it
        made.
        """
        setter = Setter(row["runbook"], row["block"], row["run_id"], row["finished_at"])
        self.last_block = row["id"]
        changed = _changes(row["effect"] or ())
        self.parts |= {Object(*known): of for *known, _, _, of in row["effect"] or () if of}
        if row["event"] == "reverted":
            self._undo(setter, changed)
        else:
            self._set(setter, changed, row)

    def _set(self, setter: Setter, changed: Changes, row: Mapping[str, Any]) -> None:
        first = self.changes.setdefault((setter.runbook, setter.block), {})
        for known, (before, after) in changed.items():
            first[known] = (first[known][0] if known in first else before, after)
            self.definitions[known] = after
            self.versions[known] = row["server_version"]
            self.unread.discard(known)
            self.history.setdefault(known, []).append(setter)
        for type_, identity, part_of in row["made"] if row["effect"] is None else ():
            known = Object(type_, identity)
            first[known] = (None, None)
            self.parts[known] = part_of
            self.unread.add(known)
            self.history.setdefault(known, []).append(setter)
        self.adopted -= changed.keys()
        if row["event"] == "adopted":
            self.adopted |= changed.keys()

    def _undo(self, setter: Setter, changed: Changes) -> None:
        """A block is in place no more: of what it alone has set nothing is expected."""
        block = (setter.runbook, setter.block)
        for known in self.changes.pop(block, {}).keys() | changed.keys():
            earlier = [s for s in self.history.get(known, ()) if (s.runbook, s.block) != block]
            if not earlier:
                self._forget(known)
                continue
            self.history[known] = earlier
            if known in changed:
                self.definitions[known] = changed[known][1]

    def _read(self, row: Mapping[str, Any]) -> None:
        """Take account of definitions that were read anew."""
        for type_, identity, definition in row["definitions"]:
            known = Object(type_, identity)
            if known in self.history:
                self.definitions[known] = Definition(definition)
                self.versions[known] = row["server_version"]
                self.unread.discard(known)


def _changes(effect: Sequence[Sequence[Any]]) -> Changes:
    return {
        Object(type_, identity): (_definition(before), _definition(after))
        for type_, identity, before, after, _ in effect
    }


def _on(
    copied: Definition | None, now: Definition | None, then: Definition | None
) -> Mapping[str, Any] | None:
    """The properties of what was copied, where it differs `then` from what it is `now` as then."""
    if then is None or copied is None or now is None:
        return then.properties if then else None
    differing = {
        name: then.properties.get(name)
        for name in {*then.properties, *now.properties}
        if then.properties.get(name) != now.properties.get(name)
    }
    said = {**copied.properties, **differing}
    return {name: value for name, value in said.items() if value is not None}


def _definition(properties: Mapping[str, Any] | None) -> Definition | None:
    return None if properties is None else Definition(properties)


def read_fold(conn: Connection, schema: str) -> Fold:
    """Return what the blocks of a schema have left. Reads only."""
    made = Fold()
    version = ledger.installed(conn)
    if not version:
        return made
    readings = (
        catalog.rows(conn, "ledger_readings", schema=schema) if version >= _WITH_READINGS else []
    )
    for row in catalog.rows(conn, "ledger_effects", schema=schema):
        while readings and readings[0]["after_block"] < row["id"]:
            made._read(readings.pop(0))
        made._take(row)
    for reading in readings:
        made._read(reading)
    return made


def note_reading(
    conn: Connection,
    run_id: str,
    schema: str,
    reason: str,
    after_block: int,
    definitions: Mapping[Object, Definition],
) -> None:
    """Write how the server prints these expected objects now."""
    listed = [[*known, made.properties] for known, made in sorted(definitions.items())]
    conn.execute(
        "INSERT INTO pgrunbook.readings (run_id, schema_name, reason, server_version, after_block,"
        " definitions) VALUES (%s, %s, %s, %s, %s, %s)",
        [
            run_id,
            schema,
            reason,
            conn.info.server_version // 10_000,
            after_block,
            Jsonb(listed, write.as_json),
        ],
    )
