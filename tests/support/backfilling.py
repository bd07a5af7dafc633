"""A block in batches for tests: its file, and runs of it without a notebook, each with sessions of
its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import psycopg

from pgrunbook.applying import in_batches
from pgrunbook.applying.outcome import Outcome
from pgrunbook.applying.pace import Pace
from pgrunbook.errors import RunbookError
from pgrunbook.ledger import batches, install
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target
from pgrunbook.records.format.parts import Progress
from pgrunbook.runbooks.source import Source
from support.applying import begin
from support.databases import Database

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
    steady: bool = True  # its batches have the size that the header says, however long they take
    told: list[Progress] = field(default_factory=list)  # of its progress

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
        run_id = str(uuid.uuid4())
        target = Target("test", self.url or self.database.url)
        sessions = Sessions(target, "public", f"{run_id[:8]} 900_x")
        try:
            sessions.lock()
            install.install(sessions.work)
            begin(sessions.work, run_id)
            decision = self.decide(self.agenda(sessions))
            assert not decision.problems, decision.problems
            if decision.action is Action.SKIP:
                return None
            before(sessions)
            with patch.object(Pace, "note_batch", _stay) if self.steady else nullcontext():
                return in_batches.apply(
                    sessions,
                    decision,
                    run_id,
                    Timeouts("150ms", "5s", "3s"),
                    runbook="900_x",
                    report=lambda _: None,
                    progress=self.told.append,
                )
        finally:
            sessions.close()

    def quietly(self) -> None:
        """Run it, whatever comes of it."""
        with suppress(RunbookError, psycopg.Error):
            self()

    def batches(self) -> list[tuple[object, ...]]:
        """Each batch of the ledger: from, to, rows."""
        return self.database.execute(
            "SELECT from_key[1], to_key[1], rows FROM pgrunbook.batches ORDER BY id"
        )

    def gaps(self) -> list[dict[str, object]]:
        """What the ledger's batches do not cover."""
        with self.database.connect() as conn:
            conn.execute("SET search_path = pg_catalog")
            return batches.gaps(conn, "900_x", "public", BLOCK)


def _stay(*_: object) -> None:
    """In place of what tunes the size of a batch."""
