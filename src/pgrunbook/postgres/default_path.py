"""Where a block whose header names no search path has its names looked up: in the run's schema, and
behind it in those of the path that psql would have, as the database, the role or the environment
set it.

Code of a role with fewer rights than ours must not run with ours. So a schema of that path is left
out if such a role owns it, may create in it, or owns an object there. pg_catalog comes first by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from pgrunbook.postgres import catalog, role_timeouts
from pgrunbook.postgres.session import Session
from pgrunbook.sqltext import search_paths


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A schema that psql would look in, why we do not, and the SQL after which we would."""

    schema: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DefaultPath:
    """The schemas `behind` the run's own, in order; for whom the path is set (`the database shop`),
    and what of it is left out.
    """

    behind: tuple[str, ...] = ()
    set_for: str = ""
    left_out: tuple[LeftOut, ...] = ()


def find(conn: Session) -> DefaultPath:
    """Ask the server which path psql would have. Reads only.

    Where nobody has set one, PostgreSQL's own, `"$user", public`, adds nothing to the schema.
    """
    (row,) = catalog.rows(conn, "set_for", setting="search_path")
    if row["built_in"]:
        return DefaultPath()
    set_for = " in ".join(role_timeouts.who(row["role"], row["database"]))
    named = search_paths.schemas_of_setting(row["value"])
    behind: dict[str, None] = {}
    left_out: dict[str, LeftOut] = {}
    for found in catalog.rows(conn, "looked_in", schemas=named):
        name = found["name"]
        if name in (conn.schema, "", "pg_catalog", "pg_temp"):
            continue
        if found["what"] is None:
            behind[name] = None
        # of one that is not there nothing is said: psql does not look there, either
        elif found["there"]:
            left_out[name] = _left_out(conn, found)
    return DefaultPath(tuple(behind), set_for or "the server", tuple(left_out.values()))


def _left_out(conn: Session, found: Mapping[str, Any]) -> LeftOut:
    schema, role, us = map(_quoted, (found["name"], found["role"], conn.info.user))
    if found["object"]:
        why = f"{found['role']} owns {found['kind']} {found['object']}"
        remedy = f"ALTER {found['kind'].upper()} {found['object']} OWNER TO {us}"
        return LeftOut(found["name"], why, remedy)
    why = f"{found['role']} {found['what']}"
    remedy = f"ALTER SCHEMA {schema} OWNER TO {us}"
    if found["what"] == "may create objects in it":
        grantee = "PUBLIC" if found["role"] == "PUBLIC" else role
        remedy = f"REVOKE CREATE ON SCHEMA {schema} FROM {grantee}"
    return LeftOut(found["name"], why, remedy)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
