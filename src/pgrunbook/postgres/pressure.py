"""The load of a database to which a backfill of one of its tables gives way: how far replicas and
the archiver are behind, which rows wait for a vacuum, and who keeps them from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session

# To be sent behind a batch: the server would tell what it has written a second later, or ten. Until
# then it is counted with what the next transaction writes, too.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
FLUSH = "SELECT pg_catalog.pg_stat_force_next_flush()"

# What `unseen` holds if there are replicas whose positions the role is not shown.
LAG = "lag of replicas"


@dataclass(frozen=True, slots=True)
class Pressure:
    """One look at the database.

    - `wal_bytes`: the position at which WAL is written.
    - `dead_rows`, `live_rows`: of the table, as the server estimates them.
    - `may_vacuum`: whether the role may vacuum the table.
    - `replica`: the one that is furthest behind; `replayed_bytes`, its position; `replay_lag_s`,
      how long it took at last, in seconds.
    - `slot`: the logical replication slot that is furthest behind.
    - `archive_files`: how many files of WAL wait for the archiver.
    - `vacuum`: a vacuum that is at work on the table.
    - `snapshot`: the session that has the oldest snapshot; `snapshot_s`, its age in seconds.
    - `unseen`: which of these the role is not shown.

    None: there is none, or the role is not shown it.
    """

    wal_bytes: int
    dead_rows: int
    live_rows: int
    may_vacuum: bool
    replica: str | None = None
    replayed_bytes: int | None = None
    replay_lag_s: float | None = None
    slot: str | None = None
    slot_behind_bytes: int | None = None
    archive_files: int | None = None
    vacuum: str | None = None
    snapshot: str | None = None
    snapshot_s: float | None = None
    unseen: tuple[str, ...] = ()

    @property
    def dead_percent(self) -> float:
        """Dead rows, of all rows of the table."""
        return 100 * self.dead_rows / max(1, self.dead_rows + self.live_rows)


def look(conn: Session, table: str) -> Pressure:
    """Look now, with one query. The table is named with its schema, both quoted where SQL needs it.

    Reads only. A role without pg_read_all_stats (pg_monitor has it) is not shown everything.
    """
    row = catalog.rows(conn, "pressure", qualified=table)[0]
    return Pressure(**{**row, "unseen": tuple(row["unseen"])})
