"""The answers: what is known is said, what is not is said to be unknown, nothing is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pgrunbook.records.audit_questions import NOT_SO_FAR, UNREADABLE, answers
from pgrunbook.records.format.mime_types import (
    BLOCK_MIME,
    DECISION_MIME,
    FRAME_MIME,
    PLAN_MIME,
    PROBLEMS_MIME,
    VERDICT_MIME,
)
from pgrunbook.records.questions import Question
from pgrunbook.records.record import Record
from pgrunbook.records.words import BLOCK_ROLLED_BACK, REVERT_ROLLED_BACK

IDENTITY = {
    "database": "crm",
    "host": "db.example",
    "schema": "public",
    "server_version": "18.1",
    "recovery": "primary",
    "system_identifier": "42",
    "role": "owner",
    "operator": "kim",
    "ticket": "CRM-7",
    "versions": {"pgrunbook": "0.1.0"},
}
ATTEMPT = {
    "attempt": 1,
    "pid": 77,
    "application": "report",
    "role": "reader",
    "state": "idle in transaction",
}
LOCK = {"relation": "people", "lock": "ACCESS EXCLUSIVE", "blocks": "everything", "held_ms": 3.0}
DECIDED = {
    "block": "010_people",
    "title": "People",
    "action": "apply",
    "reason": "absent",
    "sql": "ALTER TABLE people ADD nickname TEXT;",
    "source_sha256": "a" * 64,
    "makes": [],
}
SKIPPED = DECIDED | {"block": "005_old", "action": "skip", "reason": "applied before", "sql": ""}
DONE = {
    "block": "010_people",
    "event": "applied",
    "started_at": "2026-01-31T12:00:00+00:00",
    "elapsed_ms": 1234.0,
}


def frame(kind: str, *rows: Mapping[str, Any], **about: Any) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    return {
        FRAME_MIME: {
            "kind": kind,
            "columns": columns,
            "rows": [list(row.values()) for row in rows],
            **about,
        }
    }


def cell(name: str, *shown: Mapping[str, Any], state: str = "completed") -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in shown]
    papermill = {"papermill": {"status": state}}
    return {
        "cell_type": "code",
        "id": name,
        "metadata": papermill,
        "source": "",
        "outputs": outputs,
    }


def record(*cells: Mapping[str, Any], **parameters: str) -> Record:
    papermill = {
        "parameters": parameters,
        "start_time": "2026-01-31T12:00:00.5+00:00",
        "duration": 61.04,
    }
    if not any(each["metadata"]["papermill"]["status"] == "running" for each in cells):
        papermill["end_time"] = "2026-01-31T12:01:01.54+00:00"
    return Record({"cells": list(cells), "metadata": {"papermill": papermill}})


def target(**other: str) -> dict[str, Any]:
    said = {"version": 1, "kind": "identity", "target": IDENTITY | other}
    return cell("target", {FRAME_MIME: said})


def told(read: Record) -> dict[str, str]:
    """The answers by the question's first three words."""
    found = answers(read, None)
    assert [each.question for each in found] == list(Question)
    return {" ".join(each.question.split()[:3]): each.text for each in found}


def test_a_run_that_reached_nothing_says_so_and_guesses_nothing() -> None:
    read = told(
        record(
            cell("setup", state="failed"), cell("observe", state="pending"), target="service:crm"
        )
    )
    for question in (
        "What changed?",
        "Which SQL ran,",
        "What was verified,",
        "What was true",
        "Which versions of",
        "On which database?",
    ):
        assert read[question].startswith(NOT_SO_FAR), question
    assert "'service:crm'" in read["On which database?"]
    assert read["What failed, was"] == "Cell setup failed; 1 cell never ran."
    assert read["Who ran it,"] == "not known. Ticket: none given. No approved plan was given."
    assert "cannot be told" in read["Has the record"]


def test_where_it_ran_by_whom_and_when() -> None:
    read = told(record(target()))
    assert read["On which database?"] == (
        "crm on db.example, schema public; PostgreSQL 18.1, primary, system identifier 42."
    )
    assert read["Who ran it,"] == "kim as role owner. Ticket: CRM-7. No approved plan was given."
    assert read["When, and how"] == "2026-01-31 12:00:00 UTC, for 61.0 s."


def test_a_block_that_waited_names_whom_it_waited_for() -> None:
    frames = [
        frame("attempts", ATTEMPT, block="010_people"),
        frame("locks", LOCK, block="010_people"),
    ]
    read = answers(
        record(target(), cell("act", {DECISION_MIME: DECIDED}, {BLOCK_MIME: DONE}, *frames)), None
    )
    locks = next(each for each in read if each.question.startswith("Which locks"))
    assert "ACCESS EXCLUSIVE on people, at most 3 ms, in 010_people" in locks.text
    assert "in 1 attempt, for report (pid 77, reader, idle in transaction)" in locks.text
    assert locks.cell == "act"


