"""What is done with a block, from what the ledger says of it and what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pgrunbook.errors import Problem
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning import decisions, reversion
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.judgement import Judgement
from pgrunbook.planning.remains import Remains
from pgrunbook.runbooks.blocks import Admits, Block
from pgrunbook.runbooks.facts import Fact, Facts
from pgrunbook.runbooks.source import Source

SQL = """-- title: t
-- why: w

CREATE TABLE t (id uuid PRIMARY KEY, a text NOT NULL DEFAULT 'x');
CREATE INDEX i ON t (a);
COMMENT ON TABLE t IS 'A table';
"""
VALUE = Fact("value", "t", "a")
CHECK = Fact("check", "t", "a_check")


@pytest.fixture
def block(tmp_path: Path) -> Block:
    return of(tmp_path, SQL)


@pytest.fixture
def admitting(tmp_path: Path) -> Block:
    made = of(tmp_path, "-- title: t\n-- why: w\n\nALTER TABLE t ADD CHECK (a <> 'y');\n")
    return replace(made, admits=Admits("t", "a", "y"), facts={VALUE: "y", CHECK: "y"})


def of(folder: Path, sql: str) -> Block:
    (folder / "deploy").mkdir(exist_ok=True)
    (folder / "deploy" / "010_t.sql").write_text(sql)
    return Source.read(folder).block("010_t", {})


def entry(block: Block, facts: Facts | None = None, event: str = "applied") -> Entry:
    return Entry(
        block=block.name,
        event=event,
        run_id="0123456789",
        revision=0,
        sql=block.sql,
        source_sha256=block.source_sha256,
        tree_sha256=block.tree_sha256,
        variants=(),
        facts=facts or {},
        finished_at=datetime(2026, 1, 2, 3, 4),
    )


def problems(decision: Decision) -> str:
    return "\n".join(line for problem in decision.problems for line in problem.lines())


def row(name: str, kind: str, on_table: str | None = None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "on_table": on_table, "owner": "ada"}


# -- a block that the ledger lacks


REFUSED = Judgement(Action.REFUSE, problems=(Problem("fails on the twin"),))


@pytest.mark.parametrize("name", ["t", "i"])
@pytest.mark.parametrize(("kind", "on"), [("view", None), ("index", "deals"), ("enum", None)])
def test_a_name_that_is_taken_is_refused(
    block: Block, name: str, kind: str, on: str | None
) -> None:
    decision = decisions.decide_judged(block, REFUSED, None, {name: row(name, kind, on)})
    assert decision.action is Action.REFUSE
    assert [problem.what for problem in decision.problems] == [f"the name {name} is taken"]
    assert f"{kind} {name}" in problems(decision)


def test_what_a_block_makes_itself_has_taken_no_name(block: Block) -> None:
    names = {"t": row("t", "partitioned table"), "i": row("i", "index", "t")}
    assert problems(decisions.decide_judged(block, REFUSED, None, names)) == "fails on the twin"


def test_a_name_that_a_block_frees_is_not_taken(tmp_path: Path) -> None:
    frees = of(
        tmp_path,
        "DROP INDEX i; CREATE INDEX i ON b (m); ALTER TABLE t RENAME TO old; CREATE TABLE t ();"
        "ALTER TABLE moved SET SCHEMA s; CREATE VIEW moved AS SELECT 1; CREATE INDEX j ON t (a);"
        "CREATE TABLE u (); CREATE INDEX k ON u (a); ALTER TABLE u RENAME TO w;"
        "CREATE INDEX l ON b (m); CREATE TABLE v (); ALTER TABLE v ADD l int; DROP TABLE v",
    )
    assert decisions.given_names([frees]) == ["j", "l", "old", "w"]


def test_what_the_twin_has_found_there_was_there_before(block: Block) -> None:
    there = {Object("table", "public.t"): Definition({"owner": "ada"})}
    judgement = Judgement(Action.COMPLETE, (1, 2), there=there)
    decision = decisions.decide_judged(block, judgement, None, {})
    assert (decision.action, decision.kept, decision.wanted) == (
        Action.COMPLETE,
        frozenset(there),
        there,
    )
    assert "CREATE TABLE" not in decision.sql


# -- a block that was begun


def test_a_block_that_was_begun_is_completed_with_what_is_left(block: Block) -> None:
    begun = replace(entry(block, event="started"), kept=frozenset([("index", "public.i")]))
    left = Remains((2,), broken=("index t.i",), repairs=('DROP INDEX CONCURRENTLY "i"',))
    decision = decisions.decide_begun(block, left, {}, begun, {})
    assert (decision.action, decision.statements, decision.revision) == (Action.COMPLETE, (2,), 1)
    assert decision.reason == "started by run 01234567 and not finished; left half done: index t.i"
    assert decision.kept == begun.kept
    assert decision.sql.startswith('DROP INDEX CONCURRENTLY "i";\nCOMMENT')


def test_what_somebody_else_has_made_meanwhile_refuses_it(block: Block) -> None:
    strange = Problem("index t.i is there, and no run has made it")
    left = Remains((), problems=(strange,))
    decision = decisions.decide_begun(block, left, {}, entry(block, event="started"), {})
    assert (decision.action, decision.problems) == (Action.REFUSE, (strange,))


# -- a column that is to accept a value


@pytest.mark.parametrize(
    ("found", "action"),
    [
        ({}, Action.APPLY),
        ({CHECK: "y"}, Action.APPLY),
        ({VALUE: "y", CHECK: "y"}, Action.ADOPT),
    ],
)
def test_a_value_is_let_in_where_it_is_not(admitting: Block, found: Facts, action: Action) -> None:
    decision = decisions.decide_admitting(admitting, found, None)
    assert (decision.action, decision.kept) == (action, frozenset(found))


def test_blocks_of_two_columns_that_share_a_domain_have_its_name_in_common(
    admitting: Block,
) -> None:
    of_domain = {Fact("check", "source_name", "known"): "y"}
    one, other = (
        replace(admitting, admits=Admits(table, "a", "y"), facts=of_domain) for table in "tu"
    )
    assert "source_name" in one.names & other.names


def test_a_value_that_is_not_let_in_any_more_was_altered(admitting: Block) -> None:
    done = entry(admitting, admitting.facts)
    assert decisions.decide_recorded(admitting, admitting.facts, done).action is Action.SKIP
    decision = decisions.decide_recorded(admitting, {CHECK: "y"}, done)
    assert decision.action is Action.REFUSE
    assert "value t.a was applied and then altered" in problems(decision)
    assert "found:    absent" in problems(decision)


# -- a block that the ledger has


def test_applied_and_unchanged_is_skipped(block: Block) -> None:
    decision = decisions.decide_recorded(block, {}, entry(block))
    assert decision.action is Action.SKIP
    assert "2026-01-02" in decision.reason


def test_a_block_edited_since_is_refused(block: Block, tmp_path: Path) -> None:
    edited = of(tmp_path, SQL.replace("a text", "a varchar"))
    decision = decisions.decide_recorded(edited, {}, entry(block))
    assert decision.action is Action.REFUSE
    assert "the file was edited" in problems(decision)


def test_a_comment_added_to_the_file_is_no_edit(block: Block, tmp_path: Path) -> None:
    commented = of(tmp_path, SQL + "-- bye\n")
    assert decisions.decide_recorded(commented, {}, entry(block)).action is Action.SKIP


def test_what_is_not_as_the_block_left_it_refuses_it(block: Block) -> None:
    gone = Problem("table public.t is gone")
    decision = decisions.decide_recorded(block, {}, entry(block), [gone])
    assert (decision.action, decision.problems) == (Action.REFUSE, (gone,))


def test_a_repeatable_block_that_was_edited_is_applied_anew(tmp_path: Path) -> None:
    view = "-- title: v\n-- why: w\n-- repeatable: yes\n\nCREATE OR REPLACE VIEW v AS SELECT {};"
    done = entry(of(tmp_path, view.format(1)))
    assert decisions.decide_recorded(of(tmp_path, view.format(1)), {}, done).action is Action.SKIP
    again = decisions.decide_recorded(of(tmp_path, view.format(2)), {}, done)
    assert (again.action, again.statements, again.revision) == (Action.APPLY, (0,), 1)


def test_variants_of_which_an_older_ledger_kept_no_variables_are_not_said_to_lack_a_script(
    block: Block, tmp_path: Path
) -> None:
    recorded = replace(entry(block), variants=("check",))
    decision = reversion.decide(
        block, {}, recorded, {}, (), everything, Source.read(tmp_path), {}, discard=False
    )
    assert [problem.what for problem in decision.problems] == [
        "was applied before the ledger kept what it takes to undo it"
    ]


def everything(undo: Block) -> Remains:
    return Remains(tuple(range(len(undo.statements))))
