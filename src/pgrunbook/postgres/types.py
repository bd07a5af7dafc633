"""What the server calls the types that SQL writes: `UUID` is `uuid`, `varchar(9)` is `character
varying(9)`. Reads only, and evaluates nothing: a domain's checks are somebody else's code.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from pgrunbook.postgres import search_path
from pgrunbook.postgres.session import Session


def format_types(conn: Session, types: Sequence[str], path: str) -> list[str]:
    """Return each of them, as format_type() prints it; none, if one is unknown. Serial is
    no type.
    """
    nulls = ", ".join(f"NULL::{each}" for each in types)
    oids = ", ".join(f"pg_catalog.to_regtype({sql.quote(each)})::pg_catalog.oid" for each in types)
    message = f"{search_path.set_local(path)};\nSELECT {nulls} WHERE false; SELECT {oids}"
    try:
        with conn.transaction(force_rollback=True), conn.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(message.encode())
            cursor.nextset()
            result = cursor.pgresult
            assert result
            described = [(result.ftype(n), result.fmod(n)) for n in range(len(types))]
            cursor.nextset()
            found = list(cursor.fetchone() or ())
    except psycopg.errors.UndefinedObject:
        return []
    modifiers = []
    for oid, (type_, modifier) in zip(found, described, strict=True):
        # of a domain, a result has the type that it is made of, and its modifier
        modifiers.append(modifier if oid == type_ else -1)
    asked = "SELECT format_type(oid, modifier) FROM unnest(%s::oid[], %s::int[])"
    asked += " WITH ORDINALITY AS t (oid, modifier, place) ORDER BY place"
    with conn.cursor(row_factory=tuple_row) as cursor:
        return [name for (name,) in cursor.execute(asked, [found, modifiers])]


def are_comparable(conn: Session, one: str, other: str, path: str) -> bool:
    """Return whether values of the two types can be equal, as a foreign key asks it."""
    try:
        with conn.transaction(force_rollback=True):
            compared = f"SELECT NULL::{one} = NULL::{other} WHERE false"
            conn.execute(f"{search_path.set_local(path)};\n{compared}".encode())
    except (psycopg.errors.UndefinedFunction, psycopg.errors.AmbiguousFunction):
        return False
    return True