def test_what_an_interrupted_run_had_applied_is_not_called_nothing() -> None:
    read = told(
        record(
            cell("act", {DECISION_MIME: DECIDED}, {BLOCK_MIME: DONE}),
            cell("next", state="interrupted"),
        )
    )
    assert read["What changed?"] == f"{NOT_SO_FAR} It had applied 010_people."
    assert read["When, and how"].endswith("Longest block: 010_people, 1,234 ms.")


def test_a_frame_of_another_version_costs_one_answer_only() -> None:
    read = told(record(target(), cell("before", frame("circumstances", {"other": "words"}))))
    assert [question for question, text in read.items() if text == UNREADABLE] == ["What was true"]


def test_who_approved_it_and_where_it_was_rehearsed() -> None:
    plan = {"digest": "2f" * 32, "rehearsals": ["a copy on PostgreSQL 18.4: passed (x.ipynb)"]}
    read = told(
        record(target(approved_plan="2f2f", approver="grace"), cell("plan", {PLAN_MIME: plan}))
    )
    assert read["Who ran it,"].endswith(
        "Approved: plan 2f2f by grace. Another plan would have been refused."
    )
    assert (
        read["Was it rehearsed?"]
        == "The same plan was, on a copy on PostgreSQL 18.4: passed (x.ipynb)."
    )
    assert told(record(target(), cell("plan", {PLAN_MIME: plan | {"rehearsals": []}})))[
        "Was it rehearsed?"
    ] == ("No rehearsal of this plan is in the archive.")
    rehearsal = target(mode="rehearse", rehearsed_on="a copy on PostgreSQL 18.4")
    assert told(record(rehearsal))["Was it rehearsed?"].startswith(
        "This is a rehearsal, on a copy on PostgreSQL 18.4."
    )


def test_what_was_reverted_ran_too() -> None:
    read = told(
        record(
            target(),
            cell("act", {DECISION_MIME: DECIDED}, {BLOCK_MIME: DONE | {"event": "reverted"}}),
        )
    )
    assert read["Which SQL ran,"].startswith("1 block, each shown with the SQL that was sent")


@pytest.mark.parametrize("state", ["interrupted", "failed", "running"])
def test_of_a_block_that_was_cut_off_nothing_is_denied(state: str) -> None:
    read = told(record(target(), cell("act", {DECISION_MIME: DECIDED}, state=state)))
    assert read["Which SQL ran,"] == "No block ended. Begun, and not ended: 010_people."
    assert "010_people was begun" in read["What changed?"]
    assert "No block waited" not in read["Which locks were"]
    assert "No lock on anything" not in read["Which locks were"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (BLOCK_ROLLED_BACK, "010_people was begun. The block failed and was rolled back"),
        (REVERT_ROLLED_BACK, "010_people was begun. The revert failed and was rolled back"),
        ("It is not known whether the block was committed.", "010_people was begun; how much"),
    ],
)
def test_of_a_block_that_was_rolled_back_nothing_is_there(message: str, said: str) -> None:
    act = cell("act", {DECISION_MIME: DECIDED}, state="failed")
    raised = {"output_type": "error", "ename": "Failed", "evalue": f"{message}\n  …"}
    act["outputs"].append(raised | {"traceback": []})
    assert said in told(record(target(), act))["What changed?"]


@pytest.mark.parametrize("before", [[], [{DECISION_MIME: SKIPPED}]])
def test_of_a_run_whose_runner_was_killed_nothing_is_denied(
    before: list[Mapping[str, Any]],
) -> None:
    """What the cell at work has shown is not in the record: whether its block was applied, the
    ledger tells.
    """
    read = told(
        record(
            target(),
            cell("skip", *before),
            cell("act", state="running"),
            cell("later", state="pending"),
        )
    )
    at_work = "Cell act was running when this was written: what came of it, the ledger tells."
    for question in ("What changed?", "Which SQL ran,", "Which locks were"):
        assert read[question].endswith(at_work), question
    assert "nothing was left" not in read["Which SQL ran,"]
    assert "had applied no block" not in read["What changed?"]
    assert "No block waited" not in read["Which locks were"]
    assert "No lock on anything" not in read["Which locks were"]
    assert read["What failed, was"].startswith("Cell act was running; 1 cell never ran")
    assert read["When, and how"] == "2026-01-31 12:00:00 UTC; when it ended is not on record."


