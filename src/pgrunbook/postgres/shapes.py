"""The shapes that tables have now, as the catalog says it."""

from __future__ import annotations

from collections.abc import Iterable

from pgrunbook.postgres.catalog import Connection, rows
from pgrunbook.sqltext.shape import Key, read


def of_catalog(conn: Connection, schema: str, tables: Iterable[str]) -> dict[Key, str]:
    """The facts that hold now for these tables of the schema; absent tables have none.

    The session's search path must be that schema alone, as `connection.connect` sets it: then the
    server prints names as the blocks write them.
    """
    return read(rows(conn, "ddl", schema=schema, tables=sorted(set(tables))))


def standalone(conn: Connection, schema: str, tables: Iterable[str]) -> dict[Key, str]:
    """The facts of kind `standalone` that hold now for these tables of the schema."""
    found = rows(conn, "standalone", schema=schema, tables=sorted(set(tables)))
    return {Key("standalone", row["table"]): row["state"] for row in found}
