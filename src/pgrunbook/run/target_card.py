"""The card of the target: which database answered, and which run works on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from pgrunbook import durations
from pgrunbook.postgres.identity import Identity
from pgrunbook.records import words
from pgrunbook.records.format.parts import IdentityCard
from pgrunbook.runbooks.parameters import Parameters


def card(there: Identity, chosen: Parameters, **known: Any) -> IdentityCard:
    """What a program is told, with what else is `known` of the run."""
    return IdentityCard(
        mode=chosen.mode,
        schema=chosen.schema_,
        ticket=chosen.ticket,
        approved_plan=chosen.approved_plan,
        approver=chosen.approver,
        **(asdict(there) | known),
    )


def frame(said: IdentityCard, unfinished: Mapping[str, str]) -> pd.DataFrame:
    """What a person reads: index `identity`, column `value`, both str. `unfinished`: what is known
    of runs that have not ended, each by its label.
    """
    approved, role, read_only = "", said.role, "no"
    given = ", ".join(f"{name} = {value!r}" for name, value in said.given.items())
    if said.approved_plan:
        approved = f"plan {said.approved_plan} by {said.approver or 'nobody who is named'}"
    if said.superuser:
        role += " (superuser)"
    if said.read_only:
        read_only = "yes"
    rows = {
        "database": said.database,
        "host": said.host,
        "server version": said.server_version,
        "role": role,
        "system identifier": said.system_identifier,
        "primary or standby": said.recovery,
        "read-only": read_only,
        "server": said.server,
        "run": said.run,
        "mode": said.mode,
        "schema": said.schema_,
        "operator": said.operator,
        "ticket": said.ticket or "none given",
        "approved": approved,
        "given": given or "nothing: all is as by default",
        "started": durations.moment(said.started_at),
        "versions": ", ".join(f"{name} {version}" for name, version in said.versions.items()),
        "rehearsed on": said.rehearsed_on,
        "planned after": words.pending(said.planned_after),
        "not copied": "\n".join(said.not_copied),
    }
    optional = ("approved", "rehearsed on", "planned after", "not copied")
    shown = {label: value for label, value in rows.items() if value or label not in optional}
    return pd.DataFrame({"value": shown | dict(unfinished)}, dtype="str").rename_axis("identity")
