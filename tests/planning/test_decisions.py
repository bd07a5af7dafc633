"""What is done with a block, from what is there and what the ledger says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pgrunbook.errors import Problem
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning import reversion
from pgrunbook.planning.decisions import Action, Decision, decide
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.source import Source
from pgrunbook.sqltext.shape import Facts, Key

SQL = """-- title: t
-- why: w

CREATE TABLE t (id uuid PRIMARY KEY, a text NOT NULL DEFAULT 'x');
CREATE INDEX i ON t (a);
COMMENT ON TABLE t IS 'A table';
"""
COLUMN = "ALTER TABLE t ADD COLUMN IF NOT EXISTS b jsonb DEFAULT '{}';"


@pytest.fixture
def block(tmp_path: Path) -> Block:
    return of(tmp_path, SQL)


def of(folder: Path, sql: str) -> Block:
    (folder / "deploy").mkdir(exist_ok=True)
    (folder / "deploy" / "010_t.sql").write_text(sql)
    return Source.read(folder).block("010_t", {})


def entry(block: Block, facts: Facts | None = None) -> Entry:
    return Entry(
        block=block.name,
        event="applied",
        run_id="0123456789",
        revision=0,
        sql=block.sql,
        source_sha256=block.source_sha256,
        tree_sha256=block.tree_sha256,
        variants=(),
        facts=block.facts if facts is None else facts,
        finished_at=datetime(2026, 1, 2, 3, 4),
    )


def without(block: Block, *keys: Key) -> dict[Key, str]:
    return {key: value for key, value in block.facts.items() if key not in keys}


def problems(decision: Decision) -> str:
    return "\n".join(line for problem in decision.problems for line in problem.lines())


def test_absent_is_applied_whole(block: Block) -> None:
    decision = decide(block, {}, {}, None)
    assert (decision.action, decision.statements) == (Action.APPLY, (0, 1, 2))
    assert decision.sql == block.sql


def test_identical_is_adopted(block: Block) -> None:
    assert decide(block, block.facts, {"t": "table t", "i": "index i"}, None).action is Action.ADOPT


def test_a_missing_index_is_completed(block: Block) -> None:
    decision = decide(block, without(block, Key("index", "t", "i")), {"t": "table t"}, None)
    assert (decision.action, decision.statements) == (Action.COMPLETE, (1, 2))
    assert "CREATE TABLE" not in decision.sql


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({Key("column", "t", "a"): "bigint"}, "column t.a is not as expected"),
        ({Key("default", "t", "a"): "'y'"}, "default t.a is not as expected"),
        ({Key("column", "t", "extra"): "text"}, "column t.extra is not as expected"),
        ({Key("constraint", "t", "c"): "CHECK (true)"}, "constraint t.c is not as expected"),
        ({Key("index", "t", "u"): "UNIQUE INDEX ON t (a)"}, "index t.u is not as expected"),
    ],
)
def test_another_shape_is_refused_and_shown(
    block: Block, change: dict[Key, str], said: str
) -> None:
    decision = decide(block, dict(block.facts) | change, {}, None)
    assert decision.action is Action.REFUSE
    assert said in problems(decision)
    assert next(iter(change.values())) in problems(decision)


@pytest.mark.parametrize("kind", ["column", "not null", "default", "constraint"])
def test_a_table_that_lacks_something_is_refused(block: Block, kind: str) -> None:
    gone = next(key for key in block.facts if key.kind == kind)
    decision = decide(block, without(block, gone), {}, None)
    assert decision.action is Action.REFUSE
    assert "found:    absent" in problems(decision)


def test_an_index_more_that_enforces_nothing_is_the_dbas_own(block: Block) -> None:
    assert (
        decide(
            block, dict(block.facts) | {Key("index", "t", "own"): "INDEX ON t (a)"}, {}, None
        ).action
        is Action.ADOPT
    )


@pytest.mark.parametrize("name", ["t", "i", "t_pkey"])
def test_a_name_that_is_taken_is_refused(block: Block, name: str) -> None:
    decision = decide(block, {}, {name: f"view {name}"}, None)
    assert decision.action is Action.REFUSE
    assert f"the name {name} is taken" in problems(decision)
    assert f"view {name}" in problems(decision)


@pytest.mark.parametrize(
    ("there", "action"),
    [
        ({}, Action.APPLY),
        ({Key("column", "t", "b"): "jsonb", Key("default", "t", "b"): "'{}'"}, Action.ADOPT),
        ({Key("column", "t", "b"): "jsonb"}, Action.ADOPT),
        ({Key("column", "t", "b"): "jsonb", Key("default", "t", "b"): "'[]'"}, Action.ADOPT),
        ({Key("column", "t", "b"): "text"}, Action.REFUSE),
    ],
)
def test_if_not_exists_asks_for_the_type_alone(
    tmp_path: Path, there: Facts, action: Action
) -> None:
    found = {Key("table", "t"): "table", Key("column", "t", "other"): "text", **there}
    assert decide(of(tmp_path, COLUMN), found, {}, None).action is action


def test_applied_and_unchanged_is_skipped(block: Block) -> None:
    decision = decide(block, block.facts, {}, entry(block))
    assert decision.action is Action.SKIP
    assert "2026-01-02" in decision.reason


def test_a_block_edited_since_is_refused(block: Block, tmp_path: Path) -> None:
    edited = of(tmp_path, SQL.replace("a text", "a varchar"))
    decision = decide(edited, block.facts, {}, entry(block))
    assert decision.action is Action.REFUSE
    assert "the file was edited" in problems(decision)


def test_a_comment_added_to_the_file_is_no_edit(block: Block, tmp_path: Path) -> None:
    assert (
        decide(of(tmp_path, SQL + "-- bye\n"), block.facts, {}, entry(block)).action is Action.SKIP
    )


def test_what_is_not_as_the_block_left_it_refuses_it(block: Block) -> None:
    gone = Problem("table public.t is gone")
    decision = decide(block, {}, {}, entry(block), [gone])
    assert (decision.action, decision.problems) == (Action.REFUSE, (gone,))


def test_a_repeatable_block_that_was_edited_is_applied_anew(tmp_path: Path) -> None:
    view = "-- title: v\n-- why: w\n-- repeatable: yes\n\nCREATE OR REPLACE VIEW v AS SELECT {};"
    done = entry(of(tmp_path, view.format(1)))
    assert decide(of(tmp_path, view.format(1)), {}, {}, done).action is Action.SKIP
    again = decide(of(tmp_path, view.format(2)), {}, {}, done)
    assert (again.action, again.statements, again.revision) == (Action.APPLY, (0,), 1)


def test_a_block_of_which_the_target_cannot_take_anything_is_refused(block: Block) -> None:
    decision = decide(replace(block, problems=(Problem("cannot"),)), {}, {}, None)
    assert (decision.action, problems(decision)) == (Action.REFUSE, "cannot")


def test_variants_of_which_an_older_ledger_kept_no_variables_are_not_said_to_lack_a_script(
    block: Block, tmp_path: Path
) -> None:
    recorded = replace(entry(block), variants=("check",))
    decision = reversion.decide(
        block, block.facts, recorded, {}, (), Source.read(tmp_path), {}, discard=False
    )
    assert [problem.what for problem in decision.problems] == [
        "was applied before the ledger kept what it takes to undo it"
    ]
