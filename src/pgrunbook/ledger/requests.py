"""Requests to a run at work, from another shell: to pause between two batches, to go on, to stop.
They go through the ledger, as the run may be on any machine.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg import sql

from pgrunbook.errors import Refused
from pgrunbook.ledger import ledger, versions
from pgrunbook.postgres import catalog, durability, lockers, run_locks
from pgrunbook.postgres.session import Session

What = Literal["pause", "resume", "stop"]

# The columns that somebody who asks needs INSERT on. The others, the database user and the moment,
# are written by the server.
_SAID = "run_id, what, operator, host, reason"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody has asked of a run, who, when and why. Of several, the last one counts."""

    what: What
    operator: str
    host: str
    database_user: str
    reason: str
    asked_at: datetime

    def __str__(self) -> str:
        who = f"{self.operator} on {self.host}, as {self.database_user}"
        why = f": {self.reason}" if self.reason else ""
        return f"{self.what} asked for at {self.asked_at:%H:%M:%S} UTC by {who}{why}"


@lockers.named
def last_request(conn: Session, run_id: str) -> Request | None:
    """Return what was asked last of a run; None if nothing was. To be called where the ledger is of
    this version. Reads only.
    """
    found = catalog.rows(conn, "ledger_requests", run_id=run_id)
    return Request(**found[0]) if found else None


def run_at_work(conn: Session, target: str, schema: str) -> str:
    """Return the id of the run that is at work in a schema of a target. Reads only. Raises Refused
    if none is, or if it cannot be asked anything.
    """
    where = f"target {target!r}, schema {schema!r}"
    holders = run_locks.holders(conn, run_locks.of_schema(schema))
    if not holders:
        raise Refused.of(
            "no run is at work",
            where=where,
            expected="a session that holds the lock of a run",
            found="none",
            remedy=shlex.join(["pgrunbook", "status", "--target", target, "--schema", schema]),
        )
    # its application_name has the first digits of the run's id; None if this role is not shown it
    application = holders[0]["application"]
    begun = [run["run_id"] for run in ledger.unfinished_runs(conn, schema)]
    if application is not None:
        begun = [run_id for run_id in begun if run_id[:8] in application]
    if not begun:
        found = f"pid {holders[0]['pid']}, {application!r}, since {holders[0]['since']}"
        remedy = "it obeys between two batches: ask again when it has begun the first one"
        raise Refused.of(
            "the run at work has written nothing yet", where=where, found=found, remedy=remedy
        )
    version = versions.installed(conn)
    if version < versions.WITH_BATCHES:
        raise Refused.of(
            "the run at work is of an older version of pgrunbook, which cannot be asked",
            where=where,
            expected=f"a ledger of version {versions.WITH_BATCHES}",
            found=f"version {version}",
            remedy="stop it in its own shell: it ends at the first signal, and what is committed "
            "stays",
        )
    run_id = str(begun[-1])
    if not catalog.rows(conn, "ledger_at_batches", run_id=run_id)[0]["at_batches"]:
        raise Refused.of(
            "the run at work has no batches to do, between which it would obey",
            where=f"{where}, run {run_id[:8]}",
            expected="a block in batches that has begun",
            found="none",
            remedy="ask again when it has begun one; or stop it in its own shell: what is "
            "committed stays",
        )
    return run_id


@lockers.named
def ask(conn: Session, run_id: str, what: What, *, operator: str, host: str, reason: str) -> str:
    """Write what a run is to do. Returns what is to be said of the row: see `durability.write`.

    Raises Refused if it is to resume and nobody has paused it.
    """
    last = last_request(conn, run_id)
    if what == "resume" and (last is None or last.what != "pause"):
        raise Refused.of(
            "nobody has paused the run",
            where=f"run {run_id[:8]}",
            expected="a pause that was asked for",
            found=str(last) if last else "nothing that was asked for",
            remedy="a pause of its own, as it gives way, ends by itself: pgrunbook status says why",
        )
    query = (
        "INSERT INTO pgrunbook.requests (run_id, what, operator, host, reason)"
        " VALUES (%s, %s, %s, %s, %s)"
    )
    try:
        return durability.write(conn, query, [run_id, what, operator, host, reason])
    except psycopg.errors.InsufficientPrivilege as exc:
        role = sql.Identifier(conn.info.user).as_string()
        raise Refused.of(
            str(exc.diag.message_primary),
            where="pgrunbook.requests",
            expected="a role that may ask something of a run",
            found=conn.info.user,
            remedy=f"GRANT INSERT ({_SAID}) ON pgrunbook.requests TO {role}",
        ) from exc
