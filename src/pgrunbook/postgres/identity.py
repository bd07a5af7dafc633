"""Which database answers: enough to tell it from every other, and no secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgrunbook.postgres import catalog

if TYPE_CHECKING:
    import pandas as pd


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

    def frame(self) -> pd.DataFrame:
        """One row a fact: index `identity` (str), column `value` (str)."""
        # here, because it takes a third of a second, and not everybody needs it
        import pandas as pd

        rows = {
            "database": self.database,
            "host": self.host,
            "server version": self.server_version,
            "role": self.role + (" (superuser)" if self.superuser else ""),
            "system identifier": self.system_identifier,
            "primary or standby": self.recovery,
            "read-only": "yes" if self.read_only else "no",
        }
        return pd.DataFrame({"value": rows}, dtype="str").rename_axis("identity")


def identify(conn: catalog.Connection) -> Identity:
    """Ask the server who it is."""
    return Identity(**catalog.rows(conn, "identity")[0])
