"""What a transaction has changed: by the rows that it has written to the catalogs, nothing escapes.

What it has dropped only another session can still see, before it commits. But that session is told
no more than where it was: to print most definitions, the server locks the tables that they are
about, which the transaction may have locked for itself; the two would wait for each other. So the
definitions from before come from an inventory that was read before, by `Inventory.at`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pgrunbook.inventory import catalogs
from pgrunbook.inventory.objects import Address
from pgrunbook.inventory.snapshot import Answer, ask, is_superuser
from pgrunbook.postgres.catalog import with_literals
from pgrunbook.postgres.session import Session

# Who is no superuser cannot read them; nor can he write to them but by way of a user mapping, or of
# a role: where he has written one, all of pg_roles are asked for.
_HIDDEN = ("pg_user_mapping", "pg_subscription", "pg_authid")

# Their rows are deleted with those of pg_class, by which the columns of a table are found, too.
_WITH_THEIR_TABLE = ("pg_attribute", "pg_attrdef", "pg_index")

# A catalog that nothing was written to, as the session's statistics have it, is not read. Where
# nobody counts, all are.
_COUNTED = """SELECT array_agg(name) FROM unnest({catalogs}) AS name
     WHERE NOT current_setting('track_counts')::boolean
        OR pg_stat_get_xact_tuples_inserted(name) + pg_stat_get_xact_tuples_updated(name) > 0"""
_CATALOG = re.compile(r"\{(pg_\w+)\}")

# Where all that is written hangs on relations that the transaction has locked, the large catalogs
# are read by their indexes: as a whole, those of some ten thousand tables take longer than others
# are to wait for the block's locks.
_NEAR = {
    "pg_class": "oid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_attribute": "attrelid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_attrdef": "adrelid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_index": "indexrelid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_constraint": "conrelid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_trigger": "tgrelid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_description": "objoid = ANY ((SELECT oids FROM near)::oid[])",
    "pg_type": "oid = ANY ((SELECT oids FROM row_types)::oid[])",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a transaction has written so far."""

    xid: int | None  # None: it has not written at all
    addresses: list[Address]
    # the catalogs that `read_overwritten` has to look into, with the number of rows; None if it is
    # not known
    deleted_from: dict[str, int | None]


def read_changes(conn: Session, *, near: bool = False, since: int | None = None) -> Changes:
    """Return what the present transaction has written to the catalogs: the objects, those that
    depend on them directly, and their parts; and where to look for what it has dropped. One
    message.

    - `near`: what the transaction writes hangs on relations that it has locked.
    - `since`: only what subtransactions have written whose numbers are greater than this one.

    Of a schema that has another name, the objects are not among them.
    """
    written = _written(near=near, superuser=is_superuser(conn))
    if since is not None:
        written = written.replace(_ITS_NUMBER, _as_number(since))
    questions = [
        f"SELECT {_ITS_NUMBER}::text::bigint",
        written,
        _deleted_from(),
    ]
    if near:
        questions.insert(0, with_literals("held", {"keeper": None, "key": None}))
    number, objects, deleted = ask(conn, questions)[-3:]
    ((xid,),) = number.rows
    return Changes(xid, _addresses(objects), dict(deleted.rows))


def queries(conn: Session, *, near: bool = False) -> list[str]:
    """Return the questions of `read_changes`, prepared, as statements that can stand among others
    in the transaction: `from_rows` takes the rows of each. The session's search path must be
    pg_catalog.

    `near`: what the transaction writes hangs on relations that it has locked.
    """
    written = _written(near=near, superuser=is_superuser(conn))
    return [
        conn.prepared("written_near" if near else "written", written, {}),
        conn.prepared("deleted_from", _deleted_from(), {}),
    ]


def from_rows(answers: Sequence[Sequence[Mapping[str, Any]]]) -> Changes:
    """Return what the rows of these answers say."""
    objects, deleted = answers
    addresses = [Address(*row.values()) for row in objects]
    return Changes(None, addresses, {row["relname"]: row["rows"] for row in deleted})


def read_overwritten(
    conn: Session, xid: int, deleted_from: Container[str] | None = None
) -> list[Address]:
    """Return the objects that another transaction has altered or dropped, as this session still
    sees them: ask before it commits. `xid` is its number, or one as for `since` above.

    With `Changes.deleted_from`, only what is not in `Changes.addresses`, in a fraction of the time.
    """

    wanted = _catalogs()
    if deleted_from is not None:
        wanted = [c for c in wanted if c in deleted_from and c not in _WITH_THEIR_TABLE]
    superuser = is_superuser(conn)
    query = _query(_as_number(xid), "xmax", f"SELECT {_names(wanted)}", superuser=superuser)
    (answer,) = ask(conn, [query])
    return _addresses(answer)


_ITS_NUMBER = "pg_current_xact_id_if_assigned()"


def _as_number(xid: int) -> str:
    # in an array, as what stands there is a parameter of a prepared query
    return f"('{{{xid:d}}}'::int8[])[1]::text::xid8"


@cache
def _written(*, near: bool, superuser: bool) -> str:
    """Return the query for what the session's transaction has written."""
    counted = _COUNTED.format(catalogs=_names(_catalogs()))
    return _query(_ITS_NUMBER, "xmin", counted, near=near, superuser=superuser)


def _query(xid: str, stamp: str, looked_into: str, *, superuser: bool, near: bool = False) -> str:
    """Return the query for rows whose `stamp`, xmin or xmax, is of the transaction `xid`.

    `looked_into` is the query for an array of the catalogs that are read; `near`: these by the
    relations that the transaction has locked.
    """

    def rows(match: re.Match[str]) -> str:
        condition = _NEAR.get(match[1], "true") if near else "true"
        return f"age({stamp}), '{match[1]}'::regclass FROM {match[1]} WHERE {condition}"

    text = catalogs.query("written")
    if not superuser:
        text = "".join(filter(_is_readable, text.splitlines(keepends=True)))
    any_role = stamp == "xmin" and not superuser
    text = text.replace("{any_role}", str(any_role).lower())
    text = _CATALOG.sub(rows, text)
    return text.replace("{looked_into}", looked_into).replace("{xid}", xid)


@cache
def _catalogs() -> Sequence[str]:
    """Return the catalogs that `written` reads."""
    return [*dict.fromkeys(_CATALOG.findall(catalogs.query("written")))]


def _names(of: Iterable[str]) -> str:
    """Return an array of these catalogs."""
    return f"'{{{','.join(of)}}}'::regclass[]"


@cache
def _deleted_from() -> str:
    """Return the question from which catalogs rows were deleted, of all that `written` reads. They
    are named: pg_class as a whole may be large.
    """
    return catalogs.query("deleted_from").replace("{catalogs}", _names(_catalogs()))


def _is_readable(line: str) -> bool:
    """Return whether a line of the query is about a catalog that every role may read."""
    return not any(f"{{{catalog}}}" in line for catalog in _HIDDEN)


def _addresses(answer: Answer) -> list[Address]:
    return [Address(*row) for row in answer.rows]
