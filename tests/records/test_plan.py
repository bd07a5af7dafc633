"""Plans: what is said of two that differ."""

from __future__ import annotations

from dataclasses import replace

from pgrunbook.records.plan import Plan, Step, differences

TARGET = {"database": "crm", "system identifier": "7", "schema": "public"}
PLAN = Plan(
    "001_x",
    "apply",
    TARGET,
    [Step("010_a", "apply", "CREATE TABLE a (\n  b int,\n  c int,\n  d int\n);")],
    {},
    {},
)


def test_lines_that_have_changed_places_are_shown() -> None:
    moved = replace(
        PLAN,
        steps=[PLAN.steps[0]._replace(sql="CREATE TABLE a (\n  c int,\n  b int,\n  d int\n);")],
    )
    (problem,) = differences(PLAN, moved)
    assert (problem.what, problem.where) == ("other SQL is to run now", "010_a")
    assert problem.expected
    assert problem.found
    assert {problem.expected.strip(), problem.found.strip()} <= {"b int,", "c int,"}


def test_a_line_that_is_there_twice_now_is_shown() -> None:
    step = PLAN.steps[0]
    twice = replace(PLAN, steps=[step._replace(sql=f"{step.sql}\n{step.sql}")])
    (problem,) = differences(PLAN, twice)
    assert (problem.expected, problem.found) == ("", step.sql)


def test_another_action_with_the_same_sql_is_shown() -> None:
    (problem,) = differences(PLAN, replace(PLAN, steps=[PLAN.steps[0]._replace(action="complete")]))
    assert (problem.expected, problem.found) == ("apply:", "complete:")


def test_the_same_plan_has_the_same_digest_after_it_was_written() -> None:
    assert Plan.read(PLAN.data).digest == PLAN.digest
    assert not list(differences(PLAN, Plan.read(PLAN.data)))


def test_files_that_differ_in_the_last_digit_of_their_digests_look_different() -> None:
    one, other = (
        replace(PLAN, files={"sql/001_x/deploy/010_a.sql": "a" * 63 + digit}) for digit in "bc"
    )
    (problem,) = differences(one, other)
    assert (problem.expected[-2:], problem.found[-2:]) == ("ab", "ac")
