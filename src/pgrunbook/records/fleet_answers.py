"""Answers an auditor's questions about the run of a fleet. What was done to a target, the target's
own record says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pgrunbook.durations import moment
from pgrunbook.records.backfill import kind
from pgrunbook.records.questions import Question
from pgrunbook.records.record import Record
from pgrunbook.records.shown import Row
from pgrunbook.records.words import counted, listed, sentence, without_names

_EACH = "The record of each target says: the cell lists them, each with its SHA-256."

_UNREAD = "what came of each target is the journal's word: no seal says more"


def answers(record: Record, read: str) -> dict[Question, str]:
    """Return the answer to each question but ALTERED, which is the same for every record. `read`:
    how it is known what came of the targets, as the seal says; empty without a seal.
    """
    fleet = record.fleet
    targets = _rows(fleet, "targets")
    waves = _rows(fleet, "waves")
    counts = Counter(row["state"] for row in targets)
    states = ", ".join(f"{number:,} {state}" for state, number in counts.items())
    return {
        Question.CHANGED: f"{counted(len(targets), 'target')}: {states}. {_EACH}",
        Question.SQL: f"No cell of this record was run. {_EACH}",
        Question.DATABASE: f"On the {counted(len(targets), 'target')} of the list with SHA-256 "
        f"{fleet['list']}. {_EACH}",
        Question.WHO: _who(record),
        Question.WHEN: f"{moment(fleet['started_at'])} to "
        f"{moment(fleet['ended_at'])}, in {counted(len(waves), 'wave')}.",
        Question.LOCKS: _EACH,
        Question.AT_RISK: _EACH,
        Question.REHEARSED: _EACH,
        Question.VERIFIED: f"{sentence(read or _UNREAD)} {_EACH}",
        Question.FAILED: _failed(targets),
        Question.VERSIONS: _EACH,
        Question.BEFORE: _EACH,
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
    left = [row for row in targets if row["state"] != "passed"]
    lines = []
    for state, why, names in reasons(left):
        what = ": ".join(filter(None, [state.capitalize(), why.rstrip(".")]))
        lines.append(f"{what}. {counted(len(names), 'target')}: {listed(names)}.")
    again = sum(row["attempts"] > 1 for row in targets)
    lines = lines or ["Nothing failed or was set aside."]
    return "\n".join([*lines, f"{counted(again, 'target')} tried more than once."])


# The states that an operator has to look at first.
_FIRST = ("failed", "set aside", "not done")


def reasons(targets: Sequence[Row]) -> list[tuple[str, str, list[str]]]:
    """Group targets by their state and their reason, which may differ in numbers and in the names
    of the targets themselves.

    Returns for each group the state, the reason of its first target, and the names of all. What
    failed comes first, then larger groups before smaller ones.
    """
    groups: dict[tuple[str, str], tuple[str, str, list[str]]] = {}
    for each in targets:
        why = "; ".join(filter(None, [each["reason"], each["remark"]]))
        alike = kind(without_names(why, each["name"]))
        _, _, names = groups.setdefault((each["state"], alike), (each["state"], why, []))
        names.append(each["name"])
    last = len(_FIRST)
    return sorted(
        groups.values(),
        key=lambda group: (
            _FIRST.index(group[0]) if group[0] in _FIRST else last,
            -len(group[2]),
        ),
    )
