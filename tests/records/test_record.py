"""An executed notebook as data, however little of it there is; and which frames are put into it as
data.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell

from pgrunbook.records.format.mime_types import (
    BLOCK_MIME,
    DECISION_MIME,
    FRAME_MIME,
    SNAPSHOT_MIME,
    VERDICT_MIME,
)
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record
from pgrunbook.records.shown import Cell
from pgrunbook.run import display


def frame(
    kind: str, *rows: tuple[object, ...], columns: str = "a b", **about: Any
) -> dict[str, Any]:
    return {
        FRAME_MIME: {
            "kind": kind,
            "columns": columns.split(),
            "rows": list(map(list, rows)),
            **about,
        }
    }


DECIDED = {
    "block": "010_t",
    "title": "T",
    "action": "apply",
    "reason": "absent",
    "sql": "CREATE TABLE t ();",
    "source_sha256": "5a",
    "tree_sha256": "5b",
    "makes": [["table", "t", "", "table"]],
}


def record(*cells: tuple[str, list[dict[str, Any]]], **metadata: Any) -> Record:
    made = [
        {
            "id": name,
            "cell_type": "code",
            "metadata": {},
            "outputs": [{"output_type": "display_data", "data": d} for d in data],
        }
        for name, data in cells
    ]
    return Record({"cells": made, "metadata": metadata})


@pytest.mark.parametrize("metadata", [{}, {"papermill": {"parameters": None, "duration": None}}])
def test_a_run_that_did_not_get_anywhere_is_empty(metadata: dict[str, Any]) -> None:
    nothing = record(("target", [{"text/plain": "x"}]), **metadata)
    assert not any(
        [nothing.noted, nothing.parameters, nothing.started_at, nothing.seconds, nothing.frames]
    )
    assert not any(
        [nothing.identity, nothing.sources, nothing.blocks, nothing.card, nothing.snapshots()]
    )
    assert nothing.rows("verification") == ()
    assert nothing.cells == [Cell("target", "code", "")]


def test_a_block_has_what_was_decided_and_what_came_of_it() -> None:
    done = {
        "block": "010_t",
        "event": "applied",
        "started_at": "2026-01-02T03:04:05+00:00",
        "elapsed_ms": 1.5,
    }
    outputs = [{DECISION_MIME: DECIDED}, {BLOCK_MIME: done}]
    outputs += [
        frame(kind, (kind, 1), block=block)
        for kind in ("statements", "locks")
        for block in ("010_t", "020_u")
    ]
    (block,) = record(("one", outputs)).blocks
    assert (block.name, block.cell, block.sql) == ("010_t", "one", "CREATE TABLE t ();")
    assert (block.event, block.elapsed_ms) == ("applied", 1.5)
    assert (block.statements, block.locks) == (
        [{"a": "statements", "b": 1}],
        [{"a": "locks", "b": 1}],
    )
    assert block.attempts == ()


def test_a_block_that_was_only_decided_on_has_no_event() -> None:
    (block,) = record(("one", [{DECISION_MIME: DECIDED}])).blocks
    assert (block.action, block.event, block.elapsed_ms) == ("apply", "", 0.0)


@pytest.mark.parametrize(
    ("given", "shown", "runbook"),
    [
        ({"input_path": "s3://runbooks/001_import.ipynb"}, [], "001_import"),
        (
            {"input_path": None},
            [{VERDICT_MIME: {"verdict": "passed", "runbook": "002_index"}}],
            "002_index",
        ),
        (
            {"input_path": None},
            [frame("sources", files={"runbooks/003_x.ipynb": "5a", "sql/003_x/a.sql": "5b"})],
            "003_x",
        ),
        ({}, [], ""),
    ],
)
def test_a_record_names_its_runbook(
    given: dict[str, Any], shown: list[dict[str, Any]], runbook: str
) -> None:
    assert record(("one", shown), papermill=given).runbook == runbook


def test_of_frames_of_a_kind_the_last_counts() -> None:
    found = record(
        ("one", [frame("difference", (1, 2))]), ("two", [frame("difference", (3, None))])
    )
    assert found.rows("difference") == [{"a": 3, "b": None}]
    assert [shown.cell for shown in found.frames] == ["one", "two"]


def test_snapshots_are_found_in_the_notebook_and_beside_it(tmp_path: Path) -> None:
    frames = {"tables": {"columns": ["table"], "rows": [["t"]]}}
    taken = [{SNAPSHOT_MIME: {"when": "before", "frames": frames}}, {DECISION_MIME: DECIDED}]
    inside = record(("one", taken))
    expected = {"before": frames, "expected": {"010_t": [["table", "t", "", "table"]]}}
    assert inside.snapshots() == expected
    moved = record(("one", [{SNAPSHOT_MIME: {"when": "before", "file": "x.snapshots.json"}}]))
    notebook = tmp_path / "x.ipynb"
    notebook.write_text(json.dumps(moved.notebook))
    assert Record.read(notebook).snapshots() == {}
    (tmp_path / "x.snapshots.json").write_text(json.dumps(expected))
    assert Record.read(notebook).snapshots() == expected


@pytest.mark.parametrize("content", [b"", b"[]", b'{"cells": 1}', b"\xff"])
def test_what_is_no_notebook_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.ipynb").write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 # of several kinds, with messages of their own
        Record.read(tmp_path / "x.ipynb")


@pytest.fixture
def formatter() -> DisplayFormatter:
    made = DisplayFormatter()
    display.install(cast(InteractiveShell, SimpleNamespace(display_formatter=made)))
    return made


def test_a_frame_of_ours_is_held_as_data(formatter: DisplayFormatter) -> None:
    index = pd.MultiIndex.from_tuples([("t", "a"), ("t", "b")], names=["table", "column"])
    ours = display.named(
        pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}, index=index),
        Kind.COLUMNS,
        table="t",
    )
    bundle, _ = formatter.format(ours)
    assert bundle[FRAME_MIME] == {
        "version": 1,
        "kind": "columns",
        "table": "t",
        "columns": ["table", "column", "n"],
        "rows": [["t", "a", 1], ["t", "b", None]],
    }
    assert "<table" in bundle["text/html"]


def test_markdown_is_its_own_plain_text(formatter: DisplayFormatter) -> None:
    shown, _ = formatter.format(display.sql("SELECT 1;\nSELECT 2;"))
    assert shown["text/plain"] == shown["text/markdown"] == "```sql\nSELECT 1;\nSELECT 2;\n```"


def test_what_somebody_makes_of_a_frame_is_not(formatter: DisplayFormatter) -> None:
    """Or a part of what was verified would be taken for all of it."""
    ours = display.named(pd.DataFrame({"result": ["ok", "FAILED"]}), Kind.VERIFICATION)
    for theirs in (
        ours.head(1),
        ours[ours["result"] == "ok"],
        ours.copy(),
        pd.concat([ours, ours]),
    ):
        bundle, _ = formatter.format(theirs)
        assert FRAME_MIME not in bundle
        assert "<table" in bundle["text/html"]
