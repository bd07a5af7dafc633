"""Hazards are on the terminal before the first block runs, whatever else a kernel shows."""

from __future__ import annotations

from typing import Any

import pytest

from pgrunbook.records.format.mime_types import FRAME_MIME
from pgrunbook.runner import announcement

COLUMNS = ["block", "line", "hazards", "concerns", "size", "dependents", "takes", "accepted"]
ROW = ["020_tidy", "4", "drops_table", "table notes", "", "", "", ""]


def shown(**frame: Any) -> dict[str, Any]:
    made = {"kind": "hazards", "mode": "apply", "columns": COLUMNS, "rows": [ROW]}
    return {"data": {FRAME_MIME: made | frame}}


def test_each_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    announcement.hazards(shown(rows=[ROW, ["021_more", *ROW[1:]]]))
    assert capsys.readouterr() == (
        "",
        "hazard:   020_tidy:4 drops_table, table notes\nhazard:   021_more:4 drops_table, table notes\n",
    )


def test_what_a_terminal_would_obey_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    announcement.hazards(shown(rows=[["x\x1b[2J\nPASSED", *ROW[1:]]]))
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "content",
    [
        shown(mode="plan"),
        shown(kind="decisions"),
        shown(columns=["block"]),
        shown(rows=[[1]]),
        shown(rows=None),
        {"data": {FRAME_MIME: "hazards"}},
        {"data": {}},
        {"name": "stdout", "text": "hazards"},
        {},
    ],
)
def test_what_is_not_ours_to_say_is_not_said(
    content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    announcement.hazards(content)
    assert capsys.readouterr() == ("", "")
