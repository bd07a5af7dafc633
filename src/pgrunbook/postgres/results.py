"""Reads libpq's results, as they come of several statements in one message."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult


def column_names(result: PGresult) -> list[str]:
    """Return what the columns are called; psycopg's own description of them takes longer to make
    than most results to read.
    """
    return [(result.fname(number) or b"").decode() for number in range(result.nfields)]


def rows(conn: psycopg.Connection[Any], result: PGresult) -> list[dict[str, Any]]:
    """Return the rows, each a mapping from column to value."""
    reader = Transformer(conn)
    reader.set_pgresult(result)
    names = column_names(result)
    loaded = reader.load_rows(0, result.ntuples, tuple)
    return [dict(zip(names, row, strict=True)) for row in loaded]
