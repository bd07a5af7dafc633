"""The blocks that let a column accept a value: from what was found on the target to variants of a
block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from pgrunbook.admit.admission import Admission
from pgrunbook.admit.findings import Constraint
from pgrunbook.ledger.ledger import Entry
from pgrunbook.runbooks.blocks import Admits, Block
from pgrunbook.runbooks.source import Source
from pgrunbook.sqltext.shape import Key


def admitting(source: Source, folder: str, found: Admission, entry: Entry | None) -> Block:
    """The block that overcomes every obstacle of one column, in one transaction, out of
    `deploy/<folder>/`.

    `entry` is its row in the ledger, if it was applied before.
    """
    makes = {Key("value", found.table, found.column): found.value}
    makes |= dict.fromkeys(_replaced(found), found.value)
    choices = [(o.variant, o.variables) for o in found.obstacles]
    recorded = entry.variants if entry else ()
    block = source.chosen(
        folder, choices, makes, _admits(found), recorded=recorded, otherwise=found.summary
    )
    return replace(block, problems=found.problems)


def validating(
    source: Source, folder: str, found: Admission, entry: Entry | None, own: Entry | None
) -> Block:
    """The block that validates the constraints that `admitting` replaces, or has replaced: `entry`
    is its ledger row, `own` this block's.

    A constraint that was not valid before stays so: rows that break it may be there.
    """
    replaced = {*_replaced(found), *(entry.facts if entry else ())}
    concerned = [c for c in _checks(found) if Key("check", c.owner, c.name) in replaced]
    makes = {Key("validated", c.owner, c.name): "yes" for c in concerned}
    choices = [(c.kind, {_OWNER[c.kind]: c.owner, "constraint": c.name}) for c in concerned]
    recorded = own.variants if own else ()
    return source.chosen(
        folder,
        choices,
        makes,
        _admits(found),
        recorded=recorded,
        otherwise="no constraint was replaced",
    )


_OWNER = {"check": "table", "domain": "domain"}


def facts(found: Admission) -> dict[Key, str]:
    """What holds now, as facts like those of `shape`: of kind `value` a column that accepts the
    value, of kind `check` a constraint that does, of kind `validated` one that does and is known to
    hold for every row.
    """
    holding = {Key("value", found.table, found.column): found.value} if found.accepts else {}
    for constraint in (c for c in _checks(found) if c.accepts):
        holding[Key("check", constraint.owner, constraint.name)] = found.value
        if constraint.validated:
            holding[Key("validated", constraint.owner, constraint.name)] = "yes"
    return holding


def frame(inspected: Sequence[Admission]) -> pd.DataFrame:
    """One row a column: index `table`, `column`; columns `type`, `accepted` (yes or not yet),
    `because`, all str.
    """
    data = {
        "table": [a.table for a in inspected],
        "column": [a.column for a in inspected],
        "type": [a.type for a in inspected],
        "accepted": ["yes" if a.accepts else "not yet" for a in inspected],
        "because": [a.summary for a in inspected],
    }
    return pd.DataFrame(data, dtype="str").set_index(["table", "column"])


def _replaced(found: Admission) -> list[Key]:
    """The constraints that are replaced and were validated before, so that they are to be validated
    again.
    """
    return [
        Key(
            "check",
            o.variables[_OWNER[o.variant.removesuffix("_no_inherit")]],
            o.variables["constraint"],
        )
        for o in found.obstacles
        if o.validate
    ]


def _checks(found: Admission) -> Iterator[Constraint]:
    return (c for c in found.constraints if c.kind in _OWNER)


def _admits(found: Admission) -> Admits:
    return Admits(found.table, found.column, found.value)
