"""Reads the effect of a block: in its own transaction, before that commits.

The rows of the catalog that the transaction has written carry its number, so that nothing escapes:
what a DO block, a function, an extension's script or an event trigger does is among them. What was
dropped has no row any more: it is found by the ground, which was read before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from pgrunbook.inventory.catalogs import OIDS
from pgrunbook.inventory.changes import Changes
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import (
    Address,
    Definition,
    Difference,
    Inventory,
    Object,
    differences,
)
from pgrunbook.inventory.read import read, read_objects
from pgrunbook.planning.ground import Ground
from pgrunbook.planning.paths import Paths
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block

# What a change is shown with: made, altered, moved or dropped, and the properties that differ.
CHANGES = ["object", "change", "what"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a transaction has changed.

    - `differences` has the definitions of each changed object before and after; `after` is the
      inventory of all that was read for that.
    - `kept` are the objects that the block has taken over as they were: before is what the ledger
      expected of them, if it did.
    - `parts` has the identity of the relation that an object is a part of.
    - `rows_written` says how many rows of which table.
    """

    differences: Sequence[Difference] = ()
    after: Inventory = field(default_factory=Inventory)
    kept: Sequence[Difference] = ()
    parts: Mapping[Object, str | None] = field(default_factory=dict)
    rows_written: Sequence[Mapping[str, Any]] = ()

    @property
    def rows(self) -> list[list[object]]:
        """The effect as the ledger keeps it: type, identity, definition before and after, None if
        absent, and what the object is a part of.
        """
        rows = []
        for each in (*self.differences, *self.kept):
            states = _properties(each.before), _properties(each.after)
            rows.append([*each.object, *states, self.parts.get(each.object)])
        return rows

    @property
    def changes(self) -> list[list[str]]:
        """A row an object, as `CHANGES` says."""
        return [[str(each.object), _change(each), _what(each)] for each in self.differences]

    def frame(self) -> pd.DataFrame:
        """Return the changes with the columns `CHANGES`, all str."""
        return pd.DataFrame(self.changes, columns=CHANGES, dtype="str")

    def summary(self) -> str:
        """Return how many objects were made, altered, moved and dropped, and how many rows were
        written: `3 made, 1 altered, 40 rows written`.
        """
        counts = Counter(_change(each) for each in self.differences)
        parts = [f"{number} {change}" for change, number in counts.items()]
        for what, columns in _ROWS.items():
            rows = sum(row[how] for row in self.rows_written for how in columns)
            if rows:
                parts.append(f"{rows:,} row{'s' * (rows != 1)} {what}")
        return ", ".join(parts)

    def rows_frame(self) -> pd.DataFrame:
        """Return a row a table of which rows were written: index `table`; columns `inserted`,
        `updated`, `deleted` (int), and `truncated` if one was, by the server's statistics.
        """
        columns = ["relation", "inserted", "updated", "deleted"]
        if any(row["truncated"] for row in self.rows_written):
            columns.append("truncated")
        frame = pd.DataFrame(self.rows_written, columns=columns)
        return frame.rename(columns={"relation": "table"}).set_index("table")


_ROWS = {"written": ("inserted", "updated", "deleted"), "truncated": ("truncated",)}


def _change(each: Difference) -> str:
    if each.before is None:
        return "made"
    if each.after is None:
        return "dropped"
    if each.before == each.after:
        return "moved"
    return "altered"


def _what(each: Difference) -> str:
    if each.before is None or each.after is None:
        return describe(each.after or each.before)
    if each.before == each.after:
        return describe(each.after, each.before)
    return f"{describe(each.before, each.after)} → {describe(each.after, each.before)}"


def _properties(definition: Definition | None) -> object:
    return None if definition is None else dict(definition.properties)


