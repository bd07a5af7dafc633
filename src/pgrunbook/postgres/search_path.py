"""Where names are looked up: those of our own queries in pg_catalog, those of a block's statements
in its schema.

Whoever may create objects in the target's schema can put functions and operators there that are a
better match than those of pg_catalog, whatever the order of the path:
https://wiki.postgresql.org/wiki/A_Guide_to_CVE-2018-1058. So a session of ours sees pg_catalog
alone, and the schema, with those behind it, only as long as it runs a statement of somebody else's:
a block's, a verify script's, or what is asked with `%sql`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pgrunbook.postgres.session import Session

# Temporary objects come last: left out, they would come first.
OURS = "pg_catalog, pg_temp"


def of(conn: Session) -> str:
    """Return the path of statements that name none, as SET takes it: pg_catalog comes before it by
    itself.
    """
    return written(default(conn))


def written(schemas: Iterable[str]) -> str:
    """Return the path of these schemas, as SET takes it."""
    return ", ".join(sql.Identifier(schema).as_string() for schema in schemas)


def default(conn: Session) -> list[str]:
    """Return the schemas of the same, in order: the session's own, and those behind it, which need
    not be there. See `DefaultPath`.
    """
    return [conn.schema, *conn.behind]


def schemas(conn: psycopg.Connection[Any], path: str) -> list[str]:
    """Return the schemas that a path leads to, without pg_catalog. Outside a transaction."""
    # one message, and so a transaction of its own: in another one the path would stay
    assert conn.info.transaction_status == TransactionStatus.IDLE
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            f"{set_local(path)}; SELECT pg_catalog.current_schemas(false)::text[]".encode()
        )
        cursor.nextset()
        (found,) = cursor.fetchone() or ([],)
    return list(found)


# Plain SQL raises an error, without a function of ours on the server, only where it casts a text
# that is not a number: the error's message repeats the text.
_STRAYED = "pgrunbook: the path is "
_REQUIRE = """\
SELECT CASE WHEN {} THEN pg_catalog.concat({}, path)::pg_catalog.int4 END
  FROM pg_catalog.current_schemas(false) AS s (path)
 WHERE pg_catalog.array_position(path, 'pg_catalog'::pg_catalog.name) OPERATOR(pg_catalog.>) 1
    OR NOT path OPERATOR(pg_catalog.<@) pg_catalog.array_append({}::pg_catalog.name[],
           (SELECT nspname FROM pg_catalog.pg_namespace
             WHERE oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()))"""


# Behind the last statement only what is deferred still runs.
_DEFERRED = "EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgdeferrable)"


def require(schemas: Iterable[str], *, last: bool = False) -> str:
    """Return the statement that raises an error where the path leads elsewhere than to these
    schemas, or to pg_catalog behind another: a function can set any path. See `path_in_error`.
    `last`: it is for behind the last statement.
    """
    seen = sql.Literal(sorted({*schemas, "pg_catalog"}))
    when = sql.SQL(_DEFERRED if last else "true")
    return sql.SQL(_REQUIRE).format(when, _STRAYED, seen).as_string()


def path_in_error(exc: psycopg.Error) -> str:
    """Return the path that `require` has raised the error for; empty if it is another error."""
    found = re.search(rf"{_STRAYED}(\{{.*\}})", exc.diag.message_primary or "")
    return found[1] if found else ""


def set_local(path: str) -> str:
    """Return the statement after which the transaction sees the schemas of the path, for the next
    statement of a block.
    """
    return f"SET LOCAL search_path = {path}"


def first_row(
    conn: psycopg.Connection[Any], schema: str, question: sql.Composable
) -> tuple[Any, ...] | None:
    """Return the first row of a question that holds an expression of somebody else's, as the schema
    has it: the condition of a CHECK, a default. Whatever it does is rolled back.
    """
    with conn.transaction(force_rollback=True), conn.cursor(row_factory=tuple_row) as cursor:
        path = sql.Identifier(schema).as_string()
        cursor.execute(f"{set_local(path)};\n{question.as_string(conn)}".encode())
        cursor.nextset()
        return cursor.fetchone()