def test_nothing_was_left_to_do_only_where_the_run_came_to_its_end() -> None:
    skipped = [target(), cell("act", {DECISION_MIME: SKIPPED})]
    failed = told(record(*skipped, cell("next", state="failed"), cell("later", state="pending")))
    assert failed["Which SQL ran,"] == "None is on record, and the run did not come to its end."
    assert told(record(*skipped, cell("verdict", {VERDICT_MIME: {"verdict": "passed"}})))[
        "Which SQL ran,"
    ] == ("None: nothing was left to do.")


def test_a_plan_has_begun_nothing() -> None:
    read = told(record(target(mode="plan"), cell("act", {DECISION_MIME: DECIDED}, state="failed")))
    assert read["Which SQL ran,"] == "None. To be run: 010_people."
    assert read["Which locks were"].endswith("No block waited for a lock in a transaction.")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("apply", "Nothing: what the blocks make was there already."),
        ("plan", "Nothing: a plan changes nothing."),
        ("revert", "Nothing: no block was left to revert."),
    ],
)
def test_why_nothing_changed_depends_on_the_mode(mode: str, text: str) -> None:
    (changed, *_) = answers(
        record(target(mode=mode), cell("difference", frame("difference"))), None
    )
    assert changed.text == text


def test_what_a_plan_has_tried_is_told() -> None:
    dropped = {"block": "010_a", "object": "view rich", "change": "dropped", "what": ""}
    made = {"block": "020_b", "object": "table poor", "change": "made", "what": ""}
    shown = cell("plan", frame("foreseen", dropped, made)), cell("changes", frame("difference"))
    (changed, *_) = answers(record(target(mode="plan"), *shown), None)
    assert changed.text == (
        "Nothing: a plan changes nothing. "
        "Tried on a copy without rows: Dropped: view rich. Made: table poor."
    )


def test_what_a_rehearsal_changed_is_said_to_be_on_the_copy() -> None:
    row = {"change": "added", "kind": "column", "table": "people"}
    (changed, *_) = answers(
        record(target(mode="rehearse"), cell("difference", frame("difference", row))), None
    )
    assert changed.text == "On the copy, not on the target: Added: 1 column. In people."


HAZARD = {
    "block": "020_tidy",
    "line": "4",
    "hazards": "drops_column",
    "concerns": "column deals.note",
    "size": "about 3,000 rows, 240 kB",
    "dependents": "index noted",
    "takes": "",
    "accepted": "drops_column",
}


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (
            [frame("hazards", HAZARD)],
            "020_tidy:4 drops_column, column deals.note (accepted): about 3,000 rows, 240 kB; "
            "index noted.",
        ),
        ([frame("hazards")], "Nothing: no hazard was found in what was to run."),
        ([frame("hazards", *[HAZARD] * 8)], "And 3 more, which the cell shows."),
        ([frame("preconditions", {"where": "x", "result": "ok"})], "The record does not say."),
        ([], NOT_SO_FAR),
    ],
)
def test_what_was_at_risk(outputs: list[dict[str, Any]], expected: str) -> None:
    given = {a.question: a.text for a in answers(record(cell("plan", *outputs)), None)}
    assert given["What was at risk?"].endswith(expected)


PROBLEM = {
    "what": "the column is missing",
    "where": "deals.source_id",
    "expected": "a column",
    "found": "no such column",
    "remedy": "add it",
}


def error(name: str, *problems: Mapping[str, str]) -> dict[str, Any]:
    """A cell that was refused, and shows its problems twice, as IPython asked for them twice."""
    broken = cell(name, {PROBLEMS_MIME: problems}, {PROBLEMS_MIME: problems}, state="failed")
    raised = {"output_type": "error", "ename": "Refused", "evalue": "Not ready.\n  …"}
    broken["outputs"].insert(1, raised | {"traceback": []})
    return broken


def test_what_failed_is_each_problem_with_its_remedy_once() -> None:
    other = dict.fromkeys(PROBLEM, "") | {"what": "no ledger"}
    answer = told(record(target(), error("preconditions", PROBLEM, other)))["What failed, was"]
    assert answer.splitlines() == [
        "Cell preconditions failed.",
        "deals.source_id: the column is missing. Expected: a column. Found: no such column. "
        "Remedy: add it.",
        "no ledger.",
    ]


def test_of_many_problems_the_answer_has_the_first() -> None:
    many = [PROBLEM | {"where": f"table {n}"} for n in range(23)]
    answer = told(record(error("preconditions", *many)))["What failed, was"].splitlines()
    assert answer[-2].startswith("table 19: ")
    assert answer[-1] == "And 3 more, which the cell shows."


