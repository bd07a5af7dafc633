"""The ledger: append-only tables in the target that say which run applied which block.

Read here; written by `write`, made by `install`. Before the first run there is no ledger, and
nothing is found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import tuple_row

from pgrunbook.errors import Verdict
from pgrunbook.ledger import versions
from pgrunbook.postgres import catalog, lockers, trust
from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    # Not at run time: it imports PostgreSQL's parser, which takes time, and a program that only
    # asks the ledger does not need it.
    from pgrunbook.runbooks.facts import Facts

# The events after which a block counts as done, and those after which nothing more was written: it
# was broken off, or is at work.
DONE = ("applied", "adopted")
BROKEN_OFF = ("started", "reverting")


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's latest row on one block.

    - `event`: applied, adopted, reverted, started, reverting.
    - `revision`: how many rows the ledger had on the block before.
    - `variants`, `variables`: of a block with variants, those chosen, and the placeholders' values
      of each; None in a row of before version 4.
    - `facts`: what holds since of a column that was to accept a value.
    - `kept`: what was there before the block: objects by type and identity, or facts.
    """

    block: str
    event: str
    run_id: str
    revision: int
    sql: str
    source_sha256: str
    tree_sha256: str
    variants: tuple[str, ...]
    facts: Facts
    finished_at: datetime
    variables: Sequence[Mapping[str, str]] | None = None
    kept: frozenset[tuple[str, ...]] = frozenset()

    @property
    def done(self) -> bool:
        """Whether the block is in place, as far as the ledger knows."""
        return self.event in DONE

    @property
    def broken_off(self) -> bool:
        """Whether the block was begun, or begun to be undone, and not finished."""
        return self.event in BROKEN_OFF

    @property
    def when(self) -> str:
        """`applied 2026-01-31 12:00 UTC, run 0123abcd`."""
        return f"{self.event} {self.finished_at:%Y-%m-%d %H:%M} UTC, run {self.run_id[:8]}"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Entry:
        """Return the entry of a row of the query `ledger_entries`, whose columns are the fields."""
        from pgrunbook.runbooks.facts import Fact

        facts = {Fact(kind, table, name): value for kind, table, name, value in row["facts"]}
        kept = frozenset(tuple(each) for each in row["kept"] or ())
        variants = tuple(row["variants"])
        return cls(**{**row, "variants": variants, "facts": facts, "kept": kept})


def exists(conn: Session) -> bool:
    """Return whether the target has a ledger. Reads only. Raises Refused if something of a role
    that is not trusted is in its place.
    """
    return trust.ledger_exists(conn)


@lockers.named
def entries(
    conn: Session, runbook: str, schema: str, blocks: Sequence[str] | None = None
) -> dict[str, Entry]:
    """Return the latest row on each block of a runbook in a schema, or of those named, by the
    block's name. Reads only.
    """
    if not exists(conn):
        return {}
    wanted = None if blocks is None else list(blocks)
    found = catalog.rows(conn, "ledger_entries", runbook=runbook, schema=schema, blocks=wanted)
    return {row["block"]: Entry.of(row) for row in found}


@lockers.named
def without_files(
    conn: Session, runbook: str, schema: str, files: Collection[str]
) -> list[dict[str, Any]]:
    """Return the blocks of a runbook in a schema that are done, or begun, and have no file or
    folder among `files` any more: `block`, `event`, `run_id`. Reads only.
    """
    if not exists(conn):
        return []
    asked = {"runbook": runbook, "schema": schema, "files": list(files)}
    return catalog.rows(conn, "ledger_without_files", **asked)


@lockers.named
def runs(conn: Session, runbook: str, schema: str) -> list[dict[str, Any]]:
    """Return the runs of a runbook in a schema, the latest first, each with its verdict or None.
    Reads only.
    """
    if not exists(conn):
        return []
    return catalog.rows(conn, "ledger_runs", runbook=runbook, schema=schema)


