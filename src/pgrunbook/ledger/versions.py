"""The versions of the ledger's tables. A ledger that no run of this version has written into yet
may be older: it lacks the tables and the columns that came later.
"""

from __future__ import annotations

from pgrunbook.postgres import lockers, trust
from pgrunbook.postgres.session import Session

# The one that runs of this pgrunbook write: the last file `sql/ledger/NNN.sql`.
SCHEMA_VERSION = 8

# The first version that has each of these.
WITH_DETAILS = 2  # the statements, locks and attempts of a block
WITH_HEADS = 3  # where archives end
WITH_SERVERS = 5  # the servers that the ledger was written on
WITH_READINGS = 6  # the effects of blocks, and definitions that were read anew
WITH_BATCHES = 7  # blocks in batches, and requests to a run at work


@lockers.named
def installed(conn: Session) -> int:
    """Return the version of the target's ledger; 0 if it has none. Reads only. Raises Refused if
    somebody else has put something in its place.
    """
    if not trust.ledger_exists(conn):
        return 0
    row = conn.execute("SELECT max(version) FROM pgrunbook.versions").fetchone()
    return row[0] if row and row[0] else 0
