"""Compares two snapshots of tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pgrunbook.postgres.catalog import TablesSnapshot

# The columns of each frame that say what an object is; sizes and row estimates change by
# themselves.
_DEFINING = {
    "tables": ["kind", "owner", "comment"],
    "columns": ["type", "nullable", "default", "comment"],
    "constraints": ["definition", "validated"],
    "indexes": ["definition", "valid"],
    "types": ["kind", "values"],
}
_SINGULAR = {"indexes": "index"}


def diff(before: TablesSnapshot, after: TablesSnapshot) -> pd.DataFrame:
    """Return what was added, removed or changed between two snapshots of the same tables.

    Index: `change`, `kind`, `table` (empty for a type), `name` (empty for a table). Columns
    `before`, `after` (str, empty where the object is not there). No rows if nothing changed.
    """
    rows = []
    for (kind, frame), (_, later) in zip(before, after, strict=True):
        then, now = _definitions(kind, frame), _definitions(kind, later)
        for label in dict.fromkeys([*then, *now]):
            old, new = then.get(label), now.get(label)
            if old != new:
                table, name = _table_and_name(kind, label)
                singular = _SINGULAR.get(kind, kind[:-1])
                rows.append((_change(old, new), singular, table, name, old or "", new or ""))
    columns = ["change", "kind", "table", "name", "before", "after"]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index(columns[:4])


def _change(old: str | None, new: str | None) -> str:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    return "changed"


def _table_and_name(kind: str, label: tuple[str, ...]) -> tuple[str, str]:
    if kind == "types":
        return "", label[0]
    if kind == "tables":
        return label[0], ""
    return label[0], label[1]


def _definitions(kind: str, frame: pd.DataFrame) -> dict[tuple[str, ...], str]:
    records = frame[_DEFINING[kind]].to_dict("records")
    definitions = {}
    for label, record in zip(frame.index, records, strict=True):
        # pandas has a tuple only where the index has several columns
        key = label if isinstance(label, tuple) else (label,)
        definitions[key] = _definition(record)
    return definitions


def _definition(record: dict[Any, Any]) -> str:
    """Return a line such as `text, not null, default 'pending'`, in the order of the columns."""
    words_if_false = {"nullable": "not null", "validated": "not valid", "valid": "invalid"}
    parts = []
    for column, value in record.items():
        if column in words_if_false:
            if not value:
                parts.append(words_if_false[column])
        elif pd.isna(value):
            continue
        elif column == "default":
            parts.append(f"default {value}")
        elif column == "comment":
            parts.append(f"“{value}”")
        else:
            parts.append(str(value))
    return ", ".join(part for part in parts if part)
