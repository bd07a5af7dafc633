"""How long the application waits while runbook 001 runs behind a reader, beside psql, Alembic and
dbmate.

    .venv/bin/python benchmarks/stall.py [--reader SECONDS] [--patience SECONDS] [--clients N]
                                         [--only NAME]

Each contestant gets a fresh copy of the sample database (embedded PostgreSQL 18, fsync on), the
same blocks, the same reader, and the same application: clients that read and write the tables
concerned, by a timetable. In the first table the reader leaves some time after the contestant has
queued behind it; in the second it never does, and a contestant that does not give up is ended. The
row of nobody shows what the machine itself makes the application wait. What those that finished
have made is compared with pg_dump. Everything runs on this machine's sockets, bounded in time.
Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import peers
import psycopg
from measuring import beside

from pgrunbook.postgres import embedded

SAMPLE = peers.ROOT / "sql" / "sample.sql"
QUERIES = (
    b"SELECT id FROM deals LIMIT 1",
    b"UPDATE deals SET name = name WHERE id = (SELECT id FROM deals LIMIT 1)",
    b"SELECT id FROM contacts LIMIT 1",
    b"SELECT id FROM connections LIMIT 1",
)
ENUM = b"""
ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;
CREATE TYPE source_kind AS ENUM ('hubspot', 'salesforce', 'pipedrive', 'manual');
ALTER TABLE connections ALTER source_type DROP DEFAULT,
  ALTER source_type TYPE source_kind USING source_type::source_kind;
"""
SCHEMAS = {"CHECK": b"SELECT 1", "enum": ENUM}
NEVER_S = threading.TIMEOUT_MAX
READER_S, PATIENCE_S, CLIENTS = 10, 20, 4
ENOUGH_S = 60  # for any contestant to be done after the reader has left
PERIOD_S = 0.01  # between two questions of a client
# the runbook's default if the reader leaves; less if it never does
LOCK_BUDGET = {True: "5min", False: "8s"}


@dataclass
class Application:
    """Clients that ask by a timetable, and how long each answer took, in seconds from when it was
    due.

    A client that waited asks what it missed before it goes on: those who would have come meanwhile
    would have waited too. Counted from when it is asked, a stall of 10 s would be one slow answer a
    client, and vanish in a percentile.
    """

    conninfo: str
    clients: int
    queries: Sequence[bytes] = QUERIES
    waits: list[float] = field(default_factory=list)
    _over: float = float("inf")

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clients are at work as long as the `with` block lasts, and until everything due by
        then is answered.
        """
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over = time.perf_counter()
            for thread in threads:
                thread.join()

    def _client(self, number: int) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            due = time.perf_counter()
            while due < self._over:
                conn.execute(self.queries[number % len(self.queries)])
                now = time.perf_counter()
                self.waits.append(now - due)
                due += PERIOD_S
                time.sleep(max(due - now, 0))


@dataclass
class Reader:
    """A transaction that has read deals, and when it ended (time.perf_counter), if it has."""

    conninfo: str
    left: float = float("inf")
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def staying(self, seconds: float) -> Iterator[None]:
        """It leaves so many seconds after somebody has first queued behind it, or else with the
        `with` block.
        """
        with psycopg.connect(self.conninfo) as conn:
            conn.execute("SELECT count(*) FROM deals")
            with beside(self._stay, self._over, conn, seconds):
                yield

    def _stay(self, conn: psycopg.Connection, seconds: float) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as look:
            while not _queued(look) and not self._over.wait(0.02):
                pass
        self._over.wait(seconds)
        conn.commit()
        self.left = time.perf_counter()


def _queued(conn: psycopg.Connection) -> bool:
    waiting = (
        "SELECT FROM pg_locks WHERE relation = 'deals'::regclass AND mode = "
        "'AccessExclusiveLock' AND NOT granted"
    )
    return conn.execute(waiting).fetchone() is not None


@dataclass(frozen=True)
class Measurement:
    """One contestant on one schema: the application's waits in seconds, how the contestant ended,
    and how many seconds after the reader had left, if it was done then.
    """

    waits: list[float]
    ended: str
    after_s: float

    def row(self, contestant: str, schema: str) -> str:
        """In Markdown."""
        tail = statistics.quantiles(self.waits, n=1000, method="inclusive")[-1]
        after = f"{max(self.after_s, 0):.1f}" if self.ended == "done" else ""
        cells = (
            contestant,
            schema,
            f"{max(self.waits) * 1000:,.0f}",
            f"{tail * 1000:,.0f}",
            self.ended,
            after,
        )
        return f"| {' | '.join(cells)} | {len(self.waits):,} |"