@lockers.named
def details(conn: Session, runbook: str, schema: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return, for each block that a run has done, by run id and block: `elapsed_ms`, `locks` and
    failed `attempts`. Reads only.

    A ledger that is still of version 1 does not say.
    """
    if versions.installed(conn) < versions.WITH_DETAILS:
        return {}
    found = catalog.rows(conn, "ledger_details", runbook=runbook, schema=schema)
    return {(row.pop("run_id"), row.pop("block")): row for row in found}


@lockers.named
def unfinished_runs(conn: Session, schema: str) -> list[dict[str, Any]]:
    """Return the runs of any runbook in a schema that have written and have no verdict, the oldest
    first: at work, or dead. Reads only.

    A ledger that is still of version 1 does not say.
    """
    if versions.installed(conn) < versions.WITH_DETAILS:
        return []
    found = catalog.rows(conn, "ledger_unfinished", schema=schema)
    # A block in batches has its row when it begins: what was done since is in the rows of batches.
    by_run = {row["run_id"]: row for row in found}
    for batch in batches_of(conn, list(by_run)):
        row = by_run[batch["run_id"]]
        what = f"{batch['batches']:,} batches of {batch['block']}"
        if row["committed"] != "nothing":
            what = f"{row['committed']}, {what}"
        row["committed"] = what
        if batch["last_at"] > row["last_at"]:
            row["last"] = f"a batch of {batch['block']}"
            row["last_at"] = batch["last_at"]
    return found


@lockers.named
def batches_of(conn: Session, runs: Sequence[str]) -> list[dict[str, Any]]:
    """Return the batches that runs have committed, by run and block: `run_id`, `block`, `batches`,
    `rows`, `last_at`; also of a block that they have only begun. Reads only.
    """
    if not runs or versions.installed(conn) < versions.WITH_BATCHES:
        return []
    return catalog.rows(conn, "ledger_batches_of", runs=list(runs))


@lockers.named
def later_changes(
    conn: Session, runbook: str, schema: str, tables: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what runbooks that came later have done on these tables. Reads only."""
    return catalog.rows(conn, "ledger_later", runbook=runbook, schema=schema, tables=tables)


@lockers.named
def blocks_of_run(conn: Session, run_id: str) -> list[tuple[str, str]]:
    """Return each block that a run has begun, in order, and the last event of it. Reads only."""
    if not exists(conn):
        return []
    query = "SELECT block, event FROM pgrunbook.blocks WHERE run_id = %s ORDER BY id"
    events = dict(conn.execute(query, [run_id]).fetchall())  # the last one of each block
    return list(events.items())


@lockers.named
def verdict(conn: Session, run_id: str) -> tuple[Verdict, str] | None:
    """Return the last verdict that a run has written, with its reason; None if it has not. Reads
    only.
    """
    if not exists(conn):
        return None
    query = (
        "SELECT verdict, reason FROM pgrunbook.verdicts WHERE run_id = %s ORDER BY id DESC LIMIT 1"
    )
    found = conn.execute(query, [run_id]).fetchone()
    if found is None:
        return None
    return Verdict(found[0]), found[1]


@lockers.named
def block_row(conn: Session, run_id: str, block: str) -> tuple[str, datetime, datetime] | None:
    """Event, start and end of a block in a run; None if it was not committed. Reads only."""
    query = (
        "SELECT event, started_at, finished_at FROM pgrunbook.blocks"
        " WHERE run_id = %s AND block = %s AND event <> ALL(%s)"
    )
    return conn.execute(query, [run_id, block, list(BROKEN_OFF)]).fetchone()


@lockers.named
def begun_statements(conn: Session, runbook: str, schema: str, block: str) -> list[str]:
    """Return the statements of a block outside a transaction that runs have begun, in order. Reads
    only.
    """
    if versions.installed(conn) < versions.WITH_DETAILS:
        return []
    query = (
        "SELECT s.sql FROM pgrunbook.statements s JOIN pgrunbook.runs r USING (run_id)"
        " WHERE r.runbook = %s AND r.schema_name = %s AND s.block = %s AND s.event = 'started'"
        " ORDER BY s.id"
    )
    with conn.cursor(row_factory=tuple_row) as cursor:
        return [sql for (sql,) in cursor.execute(query, [runbook, schema, block])]


class Start(NamedTuple):
    """How many transactions ago a statement was begun (the age of its row's xmin), and whether it
    has finished.
    """

    age: int
    finished: bool


@lockers.named
def read_starts(
    conn: Session, runbook: str, schema: str, block: str, statements: Sequence[str]
) -> dict[str, Start]:
    """Return when runs have begun these statements of a block outside a transaction. Reads only."""
    query = (
        "SELECT s.sql, max(age(s.xmin)), (array_agg(s.event ORDER BY s.id DESC))[1] = 'finished'"
        " FROM pgrunbook.statements s JOIN pgrunbook.runs r USING (run_id)"
        " WHERE r.runbook = %s AND r.schema_name = %s AND s.block = %s AND s.sql = ANY (%s)"
        " GROUP BY s.sql"
    )
    with conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query, [runbook, schema, block, [*statements]])
        return {sql: Start(age, finished) for sql, age, finished in rows}


@lockers.named
def block_events(conn: Session, runbook: str, schema: str) -> list[dict[str, Any]]:
    """Return what runs have done with the blocks of a runbook. Reads only."""
    return catalog.rows(conn, "ledger_done", runbook=runbook, schema=schema)


@lockers.named
def rows_of_run(conn: Session, run_id: str) -> dict[str, list[dict[str, Any]] | None] | None:
    """Return every row on a run, by table, as JSON, but those of batches, of which there may be
    thousands; None if the run has written nothing. Reads only.
    """
    version = versions.installed(conn)
    if version < versions.WITH_DETAILS:
        return None
    (row,) = catalog.rows(conn, "ledger_record", run_id=run_id)
    found: dict[str, list[dict[str, Any]] | None] = row["record"]
    if not found["runs"]:
        return None
    if version >= versions.WITH_BATCHES:
        (row,) = catalog.rows(conn, "ledger_record_batches", run_id=run_id)
        found |= row["record"]
    return found


@lockers.named
def has_run(conn: Session, run_id: str) -> bool:
    """Return whether the run's row is there. Reads only."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM pgrunbook.runs WHERE run_id = %s)", [run_id]
    ).fetchone()
    return bool(row and row[0])
