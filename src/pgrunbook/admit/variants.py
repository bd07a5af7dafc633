"""The blocks that let a column accept a value: from what was found on the target to variants of a
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from pgrunbook.admit.admission import Admission
from pgrunbook.admit.findings import Constraint
from pgrunbook.ledger.ledger import Entry
from pgrunbook.runbooks.blocks import Admits, Block
from pgrunbook.runbooks.facts import Fact
from pgrunbook.runbooks.source import Source


def admitting_block(source: Source, folder: str, found: Admission, entry: Entry | None) -> Block:
    """Return the block that overcomes every obstacle of one column, in one transaction, out of
    `deploy/<folder>/`.

    `entry` is its row in the ledger, if it was applied before.
    """
    makes = {Fact("value", found.table, found.column): found.value}
    makes |= dict.fromkeys(_facts_to_validate(found), found.value)
    choices = [(each.variant, each.variables) for each in found.obstacles]
    recorded = entry.variants if entry else ()
    block = source.variant_block(
        folder, choices, makes, _admits(found), recorded=recorded, otherwise=found.summary
    )
    return replace(block, problems=found.problems)


def validating_block(
    source: Source, folder: str, found: Admission, entry: Entry | None, own: Entry | None
) -> Block:
    """Return the block that validates the constraints that `admitting_block` replaces, or has
    replaced: `entry` is the ledger row of that, `own` this block's.

    A constraint that was not valid before stays so: rows that break it may be there.
    """
    replaced = {*_facts_to_validate(found), *(entry.facts if entry else ())}
    makes: dict[Fact, str] = {}
    choices = []
    for check in _checks(found):
        if Fact("check", check.owner, check.name) in replaced:
            makes[Fact("validated", check.owner, check.name)] = "yes"
            variables = {_OWNER[check.kind]: check.owner, "constraint": check.name}
            choices.append((check.kind, variables))
    recorded = own.variants if own else ()
    return source.variant_block(
        folder,
        choices,
        makes,
        _admits(found),
        recorded=recorded,
        otherwise="no constraint was replaced",
    )


# The constraints that are replaced and validated, and the variable that names whose they are.
_OWNER = {"check": "table", "domain": "domain"}


def facts(found: Admission) -> dict[Fact, str]:
    """Return what holds now."""
    holding = {}
    if found.accepts:
        holding[Fact("value", found.table, found.column)] = found.value
    for check in _checks(found):
        if check.accepts:
            holding[Fact("check", check.owner, check.name)] = found.value
        if check.accepts and check.validated:
            holding[Fact("validated", check.owner, check.name)] = "yes"
    return holding


def frame(inspected: Sequence[Admission]) -> pd.DataFrame:
    """Return one row a column: index `table`, `column`; columns `type`, `accepted` (yes or not
    yet), `because`, all str.
    """
    rows = []
    for each in inspected:
        accepted = "yes" if each.accepts else "not yet"
        rows.append((each.table, each.column, each.type, accepted, each.summary))
    columns = ["table", "column", "type", "accepted", "because"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index(["table", "column"])


def _facts_to_validate(found: Admission) -> list[Fact]:
    """Return the constraints that are replaced and were validated before, so that they are to be
    validated again.
    """
    facts = []
    for each in found.obstacles:
        if each.validate:
            owner = _OWNER[each.variant.removesuffix("_no_inherit")]
            facts.append(Fact("check", each.variables[owner], each.variables["constraint"]))
    return facts


def _checks(found: Admission) -> list[Constraint]:
    return [constraint for constraint in found.constraints if constraint.kind in _OWNER]


def _admits(found: Admission) -> Admits:
    return Admits(found.table, found.column, found.value)