HEADING = (
    "| | schema | longest wait, ms | 99.9 %, ms | ended | s after the reader | answers |\n"
    + "|---" * 7
    + "|"
)


@dataclass
class Benchmark:
    """The contestants, one after the other, on databases of one server."""

    server: embedded.Server
    clients: int
    patience_s: float
    _dumps: dict[str, str] = field(default_factory=dict)

    def measure(self, contestant: str, schema: str, reader_s: float) -> Measurement:
        """Run the contestant behind a reader that stays so many seconds, or NEVER_S."""
        leaves = reader_s < NEVER_S
        conninfo = self.database("stall", schema)
        with tempfile.TemporaryDirectory(prefix="stall-") as folder:
            job = peers.Job(
                self.server, "stall", peers.blocks(conninfo), Path(folder), LOCK_BUDGET[leaves]
            )
            commands = peers.CONTESTANTS[contestant](job)
            application, reader = Application(conninfo, self.clients), Reader(conninfo)
            with application.running(), reader.staying(reader_s):
                ended = peers.run(commands, reader_s + ENOUGH_S if leaves else self.patience_s)
                done = time.perf_counter()
        if ended == "done" and contestant != "nobody":
            self._compare(contestant, schema, conninfo)
        return Measurement(application.waits, ended, done - reader.left)

    def database(self, name: str, schema: str) -> str:
        """A fresh copy of the sample with this schema; its connection string."""
        with psycopg.connect(self.server.conninfo(), autocommit=True) as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        conninfo = embedded.database(self.server, name, SAMPLE)
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(SCHEMAS[schema])
            # what making the database left to write is none of the contestant's
            conn.execute("CHECKPOINT")
        return conninfo

    def _compare(self, contestant: str, schema: str, conninfo: str) -> None:
        """End the benchmark if the contestant has made something else than those before it."""
        own = (
            "--exclude-schema=pgrunbook",
            "--exclude-table=alembic_version",
            "--exclude-table=schema_migrations",
        )
        command = (self.server.bin / "pg_dump", "--schema-only", *own, conninfo)
        made = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
        made = re.sub(r"^\\(un)?restrict .*\n", "", made, flags=re.MULTILINE)
        if made != self._dumps.setdefault(schema, made):
            raise SystemExit(f"{contestant} has made another schema than the contestants before it")


def section(
    server: embedded.Server,
    reader_s: float = READER_S,
    patience_s: float = PATIENCE_S,
    clients: int = CLIENTS,
    only: Sequence[str] = (),
) -> str:
    """Measure every contestant on every schema, one after the other, behind both readers; in
    Markdown.
    """
    benchmark = Benchmark(server, clients, patience_s)
    parts = [
        f"## The application's wait, {clients} clients, {clients / PERIOD_S:.0f} questions a second"
    ]
    for stays, seconds in ((f"stays {reader_s:g} s", reader_s), ("never leaves", NEVER_S)):
        rows = [
            benchmark.measure(contestant, schema, seconds).row(contestant, schema)
            for schema in SCHEMAS
            for contestant in only or peers.CONTESTANTS
        ]
        parts += [f"A reader that {stays}:", "\n".join([HEADING, *rows])]
    return "\n\n".join(parts)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--reader",
        type=float,
        default=READER_S,
        help=f"seconds that the reader stays (default {READER_S})",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        help=f"seconds given to those whom it does not leave (default {PATIENCE_S})",
    )
    parser.add_argument(
        "--clients",
        type=int,
        default=CLIENTS,
        help=f"clients of the application (default {CLIENTS})",
    )
    parser.add_argument(
        "--only",
        choices=peers.CONTESTANTS,
        action="append",
        help="only this contestant; repeatable",
    )
    return parser.parse_args()


def main() -> None:
    """Measure, and print."""
    given = options()
    peers.install()
    with tempfile.TemporaryDirectory(prefix="stall-") as folder:
        server = embedded.start(Path(folder, "pg"), 18)
        print(section(server, given.reader, given.patience, given.clients, given.only or ()))
        server.stop()


if __name__ == "__main__":
    main()
