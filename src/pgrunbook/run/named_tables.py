"""Tables as a notebook names them: `people` in the run's schema, `billing.invoices` in another.
What is shown of them is called so, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from pglast.stream import maybe_double_quote_name

from pgrunbook.inventory.names import names
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import TablesSnapshot
from pgrunbook.postgres.session import Session
from pgrunbook.sqltext.mentions import Relation


def relation(text: str) -> Relation:
    """Return the table that a text names: quoted as in SQL, but in upper and lower case as it
    stands. Without a schema any text is a name.
    """
    parts = names(text)
    if len(parts) == 2:
        return parts[0], parts[1]
    if len(parts) == 1 and text.startswith('"'):
        return "", parts[0]
    return "", text


def snapshot(conn: Session, schema: str, tables: Iterable[Relation]) -> TablesSnapshot:
    """Return the state of these tables, see `TablesSnapshot`; `schema` is the run's."""
    found: dict[str, list[pd.DataFrame]] = {}
    for other, listed in _by_schema(schema, tables).items():
        taken = dict(catalog.snapshot(conn, other, listed))
        for kind, frame in taken.items():
            if other != schema and kind != "types":
                frame = _with_schema(frame, other)
            found.setdefault(kind, []).append(frame)
    frames = {kind: pd.concat(parts) for kind, parts in found.items()}
    frames["types"] = _without_duplicates(frames["types"])
    return TablesSnapshot(**frames)


def columns(conn: Session, schema: str, tables: Sequence[str]) -> pd.DataFrame:
    """Return the columns of these tables, see `TablesSnapshot`, each table called as it is here."""
    found = {}
    for other, listed in _by_schema(schema, map(relation, tables)).items():
        index = ["table", "column"]
        found[other] = catalog.frame(conn, "columns", index, schema=other, tables=listed)
    parts = [found[schema].iloc[:0]]  # the frame of no tables
    for text in dict.fromkeys(tables):
        other, name = relation(text)
        frame = found[other or schema]
        own = frame[frame.index.get_level_values("table") == name]
        parts.append(own.rename(index={name: text}, level="table"))
    return pd.concat(parts)


def _by_schema(schema: str, tables: Iterable[Relation]) -> dict[str, Sequence[str]]:
    """Return the names of the tables by their schemas, the run's first."""
    found: dict[str, dict[str, None]] = {schema: {}}
    for other, name in tables:
        found.setdefault(other or schema, {})[name] = None
    return {other: [*listed] for other, listed in found.items()}


def _with_schema(frame: pd.DataFrame, schema: str) -> pd.DataFrame:
    """Return the frame with its tables called by their schema, too."""
    within = f"{maybe_double_quote_name(schema)}."

    def named(name: str) -> str:
        return within + str(maybe_double_quote_name(name))

    if isinstance(frame.index, pd.MultiIndex):
        return frame.rename(index=named, level="table")
    return frame.rename(index=named)


def _without_duplicates(types: pd.DataFrame) -> pd.DataFrame:
    """Return the types, each once with all columns that use it."""
    if types.index.is_unique:
        return types
    each = types.groupby(level=0, sort=False)
    joined = each["used_by"].agg(", ".join)
    return each.first().assign(used_by=joined).astype("str")
