"""Timeouts that a role or a database has set, where one ends a session of ours before that can set
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from pgrunbook.errors import Problem

# By the SQLSTATE of who ran into it: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NAMES = {
    "57014": "statement_timeout",
    "55P03": "lock_timeout",
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "57P05": "idle_session_timeout",
}

_ELSEWHERE = (
    "else see pg_db_role_setting, postgresql.conf, and the options of PGOPTIONS and the service"
)

# SET LOCAL ends with the transaction: this may be a pooler's connection, which others have next.
_QUERY = """
BEGIN; SET LOCAL statement_timeout TO 0;
SELECT r.rolname, d.datname, c.setting
  FROM pg_catalog.pg_db_role_setting s
 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
  LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.setrole
  LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase
 WHERE pg_catalog.starts_with(c.setting, {})
   AND (s.setrole OPERATOR(pg_catalog.=) 0 OR r.rolname OPERATOR(pg_catalog.=) CURRENT_USER)
   AND (s.setdatabase OPERATOR(pg_catalog.=) 0
        OR d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
 ORDER BY s.setrole OPERATOR(pg_catalog.=) 0, s.setdatabase OPERATOR(pg_catalog.=) 0
"""  # the server takes them: of a role in a database, of a role, of a database


def name_setting(
    problem: Problem, exc: psycopg.Error, user: str, again: Callable[[], psycopg.Connection[Any]]
) -> Problem:
    """Return the problem, with the setting that ended the session, where it was set, and the SQL
    that mends it.

    `again` opens another session, to ask where it was set. That may fail for the same reason: then
    the remedy names the places where it may be. Reads only.
    """
    setting = _NAMES.get(exc.sqlstate or "")
    if setting is None:
        return problem
    where: list[tuple[str | None, str | None, str]] = []
    with suppress(psycopg.Error), closing(again()) as conn:
        where = _find_settings(conn, setting)
    if not where:
        found = f"{setting} is too short for a session of ours to set its own"
        ways = [alter(user, None, setting), f"-- if it is set there; {_ELSEWHERE}"]
        return replace(problem, found=found, remedy="\n".join(ways))
    role, database, value = where[0]  # the server takes the first
    return replace(
        problem,
        found=f"{value}, set for {' in '.join(who(role, database))}",
        remedy=alter(role, database, setting),
    )


def _find_settings(
    conn: psycopg.Connection[Any], setting: str
) -> list[tuple[str | None, str | None, str]]:
    """Return (role, database, value) for each place where it is set for this session, the one that
    counts first. None: for any.
    """
    conn.autocommit = True
    cursor = conn.execute(_QUERY.format(sql.quote(f"{setting}=")).encode())
    while cursor.description is None:
        cursor.nextset()
    return cursor.fetchall()


def who(role: str | None, database: str | None) -> list[str]:
    """Return for whom a setting is: `the role ada`, `the database shop`, or both."""
    words = []
    if role:
        words.append(f"the role {role}")
    if database:
        words.append(f"the database {database}")
    return words


def alter(role: str | None, database: str | None, setting: str) -> str:
    """Return the SQL that resets a setting where pg_db_role_setting has it."""
    owner = sql.Identifier(role or "").as_string()
    place = sql.Identifier(database or "").as_string()
    if role and database:
        return f"ALTER ROLE {owner} IN DATABASE {place} RESET {setting};"
    if role:
        return f"ALTER ROLE {owner} RESET {setting};"
    if database:
        return f"ALTER DATABASE {place} RESET {setting};"
    return f"ALTER ROLE ALL RESET {setting};"
