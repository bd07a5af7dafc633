"""What was asked of a run from another shell: to pause, to go on, or to stop."""

from __future__ import annotations

from pgrunbook.postgres.catalog import Connection


def asked(_conn: Connection, _run_id: str) -> str:
    """`pause` or `stop`; empty if nothing is asked. Reads only."""
    return ""
