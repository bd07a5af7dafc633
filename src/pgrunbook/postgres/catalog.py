"""What the database holds, read from the system catalogs: named queries, and snapshots as frames.

Reads only. A query is a file in `sql/catalog/`, one question each; its parameters are psycopg's
`%(name)s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from pgrunbook.postgres.session import Session

if TYPE_CHECKING:
    import pandas as pd

# Type OIDs of src/include/catalog/pg_type.dat to pandas dtypes that keep NULL apart from every
# value.
_DTYPES = {
    16: "boolean",
    20: "Int64",
    21: "Int64",
    23: "Int64",
    25: "str",
    701: "Float64",
    1184: "object",
}


@cache
def query(name: str) -> str:
    """Return the text of the catalog query `sql/catalog/<name>.sql`."""
    text = (files("pgrunbook") / "sql" / "catalog" / f"{name}.sql").read_text(encoding="utf-8")
    if _TRUSTING in text:
        text = text.replace(_TRUSTING, f"\n{query('trusted')}", 1)
    if _PRINTS in text:
        text = _PRINTING % text
    return text


# Where a query wants to know which roles are trusted: the one answer is put in there.
_TRUSTING = "\n-- as trusted.sql says\n"

# The second line of a query that prints, or reads, names as a statement in the schema would write
# them.
_PRINTS = "\n-- printed for the schema\n"

# What our queries name is looked up when they are analysed, in pg_catalog alone; what the server
# prints depends on the search path when they are executed. So the path is set in the middle of it:
# the inner condition holds no column, and is evaluated once, before the first row is made; the
# outer one counts all rows first, and puts the path back. It goes when names are printed with their
# schemas.
_PRINTING = """\
WITH before AS MATERIALIZED (SELECT current_setting('search_path') AS path
), printed AS MATERIALIZED (
    SELECT * FROM (
%s
    ) AS asked
     WHERE (SELECT set_config('search_path', quote_ident(%%(printed_for)s), true) FROM before
             WHERE path IS NOT NULL) IS NOT NULL
)
SELECT * FROM printed
 WHERE (SELECT set_config('search_path', path, true)
          FROM before, (SELECT count(*) FROM printed) AS every (rows)
         WHERE rows >= 0) IS NOT NULL
"""


def _complete_parameters(
    conn: Session, name: str, parameters: Mapping[str, object]
) -> Mapping[str, object]:
    """Return the parameters, and of a query that prints for a schema, the session's."""
    if "%(printed_for)s" not in query(name) or "printed_for" in parameters:
        return parameters
    return {**parameters, "printed_for": conn.schema}


def rows(conn: Session, name: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the rows of a named query, each a mapping from column to value."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement(conn, name, **parameters).encode()).fetchall()


def rows_of_several(
    conn: Session, questions: Mapping[str, Mapping[str, object]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of several named queries, each with its parameters, in one round trip."""
    asked = "; ".join(statement(conn, name, **parameters) for name, parameters in questions.items())
    with conn.message_of(len(questions)), conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(asked.encode())
        found = [cursor.fetchall()]
        while cursor.nextset():
            found.append(cursor.fetchall())
    return dict(zip(questions, found, strict=True))


def statement(conn: Session, name: str, **parameters: object) -> str:
    """Return a named query as a statement that can stand among others; it is planned once a
    session.
    """
    return conn.prepared(name, query(name), _complete_parameters(conn, name, parameters))


def frame(
    conn: Session, name: str, index: Sequence[str] = (), **parameters: object
) -> pd.DataFrame:
    """Return the rows of a named query as a frame, built column by column.

    Boolean columns have dtype `boolean`, whole numbers `Int64`, texts `str`; no rows still have
    columns.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    with conn.cursor() as cursor:
        batches = _batches(conn, cursor, name, parameters)
        first = next(batches, [])
        described = cursor.description or ()
        columns = {column.name: list[Any]() for column in described}
        dtypes: list[Any] = [_DTYPES.get(column.type_code, "object") for column in described]
        known: dict[Any, Any] = {}  # a value that comes again, as types and names do, is kept once
        for batch in chain([first] if first else [], batches):
            for values, more in zip(columns.values(), zip(*batch, strict=True), strict=True):
                values += map(known.setdefault, more, more)
    data = {}
    for name, dtype in zip([*columns], dtypes, strict=True):
        data[name] = pd.Series(columns.pop(name), dtype=dtype)  # the list goes as the series comes
    result = pd.DataFrame(data, copy=False)
    if index:
        result = result.set_index(list(index))
    return result


_MANY = 1_000  # tables
_BATCH = 10_000  # rows: as tuples of Python they take several times the memory of a frame


def _batches(
    conn: Session, cursor: psycopg.Cursor[Any], name: str, parameters: Mapping[str, object]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a named query; about many tables it is planned for just these, and its rows
    are taken in parts.
    """
    tables = parameters.get("tables")
    if isinstance(tables, list) and len(tables) > _MANY:
        written_out = with_literals(name, _complete_parameters(conn, name, parameters))
        rows = cursor.stream(written_out, size=_BATCH // 10)
        while batch := list(islice(rows, _BATCH)):
            yield batch
        if cursor.description:
            return  # otherwise there was no row, and nothing has said which columns there are
    if found := cursor.execute(statement(conn, name, **parameters).encode()).fetchall():
        yield found


def with_literals(name: str, parameters: Mapping[str, object]) -> str:
    """Return a named query with its values written out: it is planned for just these."""
    values = {key: sql.Literal(value).as_string() for key, value in parameters.items()}
    return query(name) % values


@dataclass(frozen=True, slots=True)
class TablesSnapshot:
    """The catalog's state of some tables, as frames. Absent tables are absent rows.

    | frame | index | columns |
    | --- | --- | --- |
    | `tables` | table | kind, owner, estimated_rows (Int64), bytes (Int64), comment |
    | `columns` | table, column | type, nullable (boolean), default, comment |
    | `constraints` | table, constraint | kind, definition, validated (boolean) |
    | `indexes` | table, index | definition, unique (boolean), valid (boolean), bytes (Int64) |
    | `types` | type | kind, values (an enum's labels, a domain's checks), used_by |

    `estimated_rows` is the planner's estimate, missing before the first VACUUM or ANALYZE; where
    more than 1,000 tables are asked for, the `bytes` of indexes are as old. `default` holds a
    generated column's expression too. Everything else has dtype `str`.
    """

    tables: pd.DataFrame
    columns: pd.DataFrame
    constraints: pd.DataFrame
    indexes: pd.DataFrame
    types: pd.DataFrame

    def __iter__(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Name and frame, in the order above."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)


_INDEXES: Mapping[str, Sequence[str]] = {
    "tables": ["table"],
    "columns": ["table", "column"],
    "constraints": ["table", "constraint"],
    "indexes": ["table", "index"],
    "types": ["type"],
}


def snapshot(
    conn: Session, schema: str, tables: Sequence[str], kinds: Sequence[str] = (*_INDEXES,)
) -> TablesSnapshot:
    """Return the state of these tables of the schema, with the enums and domains that their columns
    use.

    Frames of other kinds than those asked for have no rows. Sizes, in `tables` and `indexes`, take
    the server longest.
    """
    names = list(dict.fromkeys(tables))
    frames = {}
    for kind, index in _INDEXES.items():
        asked = names if kind in kinds else []
        frames[kind] = frame(conn, kind, index, schema=schema, tables=asked)
    return TablesSnapshot(**frames)
