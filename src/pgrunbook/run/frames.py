"""Writes a frame as HTML, as lines of text, and as JSON values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pgrunbook import controls
from pgrunbook.records.card import STYLE, escape
from pgrunbook.records.words import counted


def table(frame: pd.DataFrame) -> str:
    """Return the frame as HTML: its index as the first columns, text to the left and escaped,
    missing values blank.
    """
    return html(*texts(frame))


def html(names: Sequence[str], rows: Sequence[Sequence[str]], summary: str = "") -> str:
    """Return the names and texts of a frame as a table of HTML, with its style; folded below the
    summary, if there is one.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = ""
    for row in rows:
        cells = "".join(f"<td>{_html(text)}</td>" for text in row)
        body += f"<tr>{cells}</tr>"
    head = f'<thead><tr style="text-align: left">{head}</tr></thead>'
    made = f'<table border="0" class="dataframe">{head}<tbody>{body}</tbody></table>'
    if not rows:
        made += "<p><em>none</em></p>"
    if summary:
        made = f"<details><summary>{escape(summary)}</summary>{made}</details>"
    return f'<div class="pgrunbook">{STYLE}{made}</div>'


def folded_texts(kind: str, texts: Mapping[str, str]) -> str:
    """Return texts of a kind, `SQL`, as HTML, each below its name; folded below a line, `SQL of 3
    blocks`. Nothing if there are none.
    """
    if not texts:
        return ""
    made = ""
    for name, text in texts.items():
        made += f"<p><code>{escape(name)}</code></p><pre>{escape(text.strip())}</pre>"
    summary = f"{kind} of {counted(len(texts), 'block')}"
    return f'<div class="pgrunbook"><details><summary>{summary}</summary>{made}</details></div>'


def _html(text: str) -> str:
    # A browser may break a long name after an underscore, so that frames fit the screen.
    return re.sub(r"\w{20,}", lambda name: name[0].replace("_", "_<wbr>"), escape(text))


_MOST_ALIGNED = 24  # characters of a text that others are aligned to
# Of more rows, plain text has the first few: HTML and the data have all of them.
_MOST_ROWS = 200
_FEW_ROWS = 20


def lines(names: list[str], texts: list[list[str]]) -> str:
    """Return the frame as lines of text, in columns; longer texts move what stands behind them."""
    shown = texts
    if len(texts) > _MOST_ROWS:
        shown = texts[:_FEW_ROWS]
    rows = []
    for row in (names, *shown):
        rows.append([controls.continued(text) for text in row])
    widths = [min(max(map(len, column)), _MOST_ALIGNED) for column in zip(*rows, strict=True)]
    padded = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if not texts:
        padded.append("none")
    if len(texts) > len(shown):
        padded.append(f"… and {len(texts) - len(shown):,} rows more")
    return "\n".join(padded)


def texts(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the names of the frame's columns, the index first, and its rows, each value as a text
    for people.
    """
    names, columns = _columns(frame)
    read = [list(map(_text, column)) for column in columns]
    labels = len(names) - frame.shape[1]  # columns of the index
    read[:labels] = _without_repeats(read[:labels])
    return names, [list(row) for row in zip(*read, strict=True)]


def _columns(frame: pd.DataFrame) -> tuple[list[str], list[Iterable[Any]]]:
    """Return the names of the columns, and the values of each; those of the index first, unless it
    only counts the rows.
    """
    names: list[str] = []
    values: list[Iterable[Any]] = []
    if not isinstance(frame.index, pd.RangeIndex):
        for level, name in enumerate(frame.index.names):
            names.append(str(level if name is None else name))
            values.append(frame.index.get_level_values(level))
    for name, column in frame.items():
        names.append(str(name))
        values.append(column.array)
    return names, values


def plain(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the frame as JSON values: `columns`, the index first, and `rows`; what is missing is
    null.
    """
    names, columns = _columns(frame)
    values = [map(_json_value, column) for column in columns]
    return {"columns": names, "rows": [list(row) for row in zip(*values, strict=True)]}


def _json_value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set):
        return [_json_value(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _json_value(each) for key, each in value.items()}
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, bool | int | float):
        return value
    return str(value)


def _without_repeats(labels: Sequence[list[str]]) -> list[list[str]]:
    """Return the columns of an index; in all but the last of them, leave out a value that repeats
    the row above.
    """
    columns = [list(column) for column in labels]
    rows = list(zip(*labels, strict=True))
    for number, (above, row) in enumerate(pairwise(rows), start=1):
        for level in range(len(row) - 1):
            if above[level] != row[level]:
                break
            columns[level][number] = ""
    return columns


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict | tuple | set):
        return str(value)
    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)
