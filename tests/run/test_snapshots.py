"""Which snapshots a run puts into its record, whether or not the runbook looks again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from support.databases import Database

from pgrunbook.planning import checks
from pgrunbook.run import display
from pgrunbook.run.begin import begin
from pgrunbook.run.run import Run

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

CELLS = [
    {
        "cell_type": "code",
        "metadata": {"tags": ["parameters"]},
        "source": 'target = ""\nmode = "apply"',
    },
    {"cell_type": "code", "metadata": {}, "source": 'run.apply("010_t")'},
]


@pytest.fixture
def run(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Of a runbook that makes a table, up to the preconditions."""
    (tmp_path / "pgrunbook.toml").touch()
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "001_t.ipynb").write_text(json.dumps({"cells": CELLS}))
    for kind, sql in {
        "deploy": "CREATE TABLE t (id int);",
        "verify": "TABLE t;",
        "revert": "DROP TABLE t;",
    }.items():
        (tmp_path / "sql" / "001_t" / kind).mkdir(parents=True)
        (tmp_path / "sql" / "001_t" / kind / "010_t.sql").write_text(
            f"-- title: t\n-- why: t\n\n{sql}\n"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TARGET", empty.url)
    made = begin("001_t", {"target": "env:TARGET", "mode": "apply"})
    made.preconditions()
    return made


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The snapshots that were put into the record: when each was taken, and how many tables it
    has.
    """
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(
        display, "snapshot", lambda snapshot, when: found.append((when, len(snapshot.tables)))
    )
    return found


def finish(run: Run) -> None:
    run.verify()
    run.verdict()


def test_what_was_observed_after_the_last_block_is_the_end(
    run: Run, taken: list[tuple[str, int]]
) -> None:
    run.observe()
    run.apply("010_t")
    run.observe()
    finish(run)
    assert taken == [("before", 0), ("after", 1)]


@pytest.mark.parametrize("looks", [1, 2])
def test_what_nobody_observed_at_the_end_is_observed_there(
    run: Run, taken: list[tuple[str, int]], looks: int
) -> None:
    for _ in range(looks):
        run.observe()
    run.apply("010_t")
    finish(run)
    assert taken == [*[("before", 0), ("after", 0)][:looks], ("after", 1)]


def test_a_runbook_that_observes_nothing_has_none(run: Run, taken: list[tuple[str, int]]) -> None:
    run.apply("010_t")
    finish(run)
    assert taken == []


def shown(frame: pd.DataFrame) -> str:
    """A frame as HTML."""
    return str(display._bundle(frame)["text/html"])


def test_what_is_of_use_when_something_is_wrong_is_folded(run: Run) -> None:
    before = run.observe("t")
    for frame in (run.files, before.columns, before.constraints, before.indexes, before.types):
        assert "<details><summary>" in shown(frame)
        assert "<details>" not in shown(frame.iloc[:0]), "what is made of it is somebody else's"
    assert "<details>" not in shown(before.tables)
    assert "<summary>4 files</summary>" in shown(run.files)
    assert "010_t " in display._bundle(run.files)["text/plain"]
    run.apply("010_t")
    assert "<summary>1 column</summary>" in shown(run.observe("t").columns)


def test_the_preconditions_are_folded_only_if_all_of_them_hold(run: Run) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert re.search(r"<summary>\d+ checks, all ok</summary>", shown(run.preconditions()))
        odd = checks.CheckResult("x", "behaviour", not_run="mode plan")
        patch.setattr(run._preparation, "check", lambda: [odd])
        assert "<details>" not in shown(run.preconditions())


def test_a_run_shows_the_parameters_that_are_not_as_by_default(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[pd.DataFrame] = []
    monkeypatch.setattr(display, "frame", frames.append)
    run._ipython_display_()
    (given,) = frames
    assert given.reset_index().to_dict("records") == [
        {"parameter": "target", "value": "env:TARGET", "default": "embedded"}
    ]
    assert run.target.loc["given", "value"] == "target = 'env:TARGET'"


def test_the_guide_is_shown_by_the_run(run: Run) -> None:
    assert "| `lock_timeout` |" in run.help().data


def test_tables_of_several_schemas_are_called_by_theirs(empty: Database, run: Run) -> None:
    empty.load(
        "CREATE SCHEMA app; CREATE SCHEMA \"Odd\"; CREATE TYPE mood AS ENUM ('ok');"
        'CREATE TABLE app.t (id bigint PRIMARY KEY, m mood); CREATE TABLE "Odd"."t.x" (id int);'
        "CREATE TABLE here (m mood)"
    )
    run.observe("here", "app.t", '"Odd"."t.x"')
    run.apply("010_t")
    empty.load("ALTER TABLE app.t ADD n text")
    taken = run.observe()
    assert {*taken.tables.index} == {"here", "t", "app.t", '"Odd"."t.x"'}
    assert taken.columns.loc[("app.t", "id"), "type"] == "bigint"
    assert [*taken.constraints.index] == [("app.t", "t_pkey")]
    assert taken.types.loc["mood", "used_by"] == "here.m, t.m"
    assert ("added", "column", "app.t", "n") in run.changes().index
    assert [*run.columns("app.t").index] == ["id", "m", "n"]
    expected = run.expect(["app.t", "t"], {"id": "bigint"})
    assert [*expected["as_expected"]] == ["yes", "NO"]
    expected = run.expect(["public.here", "here", '"app"."t"'], {"m": "mood"})
    assert [*expected["as_expected"]] == ["yes"] * 3
    assert [*run.columns("public.here").index] == ["m"]
    assert run.expect([], {"m": "mood"}).empty
    finish(run)


def test_a_block_of_another_schema_is_observed_there(
    empty: Database, run: Run, tmp_path: Path
) -> None:
    empty.load("CREATE SCHEMA app; CREATE TABLE app.u (id int); CREATE TABLE app.v (id int)")
    file = tmp_path / "sql" / "001_t" / "deploy" / "010_t.sql"
    sql = "ALTER TABLE u ADD a int; ALTER TABLE app.v ADD a int; CREATE TABLE public.t (id int);"
    run.close()
    file.write_text(f"-- title: t\n-- why: t\n-- search_path: app\n\n{sql}\n")
    again = begin("001_t", {"target": "env:TARGET", "mode": "apply"})
    again.preconditions()
    assert {*again.observe().tables.index} == {"app.u", "app.v"}
    again.apply("010_t")
    finish(again)
