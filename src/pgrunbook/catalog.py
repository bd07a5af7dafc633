"""What the database holds, read from the system catalogs: named queries, and snapshots as frames.

Reads only. A query is a file in `sql/catalog/`, one question each; its parameters are psycopg's `%(name)s`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    import pandas as pd

Connection: TypeAlias = psycopg.Connection[Any]

# Type OIDs of src/include/catalog/pg_type.dat to pandas dtypes that keep NULL apart from every value.
_DTYPES = {16: "boolean", 20: "Int64", 21: "Int64", 23: "Int64", 25: "str", 701: "Float64", 1184: "object"}


def _dtype(oid: int) -> Any:
    return _DTYPES.get(oid, "object")


@cache
def query(name: str) -> str:
    """The text of the catalog query `sql/catalog/<name>.sql`."""
    return (files("pgrunbook") / "sql" / "catalog" / f"{name}.sql").read_text(encoding="utf-8")


def rows(conn: Connection, name: str, **parameters: object) -> list[dict[str, Any]]:
    """The rows of a named query, each a mapping from column to value."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters, prepare=True).fetchall()


def frame(conn: Connection, name: str, index: Sequence[str] = (), **parameters: object) -> pd.DataFrame:
    """The rows of a named query as a frame, built column by column.

    Boolean columns have dtype `boolean`, whole numbers `Int64`, texts `str`; no rows still have columns.
    """
    import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

    with conn.cursor() as cursor:
        cursor.execute(query(name), parameters)
        columns = cursor.description or []
        values = zip(*cursor.fetchall(), strict=True) if cursor.rowcount else iter([()] * len(columns))
        data = {
            column.name: pd.Series(list(column_values), dtype=_dtype(column.type_code))
            for column, column_values in zip(columns, values, strict=True)
        }
    result = pd.DataFrame(data)
    return result.set_index(list(index)) if index else result


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalog's state of some tables, as frames. Absent tables are absent rows.

    | frame         | index              | columns                                                         |
    |---------------|--------------------|-----------------------------------------------------------------|
    | `tables`      | table              | kind, owner, estimated_rows (Int64), bytes (Int64), comment     |
    | `columns`     | table, column      | type, nullable (boolean), default, comment                      |
    | `constraints` | table, constraint  | kind, definition, validated (boolean)                           |
    | `indexes`     | table, index       | definition, unique (boolean), valid (boolean), bytes (Int64)    |
    | `types`       | type               | kind, values (an enum's labels, a domain's checks), used_by     |

    `estimated_rows` is the planner's estimate, missing before the first VACUUM or ANALYZE. `default` holds a
    generated column's expression too. Everything else has dtype `str`.
    """

    tables: pd.DataFrame
    columns: pd.DataFrame
    constraints: pd.DataFrame
    indexes: pd.DataFrame
    types: pd.DataFrame

    def __iter__(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Name and frame, in the order above."""
        return ((f.name, getattr(self, f.name)) for f in fields(self))

    def only(self, *tables: str) -> Snapshot:
        """The part that is about these tables; `types` stays whole."""
        kept = {
            name: frame if name == "types" else frame[frame.index.get_level_values("table").isin(tables)]
            for name, frame in self
        }
        return Snapshot(**kept)


_INDEXES: Mapping[str, Sequence[str]] = {
    "tables": ["table"],
    "columns": ["table", "column"],
    "constraints": ["table", "constraint"],
    "indexes": ["table", "index"],
    "types": ["type"],
}


def snapshot(conn: Connection, schema: str, tables: Sequence[str]) -> Snapshot:
    """The state of these tables of the schema, with the enums and domains that their columns use."""
    names = list(tables)
    return Snapshot(**{kind: frame(conn, kind, index, schema=schema, tables=names) for kind, index in _INDEXES.items()})
