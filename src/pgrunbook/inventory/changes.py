"""What a transaction has changed: by the rows that it has written to the catalogs, nothing escapes.

What it has dropped only another session can still see, before it commits. But that session is told
no more than where it was: to print most definitions, the server locks the tables that they are
about, which the transaction may have locked for itself; the two would wait for each other. So the
definitions from before come from an inventory that was read before, by `Inventory.at`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
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

# The stamps of the transaction and of its subtransactions: savepoints and blocks of PL/pgSQL that
# handle exceptions have numbers of their own. They are compared by age, as numbers wrap around.
_WITHIN = "age({stamp}) BETWEEN (SELECT newest FROM bounds) AND (SELECT oldest FROM bounds)"
# A catalog that nothing was written to, as the session's statistics have it, is not read. Where
# nobody counts, all are.
_COUNTED = """(SELECT NOT current_setting('track_counts')::boolean
    OR pg_stat_get_xact_tuples_inserted('{catalog}'::regclass)
     + pg_stat_get_xact_tuples_updated('{catalog}'::regclass) > 0) AND """
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

    def looked_into(catalog: str) -> str:
        if deleted_from is None:
            return ""
        if catalog in deleted_from and catalog not in _WITH_THEIR_TABLE:
            return ""
        return "false AND "

    query = _query(_as_number(xid), "xmax", looked_into, superuser=is_superuser(conn))
    (answer,) = ask(conn, [query])
    return _addresses(answer)


_ITS_NUMBER = "pg_current_xact_id_if_assigned()"


def _as_number(xid: int) -> str:
    # in an array, as what stands there is a parameter of a prepared query
    return f"('{{{xid:d}}}'::int8[])[1]::text::xid8"


@cache
def _written(*, near: bool, superuser: bool) -> str:
    """Return the query for what the session's transaction has written."""
    condition = _if_written_near if near else _if_written
    return _query(_ITS_NUMBER, "xmin", condition, superuser=superuser)


def _if_written(catalog: str) -> str:
    """Return the condition that the session's transaction has written to the catalog at all."""
    return _COUNTED.format(catalog=catalog)


def _if_written_near(catalog: str) -> str:
    """Return that condition, and the one that leads to the relations that the transaction has
    locked.
    """
    if catalog not in _NEAR:
        return _if_written(catalog)
    return f"{_if_written(catalog)}{_NEAR[catalog]} AND "


def _query(xid: str, stamp: str, condition: Callable[[str], str], *, superuser: bool) -> str:
    """Return the query for rows whose `stamp`, xmin or xmax, is of the transaction `xid`; each
    catalog under a condition of its own.
    """
    text = catalogs.query("written")
    if not superuser:
        text = "".join(filter(_is_readable, text.splitlines(keepends=True)))
    text = _CATALOG.sub(lambda match: condition(match[1]) + _WITHIN, text)
    any_role = "false"
    if stamp == "xmin" and not superuser:
        any_role = condition("pg_authid") + "true"
    text = text.replace("{any_role}", any_role)
    return text.replace("{stamp}", stamp).replace("{xid}", xid)


@cache
def _deleted_from() -> str:
    """Return the question from which catalogs rows were deleted, of all that `written` reads. They
    are named: pg_class as a whole may be large.
    """
    names = ",".join(dict.fromkeys(_CATALOG.findall(catalogs.query("written"))))
    return catalogs.query("deleted_from").replace("{catalogs}", f"'{{{names}}}'")


def _is_readable(line: str) -> bool:
    """Return whether a line of the query is about a catalog that every role may read."""
    return not any(f"{{{catalog}}}" in line for catalog in _HIDDEN)


def _addresses(answer: Answer) -> list[Address]:
    return [Address(*row) for row in answer.rows]