def read_effect(
    conn: Session,
    by_block: Changes,
    ground: Ground,
    wanted: Mapping[Object, Definition | None],
    expected: Mapping[Object, Definition | None],
) -> Effect:
    """Read what the open transaction of `conn` has changed, compared with the ground, in one round
    trip; everything in a second one, if a schema or a role has another name.

    - `by_block` says which rows of the catalogs it has written, and from which it has deleted.
    - `wanted` are objects that are read, too, to be compared with what they are to be.
    - `expected` has what the ledger expected of those of them that somebody has altered.
    """
    known = ground.seen.addresses
    suspects = _suspects(ground, by_block.deleted_from)
    touched = {*by_block.addresses, *suspects.altered}
    asked = touched | {known[each] for each in wanted if each in known}
    after = read_objects(conn, sorted(asked), suspects.gone, suspects.silent)
    after.silent -= asked  # which were read as they are now, if they are there
    _add_without_comments(ground, after)
    if _renames(ground, after):
        # Of what is in a schema, or belongs to a role, no row was written; but all of it is printed
        # with another name.
        after = read(conn)
        touched = {*known.values(), *after.addresses.values()}
    touched |= after.gone | after.silent
    before = {}
    for address in touched:
        if address in ground.at:
            each = ground.at[address]
            before[each] = ground.seen[each]
    now = {each: after[each] for each, address in after.addresses.items() if address in touched}
    changes = differences(before, now, renumbered=True)
    changed = {each.object for each in changes}
    kept = []
    for each, definition in wanted.items():
        found = after.get(each)
        if each not in changed and (found or not definition):
            kept.append(Difference(each, expected.get(each, found), found))
    parts = ground.parts_of([*changed, *(each.object for each in kept)], after)
    return Effect(changes, after, kept, parts)


# Where a row may be deleted of an object that stays: in a catalog of its parts, and the catalog of
# the objects; in a catalog of remarks, and the properties that objects have by them.
_PARTS = {
    "pg_amop": "pg_opfamily",
    "pg_amproc": "pg_opfamily",
    "pg_auth_members": "pg_auth_members",
    "pg_ts_config_map": "pg_ts_config",
}
_COMMENT = "comment"
_REMARKS = {
    "pg_depend": {"depends on extensions"},
    "pg_description": {"comment on the index", "not null comment"},
    "pg_seclabel": {"security labels"},
    "pg_shseclabel": {"security labels"},
}


class _Suspects(NamedTuple):
    """What may have lost something, by the catalogs that rows were deleted from."""

    altered: set[Address]  # a part, or a remark
    gone: dict[int, set[Address]]  # itself; by catalog
    silent: set[Address]  # its comment: only that is asked, as there may be too many to be read


def _suspects(ground: Ground, deleted_from: Collection[str]) -> _Suspects:
    found = _Suspects(set(), defaultdict(set), set())
    classes = {OIDS[name] for name in deleted_from if name in OIDS}
    wholes = {OIDS[_PARTS[name]] for name in deleted_from if name in _PARTS}
    remarks = set().union(*(_REMARKS.get(name, ()) for name in deleted_from))
    if not {"pg_description", "pg_shdescription"}.isdisjoint(deleted_from):
        remarks.add(_COMMENT)
    if not classes and not wholes and not remarks:
        return found  # the ground may be large
    for each, address in ground.seen.addresses.items():
        lost = remarks & ground.seen[each].properties.keys()
        if address.classid in classes:
            found.gone[address.classid].add(address)
        if _COMMENT in lost:
            found.silent.add(address)
        if address.classid in wholes or lost - {_COMMENT}:
            found.altered.add(address)
    return found


def _add_without_comments(ground: Ground, after: Inventory) -> None:
    """Add the objects that have lost their comments, which were not read: they are as before
    otherwise.
    """
    for address in after.silent - after.gone - {*after.addresses.values()}:
        each = ground.at[address]
        properties = {**ground.seen[each].properties}
        del properties[_COMMENT]
        after.definitions[each] = Definition(properties)
        after.addresses[each] = address
        if each in ground.seen.owners:
            after.owners[each] = ground.seen.owners[each]


def _renames(ground: Ground, after: Inventory) -> bool:
    """Whether a schema or a role that was there has another name now."""
    for each, address in after.addresses.items():
        has_parts = each.type in ("schema", "role")
        if has_parts and ground.named.get(address, each.identity) != each.identity:
            return True
    return False


def compare(
    conn: Session,
    ground: Ground,
    block: Block,
    wanted: Mapping[Object, Definition | None],
    before: Collection[tuple[str, ...]],
    expected: Mapping[Object, Definition | None],
) -> Effect:
    """Read once more what a block outside a transaction concerns, and return what has changed since
    the ground was read last. What an earlier attempt has made, and is `wanted`, counts as made by
    the block; not what existed `before` it.
    """
    relations = Paths(conn).relations([block])
    changes = ground.compare(conn, relations, code=not block.plain)
    changed = {each.object for each in changes}
    seen = ground.seen
    kept = []
    for each in wanted:
        if each in changed:
            continue
        if each in before:
            found = seen.get(each)
            kept.append(Difference(each, expected.get(each, found), found))
        elif each in seen:
            changes.append(Difference(each, None, seen[each]))
    parts = ground.parts_of([each.object for each in (*changes, *kept)], seen)
    return Effect(changes, seen, kept, parts)
