"""How long the application waits behind a run that is far away from its server, or has four tables
to lock.

    .venv/bin/python benchmarks/distance.py [--reader SECONDS] [--clients N]

The contestants reach the server over a line that delays; the application does not. Runbook 001 is
run behind a reader of one of its tables, which leaves some time after somebody has queued behind
it. A block that alters four tables is run while each of them is read by transactions of a tenth of
a second, one after the other: each lock is to be had within lock_timeout, and all of them together
are not. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import peers
import projects
import psycopg
import stall
from measuring import table

from pgrunbook.postgres import embedded

sys.path.append(str(peers.ROOT / "tests"))
from hostile.line import Line  # the tests' own: what delays them delays us

ROUND_TRIPS_S = (0.0, 0.02, 0.1)
FOUR_TABLES = "four tables"
TABLES = ("accounts", "connections", "contacts", "deals")
BLOCK = {
    "0010_four": "".join(f"ALTER TABLE {name} ADD COLUMN seen_at timestamptz;\n" for name in TABLES)
}
READING_S = 0.1
ROUND_TRIPS = 2_000  # more than a run of 001 makes, before it has a lock and after
CONTESTANTS = ("nobody", "pgrunbook", "psql", f"psql, lock_timeout={peers.LOCK_TIMEOUT}")


@dataclass
class Readers:
    """Of each of the four tables a client that reads it in transactions, and pauses while the
    others do.
    """

    conninfo: str
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """As long as the `with` block lasts."""
        threads = [threading.Thread(target=self._read, args=each) for each in enumerate(TABLES)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _read(self, number: int, name: str) -> None:
        with psycopg.connect(self.conninfo) as conn:
            self._over.wait(number * READING_S)
            while not self._over.is_set():
                conn.execute(f"SELECT FROM {name} LIMIT 1".encode())
                self._over.wait(READING_S)
                conn.commit()
                self._over.wait(3 * READING_S)


@dataclass
class Benchmark:
    """The contestants, one after the other, on databases of one server."""

    server: embedded.Server
    clients: int
    reader_s: float

    def measure(self, contestant: str, schema: str, round_trip_s: float) -> str:
        """The application's longest wait in milliseconds, with how the contestant ended if it is
        not done.
        """
        stalls = stall.Benchmark(self.server, self.clients, 0.0)
        conninfo = stalls.database("far", "CHECK" if schema == FOUR_TABLES else schema)
        with ExitStack() as stack:
            line = stack.enter_context(Line(self.server.socket, round_trip_s))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="far-")))
            commands = self._commands(contestant, schema, conninfo, line, folder)
            application = stall.Application(conninfo, self.clients)
            stack.enter_context(application.running())
            if schema == FOUR_TABLES:
                stack.enter_context(Readers(conninfo).reading())
                time.sleep(1)
            else:
                stack.enter_context(stall.Reader(conninfo).staying(self.reader_s))
            ended = peers.run(commands, self.reader_s + stall.ENOUGH_S + ROUND_TRIPS * round_trip_s)
        longest = f"{max(application.waits) * 1000:,.0f}"
        return longest if ended == "done" else f"{longest} ({ended})"

    def _commands(
        self, contestant: str, schema: str, conninfo: str, line: Line, folder: Path
    ) -> list[peers.Command]:
        blocks = BLOCK if schema == FOUR_TABLES else peers.blocks(conninfo)
        job = peers.Job(self.server, "far", blocks, folder, stall.LOCK_BUDGET[True])
        if contestant == "nobody":
            return [peers.Command(["sleep", "5"], {})]
        far = replace(job, reached=line.url(job.database, embedded.SUPERUSER))
        if contestant == "pgrunbook" and schema == FOUR_TABLES:
            projects.of_many(folder, BLOCK)
            return projects.run(folder, projects.MANY, far.conninfo)
        return peers.CONTESTANTS[contestant](far)


def section(
    server: embedded.Server,
    reader_s: float = stall.READER_S,
    clients: int = stall.CLIENTS,
    only: Sequence[str] = CONTESTANTS,
) -> str:
    """Measure every contestant at every distance, in Markdown."""
    benchmark = Benchmark(server, clients, reader_s)
    heading = ("longest wait, ms", "blocks", *(f"{s * 1000:.0f} ms away" for s in ROUND_TRIPS_S))
    rows = [
        (contestant, schema, *(benchmark.measure(contestant, schema, s) for s in ROUND_TRIPS_S))
        for schema in (*stall.SCHEMAS, FOUR_TABLES)
        for contestant in only
    ]
    return "\n\n".join(["## The application's wait, far away", table(heading, rows)])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--reader", type=float, default=stall.READER_S, help="seconds that the reader stays"
    )
    parser.add_argument(
        "--clients", type=int, default=stall.CLIENTS, help="clients of the application"
    )
    parser.add_argument(
        "--only", choices=CONTESTANTS, action="append", help="only this contestant; repeatable"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="far-") as folder:
        server = embedded.start(Path(folder, "pg"), 18)
        print(section(server, given.reader, given.clients, given.only or CONTESTANTS))
        server.stop()


if __name__ == "__main__":
    main()
