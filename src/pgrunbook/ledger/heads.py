"""Where an archive ends: the ledger keeps the head, so that an archive that was cut off shows."""

from __future__ import annotations

from typing import Any, NamedTuple

from pgrunbook.ledger import versions
from pgrunbook.postgres import catalog, durability, lockers
from pgrunbook.postgres.session import Session


class Head(NamedTuple):
    """The last seal of an archive, and the first, which tells one archive from another."""

    sequence: int
    name: str
    sha256: str
    archive: str


@lockers.named
def heads(conn: Session) -> list[Head]:
    """Return every head of an archive that runs have written, the oldest first. Reads only."""
    if versions.installed(conn) < versions.WITH_HEADS:
        return []
    query = "SELECT sequence, seal, sha256, archive FROM pgrunbook.heads ORDER BY id"
    return [Head(*row) for row in conn.execute(query)]


@lockers.named
def seals(conn: Session, run_id: str) -> list[dict[str, Any]]:
    """Return the names and digests under which the record of a run is sealed. Reads only."""
    return catalog.rows(conn, "ledger_seals", run_id=run_id)


@lockers.named
def note_head(conn: Session, run_id: str, head: Head) -> str:
    """Write that a run's record is the last one of its archive. Returns what is to be said of the
    row: see `durability.write`.
    """
    query = (
        "INSERT INTO pgrunbook.heads (run_id, archive, sequence, seal, sha256) VALUES (%s, "
        "%s, %s, %s, %s)"
    )
    return durability.write(
        conn, query, [run_id, head.archive, head.sequence, head.name, head.sha256]
    )
