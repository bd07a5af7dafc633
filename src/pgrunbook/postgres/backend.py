"""Whether one backend of the server answers on a connection, as long as the session lasts, or a
pooler in between.

A pooler gives a connection to the server to one client after the other, with all that was set in
it. So nothing that changes a session is sent before the same backend has answered twice, and is the
one that the server named when we connected. Then what was set is read back: a pooler may have
changed the backend in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from pgrunbook.errors import Refused
from pgrunbook.postgres.session import Session

_WHO = "SELECT pg_catalog.pg_backend_pid()"

# The first query of a session is slow, as the server has to read its catalogs: a role may have a
# statement_timeout of a few milliseconds.
_ATTEMPTS = 3


def require_one(conn: psycopg.Connection[Any], where: str) -> None:
    """Raise Refused unless the same backend has answered twice, and is the one that we connected
    to.

    Changes nothing: two queries, each in a transaction of its own.
    """
    for _ in range(2):
        if _answering_pid(conn) != conn.info.backend_pid:
            raise _pooler_error(conn, where, "another backend than the one that we connected to")


def _answering_pid(conn: psycopg.Connection[Any]) -> object:
    for attempt in range(_ATTEMPTS):
        try:
            row = conn.execute(_WHO).fetchone()
        except psycopg.errors.QueryCanceled:
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return row[0] if row else None
    return None


def set_settings(
    conn: Session, statement_timeout: str, settings: Mapping[str, str]
) -> dict[str, str]:
    """Set these settings, `statement_timeout`, and what a role may have otherwise. Return each as
    the server has it then.

    The time limits come first: a role may have them so short that there is no time for anything
    else.
    """
    times = {"statement_timeout": statement_timeout}
    if conn.info.server_version >= _TRANSACTION_TIMEOUT:
        times["transaction_timeout"] = "0"
    first = "".join(f"SET {name} TO {sql.quote(text)}; " for name, text in times.items())
    values = {name: sql.quote(text) for name, text in {**settings, **times}.items()}
    values |= _INHERITED
    calls = []
    for name, value in values.items():
        calls.append(f"pg_catalog.set_config({sql.quote(name)}, {value}, false)")
    cursor = conn.give(f"{first}SELECT {', '.join(calls)}")
    return dict(zip(values, cursor.fetchone() or (), strict=True))


# A role or a database may have synchronous_commit off: then the server reports commits that are not
# on its disk yet. Its other values, which wait for a standby, stay.
_INHERITED = {
    "synchronous_commit": "pg_catalog.replace(pg_catalog.current_setting('synchronous_commit'), "
    "'off', 'local')"
}

_TRANSACTION_TIMEOUT = 170000  # the version that brought it


def require_set(conn: psycopg.Connection[Any], settings: Mapping[str, str], where: str) -> None:
    """Raise Refused unless the same backend still answers, with these settings, as `set_settings`
    returned them.
    """
    asked = ", ".join(f"pg_catalog.current_setting({sql.quote(name)})" for name in settings)
    found = conn.execute(f"{_WHO}, {asked}".encode()).fetchone() or ()
    if found[:1] != (conn.info.backend_pid,) or len(found) != len(settings) + 1:
        raise _pooler_error(conn, where, "another backend than the one that we connected to")
    lost = []
    for name, there in zip(settings, found[1:], strict=True):
        if there != settings[name]:
            lost.append(name)
    if lost:
        raise _pooler_error(conn, where, f"what was set in it is not there: {', '.join(lost)}")


def _pooler_error(conn: psycopg.Connection[Any], where: str, found: str) -> Refused:
    return Refused.of(
        "a connection pooler answers, and not the server itself",
        where=where,
        expected="a session of our own",
        found=found,
        remedy=way_around(conn.info.host, conn.info.port, conn.info.user),
    )


def way_around(host: str, port: int, user: str) -> str:
    """Return where the server itself listens, as far as the pooler's address tells."""
    name, _, domain = host.partition(".")
    if host.endswith(".pooler.supabase.com"):
        project = user.partition(".")[2] or "PROJECT"
        own = f"host=db.{project}.supabase.co port=5432 user={user.partition('.')[0]}"
        return f"Supavisor answers on {host}, in session mode, too: connect to {own}"
    if host.endswith(".supabase.co"):
        return f"connect to host={host} port=5432: on {port} there is a pooler"
    if name.endswith("-pooler"):
        return (
            f"Neon's pooler answers there: connect to host={name.removesuffix('-pooler')}.{domain}"
        )
    if domain.startswith("proxy-") and ".rds.amazonaws.com" in domain:
        return (
            f"RDS Proxy answers on {host}: connect to the endpoint of the instance, or the "
            "cluster's writer endpoint"
        )
    if port == _PGBOUNCER:
        return f"PgBouncer listens on port {port}: connect to the server's own, usually 5432"
    return _ANY


_PGBOUNCER = 6432  # its listen_port, if nothing else is given
_ANY = """connect to the server's own host and port, past
PgBouncer (port 6432): usually 5432
Supabase's Supavisor (port 6543, or host …pooler.supabase.com):
  host db.PROJECT.supabase.co, port 5432
Neon (host …-pooler.…): the same host without -pooler
RDS Proxy (host ….proxy-….rds.amazonaws.com): the endpoint of the instance or the cluster"""