def test_which_blocks_were_left_alone_and_why() -> None:
    adopted = SKIPPED | {"block": "007_here", "action": "adopt", "reason": "identical"}
    shown: list[Mapping[str, Any]] = [
        {DECISION_MIME: SKIPPED},
        {DECISION_MIME: SKIPPED | {"block": "006_older"}},
        {DECISION_MIME: adopted},
    ]
    begun = {"event": "adopted", "started_at": "2026-01-31T12:00:00+00:00", "elapsed_ms": 1.0}
    done = {BLOCK_MIME: begun | {"block": "007_here"}}
    skipped = ["Skipped: 2 blocks.", "005_old, 006_older: applied before."]
    after = told(record(target(), cell("act", *shown, done)))["What failed, was"]
    assert after.splitlines() == [
        "Nothing failed or was retried.",
        *skipped,
        "Adopted as they were: 1 block.",
        "007_here: identical.",
    ]
    planned = told(record(target(mode="plan"), cell("act", *shown)))["What failed, was"]
    assert "To be adopted as they are: 1 block." in planned


def test_nothing_is_said_of_a_run_of_which_there_is_nothing_to_say() -> None:
    assert told(record(target()))["What failed, was"] == "Nothing."


def effect(block: str, *rows: tuple[str, str]) -> dict[str, Any]:
    told = [{"object": name, "change": change, "what": ""} for name, change in rows]
    return frame("effect", *told, block=block)


def test_what_changed_is_what_the_catalog_said_of_each_block() -> None:
    first = effect(
        "010",
        *(("index public.i", "made"), ("function public.f()", "made"), ("view public.v", "made")),
    )
    second = effect("020", ("view public.v", "dropped"), ("table public.t", "altered"))
    columns = effect("030", *((f"table column public.t.c{n}", "made") for n in range(4)))
    rows = frame(
        "rows", {"table": "public.t", "inserted": 0, "updated": 1200, "deleted": 0}, block="030"
    )
    read = told(
        record(target(), cell("act", first, second, columns, rows), cell("x", frame("difference")))
    )
    assert read["What changed?"] == (
        "Made: function public.f(), index public.i, 4 table columns. Altered: table public.t. "
        "1,200 rows updated in public.t."
    )


def backfill(*, done: bool) -> Record:
    """A run that went on with a backfill which another one had begun, and came to its end or not."""
    run = {"run": "a", "began": "2026-01-30 22:00:00", "ended": "2026-01-31 04:00:00", "skipped": 0}
    run |= {"batches": 3, "rows": 6000, "ms": 900.0, "longest_ms": 400.0, "tried_again": 2}
    other = run | {"run": "b", "batches": 1, "rows": 2000, "skipped": 1, "tried_again": 0}
    behind = "2 pauses, 3.0 s: replica b is {} s behind (limit 5.0 s)"
    part = {"from": "2026-01-30 22:00:00", "seconds": 4.0, "rows": 6000, "rows_per_s": 1500.0}
    part |= {"lag_s": 6.5, "paused_s": 3.0, "paused": behind.format(6)}
    last = part | {"seconds": 1.0, "rows": 2000, "rows_per_s": 2000.0, "paused_s": 2.0}
    last["paused"] = behind.format(7) + "\n1 pause, 10 ms: asked to wait\nnoted: no limit holds"
    frames = [frame("batches", run, other, block="010_people")]
    calm = part | {"seconds": 0.0, "rows": 0, "rows_per_s": 0.0, "paused_s": 0.0, "paused": ""}
    frames.append(frame("backfill", part, calm, last, block="010_people"))
    shown = [{DECISION_MIME: DECIDED}, *frames]
    if done:
        return record(target(), cell("act", *shown, {BLOCK_MIME: DONE}))
    return record(target(), cell("act", *shown, state="interrupted"))


def test_of_a_backfill_it_is_told_how_fast_it_was_and_what_it_gave_way_to() -> None:
    read = told(backfill(done=True))
    assert read["When, and how"].endswith(
        " 010_people: 8,000 rows in 4 batches, 1 put aside, by 2 runs since 2026-01-30 22:00:00 "
        "UTC; 1,600 rows per second on average, 2,000 at most; longest batch 400 ms."
    )
    assert read["Which locks were"].endswith(
        " 010_people paused for 5.0 s in all: replica b is 6 s behind (limit 5.0 s); asked to "
        "wait; its batches were tried again 2 times."
    )


def test_a_backfill_that_is_not_done_has_changed_rows() -> None:
    read = told(backfill(done=False))
    assert read["What changed?"] == (
        f"{NOT_SO_FAR} It had applied no block. Of 010_people were committed 8,000 rows in 4 "
        "batches, 1 put aside, by 2 runs since 2026-01-30 22:00:00 UTC; the next run goes on from "
        "there."
    )
