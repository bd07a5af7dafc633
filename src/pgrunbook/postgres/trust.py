"""Whose objects a run relies on: what could be taken for pg_catalog's, the ledger's own tables,
event triggers.

Reads only the catalog, and calls nothing that another role has made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import catalog, lockers
from pgrunbook.postgres.session import Session

_TRUSTED = (
    "our role, one that the owner of the database has made it a member of, a superuser, or "
    "that owner"
)


def shadows(conn: Session, schema: str) -> list[Problem]:
    """Return a problem for each object of the schema that a block, a verify script or `%sql` may
    take for one of pg_catalog's, if a role that is not trusted has made it.
    """
    problems = []
    for row in catalog.rows(conn, "shadows", schema=schema):
        problem = Problem(
            "may be taken for one of pg_catalog's, and would then run with our rights",
            where=f"{row['kind'].lower()} {row['name']}",
            expected=f"made by {_TRUSTED}, by the owner of the schema, or by an extension",
            found=f"owned by {row['owner']}",
            remedy=_take_over(schema, f"{row['kind']} {row['name']}", row["owner"], conn.info.user),
        )
        problems.append(problem)
    return problems


def _take_over(schema: str, thing: str, owner: str, role: str) -> str:
    """Return what to do about a shadow. The application may need it: a DROP comes last."""
    names = map(sql.Identifier, (schema, owner))
    revoke = sql.SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC, {}").format(*names).as_string()
    if thing.startswith("CAST"):  # which has no owner of its own
        return f"DROP {thing}; {revoke} -- if nobody needs it"
    us = sql.Identifier(role).as_string()
    return (
        f"ALTER {thing} OWNER TO {us}; {revoke} -- after reading it; or if nobody needs it: "
        f"DROP {thing}"
    )


def functions_called_by_reads(
    conn: Session, relation: int, columns: Iterable[str], *, default: bool = False
) -> list[Problem]:
    """Return a problem for each function of a role that is not trusted that may be called where
    rows of a table are read, or a query on it is planned: the planner evaluates what is constant.

    Such functions are in its indexes, statistics, CHECKs, partitions and policies, and in the types
    of these columns; with `default`, in their defaults, too.
    """
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for column in columns:
        about = {
            "relation": relation,
            "column": column,
            "path": "",
            "read": True,
            "default": default,
        }
        for row in catalog.rows(conn, "admission_strangers", **about):
            found[row["expression"], row["function"]] = row
    if not found:
        return []
    name = conn.execute("SELECT %s::oid::regclass::text", [relation]).fetchone()
    where = str(name[0]) if name else ""
    return problems_of_calls(found.values(), where, conn.info.user, "cannot be read: a query on it")


def callable_functions(conn: Session) -> bool:
    """Return whether roles that are not trusted have made functions that any query may call: while
    the server plans it, or for an operator, wherever the query's path leads.
    """
    (row,) = catalog.rows(conn, "callable")
    return bool(row["theirs"])


def problems_of_calls(
    rows: Iterable[Mapping[str, str]],
    where: str,
    role: str,
    what: str = "cannot be judged: what constrains it",
) -> list[Problem]:
    """Return a problem for each call of code that must not run with our rights: `rows` are of the
    query `admission_strangers`.
    """
    problem = f"{what} calls a function that would run with our rights"
    expected = f"functions of {_TRUSTED}"
    return [Problem(problem, where, expected, _call(row), _trust_remedy(row, role)) for row in rows]


def _call(row: Mapping[str, str]) -> str:
    """Return which function may be called, and why it is not trusted."""
    if not row["vouched"]:
        return f"{row['expression']} may call {row['function']}, owned by {row['owner']}"
    return (
        f"{row['expression']}, made by {row['maker']}, may call {row['function']}, "
        "which acts outside of the transaction or runs SQL of theirs"
    )


def _trust_remedy(row: Mapping[str, str], role: str) -> str:
    maker = row["maker"] if row["vouched"] else row["owner"]
    member = sql.SQL("GRANT {} TO {}").format(*map(sql.Identifier, (maker, role))).as_string()
    us = sql.Identifier(role).as_string()
    remedy = (
        f"run as {maker}, or as a role that the database's owner has made a member of it; if its "
        f"code may run with the rights of {role}: {member}"
    )
    if row["vouched"]:
        return remedy
    return f"{remedy}; or after reading it: ALTER FUNCTION {row['function']} OWNER TO {us}"


def ledger_exists(conn: Session) -> bool:
    """Return whether there is a ledger. Raises Refused if something of a role that is not trusted
    is in its place, or hangs on it.
    """
    there, found = untrusted_objects(conn)
    if found:
        raise Refused("The ledger is not to be trusted: nothing was changed.", problems=found)
    return there


def untrusted_objects(conn: Session) -> tuple[bool, list[Problem]]:
    """Return whether there is a ledger, and a problem for each object in its place, or that hangs
    on it, whose owner is not trusted. With one, the ledger must not be asked: a query could run
    code of theirs.
    """
    row = catalog.rows(conn, "ledger_there")[0]
    return row["there"], [_untrusted_problem(conn.info.user, **found) for found in row["strange"]]


_HIDES = "hides rows from this role"


def _untrusted_problem(role: str, name: str, what: str, owner: str) -> Problem:
    if what == _HIDES:
        return Problem(
            what,
            where=name,
            expected="no row-level security that applies to the role: the ledger would look empty",
            found=f"row-level security, on a table of {owner}",
            remedy=f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY",
        )
    member = sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET FALSE").format(
        *map(sql.Identifier, (owner, role))
    )
    remedy = (
        f"if it is a ledger, and {owner} may have code run with the rights of {role}: "
        f"{member.as_string()} (before version 16 without these options); or give it to a role "
        "that is trusted: ALTER SCHEMA pgrunbook OWNER TO …; ALTER TABLE … OWNER TO …; if it is "
        "something else, rename or drop it"
    )
    if name.startswith(("trigger ", "rule ")):
        remedy = f"DROP {name}; REVOKE TRIGGER ON ALL TABLES IN SCHEMA pgrunbook FROM …"
    return Problem(
        what,
        where=name,
        expected=f"made by pgrunbook, owned by {_TRUSTED}",
        found=f"owned by {owner}",
        remedy=remedy,
    )


@contextmanager
def refuse_on_error(conn: Session) -> Iterator[None]:
    """Raise Refused in place of the server's errors in the `with` block, which makes the ledger or
    brings it up to date: nothing else was done before.
    """
    try:
        yield
    except lockers.Locked:
        raise  # which names who has locked them
    except psycopg.Error as exc:
        if not exc.sqlstate or conn.closed:
            raise  # the connection is lost, and nobody knows
        found = [exc.diag.message_detail, exc.diag.context]
        off = []
        for row in catalog.rows(conn, "event_triggers"):  # one of them may have raised it
            found.append(f"event trigger {row['name']}: {row['function']}")
            disable = sql.SQL("ALTER EVENT TRIGGER {} DISABLE").format(sql.Identifier(row["name"]))
            off.append(disable.as_string())
        remedy = "let the role make them"
        if off:
            remedy += f", or as a superuser, meanwhile: {'; '.join(off)}"
        problem = Problem(
            f"{exc.diag.message_primary} (SQLSTATE {exc.sqlstate})",
            where="schema pgrunbook",
            expected="the ledger's tables can be made",
            found="\n".join(filter(None, found)),
            remedy=remedy,
        )
        raise Refused(
            "The ledger cannot be made: nothing was changed.", problems=[problem]
        ) from exc
