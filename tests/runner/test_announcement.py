"""Hazards are on the terminal before the first block runs, and whom a block waits for, whatever else
a kernel shows.
"""

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
    announcement.tell(shown(rows=[ROW, ["021_more", *ROW[1:]]]))
    assert capsys.readouterr() == (
        "",
        "hazard:   020_tidy:4 drops_table, table notes\nhazard:   021_more:4 drops_table, table notes\n",
    )


def test_what_a_terminal_would_obey_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    announcement.tell(shown(rows=[["x\x1b[2J\nPASSED", *ROW[1:]]]))
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "content",
    [
        shown(mode="plan"),
        shown(kind="decisions"),
        shown(columns=["block"]),
        shown(kind="attempts", rows=[]),
        shown(kind="attempts"),
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
    announcement.tell(content)
    assert capsys.readouterr() == ("", "")


def waiting(*rows: list[Any]) -> dict[str, Any]:
    columns = ["attempt", "pid", "application", "role", "state"]
    return shown(kind="attempts", block="020_tidy", columns=columns, rows=[*rows])


def test_whom_a_block_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[Any]] = [[1, "7", "psql", "ada", "active"], [2, None, None, None, None]]
    rows += [[number, "8", "", "kim", "idle in transaction"] for number in (3, 4)]
    for number in range(len(rows)):
        announcement.tell(waiting(*rows[: number + 1]))
    assert capsys.readouterr().err.splitlines() == [
        "waiting:  020_tidy, attempt 1, for psql (pid 7, ada, active)",
        "waiting:  020_tidy, attempt 2, for somebody who was not seen",
        "waiting:  020_tidy, attempt 4, for a session without a name (pid 8, kim, idle in transaction)",
    ]
