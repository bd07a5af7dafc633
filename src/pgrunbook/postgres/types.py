"""What the server calls the types that SQL writes: `UUID` is `uuid`, `varchar(9)` is `character
varying(9)`. Reads only, and evaluates nothing: a domain's checks are somebody else's code.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.rows import tuple_row

from pgrunbook.postgres import search_path
from pgrunbook.postgres.catalog import Connection


def printed(conn: Connection, types: Sequence[str], path: str) -> list[str]:
    """Each of them, as format_type() prints it; none, if one is unknown. Serial is no type."""
    nulls = ", ".join(f"NULL::{each}" for each in types)
    try:
        with conn.transaction(force_rollback=True), conn.cursor() as cursor:
            cursor.execute(f"{search_path.theirs(path)};\nSELECT {nulls} WHERE false".encode())
            cursor.nextset()
            result = cursor.pgresult
            assert result
            found = [(result.ftype(n), result.fmod(n)) for n in range(len(types))]
    except psycopg.errors.UndefinedObject:
        return []
    asked = "SELECT format_type(oid, modifier) FROM unnest(%s::oid[], %s::int[])"
    asked += " WITH ORDINALITY AS t (oid, modifier, place) ORDER BY place"
    given = [[oid for oid, _ in found], [modifier for _, modifier in found]]
    with conn.cursor(row_factory=tuple_row) as cursor:
        return [name for (name,) in cursor.execute(asked, given)]


def comparable(conn: Connection, one: str, other: str, path: str) -> bool:
    """Whether values of the two types can be equal, as a foreign key asks it."""
    try:
        with conn.transaction(force_rollback=True):
            compared = f"SELECT NULL::{one} = NULL::{other} WHERE false"
            conn.execute(f"{search_path.theirs(path)};\n{compared}".encode())
    except (psycopg.errors.UndefinedFunction, psycopg.errors.AmbiguousFunction):
        return False
    return True
