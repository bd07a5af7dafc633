"""The questions of the reviewer's page, in their order."""

from __future__ import annotations

import enum


class Question(enum.StrEnum):
    """What an auditor asks of a run. `audit_questions` answers each; `fleet_answers` too, for the
    run of a fleet, but for the last one.
    """

    CHANGED = "What changed?"
    SQL = "Which SQL ran, exactly?"
    DATABASE = "On which database?"
    WHO = "Who ran it, who approved it, under which ticket?"
    WHEN = "When, and how long did each step take?"
    LOCKS = "Which locks were taken, and who waited?"
    AT_RISK = "What was at risk?"
    REHEARSED = "Was it rehearsed?"
    VERIFIED = "What was verified, with what evidence?"
    FAILED = "What failed, was retried or was skipped?"
    VERSIONS = "Which versions of runbook, SQL and tool?"
    BEFORE = "What was true before it started?"
    ALTERED = "Has the record been altered since?"
