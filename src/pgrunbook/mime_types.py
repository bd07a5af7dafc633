"""The MIME types under which an executed notebook has data for programs: a closed list.

Whatever else a cell shows is somebody else's, also where its type begins as ours do.
"""

from __future__ import annotations

from collections.abc import Iterable

# How the run ended, and what was done with a block:
VERDICT_MIME = "application/vnd.pgrunbook.verdict+json"
BLOCK_MIME = "application/vnd.pgrunbook.block+json"
# What was decided about a block, with its SQL; a frame that one of our methods returned; the state
# of the tables.
DECISION_MIME = "application/vnd.pgrunbook.decision+json"
FRAME_MIME = "application/vnd.pgrunbook.frame+json"
SNAPSHOT_MIME = "application/vnd.pgrunbook.snapshot+json"
# What the run was going to do, which can be approved.
PLAN_MIME = "application/vnd.pgrunbook.plan+json"
# What was wrong, of the error that ended a cell.
PROBLEMS_MIME = "application/vnd.pgrunbook.problems+json"

OURS = frozenset(
    {
        VERDICT_MIME,
        BLOCK_MIME,
        DECISION_MIME,
        FRAME_MIME,
        SNAPSHOT_MIME,
        PLAN_MIME,
        PROBLEMS_MIME,
    }
)


def any_ours(kinds: Iterable[str]) -> bool:
    """Whether one of these types is ours."""
    return not OURS.isdisjoint(kinds)
