"""Estimates, before a block in batches begins, how many rows it has to change and how long that
takes: by the planner's statistics, and by the backfills that the ledger has. Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import psycopg
from pglast import ast

from pgrunbook import durations
from pgrunbook.ledger import batches
from pgrunbook.planning import batch_keys
from pgrunbook.planning.batch_keys import Keys
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.keyset import Keyset
from pgrunbook.postgres import catalog, search_path, session_settings, trust
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block

_SAMPLE = 10_000  # the keys of the batch that the server plans
# What a row takes in the WAL beside its own bytes: the header of one record, and of one more for
# each index. https://doxygen.postgresql.org/heapam__xlog_8h.html
_RECORD_BYTES = 60
_COLUMNS = ["table", "key", "upto", "rows", "bytes", "to_change", "leaves_dead", "wal", "takes"]


def frame(conn: Session, decisions: Sequence[Decision], keys: Keys) -> pd.DataFrame:
    """Return a row for each block in batches that is to run and whose `keys` are known: index
    `block`; columns

    - `table`, `key`: str
    - `upto`: the key's greatest value now, str
    - `rows`: of the table, by the planner's estimate; a number, or missing
    - `bytes`: of the table, with its indexes
    - `to_change`: the rows that the statement would change, by the plan of one batch; or missing
    - `leaves_dead`: the rows that it leaves dead; missing if it calls a function
    - `wal`: how much would be written, by the last backfill of the table in the ledger; or, of an
      UPDATE, by the size of the table; str
    - `takes`: how long, by the last backfill in the ledger; str

    `upto` and `to_change` are missing if a role that is not trusted has made functions which the
    queries for them could call.
    """
    rows = []
    readable = not trust.callable_functions(conn)
    for decision in decisions:
        there = keys.get(decision.block.name)
        # a block with problems cannot be cut into batches: the preconditions name them
        if there and not any(batch_keys.problems(decision.block, there)):
            rows.append(_row(conn, decision, there, readable))
    return pd.DataFrame(rows, columns=["block", *_COLUMNS]).set_index("block")


def _row(conn: Session, decision: Decision, there: Mapping[str, Any], readable: bool) -> list[Any]:
    block = decision.block
    keyset = Keyset.of(there, block)
    rows = there["estimated_rows"]
    if rows < 0:  # never analyzed
        rows = None
    upper: batches.Key | None = None
    share: float | None = None
    try:
        if readable:
            upper = keyset.greatest(conn)
            share = 0.0 if upper is None else _share(conn, decision, keyset, upper)
    except psycopg.Error:
        # A block before this one may have to come first, or the role may not read the table: then
        # there is no estimate.
        upper = None
    to_change = None if share is None or rows is None else round(rows * share)
    return [
        block.name,
        keyset.name,
        ", ".join(keyset.columns),
        ", ".join(upper or ()),
        rows,
        there["bytes"],
        to_change,
        _leaves_dead(decision, to_change),
        _wal(conn, decision, there, keyset, to_change),
        _takes(conn, to_change),
    ]


def _share(conn: Session, decision: Decision, keyset: Keyset, upper: batches.Key) -> float | None:
    """Return which share of the first rows the statement would change, by the server's plan of a
    batch; None if it calls a function, into which no plan looks, or if it must not be planned.
    """
    batching = decision.block.batching
    assert batching
    if batching.calls or not _can_be_planned(conn, decision.block):
        return None
    batch = keyset.next_batch(conn, None, upper, _SAMPLE)
    statement = batching.statement(keyset.bounds(None, batch.to))
    path = decision.block.search_path or search_path.of(conn)
    settings = [*session_settings.block_settings(path), "SET LOCAL row_security = off"]
    with conn.transaction(force_rollback=True), conn.cursor() as cursor:
        cursor.execute("; ".join(settings).encode())
        row = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}".encode()).fetchone()
    if not row or not batch.keys:
        return None
    (plan,) = row[0]
    # The plan's top node changes rows and returns none: those count that the node below gives it.
    node = plan["Plan"]
    if node.get("Plans"):
        node = node["Plans"][0]
    return min(1.0, float(node["Plan Rows"]) / batch.keys)


def _can_be_planned(conn: Session, block: Block) -> bool:
    """Whether the statement may be planned: it reads tables alone, no view, and none of them calls
    a function of a role that is not trusted. The planner calls functions, too.
    """
    path = search_path.schemas(conn, block.search_path or search_path.of(conn))
    qualifiers, names = zip(*block.relations, strict=True)
    about = {"qualifiers": list(qualifiers), "names": list(names), "schemas": path}
    found = catalog.rows(conn, "named_tables", **about)
    if len(found) < len(names):
        return False
    for row in found:
        if not row["is_table"] or trust.functions_called_by_reads(conn, row["oid"], [""]):
            return False
    return True


def _leaves_dead(decision: Decision, to_change: int | None) -> int | None:
    batching = decision.block.batching
    assert batching
    if batching.calls:
        return None
    if isinstance(batching.template.node, ast.InsertStmt):
        return 0
    return to_change


def _wal(
    conn: Session,
    decision: Decision,
    there: Mapping[str, Any],
    keyset: Keyset,
    to_change: int | None,
) -> str:
    """Return how much WAL it would write, by the last backfill of this table; or else by the size
    of a new version of each row.
    """
    batching = decision.block.batching
    assert batching
    if not to_change:
        return ""
    of_row = batches.wal_of_a_row(conn, keyset.name)
    if of_row:
        return f"about {_mb(to_change * of_row)}, at {of_row:,.0f} bytes a row as seen here last"
    if not isinstance(batching.template.node, ast.UpdateStmt):
        return ""
    indexed = _RECORD_BYTES * (1 + there["indexes"])
    least = to_change * (there["bytes"] / there["estimated_rows"] + indexed)
    # At most each page once more, as a whole: so it is written when it is first changed after a
    # checkpoint.
    # https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-FULL-PAGE-WRITES
    return f"about {_mb(least)} to {_mb(least + there['bytes'])}, by the size of the table"


def _mb(size: float) -> str:
    return f"{max(1, size / 2**20):,.0f} MB"


def _takes(conn: Session, rows: int | None) -> str:
    """Return for how long it would run, at the rate of the last backfill on this target."""
    rate = batches.rate(conn)
    if not rows or not rate:
        return ""
    return f"about {durations.words(rows / rate * 1000)}, at {rate:,.0f} rows/s as seen here last"
