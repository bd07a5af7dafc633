"""What the ledger has of blocks in batches: where each began, its batches, and its pauses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pgrunbook.ledger import install, versions, write
from pgrunbook.postgres import catalog, lockers
from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    import pandas as pd

# A key: the text of each of its columns, as the server prints it.
Key = Sequence[str]


@dataclass(frozen=True, slots=True)
class Backfill:
    """A block in batches that has begun: the keys that it goes through, and how far it has come.

    - `upper`: the last key, as it was when the backfill began; None if the table was empty.
    - `at`: the key that is reached; None before the first batch.
    - `keys`: how many keys of the table were passed.
    - `rows`: how many rows were changed; `skipped`, how many were put aside.
    - `runs`: the ids of the runs that have done batches.
    - `written`: a mapping for each table: relation, inserted, updated, deleted, truncated.
    """

    id: int
    tree_sha256: str
    table: str
    oid: int
    key: tuple[str, ...]
    upper: Key | None
    started_at: datetime
    batches: int = 0
    keys: int = 0
    rows: int = 0
    runs: tuple[str, ...] = ()
    at: Key | None = None
    skipped: int = 0
    written: Sequence[Mapping[str, Any]] = ()

    @property
    def done(self) -> bool:
        """Whether its batches have reached the upper bound."""
        return self.at == self.upper  # of an empty table both are None

    def after(
        self, to: Key, keys: int, rows: int, written: Sequence[Mapping[str, Any]]
    ) -> Backfill:
        """Return the same with one more batch, which ends with the key `to`."""
        return replace(
            self,
            at=to,
            batches=self.batches + 1,
            keys=self.keys + keys,
            rows=self.rows + rows,
            written=sum_rows(self.written, written),
        )

    @property
    def far(self) -> str:
        """How far it has come: `12 batches, 60,000 rows, up to id = 60000 of 200000`."""
        if self.at is None or self.upper is None:
            return "no batch yet"
        done = f"{self.batches:,} batches, {self.rows:,} rows"
        if self.skipped:
            done += f", {self.skipped:,} put aside"
        key, at, upper = ", ".join(self.key), ", ".join(self.at), ", ".join(self.upper)
        return f"{done}, up to {key} = {at} of {upper}"


def sum_rows(
    before: Sequence[Mapping[str, Any]], more: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the sums of both for each table, in the form of `Backfill.written`."""
    sums: dict[str, dict[str, Any]] = {}
    for row in (*before, *more):
        found = sums.setdefault(row["relation"], {"relation": row["relation"]})
        for count in ("inserted", "updated", "deleted", "truncated"):
            found[count] = found.get(count, 0) + row[count]
    return list(sums.values())


@lockers.named
def find_backfill(
    conn: Session, runbook: str, schema: str, block: str, revision: int
) -> Backfill | None:
    """Return the backfill of a block that began with this revision, the number of rows that the
    ledger has on the block; None if none did. Reads only.
    """
    if versions.installed(conn) < versions.WITH_BATCHES:
        return None
    about: dict[str, Any] = {"runbook": runbook, "schema": schema, "block": block}
    for row in catalog.rows(conn, "ledger_backfill", **about, revision=revision):
        # arrays arrive as lists, which a frozen row should not hold
        row["key"] = tuple(row["key"])
        row["runs"] = tuple(row["runs"] or ())
        return Backfill(**row)
    return None


@dataclass(frozen=True, slots=True)
class CurrentPause:
    """A pause that has not ended, as far as the ledger knows: of which run, since when, and why."""

    run: str
    since: datetime
    reasons: Sequence[str]

    def __str__(self) -> str:
        return f"pauses since {self.since:%H:%M:%S %Z}: {'; '.join(self.reasons)}"


@lockers.named
def current_pause(conn: Session, backfill: int) -> CurrentPause | None:
    """Return the pause that a backfill is in, or was in when its run died. Reads only."""
    for row in catalog.rows(conn, "ledger_pausing", backfill=backfill):
        return CurrentPause(**row)
    return None


@lockers.named
def gaps(conn: Session, runbook: str, schema: str, block: str) -> list[dict[str, Any]]:
    """Return the batches that do not begin where the one before has ended, or do not reach the
    upper bound. Reads only.
    """
    if versions.installed(conn) < versions.WITH_BATCHES:
        return []
    backfill = _latest(conn, runbook, schema, block)
    return catalog.rows(conn, "ledger_gaps", backfill=backfill)


@lockers.named
def skipped_rows(conn: Session, runbook: str, schema: str, block: str) -> tuple[int, str]:
    """Return how many rows were put aside, and the constraints that they break. Reads only."""
    if versions.installed(conn) < versions.WITH_BATCHES:
        return 0, ""
    backfill = _latest(conn, runbook, schema, block)
    (row,) = catalog.rows(conn, "ledger_skipped", backfill=backfill)
    return row["rows"], row["constraints"]


