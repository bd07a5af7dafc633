"""The expected state: the effects of all blocks, of all runbooks, in the order of their commits.

A later block may extend, alter, rename or drop what an earlier one has made: what is expected of an
object is its definition after the last block that has set it, in whichever schema that run worked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

from psycopg.types.json import Jsonb

from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger import versions, write
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Setter:
    """A block that has set an object, and when (UTC). `schema` is that of its run; empty if it is
    the one whose fold this is.
    """

    runbook: str
    block: str
    run_id: str
    at: datetime
    schema: str = ""

    def __str__(self) -> str:
        where = f" in schema {self.schema}" if self.schema else ""
        when = f"{self.at:%Y-%m-%d %H:%M} UTC, run {self.run_id[:8]}"
        return f"{self.block} of {self.runbook}{where}, {when}"

    @property
    def key(self) -> tuple[str, str, str]:
        """The block, whichever run has set it."""
        return self.runbook, self.block, self.schema

    def is_of(self, runbook: str) -> bool:
        """Tell whether the runbook has set it, in the schema whose fold this is."""
        return (self.runbook, self.schema) == (runbook, "")


# What a block has changed: of each object the definition before and after, None if absent.
Changes = dict[Object, tuple[Definition | None, Definition | None]]


@dataclass(slots=True)
class Fold:
    """The expected state of the objects that runs in a schema have changed, and of all that is in
    it.

    - `definitions`: of each object; None if it should not be there.
    - `history`: the blocks that have set each object, the last one last.
    - `versions`: the major version of the server that has printed each definition.
    - `changes`: what each block that is in place has changed, by `Setter.key`; of a block that was
      applied several times, from before the first to after the last.
    - `parts`: the object that each is a part of, such as a column's table.
    - `unread`: objects of which a ledger of before version 6 has the name alone. The next run that
      writes reads them anew, as it does those that another major version has printed.
    - `adopted`: objects that somebody else had made.
    - `last_block`: the id of the last block's row.
    """

    definitions: dict[Object, Definition | None] = field(default_factory=dict)
    history: dict[Object, list[Setter]] = field(default_factory=dict)
    versions: dict[Object, int] = field(default_factory=dict)
    changes: dict[tuple[str, str, str], Changes] = field(default_factory=dict)
    parts: dict[Object, str] = field(default_factory=dict)
    unread: set[Object] = field(default_factory=set)
    adopted: set[Object] = field(default_factory=set)
    last_block: int = 0

    def setter(self, known: Object) -> Setter:
        """Return the block that was the last one to set an object."""
        return self.history[known][-1]

    @property
    def made(self) -> set[Object]:
        """The objects that blocks have made or adopted; not those that they have only altered."""
        made = set()
        for changes in self.changes.values():
            for known, (before, after) in changes.items():
                if before is None or before == after:  # equal: it was adopted as it was
                    made.add(known)
        return made

    @property
    def schemas(self) -> set[str]:
        """The schemas that the objects are, or are in."""
        return {known.schema for known in self.history if known.schema}

    def changed_by(self, runbook: str, block: str) -> Changes:
        """Return what a block of a run in the schema has changed."""
        return self.changes.get((runbook, block, ""), {})

    def effect(
        self, runbook: str, block: str, copied: Mapping[Object, Definition]
    ) -> list[list[object]] | None:
        """Return a block's effect as the ledger of a copy of the database is to have it: the
        definitions of the copy, with the properties that the block has set. None if only names are
        known of it. What could not be copied is left out.
        """
        changes = self.changed_by(runbook, block)
        if not self.unread.isdisjoint(changes):
            return None
        effect: list[list[object]] = []
        for known, (was, now) in changes.items():
            if now is not None and known not in copied:
                continue
            before = _on_copy(copied.get(known), now, was)
            after = _on_copy(copied.get(known), now, now)
            effect.append([*known, before, after, self.parts.get(known)])
        return effect

    def outdated(self, version: int) -> set[Object]:
        """Return the objects whose definitions another major version has printed."""
        return {known for known, printed in self.versions.items() if printed != version}

    def _forget(self, known: Object) -> None:
        for each in (self.definitions, self.history, self.versions):
            each.pop(known, None)
        self.unread.discard(known)
        self.adopted.discard(known)

    def _take(self, row: Mapping[str, Any]) -> None:
        """Add a block's row: what it has changed, or the names of what it made."""
        setter = Setter(
            row["runbook"], row["block"], row["run_id"], row["finished_at"], row["elsewhere"]
        )
        self.last_block = row["id"]
        changed: Changes = {}
        for type_, identity, before, after, part_of in row["effect"] or ():
            known = Object(type_, identity)
            changed[known] = (_definition(before), _definition(after))
            if part_of:
                self.parts[known] = part_of
        if row["event"] == "reverted":
            self._undo(setter, changed)
        else:
            self._set(setter, changed, row)

    def _set(self, setter: Setter, changed: Changes, row: Mapping[str, Any]) -> None:
        first = self.changes.setdefault(setter.key, {})
        for known, (before, after) in changed.items():
            # applied anew: undone, it would be as it was before the first time
            if known in first:
                before, _ = first[known]
            first[known] = (before, after)
            self.definitions[known] = after
            self.versions[known] = row["server_version"]
            self.unread.discard(known)
            self.history.setdefault(known, []).append(setter)
        if row["effect"] is None:
            self._set_names(setter, row["made"])
        self.adopted -= changed.keys()
        if row["event"] == "adopted":
            self.adopted |= changed.keys()

    def _set_names(self, setter: Setter, made: Sequence[Sequence[str]]) -> None:
        """Add what a ledger of before version 6 has of a block: the names of what it made."""
        first = self.changes[setter.key]
        for type_, identity, part_of in made:
            known = Object(type_, identity)
            first[known] = (None, None)
            self.parts[known] = part_of
            self.unread.add(known)
            self.history.setdefault(known, []).append(setter)

    def _undo(self, setter: Setter, changed: Changes) -> None:
        """Add the row of a block that was reverted. Nothing is expected any more of an object that
        it alone has set.
        """
        # what it has changed then, and what undoing it has changed now
        for known in self.changes.pop(setter.key, {}).keys() | changed.keys():
            setters = self.history.get(known, [])
            others = [each for each in setters if each.key != setter.key]
            if not others:
                self._forget(known)
                continue
            self.history[known] = others
            if known in changed:
                _, after = changed[known]
                self.definitions[known] = after

    def _read(self, row: Mapping[str, Any]) -> None:
        """Add definitions that were read anew."""
        for type_, identity, definition in row["definitions"]:
            known = Object(type_, identity)
            if known in self.history:
                self.definitions[known] = Definition(definition)
                self.versions[known] = row["server_version"]
                self.unread.discard(known)


