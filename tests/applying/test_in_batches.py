"""A block in batches, without a notebook: what it changes, what the ledger has of it, and how it
goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.databases import Database

from pgrunbook.applying import in_batches
from pgrunbook.applying.outcome import Outcome
from pgrunbook.ledger import batches, ledger
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

on_18 = pytest.mark.parametrize("server", [18], indirect=True)
BLOCK = "010_fill"
FILL = "UPDATE t SET n = n + 1 WHERE id > :from AND id <= :to"


@dataclass
class Backfilling:
    """A runbook of one block in batches, and runs of it, each with sessions of its own."""

    database: Database
    folder: Path
    sql: str = FILL
    header: str = "batch: t by id; 10 rows"
    url: str = ""

    def decide(self, agenda: Agenda) -> Decision:
        """What is to be done with the block."""
        return agenda.decide_now([agenda.source.block(BLOCK, {})])[0]

    def agenda(self, sessions: Sessions) -> Agenda:
        """The files as they are now."""
        (self.folder / "deploy").mkdir(exist_ok=True)
        path = self.folder / "deploy" / f"{BLOCK}.sql"
        header = "\n-- ".join(["title: Fill it", "why: A test.", *self.header.split("\n")])
        path.write_text(f"-- {header}\n{self.sql};\n")
        return Agenda(sessions, "900_x", "public", Source.read(self.folder))

    def __call__(self, before: Callable[[Sessions], object] = lambda _: None) -> Outcome | None:
        """Run it; None if there is nothing left to do."""
        sessions = Sessions(Target("test", self.url or self.database.url), "public", "test")
        try:
            sessions.lock()
            run_id = str(uuid.uuid4())
            ledger.install(sessions.work)
            about = {
                "schema": "public",
                "mode": "apply",
                "operator": "",
                "parameters": {"ticket": ""},
            }
            ledger.start(sessions.work, run_id, "900_x", **about)
            decision = self.decide(self.agenda(sessions))
            assert not decision.problems, decision.problems
            if decision.action is Action.SKIP:
                return None
            before(sessions)
            return in_batches.apply(
                sessions,
                decision,
                run_id,
                Timeouts("150ms", "5s", "3s"),
                runbook="900_x",
                report=lambda _: None,
                progress=lambda _: None,
            )
        finally:
            sessions.close()

    def batches(self) -> list[tuple[object, ...]]:
        """Each batch of the ledger: from, to, rows."""
        return self.database.execute(
            "SELECT from_key[1], to_key[1], rows FROM pgrunbook.batches ORDER BY id"
        )

    def gaps(self) -> list[dict[str, object]]:
        """What the ledger's batches do not cover."""
        with self.database.connect() as conn:
            conn.execute("SET search_path = pg_catalog")
            return batches.gaps(conn, "900_x", "public", BLOCK, 0)


@pytest.fixture
def backfill(empty: Database, tmp_path: Path) -> Backfilling:
    empty.load("CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    return Backfilling(empty, tmp_path)


def filled(database: Database, rows: int) -> None:
    database.execute("INSERT INTO t (id) SELECT g * 3 FROM generate_series(1, %s) g", [rows])


def test_each_row_is_changed_once_in_batches_of_the_size_that_is_asked_for(
    backfill: Backfilling,
) -> None:
    filled(backfill.database, 25)
    done = backfill()
    assert done
    assert done.event == "applied"
    assert backfill.batches() == [(None, "30", 10), ("30", "60", 10), ("60", "75", 5)]
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    assert backfill.gaps() == []
    events = backfill.database.execute(
        "SELECT event, revision, rows_written FROM pgrunbook.blocks ORDER BY id"
    )
    written = [{"relation": "public.t", "inserted": 0, "updated": 25, "deleted": 0}]
    assert events == [("started", 0, None), ("applied", 1, written)]
    assert backfill() is None
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


@pytest.mark.parametrize("rows", [0, 1, 10, 20])
def test_the_last_batch_is_whole_or_there_is_none(backfill: Backfilling, rows: int) -> None:
    filled(backfill.database, rows)
    assert backfill()
    assert sum(row[2] for row in backfill.batches()) == rows
    assert backfill.gaps() == []
    assert backfill.database.execute("SELECT count(*) FROM t WHERE n <> 1") == [(0,)]
    assert backfill() is None
