"""Which database answers, as the record shows it. What tells a server from a copy of it is in
`ledger.server_match`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Identity:
    """A database, its server, and the role that it is used as; no secret is in it."""

    database: str
    host: str
    server_version: str
    role: str
    system_identifier: str
    recovery: str
    read_only: bool
    superuser: bool
    server: str = ""  # as plans know it: see `server_match.ServerMatch.server`


def identify(conn: Session) -> Identity:
    """Ask the server who it is."""
    return Identity(**catalog.rows(conn, "identity")[0])
