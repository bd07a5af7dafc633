"""Makes the plan of decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres.identity import Identity
from pgrunbook.records.plan import Plan, Step
from pgrunbook.runbooks.fingerprints import Sources


def make_plan(
    runbook: str,
    schema: str,
    identity: Identity,
    decisions: Sequence[Decision],
    state: Mapping[str, str],
    sources: Sources,
) -> Plan:
    """Return the plan that these decisions make; blocks that are done already are no part of it.
    `state` is what the catalog says of what they concern.
    """
    steps = []
    for each in decisions:
        if each.action is not Action.SKIP:
            steps.append(Step(each.block.name, str(each.action), each.sql if each.pending else ""))
    reverting = any(step.action == Action.REVERT for step in steps)
    return Plan(
        runbook,
        "revert" if reverting else "apply",
        {
            "database": identity.database,
            "system identifier": identity.system_identifier,
            "server": identity.server,
            "schema": schema,
        },
        steps[::-1] if reverting else steps,
        {**sources.files, **sources.code},  # the notebook by its code alone
        dict(sorted(state.items())),
    )