@dataclass(frozen=True, slots=True)
class History:
    """How a block in batches has gone on since it began the last time. Times are in UTC.

    - `slices`: a mapping for each part of the time: at, seconds, rows, lag_s.
    - `pauses`: a mapping each: at, seconds, lag_s, reasons.
    - `runs`: index `run`; columns `began`, `ended`, `batches`, `rows`, `skipped`, `ms` (of the
      statements), `longest_ms`, `wal_bytes`, `tried_again`.
    """

    slices: Sequence[Mapping[str, Any]]
    pauses: Sequence[Mapping[str, Any]]
    runs: pd.DataFrame


@lockers.named
def history(conn: Session, runbook: str, schema: str, block: str, slices: int = 60) -> History:
    """Return how a block's batches have gone on, of all runs that have worked on it, with the time
    cut into so many `slices`. Reads only.
    """
    backfill = _latest(conn, runbook, schema, block)
    return History(
        catalog.rows(conn, "ledger_slices", backfill=backfill, slices=slices),
        catalog.rows(conn, "ledger_pauses", backfill=backfill),
        catalog.frame(conn, "ledger_backfill_runs", ["run"], backfill=backfill),
    )


def _latest(conn: Session, runbook: str, schema: str, block: str) -> int | None:
    """Return the id of the backfill with which a block in batches has begun the last time."""
    for row in catalog.rows(conn, "ledger_latest", runbook=runbook, schema=schema, block=block):
        return int(row["id"])
    return None


@lockers.named
def rate(conn: Session) -> float | None:
    """Return how many rows a second the last backfill has changed; None if there was none. Reads
    only.
    """
    if versions.installed(conn) < versions.WITH_BATCHES:
        return None
    found: float | None = catalog.rows(conn, "ledger_rate")[0]["rate"]
    return found


@lockers.named
def wal_of_a_row(conn: Session, table: str) -> float | None:
    """Return how many bytes of WAL the last backfill of the table has written for each row; None if
    there was none. Reads only.
    """
    if versions.installed(conn) < versions.WITH_BATCHES:
        return None
    found: float | None = catalog.rows(conn, "ledger_wal", table=table)[0]["bytes"]
    return found


def begin(
    conn: Session,
    run_id: str,
    about: str,
    *,
    event: str,
    revision: int,
    tree_sha256: str,
    table: str,
    oid: int,
    key: Sequence[str],
    upper: Key | None,
    estimated_rows: int,
    started_at: datetime,
) -> None:
    """Write that a block in batches begins: its own row, and the bounds of what it goes through,
    both or neither.
    """
    # one transaction: a block that has begun without bounds could never go on
    with conn.transaction():
        when = {"started_at": started_at, "revision": revision}
        write.write_block(conn, run_id, about, event=event, facts={}, **when)
        bound = None if upper is None else list(upper)
        values = [tree_sha256, table, oid, list(key), bound, estimated_rows]
        conn.execute(_BEGIN, [*values, run_id, revision, about])


# What the block's own row has already is taken from there, so that both say the same.
_BEGIN = """\
INSERT INTO pgrunbook.backfills (
    run_id, runbook, schema_name, block, revision, started_at,
    tree_sha256, table_name, table_oid, key_columns, upper_bound, estimated_rows
)
SELECT run_id, runbook, schema_name, block, revision, started_at,
       %s, %s, %s, %s::text[], %s::text[], %s
  FROM pgrunbook.blocks
 WHERE run_id = %s AND revision = %s AND block = %s::jsonb ->> 'block'"""


def batch_insert(conn: Session, batch: Mapping[str, object]) -> str:
    """Return the statement that writes a batch's row, to be sent with the COMMIT of the rows that
    it has changed: both are there, or neither is.

    The mapping's keys are columns of `pgrunbook.batches`, and `lsn`: where the WAL was before.
    """
    return conn.prepared("batch", install.sql("batch"), {"batch": write.as_json(batch)})


@lockers.named
def prepare(conn: Session) -> None:
    """Prepare what `batch_insert` writes with, before anybody has to wait for it."""
    conn.prepare("batch", install.sql("batch"), ["batch"])


@lockers.named
def note_pause(
    conn: Session,
    backfill: int,
    run_id: str,
    began_at: datetime,
    ended_at: datetime | None,
    reasons: Sequence[str],
    lag_s: float | None,
) -> None:
    """Write that the backfill has paused, why, and by how many seconds a replica was behind at
    most. `ended_at` is None while the pause lasts.
    """
    conn.execute(
        "INSERT INTO pgrunbook.pauses (backfill, run_id, began_at, ended_at, reasons, lag_s)"
        " VALUES (%s, %s, %s, %s, %s::text[], %s)",
        [backfill, run_id, began_at, ended_at, list(reasons), lag_s],
    )
