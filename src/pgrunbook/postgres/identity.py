"""Which database answers: enough to tell it from every other, and no secret."""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.postgres import catalog


@dataclass(frozen=True, slots=True)
class Identity:
    """What answered: enough to tell this database from every other, and no secret."""

    database: str
    host: str
    server_version: str
    role: str
    system_identifier: str
    recovery: str
    read_only: bool
    superuser: bool
    server: str = ""  # as plans know it: see `origin.Standing.server`


def identify(conn: catalog.Connection) -> Identity:
    """Ask the server who it is."""
    return Identity(**catalog.rows(conn, "identity")[0])
