"""A frame as it is read: as HTML, as lines of text, as JSON values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pgrunbook import controls
from pgrunbook.records.card import STYLE, escape


def table(frame: pd.DataFrame) -> str:
    """The frame as HTML: its index as the first columns, text to the left and escaped, missing
    values blank.
    """
    return html(*texts(frame))


def html(names: Sequence[str], rows: Sequence[Sequence[str]], summary: str = "") -> str:
    """The names and texts of a frame as a table of HTML, with its style; folded below the summary,
    if there is one.
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


def _html(text: str) -> str:
    """Escaped; a long name may be broken after an underscore, so that frames fit the screen."""
    return re.sub(r"\w{20,}", lambda name: name[0].replace("_", "_<wbr>"), escape(text))


_WIDE = 24  # characters: to where plain text is aligned
# rows: of more, plain text has the first; who reads the record as text has all of them as HTML and
# as data
_LONG = 200
_SHOWN = 20


def lines(names: list[str], texts: list[list[str]]) -> str:
    """As lines of text, however wide; what is longer than most is not waited for."""
    shown = [names, *(texts if len(texts) <= _LONG else texts[:_SHOWN])]
    rows = [[controls.continued(text) for text in row] for row in shown]
    widths = [min(max(map(len, column)), _WIDE) for column in zip(*rows, strict=True)]
    padded = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if not texts:
        padded.append("none")
    if more := len(texts) - len(rows) + 1:
        padded.append(f"… and {more:,} rows more")
    return "\n".join(padded)


def texts(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The frame as it is read: the names of its columns, the index first, and each value as a
    text.
    """
    names, columns = _columns(frame)
    read = [[_cell(value) for value in column] for column in columns]
    labels = frame.index.nlevels if len(names) > frame.shape[1] else 0
    read[:labels] = _once(read[:labels])
    return names, [list(row) for row in zip(*read, strict=True)]


def _columns(frame: pd.DataFrame) -> tuple[list[str], list[Iterable[Any]]]:
    """The names of the columns, and the values of each; those of the index first, unless it only
    counts the rows.
    """
    names = [str(column) for column in frame.columns]
    values: list[Iterable[Any]] = [column.array for _, column in frame.items()]
    if isinstance(frame.index, pd.RangeIndex):
        return names, values
    levels = range(frame.index.nlevels)
    labels = [str(level if name is None else name) for level, name in enumerate(frame.index.names)]
    return [*labels, *names], [*(frame.index.get_level_values(level) for level in levels), *values]


def plain(frame: pd.DataFrame) -> dict[str, Any]:
    """The frame as JSON values: `columns`, the index first, and `rows`; what is missing is null."""
    names, columns = _columns(frame)
    rows = zip(*([_plain(value) for value in column] for column in columns), strict=True)
    return {"columns": names, "rows": [list(row) for row in rows]}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value if isinstance(value, bool | int | float) else str(value)


def _once(labels: Sequence[list[str]]) -> list[list[str]]:
    """The columns of an index; in all but the last of them a value that repeats the row above is
    left out.
    """
    rows = [*zip(*labels, strict=True)]
    shown = [list(row) for row in rows[:1]]
    for above, row in pairwise(rows):
        hidden = 0
        while hidden < len(row) - 1 and above[hidden] == row[hidden]:
            hidden += 1
        shown.append([*[""] * hidden, *row[hidden:]])
    return [list(column) for column in zip(*shown, strict=True)] or [*labels]


def _cell(value: Any) -> str:
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
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)
