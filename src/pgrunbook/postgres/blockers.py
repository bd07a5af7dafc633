"""Who is in the way of a session that waits for a lock, and how its attempts went."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pglast import ast, parse_sql
from pglast.enums import TransactionStmtKind
from pglast.parser import ParseError, normalize, scan

from pgrunbook.postgres import catalog, locks
from pgrunbook.postgres.session import Session

_QUERY_LENGTH = 100

# Of an autovacuum that is in the way. By itself it gives way to whoever has waited for
# deadlock_timeout, a second by default: longer than an attempt lasts.
# https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
CANCELLED = "cancelled"
PREVENTS_WRAPAROUND = "let be, as it prevents wraparound"
_CANCEL = "SELECT pg_cancel_backend({})"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that held the lock that we waited for, or was queued for it before us.

    - `pid`: 0 for a prepared transaction, whose name is its `state`.
    - `state`: of a session that we gave way to, that we did.
    - `transaction_s`: the age of its transaction in seconds.
    - `lock`: the locks in our way, held or `(queued)`; empty of a session that we gave way to.
    - `query`: its last statement, cut, with `$1`, `$2`… in place of literals.
    - `autovacuum`: empty if it is none; else what became of it, or why it was let be.

    What is not shown to our role is None, the query empty, and `state` says so.
    """

    pid: int
    application: str
    role: str
    state: str
    transaction_s: float | None
    lock: str
    query: str
    autovacuum: str = ""

    def __str__(self) -> str:
        text = locks.describe_session(
            self.pid, self.application, self.role, self.state, self.transaction_s
        )
        if self.lock:
            text += f", holds {self.lock}"
        if self.autovacuum:
            return f"{text}: {self.query} (an autovacuum, {self.autovacuum})"
        if self.query:
            return f"{text}: {self.query}"
        return text

    @property
    def remedy(self) -> str:
        """What to do about it, in particular."""
        if self.autovacuum == PREVENTS_WRAPAROUND:
            return (
                f"let the autovacuum end; pg_stat_progress_vacuum shows how far pid {self.pid} is"
            )
        if self.autovacuum and self.autovacuum != CANCELLED:
            return (
                "as a superuser, or from version 18 on with pg_signal_autovacuum_worker: "
                f"{_CANCEL.format(self.pid)}"
            )
        return ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a block to get its locks: when it began, how long it lasted, and who was in
    the way.
    """

    block: str
    number: int
    started_at: datetime
    waited_ms: float
    got_locks: bool
    blockers: tuple[Blocker, ...]


def last_seen(attempts: Sequence[Attempt]) -> tuple[Blocker, ...]:
    """Return the blockers of the latest attempt that has seen any: one may end before it looked."""
    for attempt in reversed(attempts):
        if attempt.blockers:
            return attempt.blockers
    return ()


def blockers(conn: Session, pid: int) -> Iterator[Blocker]:
    """Yield who blocks this session now. Reads only. Without pg_read_all_stats, little is shown of
    other roles.
    """
    for row in catalog.rows(conn, "blockers", pid=pid):
        gives_way = row.pop("gives_way")  # None: it is not an autovacuum
        if gives_way is None:
            if row["query"]:
                row["query"] = _without_literals(row["query"])
            yield Blocker(**row)
        elif gives_way:
            yield Blocker(**row, autovacuum=f"not {CANCELLED}")
        else:
            yield Blocker(**row, autovacuum=PREVENTS_WRAPAROUND)


def _without_literals(query: str) -> str:
    """Return a query's text without literals and comments, as it goes into the record.

    What cannot be parsed, as the server has cut it, and commands other than queries may hold
    secrets in other places: of these the first word or two. In one message there may be several, as
    in `BEGIN; SELECT …`.
    """
    try:
        nodes = [raw.stmt for raw in parse_sql(query)]
        text = normalize(query)
    except (ParseError, ValueError):
        return " ".join(re.findall(r"^\s*([A-Za-z]+)", query)).upper() + " …"
    if not nodes:
        return "…"
    if not all(isinstance(node, _QUERIES) or _begins_transaction(node) for node in nodes):
        return "; ".join(map(_command, nodes))
    comments = [token for token in scan(text) if token.name in ("SQL_COMMENT", "C_COMMENT")]
    # from the end on: what comes before keeps its place
    for comment in reversed(comments):
        text = text[: comment.start] + text[comment.end + 1 :]
    text = " ".join(text.split())
    if len(text) > _QUERY_LENGTH:
        text = text[: _QUERY_LENGTH - 1] + "…"
    return text


def _begins_transaction(node: ast.Node) -> bool:
    """Return whether it begins a transaction, in which nothing but its mode can stand."""
    return isinstance(node, ast.TransactionStmt) and node.kind in (
        TransactionStmtKind.TRANS_STMT_BEGIN,
        TransactionStmtKind.TRANS_STMT_START,
    )


def _command(node: ast.Node) -> str:
    """Return the first word or two of a command: `VACUUM`, `ALTER TABLE`, `COMMIT`."""
    if isinstance(node, ast.TransactionStmt):
        return str(node.kind.name).removeprefix("TRANS_STMT_").replace("_", " ")
    name = type(node).__name__.removesuffix("Stmt")
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).upper()


_QUERIES = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
