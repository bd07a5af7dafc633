"""What an auditor asks of a run, answered for that of a fleet: what was done to a target, its own
record says.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pgrunbook.durations import moment
from pgrunbook.records.record import Record, Row
from pgrunbook.records.words import counted, listed

_EACH = "The record of each target says: the cell lists them, each with its SHA-256."


def answers(record: Record) -> dict[str, str]:
    """The answer to each question of `audit_questions` that is another one for a fleet."""
    fleet = record.fleet
    targets = _rows(fleet, "targets")
    waves = _rows(fleet, "waves")
    counts = Counter(row["state"] for row in targets)
    states = ", ".join(f"{number:,} {state}" for state, number in counts.items())
    return {
        "What changed?": f"{counted(len(targets), 'target')}: {states}. {_EACH}",
        "Which SQL ran, exactly?": f"No cell of this record was run. {_EACH}",
        "On which database?": f"On the {counted(len(targets), 'target')} of the list with SHA-256 "
        f"{fleet['list']}. {_EACH}",
        "Who ran it, who approved it, under which ticket?": _who(record),
        "When, and how long did each step take?": f"{moment(fleet['started_at'])} to "
        f"{moment(fleet['ended_at'])}, in {counted(len(waves), 'wave')}.",
        "Which locks were taken, and who waited?": _EACH,
        "What was at risk?": _EACH,
        "Was it rehearsed?": _EACH,
        "What was verified, with what evidence?": f"What came of each target was read from its "
        f"ledger. {_EACH}",
        "What failed, was retried or was skipped?": _failed(targets),
        "Which versions of runbook, SQL and tool?": _EACH,
        "What was true before it started?": _EACH,
    }


def _rows(fleet: Row, name: str) -> list[dict[str, Any]]:
    rows = fleet[name]
    return [dict(zip(rows["columns"], row, strict=True)) for row in rows["rows"]]


def _who(record: Record) -> str:
    known, approved = record.identity, record.fleet.get("approved") or {}
    text = f"{known.get('operator') or 'not known'}. Ticket: {known.get('ticket') or 'none given'}."
    if not approved:
        return f"{text} No approved set was given."
    return f"{text} Approved: set {approved['set']} by {approved['approver']}. " + (
        "A target with another plan would have been set aside."
    )


def _failed(targets: list[dict[str, Any]]) -> str:
    lines = [
        f"{row['name']}: {row['state']}, {row['reason']}"
        for row in targets
        if row["state"] != "passed"
    ]
    again = sum(row["attempts"] > 1 for row in targets)
    text = listed(lines) if lines else "Nothing failed or was set aside"
    return f"{text}. {counted(again, 'target')} tried more than once."
