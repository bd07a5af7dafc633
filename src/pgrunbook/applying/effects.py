"""What a block changes: read in its own transaction, before that commits.

The rows of the catalog that the transaction has written carry its number, so that nothing escapes:
what a DO block, a function, an extension's script or an event trigger does is among them. What was
dropped, only the look before can tell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block


@dataclass(frozen=True, slots=True)
class Effect:
    """What a transaction has changed, object by object, and how these objects are now; `kept`: what
    it has taken over as it was; `rows_written`: how many rows of which table.
    """

    differences: Sequence[Difference] = ()
    after: Inventory = field(default_factory=Inventory)
    kept: Mapping[Object, Definition] = field(default_factory=dict)
    parts: Mapping[Object, str | None] = field(default_factory=dict)
    rows_written: Sequence[Mapping[str, Any]] = ()

    @property
    def rows(self) -> list[list[object]]:
        """As the ledger keeps it: type, identity, definition before and after, None if absent, and
        what it is a part of.
        """
        kept = [Difference(each, made, made) for each, made in self.kept.items()]
        return [
            [
                *each.object,
                _properties(each.before),
                _properties(each.after),
                self.parts.get(each.object),
            ]
            for each in [*self.differences, *kept]
        ]

    def frame(self) -> pd.DataFrame:
        """One row an object: columns `object`, `change` (made, altered, moved, dropped), `what`
        (the properties that differ).
        """
        rows = [[str(each.object), _change(each), _what(each)] for each in self.differences]
        return pd.DataFrame(rows, columns=["object", "change", "what"], dtype="str")

    def summary(self) -> str:
        """How many objects were made, altered, moved and dropped, and rows written: `3 made, 1
        altered, 40 rows written`.
        """
        counts = Counter(_change(each) for each in self.differences)
        parts = [f"{number} {change}" for change, number in counts.items()]
        for what, columns in _ROWS.items():
            rows = sum(row[how] for row in self.rows_written for how in columns)
            if rows:
                parts.append(f"{rows:,} row{'s' * (rows != 1)} {what}")
        return ", ".join(parts)

    def rows_frame(self) -> pd.DataFrame:
        """One row a table that it has written rows of: index `table`; columns `inserted`,
        `updated`, `deleted` (int), and `truncated` where it was, by the server's statistics.
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
    return "moved" if each.before == each.after else "altered"


def _what(each: Difference) -> str:
    if each.before is None or each.after is None:
        return describe(each.after or each.before)
    return f"{describe(each.before, each.after)} → {describe(each.after, each.before)}"


def _properties(definition: Definition | None) -> object:
    return None if definition is None else dict(definition.properties)


def read_effect(
    conn: Session,
    by_block: Changes,
    ground: Ground,
    wanted: Mapping[Object, Definition | None],
) -> Effect:
    """Read what the open transaction of `conn` has changed, compared with the ground; and how the
    `wanted` objects are now. One message; `by_block` is where to look.
    """
    known = ground.seen.addresses
    own = {*by_block.addresses, *_lessened(ground, by_block.deleted_from)}
    asked = own | {known[each] for each in wanted if each in known}
    after = read_objects(conn, sorted(asked), *_lost(ground, by_block.deleted_from))
    _silence(ground, after)
    if _renames(ground, after):  # of what is in the schema, or the role's, no row was written
        after = read(conn)
        own = {*known.values(), *after.addresses.values()}
    own |= after.gone | after.silent
    objects = [ground.at[address] for address in own if address in ground.at]
    before = {each: ground.seen[each] for each in objects}
    now = {each: after[each] for each, address in after.addresses.items() if address in own}
    changes = differences(before, now)
    touched = {each.object for each in changes}
    kept = {each: after[each] for each in wanted if each in after and each not in touched}
    parts = ground.parts_of({*touched, *kept}, after)
    return Effect(changes, after, kept, parts)


# What is deleted there, while the object stays: of those of a catalog, or that have a property.
_PARTS = {
    "pg_amop": "pg_opfamily",
    "pg_amproc": "pg_opfamily",
    "pg_auth_members": "pg_auth_members",
    "pg_ts_config_map": "pg_ts_config",
}
_REMARKS = {
    "pg_depend": {"depends on extensions"},
    "pg_description": {"comment on the index", "not null comment"},
    "pg_seclabel": {"security labels"},
    "pg_shseclabel": {"security labels"},
}


def _lessened(ground: Ground, deleted_from: Sequence[str]) -> set[Address]:
    """The objects that may have lost a part, or what was said of them."""
    classes = {OIDS[_PARTS[name]] for name in deleted_from if name in _PARTS}
    properties = {each for name in deleted_from for each in _REMARKS.get(name, ())}
    if not classes and not properties:
        return set()
    return {
        address
        for each, address in ground.seen.addresses.items()
        if address.classid in classes or properties & ground.seen[each].properties.keys()
    }


def _lost(
    ground: Ground, deleted_from: Sequence[str]
) -> tuple[Mapping[int, set[Address]], set[Address]]:
    """The objects that may be gone, by catalog; and those that may have no comment any more, of
    which there may be too many to be read.
    """
    lost = defaultdict[int, set[Address]](set)
    remarked: set[Address] = set()
    classes = {OIDS[name] for name in deleted_from if name in OIDS}
    comments = not {"pg_description", "pg_shdescription"}.isdisjoint(deleted_from)
    for each, address in ground.seen.addresses.items() if classes or comments else ():
        if address.classid in classes:
            lost[address.classid].add(address)
        if comments and "comment" in ground.seen[each].properties:
            remarked.add(address)
    return lost, remarked


def _silence(ground: Ground, after: Inventory) -> None:
    """Add what is as it was before, but for its comment."""
    for address in after.silent - after.gone - {*after.addresses.values()}:
        each = ground.at[address]
        said = {**ground.seen[each].properties}
        del said["comment"]
        after.definitions[each], after.addresses[each] = Definition(said), address
        if each in ground.seen.owners:
            after.owners[each] = ground.seen.owners[each]


def _renames(ground: Ground, after: Inventory) -> bool:
    """Whether a schema or a role that was there has another name."""
    return any(
        each.type in ("schema", "role")
        and ground.named.get(address, each.identity) != each.identity
        for each, address in after.addresses.items()
    )


def compare(
    conn: Session,
    ground: Ground,
    block: Block,
    wanted: Mapping[Object, Definition | None],
    before: Collection[tuple[str, ...]],
) -> Effect:
    """Look once more at what a block outside a transaction concerns; what has changed since the
    last look. What an earlier attempt has made, and is `wanted`, counts as made by the block; not
    what was there `before` it.
    """
    changes = ground.compare(conn, block.relations, code=not block.plain)
    touched = {each.object for each in changes}
    seen = ground.seen
    over = [each for each in wanted if each in seen and each not in touched]
    kept = {each: seen[each] for each in over if each in before}
    made = [Difference(each, None, seen[each]) for each in over if each not in kept]
    changes = [*changes, *made]
    parts = ground.parts_of([*(each.object for each in changes), *kept], seen)
    return Effect(changes, seen, kept, parts)
