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
from psycopg.rows import dict_row

from pgrunbook.errors import Problem
from pgrunbook.postgres import catalog, search_path

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
_BEGIN = f"BEGIN; SET LOCAL statement_timeout TO 0; SET LOCAL search_path TO {search_path.OURS}; "


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
    row = None
    with suppress(psycopg.Error), closing(again()) as conn:
        row = _find_setting(conn, setting)
    if row is None or row["written"] is None:
        found = f"{setting} is too short for a session of ours to set its own"
        ways = [alter(user, None, setting), f"-- if it is set there; {_ELSEWHERE}"]
        return replace(problem, found=found, remedy="\n".join(ways))
    return replace(
        problem,
        found=f"{row['written']}, set for {' in '.join(who(row['role'], row['database']))}",
        remedy=alter(row["role"], row["database"], setting),
    )


def _find_setting(conn: psycopg.Connection[Any], setting: str) -> dict[str, Any] | None:
    """Return the row of the catalog query `set_for`."""
    conn.autocommit = True
    asked = catalog.query("set_for") % {"setting": sql.quote(setting)}
    cursor = conn.cursor(row_factory=dict_row).execute(f"{_BEGIN}{asked}".encode())
    while cursor.description is None:
        cursor.nextset()
    return cursor.fetchone()


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