def _on_copy(
    copied: Definition | None, now: Definition | None, then: Definition | None
) -> Mapping[str, Any] | None:
    """Return the properties that the copy's object had `then`: those of the copy, and in place of
    those that differ between `now` and `then` on the target, the ones of then. None if it was not
    there.
    """
    if then is None:
        return None
    if copied is None or now is None:
        return then.properties
    properties = dict(copied.properties)
    for name in {*then.properties, *now.properties}:
        before = then.properties.get(name)
        if before == now.properties.get(name):
            continue
        if before is None:
            properties.pop(name, None)
        else:
            properties[name] = before
    return properties


def _definition(properties: Mapping[str, Any] | None) -> Definition | None:
    return None if properties is None else Definition(properties)


def read_fold(conn: Session, schema: str) -> Fold:
    """Return the expected state for a schema, as the ledger has it. Reads only."""
    fold = Fold()
    version = versions.installed(conn)
    if not version:
        return fold
    rows = catalog.rows(conn, "ledger_effects", schema=schema)
    readings: list[dict[str, Any]] = []
    if version >= versions.WITH_READINGS:
        readings = catalog.rows(conn, "ledger_readings", schema=schema)
        rows = sorted([*rows, *_rows_elsewhere(conn, schema, rows)], key=itemgetter("id"))
    # each reading comes after the block that was the last one then
    for row in rows:
        while readings and readings[0]["after_block"] < row["id"]:
            fold._read(readings.pop(0))
        fold._take(row)
    for reading in readings:
        fold._read(reading)
    return fold


def _rows_elsewhere(
    conn: Session, schema: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of runs in other schemas that have changed objects of these rows, or of the
    schema itself.
    """
    own = set()
    for row in rows:
        for type_, identity, _, _, _ in row["effect"] or ():
            own.add(Object(type_, identity))
    return catalog.rows(
        conn,
        "ledger_effects_elsewhere",
        schema=schema,
        schemas=sorted({known.schema for known in own if known.schema} - {schema}),
        identities=sorted({known.identity for known in own}),
    )


def note_reading(
    conn: Session,
    run_id: str,
    schema: str,
    reason: str,
    after_block: int,
    definitions: Mapping[Object, Definition],
) -> None:
    """Write how the server prints these expected objects now. `after_block` is the id of the last
    block's row then: the reading comes after it in the fold.
    """
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
