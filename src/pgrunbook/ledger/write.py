"""What runs write into the ledger: rows are added, and never altered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypedDict

from psycopg.types.json import Jsonb

from pgrunbook.errors import Verdict
from pgrunbook.ledger.install import sql
from pgrunbook.ledger.ledger import Entry
from pgrunbook.postgres import durability, lockers
from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    from pgrunbook.postgres.blockers import Attempt
    from pgrunbook.postgres.locks import Lock

    # Not when a program runs: PostgreSQL's parser comes with them, which who only asks the ledger
    # does not need.
    from pgrunbook.runbooks.blocks import Block
    from pgrunbook.runbooks.facts import Facts


@lockers.named
def start(
    conn: Session,
    run_id: str,
    runbook: str,
    *,
    schema: str,
    mode: str,
    operator: str,
    parameters: dict[str, Any],
    plan: str = "",
) -> None:
    """Write the run's row."""
    # not with \u escapes, which a SQL_ASCII database does not take
    given = Jsonb(parameters, as_json)
    conn.execute(
        "INSERT INTO pgrunbook.runs (run_id, runbook, schema_name, mode, operator, ticket,"
        " parameters, tool_version, plan) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            run_id,
            runbook,
            schema,
            mode,
            operator,
            parameters["ticket"],
            given,
            version("pgrunbook"),
            plan,
        ],
    )


@lockers.named
def write_block(conn: Session, run_id: str, about: str, /, **done: Any) -> None:
    """Write a block's row now: see `block_insert`."""
    conn.execute(block_insert(conn, run_id, about, **done).encode())


def block_insert(
    conn: Session,
    run_id: str,
    about: str,
    *,
    event: str,
    started_at: datetime,
    facts: Facts | None = None,
    effect: Sequence[Sequence[object]] | None = None,
    rows_written: Sequence[Mapping[str, object]] | None = None,
    revision: int = 0,
    laps: Sequence[tuple[str, float]] = (),
    locks: Sequence[Lock] = (),
) -> str:
    """Return the statement that writes a block's row, to be sent with the COMMIT of its DDL: both
    are there, or neither is.

    `about` is what the function of that name says; `facts` what now holds of a column that is to
    accept a value; `effect` what the block has changed: type, identity, definition before and after
    of each object, and what that is a part of; `rows_written` how many rows of which table.
    `revision` is the number of rows that the ledger has on the block already: no two runs can write
    the same. `laps` are the statements that have finished, with their times in milliseconds.
    """
    # one value, which the prepared statement takes apart: it has its text and its plan once
    done = {
        "run_id": run_id,
        "event": event,
        "facts": [[*fact, value] for fact, value in (facts or {}).items()],
        "effect": effect,
        "rows_written": rows_written,
        "started_at": started_at.isoformat(),
        "revision": revision,
        "statements": laps,
        "locks": [asdict(lock) for lock in locks],
    }
    return conn.prepared("record", sql("record"), {"about": about, "done": as_json(done)})


@lockers.named
def prepare(conn: Session) -> None:
    """Prepare what `block_insert` writes with, before anybody has to wait for it."""
    conn.prepare("record", sql("record"), ["about", "done"])


class _BlockColumns(TypedDict):
    """The columns of a block's row that are known before it is done. Whoever writes a row has to
    give all of them.
    """

    block: str
    reason: str
    sql: str
    source_sha256: str
    tree_sha256: str
    sql_sha256: str
    variants: Sequence[str]
    variables: Sequence[Mapping[str, str]] | None
    kept: Sequence[tuple[str, ...]]


def about(block: Block, *, reason: str, sql: str, kept: Iterable[tuple[str, ...]] = ()) -> str:
    """Return what a block's row will say whatever comes of it, as JSON."""
    row = _BlockColumns(
        block=block.name,
        reason=reason,
        sql=sql,
        source_sha256=block.source_sha256,
        tree_sha256=block.tree_sha256,
        sql_sha256=block.sql_sha256,
        variants=[variant for variant, _ in block.choices],
        variables=[dict(variables) for _, variables in block.choices],
        kept=sorted(kept),
    )
    return as_json(row)


