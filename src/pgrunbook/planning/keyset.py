"""Finds the keys that batches are cut at: the server alone finds, prints and compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from psycopg import errors, sql
from psycopg.rows import tuple_row

from pgrunbook.ledger.batches import Key
from pgrunbook.postgres import search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.bounds import Use


class NotUtf8(errors.CharacterNotInRepertoire):
    """A key is sent and kept as UTF-8; a database in SQL_ASCII has whatever bytes it is given."""


class Table(NamedTuple):
    """A table, by its name with its schema, quoted where SQL needs it."""

    name: str
    oid: int


class NextBatch(NamedTuple):
    """The next batch of a backfill.

    - It begins behind the key `after`, or with the least if that is None, and ends with the key
      `to`.
    - `keys` is how many keys it has.
    - `lsn` is where the WAL is now; None on a standby.
    - `table` is what the table's name means now: somebody may have put another one in its place.
    """

    after: Key | None
    to: Key
    keys: int
    lsn: str | None
    table: Table


@dataclass(frozen=True, slots=True)
class Keyset:
    """The rows of a table in the order of a unique key, as a session with that search path sees
    them: an operator of the key's type may be in any schema. They are read as the block's role.
    """

    oid: int
    schema: str
    table: str
    columns: Sequence[str]
    types: Sequence[str]
    path: str
    role: str

    @classmethod
    def of(cls, there: Mapping[str, Any], block: Block) -> Self:
        """Return that of a block in batches; `there` is the row of the query `batch_key`."""
        assert block.batching
        named = there["oid"], there["schema"], there["table"]
        about = block.batching.key, there["types"], block.search_path, block.role
        return cls(*named, *about)

    @property
    def name(self) -> str:
        """The table with its schema, quoted where SQL needs it."""
        return sql.Identifier(self.schema, self.table).as_string()

    @property
    def named(self) -> Table:
        """The table that it is the key of."""
        return Table(self.name, self.oid)

    def greatest(self, conn: Session) -> Key | None:
        """Return the greatest key; None if there is no row."""
        # Without `keyed.` ORDER BY would take the name for that of the output column, a text.
        order = sql.SQL(", ").join(sql.SQL("keyed.{} DESC").format(each) for each in self._columns)
        asked = sql.SQL("SELECT {} FROM {} AS keyed ORDER BY {} LIMIT 1")
        return self._first(conn, asked.format(self._texts, self._table, order))

    def next_batch(self, conn: Session, after: Key | None, upper: Key, rows: int) -> NextBatch:
        """Return the batch of so many rows behind the key `after`. The last one goes up to `upper`,
        even if no row is left: the backfill is done then.
        """
        limits = [sql.SQL("{} <= {}").format(self._row, sql.SQL(self.value(upper)))]
        if after is not None:
            limits.append(sql.SQL("{} > {}").format(self._row, sql.SQL(self.value(after))))
        asked = sql.SQL(_AHEAD).format(
            columns=sql.SQL(", ").join(self._columns),
            texts=self._texts,
            table=self._table,
            name=sql.Literal(self.name),
            limits=sql.SQL(" AND ").join(limits),
            rows=rows,
        )
        found = self._first(conn, asked)
        assert found
        lsn, oid, count, *key = found
        return NextBatch(
            after, key if count == rows else upper, count or 0, lsn, Table(self.name, oid)
        )

    def value(self, key: Key) -> str:
        """Return the key as SQL: each column's text, cast to its type."""
        pairs = zip(key, self.types, strict=True)
        values = [f"{sql.Literal(text).as_string()}::{type_}" for text, type_ in pairs]
        return values[0] if len(values) == 1 else f"ROW({', '.join(values)})"

    def bounds(self, after: Key | None, to: Key | None) -> Mapping[Use, Mapping[str, str]]:
        """Return what takes the place of `:from` and `:to`, by what each is there for.

        `after` is None before the first key: `key > ALL (no rows)` is true of every key. `to` is
        None where no row is to be taken: `key <= NULL` is true of none.
        """
        nulls = ", ".join(f"NULL::{type_}" for type_ in self.types)
        none = nulls if len(self.types) == 1 else f"ROW({nulls})"
        last = none if to is None else self.value(to)
        argument = none if after is None else self.value(after)
        first = f"ALL (SELECT {nulls} WHERE false)" if after is None else argument
        return {
            Use.COMPARED: {"from": first, "to": last},
            Use.ARGUMENT: {"from": argument, "to": last},
        }

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    @property
    def _columns(self) -> list[sql.Identifier]:
        return [sql.Identifier(column) for column in self.columns]

    @property
    def _row(self) -> sql.Composable:
        columns = sql.SQL(", ").join(self._columns)
        return columns if len(self.columns) == 1 else sql.SQL("ROW({})").format(columns)

    @property
    def _texts(self) -> sql.Composable:
        return sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text").format(c) for c in self._columns)

    def _first(self, conn: Session, question: sql.Composed) -> list[Any] | None:
        """Return the first row, read as the block's role and along its path. Raises NotUtf8, and
        the server's error where row security would hide rows.
        """
        path = search_path.set_local(self.path or search_path.of(conn))
        become = f"SET LOCAL ROLE {sql.Identifier(self.role).as_string()}; " if self.role else ""
        asked = f"{become}SET LOCAL row_security = off; {path};\n{question.as_string(conn)}"
        with conn.cursor(row_factory=tuple_row) as cursor:
            try:
                # One message is one transaction: SET LOCAL ends with it.
                cursor.execute(asked.encode())
            except errors.CharacterNotInRepertoire as exc:
                key = ", ".join(self.columns)
                raise NotUtf8(f"a key of {self.name} ({key}) is not UTF-8: {exc}") from exc
            while cursor.nextset():
                pass
            row = cursor.fetchone()
        return None if row is None else list(row)


# Where the WAL is, the table's OID, and of the next rows the last one with its place among them,
# NULL if there is none. One query: it costs each batch a round trip.
_AHEAD = """\
SELECT wal.at, {name}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int8, numbered.place, {texts}
  FROM (SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()
                    THEN pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text END AS at) AS wal
  LEFT JOIN LATERAL (
           SELECT {columns}, pg_catalog.row_number() OVER () AS place
             FROM (SELECT {columns} FROM {table}
                    WHERE {limits} ORDER BY {columns} LIMIT {rows}) AS next
            ORDER BY place DESC
            LIMIT 1) AS numbered ON true
"""
