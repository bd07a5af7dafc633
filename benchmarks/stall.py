"""How long the application waits while runbook 001 runs behind a reader that does not leave, beside plain psql.

    .venv/bin/python benchmarks/stall.py [--reader SECONDS] [--clients N]

Each contestant gets a fresh copy of the sample database (embedded PostgreSQL 18, fsync on), the same blocks, the same
reader, and the same application: clients that read and write the tables concerned, as fast as they are answered.
Bounded by the reader's time; everything runs on this machine's sockets. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from pgrunbook import embedded

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "sql" / "001_import_connector" / "deploy"
QUERIES = (
    "SELECT id FROM deals LIMIT 1",
    "UPDATE deals SET name = name WHERE id = (SELECT id FROM deals LIMIT 1)",
    "SELECT id FROM contacts LIMIT 1",
    "SELECT id FROM connections LIMIT 1",
)
ENUM = """
ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;
CREATE TYPE source_kind AS ENUM ('hubspot', 'salesforce', 'pipedrive', 'manual');
ALTER TABLE connections ALTER source_type DROP DEFAULT,
  ALTER source_type TYPE source_kind USING source_type::source_kind;
"""
SCHEMAS = {"CHECK": "", "enum": ENUM}


@dataclass
class Application:
    """Clients that ask one thing after the other, and how long each answer took, in seconds."""

    conninfo: str
    clients: int
    waits: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clients are at work as long as the `with` block lasts."""
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _client(self, number: int) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            while not self._over.is_set():
                start = time.perf_counter()
                conn.execute(QUERIES[number % len(QUERIES)].encode())
                self.waits.append(time.perf_counter() - start)
                time.sleep(0.002)


@contextmanager
def reader(conninfo: str, seconds: float) -> Iterator[None]:
    """A transaction that has read deals, and ends after so many seconds."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM deals")
        timer = threading.Timer(seconds, conn.execute, ["COMMIT"])
        timer.start()
        yield
        timer.join()


def by_runbook(_server: embedded.Server, conninfo: str) -> None:
    """`pgrunbook run`, with its defaults."""
    env = os.environ | {"PGRUNBOOK_ROOT": str(ROOT), "STALL": conninfo}
    command = [sys.executable, "-m", "pgrunbook", "run", "001", "--target", "env:STALL", "--no-progress"]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


def by_psql(server: embedded.Server, conninfo: str) -> None:
    """psql, one transaction a file, as migrations usually are run."""
    for path in sorted(DEPLOY.glob("*.sql")):
        command = [server.bin / "psql", "-X", "-q", "-1", "-v", "connections_table=connections", "-f", path, conninfo]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


CONTESTANTS: dict[str, Callable[[embedded.Server, str], None]] = {"pgrunbook": by_runbook, "psql": by_psql}


def measure(server: embedded.Server, contestant: str, schema: str, seconds: float, clients: int) -> str:
    """One row of the table: the longest wait and the 99.9th percentile in ms, and when it was done after the reader."""
    name = "stall"
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    conninfo = embedded.database(server, name, ROOT / "sql" / "sample.sql")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(SCHEMAS[schema].encode() or b"SELECT 1")
    application = Application(conninfo, clients)
    start = time.perf_counter()
    with application.running(), reader(conninfo, seconds):
        CONTESTANTS[contestant](server, conninfo)
        done = time.perf_counter() - start
    longest, tail = max(application.waits), statistics.quantiles(application.waits, n=1000)[-1]
    return (
        f"| {contestant} | {schema} | {longest * 1000:,.0f} | {tail * 1000:,.0f} | {max(done - seconds, 0):.1f} "
        f"| {len(application.waits):,} |"
    )


def main() -> None:
    """Measure every contestant on every schema, one after the other."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--reader", type=float, default=10, help="seconds that the reader stays (default 10)")
    options.add_argument("--clients", type=int, default=4, help="clients of the application (default 4)")
    given = options.parse_args()
    print(f"A reader that stays {given.reader:g} s, {given.clients} clients.\n")
    print("| | schema | longest wait, ms | 99.9 %, ms | done after the reader left, s | answers |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="stall-") as folder:
        server = embedded.start(Path(folder, "pg"), 18)
        for schema in SCHEMAS:
            for contestant in CONTESTANTS:
                print(measure(server, contestant, schema, given.reader, given.clients), flush=True)
        server.stop()


if __name__ == "__main__":
    main()
