"""How a session on the target is opened: whatever brings settings along, ours are in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import backend, role_timeouts, session_settings
from pgrunbook.postgres.driver_errors import problem_of
from pgrunbook.postgres.session import MARGIN_S, Session, Silent
from pgrunbook.postgres.target import Target

CONNECT_TIMEOUT_S = 10
_NO_ANSWER = "the server did not answer while a session was opened"

# For whoever only reads, and for what we write about ourselves. A block's statements have the
# run's.
STATEMENT_TIMEOUT = "30s"


def connect(
    target: Target,
    *,
    schema: str,
    label: str = "",
    read_only: bool = False,
    statement_timeout: str = STATEMENT_TIMEOUT,
    idle_timeout: str = "0",
) -> Session:
    """Return a session in autocommit, which sees the schema only where `search_path` lets it.

    `read_only` sessions refuse writes on the server's side, which ends one that was idle for
    `idle_timeout`. Nothing is set before it is certain that the server itself answers, and not a
    pooler. Raises Refused if the server cannot be reached or does not let us in, because of
    Silent where it does not answer; the text never holds the password.
    """
    try:
        conn = _open(target)
    except psycopg.errors.ConnectionTimeout as exc:
        raise _unreachable(target, exc) from Silent(_NO_ANSWER)
    except (psycopg.Error, UnicodeError) as exc:  # UnicodeError: a host's name that cannot be one
        # the driver's own error may hold the connection string
        raise _unreachable(target, exc) from None
    with closing_unless_usable(conn, target):
        _require_new_enough(conn, target)
        backend.require_one(conn, f"target {target.name!r}")
        conn.schema = schema
        own = {
            "application_name": f"pgrunbook {label}".strip()[:63],
            "idle_session_timeout": idle_timeout,
        }
        given = session_settings.OURS | own
        if read_only:
            given |= session_settings.READS
        done = backend.set_settings(conn, statement_timeout, given)
        # So that a server ends a statement whose client is gone, with its locks. Not every
        # operating system can tell: then the server does not take the setting.
        with suppress(psycopg.errors.InvalidParameterValue):
            conn.give("SET client_connection_check_interval TO '1s'")
        backend.require_set(conn, done, f"target {target.name!r}")
    conn.allow(milliseconds(statement_timeout) / 1000)
    conn.beside = partial(
        connect, target, schema="pg_catalog", label=f"{label} waits", read_only=True
    )
    return conn


def _open(target: Target) -> Session:
    """Return a session as the server begins it; each of its hosts has CONNECT_TIMEOUT_S to let us
    in, and to answer.
    """
    conn = Session.opened(target.conninfo, connect_timeout=CONNECT_TIMEOUT_S, **_KEEPALIVES)
    conn.allow(CONNECT_TIMEOUT_S - MARGIN_S)
    return conn


@contextmanager
def closing_unless_usable(conn: Session, target: Target) -> Iterator[None]:
    """Close the session if the `with` block fails; what the driver says there is a reason to refuse
    the target.
    """
    # a closed connection does not say; and the driver does not know every encoding
    user = (conn.pgconn.user or b"").decode("utf-8", "replace")
    try:
        yield
    except psycopg.Error as exc:
        conn.close()
        remedy = "see that this role may do so, then run again"
        problem = problem_of(exc, where=f"target {target.name!r}", remedy=remedy)
        problem = role_timeouts.name_setting(problem, exc, user, lambda: _open(target))
        raise Refused(
            "The target cannot be used: nothing was changed.", problems=[problem]
        ) from exc
    except BaseException:
        conn.close()
        raise


# A connection that broke without a word is noticed within half a minute. libpq ignores them for a
# Unix-domain socket: https://www.postgresql.org/docs/current/libpq-connect.html
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

# server_version_num; the tests run on 16 and 18, and nothing that we use is newer than 15
OLDEST_SERVER = 150000


def _require_new_enough(conn: Session, target: Target) -> None:
    if conn.info.server_version < OLDEST_SERVER:
        raise Refused.of(
            "the server is too old",
            where=f"target {target.name!r}",
            expected="PostgreSQL 15 or later",
            found=str(conn.info.parameter_status("server_version")),
            remedy="upgrade the server",
        )


def _unreachable(target: Target, exc: Exception) -> Refused:
    problem = Problem(
        target.redact(str(exc)).strip(),
        where=f"target {target.name!r}",
        remedy="try the same with psql; a password belongs into PGPASSFILE or the service file",
    )
    return Refused("The target cannot be reached: nothing was changed.", problems=[problem])
