"""The MIME types of our data in an executed notebook: a closed list.

An output of another type is not ours, even if its type begins as ours do.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgrunbook.records.format.parts import (
    Card,
    Decided,
    Done,
    FleetShown,
    Frame,
    Part,
    PlanShown,
    Problems,
    Progress,
    Snapshot,
)

VERDICT_MIME = "application/vnd.pgrunbook.verdict+json"
BLOCK_MIME = "application/vnd.pgrunbook.block+json"
DECISION_MIME = "application/vnd.pgrunbook.decision+json"
FRAME_MIME = "application/vnd.pgrunbook.frame+json"
SNAPSHOT_MIME = "application/vnd.pgrunbook.snapshot+json"
PLAN_MIME = "application/vnd.pgrunbook.plan+json"
PROBLEMS_MIME = "application/vnd.pgrunbook.problems+json"
FLEET_MIME = "application/vnd.pgrunbook.fleet+json"
PROGRESS_MIME = "application/vnd.pgrunbook.progress+json"

MIME_TYPES: dict[type[Part], str] = {
    Card: VERDICT_MIME,
    Done: BLOCK_MIME,
    Decided: DECISION_MIME,
    Frame: FRAME_MIME,
    Snapshot: SNAPSHOT_MIME,
    PlanShown: PLAN_MIME,
    Problems: PROBLEMS_MIME,
    FleetShown: FLEET_MIME,
    Progress: PROGRESS_MIME,
}
OURS = frozenset(MIME_TYPES.values())


def any_ours(kinds: Iterable[str]) -> bool:
    """Return whether one of these types is ours."""
    return not OURS.isdisjoint(kinds)
