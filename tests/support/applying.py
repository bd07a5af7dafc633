"""A run for tests that has begun, without a notebook: in the ledger, and one that applies blocks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgrunbook.applying import in_transaction
from pgrunbook.applying.outcome import Outcome
from pgrunbook.ledger import install, write
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import twin_server
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks import credentials
from pgrunbook.runbooks.source import Source
from support.databases import Database

TIMEOUTS = Timeouts("150ms", "5s", "20s")


def begin(
    conn: Session,
    run_id: str,
    runbook: str = "900_x",
    *,
    schema: str = "public",
    operator: str = "ada",
) -> None:
    """Write into the ledger, which is there, that a run begins."""
    about = {"schema": schema, "operator": operator, "parameters": {"ticket": ""}}
    write.start(conn, run_id, runbook, mode="apply", **about)


@dataclass
class Applying:
    """A run that has begun, and the SQL of its runbook in a folder."""

    database: Database
    folder: Path
    servers: Path  # where the server for twins keeps its data
    before: Callable[[], object] = lambda: None  # what happens once a block has been decided about
    schema: str = "public"
    timeouts: Timeouts = TIMEOUTS

    def __post_init__(self) -> None:
        self.sessions = Sessions(Target("test", self.database.url), self.schema, "test")
        self.sessions.lock()
        self.run_id = str(uuid.uuid4())
        install.install(self.sessions.work)
        begin(self.sessions.work, self.run_id, schema=self.schema)

    @contextmanager
    def twin(self) -> Iterator[Twin]:
        """A twin of the database."""
        look = self.sessions.look
        server = twin_server.embedded_server(self.servers, self.database.server.version)
        with twin_server.make_twin(self.sessions.target, look, server, self.run_id[:8]) as made:
            yield made

    def __call__(self, sql: str, name: str = "010_block") -> Outcome:
        """Apply a block of this SQL."""
        (self.folder / "deploy").mkdir(exist_ok=True)
        (self.folder / "deploy" / f"{name}.sql").write_text(
            f"-- title: A block\n-- why: A test.\n\n{sql}\n"
        )
        source = Source.read(self.folder)
        agenda = Agenda(self.sessions, "900_x", self.schema, source)
        agenda.twins.make = self.twin

        def decide() -> Decision:
            return agenda.decide_now([source.block(name, {})])[0]

        decision = decide()
        self.before()
        return in_transaction.apply(
            self.sessions,
            decision,
            self.run_id,
            self.timeouts,
            ground=agenda.state.ground,
            decide=decide,
            ask=agenda.columns.questions,
            report=lambda _: None,
            secrets=credentials.passwords_of(self.sessions.target),
        )