def repeat(
    conn: Session,
    runbook: str,
    schema: str,
    entries: Iterable[Entry],
    effects: Mapping[str, Sequence[Sequence[object]] | None],
    begun: Mapping[str, Sequence[str]],
) -> None:
    """Write rows that another ledger has, for a rehearsal: those of runs that are over; with what
    each block has changed, and the statements that were begun of it.
    """
    rows = list(entries)
    with conn.transaction():
        for run_id in dict.fromkeys(entry.run_id for entry in rows):
            given: dict[str, Any] = {"ticket": ""}
            start(
                conn, run_id, runbook, schema=schema, mode="copied", operator="", parameters=given
            )
            finish(conn, run_id, Verdict.PASSED, "copied for a rehearsal")
        for entry in rows:
            _repeat(conn, entry, effects.get(entry.block))
            for number, statement in enumerate(begun.get(entry.block, ()), 1):
                note_statement(conn, entry.run_id, entry.block, number, statement)


def _repeat(conn: Session, entry: Entry, effect: Sequence[Sequence[object]] | None) -> None:
    """Write a block's row that another ledger has."""
    row = _BlockColumns(
        block=entry.block,
        reason="copied",
        sql=entry.sql,
        source_sha256=entry.source_sha256,
        tree_sha256=entry.tree_sha256,
        sql_sha256="",  # what was sent then is not known any more
        variants=entry.variants,
        variables=entry.variables,
        kept=sorted(entry.kept),
    )
    when = {"started_at": entry.finished_at, "revision": entry.revision}
    what = {"facts": entry.facts, "effect": effect}
    write_block(conn, entry.run_id, as_json(row), event=entry.event, **what, **when)


@lockers.named
def note_statement(
    conn: Session,
    run_id: str,
    block: str,
    number: int,
    sql: str,
    elapsed_ms: float | None = None,
) -> None:
    """Write that a statement outside a transaction has started, or that it has finished, with the
    time it took.
    """
    event = "started" if elapsed_ms is None else "finished"
    conn.execute(
        "INSERT INTO pgrunbook.statements (run_id, block, number, event, sql, elapsed_ms)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [run_id, block, number, event, sql, elapsed_ms],
    )


@lockers.named
def note_attempt(conn: Session, run_id: str, attempt: Attempt) -> None:
    """Write how an attempt at a block's locks went. What others do there may be in letters that the
    database lacks.
    """
    blockers = as_json([asdict(blocker) for blocker in attempt.blockers])
    if conn.info.parameter_status("server_encoding") not in ("UTF8", "SQL_ASCII"):
        blockers = blockers.encode("ascii", "replace").decode()
    conn.execute(
        "INSERT INTO pgrunbook.attempts (run_id, block, number, started_at, waited_ms, got_locks,"
        " blockers) VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb)",
        [
            run_id,
            attempt.block,
            attempt.number,
            attempt.started_at,
            attempt.waited_ms,
            attempt.got_locks,
            blockers,
        ],
    )


@lockers.named
def finish(conn: Session, run_id: str, verdict: Verdict, reason: str) -> str:
    """Write how the run ended. What is to be said of the row: see `durability.write`."""
    query = "INSERT INTO pgrunbook.verdicts (run_id, verdict, reason) VALUES (%s, %s, %s)"
    patience = durability.HURRIED_S
    if verdict is Verdict.PASSED:
        patience = durability.PATIENT_S
    return durability.write(conn, query, [run_id, verdict, reason], within_s=patience)


def as_json(value: Any) -> str:
    """JSON with letters as they are: a SQL_ASCII database takes no \\u escapes."""
    return json.dumps(value, ensure_ascii=False)
