"""What a block in batches has to do, before it begins: how many rows, and for how long by what the
ledger has seen. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import psycopg
from pglast import ast

from pgrunbook import durations
from pgrunbook.ledger import batches
from pgrunbook.planning import batch_keys
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.keyset import Keyset
from pgrunbook.postgres import catalog, search_path, trust
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block

_SAMPLE = 10_000  # keys, whose batch the server plans
# Of WAL, beside what is written: the head of a record, of which a row takes one, and each of its
# entries in an index. https://doxygen.postgresql.org/heapam__xlog_8h.html
_RECORD_BYTES = 60
_COLUMNS = ["table", "key", "upto", "rows", "bytes", "to_change", "leaves_dead", "wal", "takes"]


def frame(conn: Session, decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row a block in batches that is to run: index `block`; columns `table`, `key`, `upto` (its
    greatest value now), `rows` (of the table, by the planner's estimate), `bytes` (with indexes),
    `to_change` (the rows that its statement would change, by the plan of a batch), `leaves_dead`
    (how many rows; missing where a function is called), `wal` (how much would be written, by the
    last backfill of the table that the ledger has; or of an UPDATE, by the size of the table),
    `takes` (by the last backfill that the ledger has).
    """
    rows = [row for decision in decisions for row in _of(conn, decision)]
    return pd.DataFrame(rows, columns=["block", *_COLUMNS]).set_index("block")


def _of(conn: Session, decision: Decision) -> Iterator[list[Any]]:
    block = decision.block
    there = batch_keys.found(conn, block) if decision.pending and block.batching else None
    if there is None or any(batch_keys.problems(block, there)):
        return
    keyset = Keyset.of(there, block)
    rows = there["estimated_rows"] if there["estimated_rows"] >= 0 else None
    try:
        upper = keyset.greatest(conn)
        share = 0.0 if upper is None else _share(conn, decision, keyset, upper)
    except psycopg.Error:  # another block may have to come first, or the role may not read it
        upper, share = None, None
    to_change = None if share is None or rows is None else round(rows * share)
    key, upto = ", ".join(keyset.columns), ", ".join(upper or ())
    about = [block.name, keyset.name, key, upto, rows, there["bytes"], to_change]
    dead, wal = _leaves_dead(decision, to_change), _wal(conn, decision, there, keyset, to_change)
    yield [*about, dead, wal, _takes(conn, to_change)]


def _share(conn: Session, decision: Decision, keyset: Keyset, upper: batches.Key) -> float | None:
    """Which part of the first rows the statement would change, as the server plans it; None if it
    calls a function, which no plan looks into, or if planning it would call one of a role that is
    not trusted.
    """
    batching = decision.block.batching
    assert batching
    if batching.calls or not _can_be_planned(conn, decision.block):
        return None
    ahead = keyset.ahead(conn, None, upper, _SAMPLE)
    statement = batching.statement(keyset.bounds(None, ahead.to))
    path = search_path.theirs(decision.block.search_path or search_path.of(conn))
    with conn.transaction(force_rollback=True), conn.cursor() as cursor:
        cursor.execute(f"{path}; SET LOCAL row_security = off".encode())
        row = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}".encode()).fetchone()
    (plan,) = row[0] if row else ({},)
    changed = _changed(plan["Plan"])
    return None if not ahead.keys else min(1.0, changed / ahead.keys)


def _can_be_planned(conn: Session, block: Block) -> bool:
    """Whether the statement reads tables alone, no view, and none that calls a function of a role
    that is not trusted.
    """
    path = search_path.schemas(conn, block.search_path or search_path.of(conn))
    qualifiers, names = zip(*block.relations, strict=True)
    about = {"qualifiers": list(qualifiers), "names": list(names), "schemas": path}
    found = catalog.rows(conn, "named_tables", **about)
    plain = len(found) == len(names) and all(row["is_table"] for row in found)
    return plain and not any(
        trust.functions_called_by_reads(conn, row["oid"], [""]) for row in found
    )


def _changed(plan: dict[str, Any]) -> float:
    """How many rows come to the node that changes them."""
    below = plan.get("Plans", ())
    return float(below[0]["Plan Rows"] if below else plan["Plan Rows"])


def _leaves_dead(decision: Decision, to_change: int | None) -> int | None:
    batching = decision.block.batching
    assert batching
    if batching.calls:
        return None
    return 0 if isinstance(batching.template.node, ast.InsertStmt) else to_change


def _wal(
    conn: Session,
    decision: Decision,
    there: Mapping[str, Any],
    keyset: Keyset,
    to_change: int | None,
) -> str:
    """How much WAL it would write, as seen here last; or as a new version of each row takes."""
    batching = decision.block.batching
    assert batching
    if not to_change:
        return ""
    if of_a_row := batches.wal_of_a_row(conn, keyset.name):
        return (
            f"about {_mb(to_change * of_a_row)}, at {of_a_row:,.0f} bytes a row as seen here last"
        )
    if not isinstance(batching.template.node, ast.UpdateStmt):
        return ""
    indexed = _RECORD_BYTES * (1 + there["indexes"])
    least = to_change * (there["bytes"] / there["estimated_rows"] + indexed)
    # each page is written as a whole when it is first changed after a checkpoint
    return f"about {_mb(least)} to {_mb(least + there['bytes'])}, by the size of the table"


def _mb(size: float) -> str:
    return f"{max(1, size / 2**20):,.0f} MB"


def _takes(conn: Session, rows: int | None) -> str:
    """For how long, at the rate of the last backfill on this target."""
    rate = batches.rate(conn)
    if not rows or not rate:
        return ""
    return f"about {durations.words(rows / rate * 1000)}, at {rate:,.0f} rows/s as seen here last"
