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
from pgrunbook.runbooks.facts import Fact
from pgrunbook.runbooks.source import Source


def admitting_block(source: Source, folder: str, found: Admission, entry: Entry | None) -> Block:
    """The block that overcomes every obstacle of one column, in one transaction, out of
    `deploy/<folder>/`.

    `entry` is its row in the ledger, if it was applied before.
    """
    makes = {Fact("value", found.table, found.column): found.value}
    makes |= dict.fromkeys(_replaced(found), found.value)
    choices = [(o.variant, o.variables) for o in found.obstacles]
    recorded = entry.variants if entry else ()
    block = source.variant_block(
        folder, choices, makes, _admits(found), recorded=recorded, otherwise=found.summary
    )
    return replace(block, problems=found.problems)


def validating_block(
    source: Source, folder: str, found: Admission, entry: Entry | None, own: Entry | None
) -> Block:
    """The block that validates the constraints that `admitting_block` replaces, or has replaced:
    `entry` is the ledger row of that, `own` this block's.

    A constraint that was not valid before stays so: rows that break it may be there.
    """
    replaced = {*_replaced(found), *(entry.facts if entry else ())}
    concerned = [c for c in _checks(found) if Fact("check", c.owner, c.name) in replaced]
    makes = {Fact("validated", c.owner, c.name): "yes" for c in concerned}
    choices = [(c.kind, {_OWNER[c.kind]: c.owner, "constraint": c.name}) for c in concerned]
    recorded = own.variants if own else ()
    return source.variant_block(
        folder,
        choices,
        makes,
        _admits(found),
        recorded=recorded,
        otherwise="no constraint was replaced",
    )


_OWNER = {"check": "table", "domain": "domain"}


def facts(found: Admission) -> dict[Fact, str]:
    """What holds now."""
    holding = {Fact("value", found.table, found.column): found.value} if found.accepts else {}
    for constraint in (c for c in _checks(found) if c.accepts):
        holding[Fact("check", constraint.owner, constraint.name)] = found.value
        if constraint.validated:
            holding[Fact("validated", constraint.owner, constraint.name)] = "yes"
    return holding


def frame(inspected: Sequence[Admission]) -> pd.DataFrame:
    """One row a column: index `table`, `column`; columns `type`, `accepted` (yes or not yet),
    `because`, all str.
    """
    rows = []
    for each in inspected:
        accepted = "yes" if each.accepts else "not yet"
        rows.append((each.table, each.column, each.type, accepted, each.summary))
    columns = ["table", "column", "type", "accepted", "because"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index(["table", "column"])


def _replaced(found: Admission) -> list[Fact]:
    """The constraints that are replaced and were validated before, so that they are to be validated
    again.
    """
    facts = []
    for each in found.obstacles:
        if each.validate:
            owner = _OWNER[each.variant.removesuffix("_no_inherit")]
            facts.append(Fact("check", each.variables[owner], each.variables["constraint"]))
    return facts


def _checks(found: Admission) -> Iterator[Constraint]:
    return (c for c in found.constraints if c.kind in _OWNER)


def _admits(found: Admission) -> Admits:
    return Admits(found.table, found.column, found.value)
