"""Rows of frames in words: for the terminal, and for the reviewer's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def hazard(row: Mapping[str, Any]) -> str:
    """`020_drop:4 drops_column, column invoices.note: about 3,200 rows, 410 MB; view noted`."""
    # A size that the planner does not know, and dependents that do not exist, are empty.
    known = "; ".join(str(row[name]) for name in ("size", "dependents", "takes") if row[name])
    what = f"{row['block']}:{row['line']} {row['hazards']}, {row['concerns']}"
    accepted = " (accepted)" if row["accepted"] else ""
    return f"{what}{accepted}: {known}" if known else f"{what}{accepted}"


def blocker(row: Mapping[str, Any]) -> str:
    """`psql (pid 7, ada, idle in transaction)`."""
    application = row["application"] or "a session without a name"
    return f"{application} (pid {row['pid']}, {row['role']}, {row['state']})"
