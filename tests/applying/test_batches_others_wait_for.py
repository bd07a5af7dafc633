"""Batches that somebody waits for: they are left in time, that is recorded, and it has an end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.backfilling import Backfilling
from support.databases import Database, application

from pgrunbook.applying import broken_rows
from pgrunbook.errors import Failed

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

LOCK = "SELECT pg_advisory_xact_lock(7)"

# The application wants the same advisory lock; each row takes its time.
SLOWLY = (
    "UPDATE t SET n = n + 1 FROM (SELECT pg_advisory_xact_lock(7)) AS taken "
    "WHERE id > :from AND id <= :to AND pg_sleep({}) IS NOT NULL"
)


@pytest.fixture
def backfill(empty: Database, tmp_path: Path) -> Backfilling:
    empty.load("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    empty.load("INSERT INTO t SELECT generate_series(1, 40)")
    return Backfilling(empty, tmp_path, SLOWLY.format(0.01), "batch: t by id; 40 rows")


def test_a_batch_that_is_left_is_recorded_with_who_waited_for_it(backfill: Backfilling) -> None:
    with application(backfill.database, LOCK) as waits:
        assert backfill()
    assert max(waits) < 0.4
    attempts, waited_for = backfill.database.execute(
        "SELECT attempts, waited_for FROM pgrunbook.batches ORDER BY id LIMIT 1"
    )[0]
    assert attempts > 1
    assert waited_for[0]["application"] == "shop"
    assert waited_for[0]["state"] == "waited for us"
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


def test_a_row_that_others_wait_too_long_for_ends_it_once_lock_budget_is_used_up(
    backfill: Backfilling,
) -> None:
    backfill.sql, backfill.header = SLOWLY.format(1), "batch: t by id; 1 row\nuntil: 15 s"
    with application(backfill.database, LOCK) as waits, pytest.raises(Failed) as raised:
        backfill()
    (problem,) = raised.value.problems
    assert "(shop, postgres), waited for us" in problem.found
    assert "lock_budget" in problem.remedy
    assert max(waits) < 0.4


def test_rows_before_a_broken_one_become_fewer_where_somebody_waits(
    backfill: Backfilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has waited until that row was found; the 34 before it take twice as long as may be."""
    backfill.database.execute("ALTER TABLE t ADD CONSTRAINT small CHECK (n < 1 OR id <> 35)")
    backfill.header += "\nskip: rows that break a constraint\nuntil: 15 s"
    with ExitStack() as stack:
        waits: list[list[float]] = []

        def find(rows: int, _: object) -> int:
            if not waits:
                waits.append(stack.enter_context(application(backfill.database, LOCK)))
            return min(rows - 1, 34)

        monkeypatch.setattr(broken_rows, "count_before_broken", find)
        assert backfill()
    assert max(waits[0]) < 0.4
    assert backfill.database.execute("SELECT id FROM t WHERE n <> 1") == [(35,)]
    assert backfill.gaps() == []


def test_nobody_waits_while_a_broken_row_is_looked_for(
    backfill: Backfilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    backfill.database.execute("ALTER TABLE t ADD CONSTRAINT small CHECK (n < 1 OR id <> 35)")
    backfill.header += "\nskip: rows that break a constraint\nuntil: 15 s"
    backfill.sql = SLOWLY.format(0.03)  # 20 rows, the half of them, take 600 ms
    found = broken_rows.count_before_broken
    with ExitStack() as stack:
        waits: list[list[float]] = []

        def find(rows: int, breaks: Callable[[int], bool]) -> int:
            if not waits:
                waits.append(stack.enter_context(application(backfill.database, LOCK)))
            return found(rows, breaks)

        monkeypatch.setattr(broken_rows, "count_before_broken", find)
        assert backfill()
    assert max(waits[0]) < 0.4
    assert backfill.database.execute("SELECT id FROM t WHERE n <> 1") == [(35,)]


def test_nobody_waits_for_a_trigger_that_is_deferred(backfill: Backfilling) -> None:
    backfill.sql = SLOWLY.format(0)
    backfill.header += "\nuntil: 40 s"
    backfill.database.load(
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION later()"
    )
    with application(backfill.database, LOCK) as waits:
        assert backfill()
    assert max(waits) < 0.4
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
