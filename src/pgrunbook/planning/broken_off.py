"""Tells what of a drift is the work of a block outside a transaction that was broken off: of what
its statements may have done to objects of other blocks, what the catalog has. Knows no server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from pglast import ast

from pgrunbook.inventory.names import own
from pgrunbook.inventory.objects import Definition, Object, holds
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning.remains import detached_partition
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.secrets.patterns import mask_shapes
from pgrunbook.sqltext.things import thing_named

# What a partition, a column, a constraint and an index of it lose when it is detached.
_OF_A_PARTITION = ("partition", "inherits", "identity", "partition of")
# How the bound of a partition is printed: of a range or a list it says what of NULL.
_OF_A_BOUND = re.compile(r"CHECK \(.*(IS NULL|IS NOT NULL|satisfies_hash_partition\()", re.DOTALL)


def remainder(
    drift: Drift,
    begun: Sequence[Statement],
    takes: Callable[[Object, Statement], bool],
    inherited: Collection[str],
) -> Drift | None:
    """Return the drift without what these statements have done; None if that is all of it.

    - `takes` tells whether a statement drops or detaches the object, or what it is a part of.
    - `inherited` are the definitions of the foreign keys that a partition has from its parent.
    """
    expected = drift.expected
    for statement in begun:
        if isinstance(statement.node, ast.CommentStmt):
            expected = _with_comment(drift, expected, statement.node)
        elif takes(drift.object, statement):
            if detached_partition(statement.node):
                expected = _detached(drift, expected, inherited)
            else:
                expected = _dropped(drift, expected)
    if (expected is None and drift.found is None) or holds(expected, drift.found):
        return None
    return replace(drift, expected=expected)


def _with_comment(
    drift: Drift, expected: Definition | None, node: ast.CommentStmt
) -> Definition | None:
    """Return what is expected once the comment was made, if it was."""
    thing = thing_named(node.objtype, node.object)
    named = drift.object.type.endswith(thing.kind)
    if not named or own(drift.object.identity) != (thing.part or thing.name):
        return expected
    found = drift.found
    said = mask_shapes(node.comment, sql=True) if node.comment else None
    if expected is None or found is None or found.properties.get("comment") != said:
        return expected
    return _as_found(expected, found, ["comment"])


def _dropped(drift: Drift, expected: Definition | None) -> Definition | None:
    """Return what is expected of an index once it was dropped, or half dropped: not valid."""
    if drift.found is None or expected is None:
        return drift.found
    return _as_found(expected, drift.found, ["invalid"])


def _detached(
    drift: Drift, expected: Definition | None, inherited: Collection[str]
) -> Definition | None:
    """Return what is expected of a partition, or of its parts, once it was detached. It gets the
    foreign keys of its parent then, and CONCURRENTLY leaves its bound as a CHECK:
    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION
    """
    found = drift.found
    if found is None:
        return expected
    if expected is not None:
        return _as_found(expected, found, _OF_A_PARTITION)
    definition = str(found.properties.get("definition", ""))
    is_added = drift.object.type == "table constraint" and drift.whole
    if is_added and (definition in inherited or _OF_A_BOUND.match(definition)):
        return Definition({"definition": definition})
    return expected


def _as_found(expected: Definition, found: Definition, properties: Collection[str]) -> Definition:
    """Return the definition with these properties as they were found."""
    changed: dict[str, Any] = dict(expected.properties)
    for name in properties:
        changed.pop(name, None)
        if name in found.properties:
            changed[name] = found.properties[name]
    return Definition(changed)
