"""How long the application waits, and how far a replica falls behind, while a column of a large table
is filled: by a block in batches, by one UPDATE, and by loops written by hand.

    .venv/bin/python benchmarks/backfill.py [--rows N] [--clients N] [--only NAME]

One server (embedded PostgreSQL 18, fsync on) with a streaming replica, and clients that read and
write rows of the table at random, by a timetable. The loops take 5,000 rows at a time; one of them
sleeps half a second after each, one vacuums the table as often as pgrunbook does. The row of nobody
shows what the machine itself makes the application wait. A contestant that has not filled every
row, or one of them twice, ends the benchmark. Prints a table in Markdown.

A server that has been in use for long writes its WAL into files that it has from before. A new one
fills each with zeros first, while all commits wait for that: here the files are there before a
contestant begins.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import peers
import projects
import psycopg
import stall
from measuring import beside, table

from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server

sys.path.append(str(peers.ROOT / "tests"))
from hostile.copies import copied  # the tests' own

ROWS, CLIENTS = 2_000_000, 4
NOBODY_S = 30  # of the row of nobody
PATIENCE_S = 3_600.0  # for any contestant
SAMPLING_S = 0.1
BATCH, SLEEP_S = 5_000, 0.5
PARTS = 6  # of the table, a vacuum behind each: the dead rows are as few as with pgrunbook
SEGMENTS = 120  # of WAL, 16 MB each: what a contestant writes fits into them
RUNBOOK, BLOCK = "900_fill", "010_fill_source"

MADE = """
CREATE TABLE items (
  id bigint PRIMARY KEY, name text NOT NULL, amount numeric NOT NULL, touched int NOT NULL DEFAULT 0,
  source jsonb, filled int NOT NULL DEFAULT 0);
INSERT INTO items SELECT n, 'item number ' || n, n % 1000 FROM generate_series(1, {}) AS n;
"""
FILL = "UPDATE items SET source = jsonb_build_object('batch', id % 97), filled = filled + 1"
CELLS = (
    'target = "embedded"\nmode = "apply"\nschema = "public"\nticket = ""\noperator = ""\n'
    'lock_timeout = "150ms"\nlock_budget = "5min"\nstatement_timeout = "30s"',
    f'import pgrunbook\n\nrun = pgrunbook.begin("{RUNBOOK}", globals())\nrun.target',
    "run.preconditions()",
    f'run.apply("{BLOCK}")',
    "run.verify()",
    "run.verdict()",
)
FILE = """\
-- title: Fill source
-- why: To measure.
-- batch: items by id; 1 s
-- give way: replication lag 5 s, dead rows 20%
{} WHERE id > :from AND id <= :to;
"""
LOOP = """
DO $$
DECLARE
  at bigint := (SELECT max(id) * {part} / {parts} FROM items);
  last bigint := (SELECT max(id) * ({part} + 1) / {parts} FROM items);
  upto bigint;
BEGIN
  LOOP
    SELECT max(id) INTO upto
      FROM (SELECT id FROM items WHERE id > at AND id <= last ORDER BY id LIMIT {rows}) AS next;
    EXIT WHEN upto IS NULL;
    {fill} WHERE id > at AND id <= upto;
    COMMIT;
    PERFORM pg_sleep({sleep_s});
    at := upto;
  END LOOP;
END $$
"""
# Each with a row of its own choice; a scalar subquery is evaluated once.
ONE = "id = (SELECT 1 + floor(random() * {})::bigint)"
QUERIES = (
    f"SELECT name, source FROM items WHERE {ONE}",
    f"UPDATE items SET touched = touched + 1 WHERE {ONE}",
)


@dataclass
class Watch:
    """The most that was seen, as long as the `with` block lasts: how many seconds the replica was
    behind, and which part of the table's rows was dead, in percent.
    """

    primary: str
    replica: str
    lag_s: float = 0.0
    dead_percent: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample both servers."""
        with beside(self._watch, self._over):
            yield

    def _watch(self) -> None:
        # the application commits all the time, so what was replayed last says how far that is
        behind = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
        dead = (
            "SELECT 100.0 * n_dead_tup / greatest(1, n_dead_tup + n_live_tup)"
            " FROM pg_stat_user_tables WHERE relname = 'items'"
        )
        with (
            psycopg.connect(self.primary, autocommit=True) as primary,
            psycopg.connect(self.replica, autocommit=True) as replica,
        ):
            over = False
            while not over:  # once more at the end, when the server has counted
                over = self._over.wait(SAMPLING_S)
                self.lag_s = max(self.lag_s, _value(replica, behind))
                self.dead_percent = max(self.dead_percent, _value(primary, dead))


def fill_wal(server: Server) -> None:
    """Have the server keep files for the WAL to come, as `min_wal_size` says:
    https://www.postgresql.org/docs/current/wal-configuration.html
    """
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        for setting in ("min_wal_size = '2GB'", "max_wal_size = '4GB'"):
            conn.execute(f"ALTER SYSTEM SET {setting}".encode())
        conn.execute("SELECT pg_reload_conf()")
        for _ in range(SEGMENTS):
            conn.execute("SELECT pg_logical_emit_message(false, 'fill', '')")
            conn.execute("SELECT pg_switch_wal()")
        conn.execute("CHECKPOINT")


def _value(conn: psycopg.Connection, query: str) -> float:
    row = conn.execute(query.encode()).fetchone()
    return float(row[0] or 0) if row else 0.0


@dataclass(frozen=True)
class Benchmark:
    """The contestants, one after the other, each on a table of its own."""

    server: Server
    replica: Server
    rows: int
    clients: int

    def measure(self, contestant: str) -> Sequence[object]:
        """A row of the table: the application's waits and the replica's lag, while it is filled."""
        conninfo = projects.fresh(self.server, "fill")
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(MADE.format(self.rows).encode())
            conn.execute("VACUUM ANALYZE items")
            conn.execute("CHECKPOINT")
        self._let_catch_up(conninfo)
        queries = [query.format(self.rows).encode() for query in QUERIES]
        application = stall.Application(conninfo, self.clients, queries)
        watch = Watch(conninfo, self.replica.conninfo("fill"))
        with tempfile.TemporaryDirectory(prefix="fill-") as folder:
            commands = CONTESTANTS[contestant](self.server, Path(folder))
            with application.running(), watch.running():
                time.sleep(1)
                start = time.perf_counter()
                ended = peers.run(commands, PATIENCE_S)
                took_s = time.perf_counter() - start
        if contestant != "nobody":
            self._require_filled(conninfo, contestant, ended)
        waits = [wait * 1000 for wait in application.waits]
        tail = statistics.quantiles(waits, n=1000, method="inclusive")[-1]
        return (
            contestant,
            f"{max(waits):,.0f}",
            f"{tail:,.0f}",
            f"{watch.lag_s:.1f}",
            f"{watch.dead_percent:.0f}",
            f"{took_s:,.1f}",
            f"{len(waits):,}",
        )

    def _let_catch_up(self, conninfo: str) -> None:
        """Wait until the replica has replayed what made the table."""
        behind = "SELECT pg_current_wal_lsn() - min(replay_lsn) FROM pg_stat_replication"
        with psycopg.connect(conninfo, autocommit=True) as conn:
            while _value(conn, behind) > 0:
                time.sleep(0.2)

    def _require_filled(self, conninfo: str, contestant: str, ended: str) -> None:
        with psycopg.connect(conninfo) as conn:
            left = conn.execute("SELECT count(*) FROM items WHERE filled <> 1").fetchone()
        if left != (0,):
            raise SystemExit(f"{contestant} ({ended}) has left rows, or filled some twice: {left}")


def nobody(_server: Server, _folder: Path) -> list[peers.Command]:
    """What this machine makes the application wait by itself."""
    return [peers.Command(["sleep", str(NOBODY_S)], {})]


def pgrunbook(server: Server, folder: Path) -> list[peers.Command]:
    """A runbook whose one block runs in batches."""
    deploy = folder / "sql" / RUNBOOK / "deploy"
    deploy.mkdir(parents=True)
    (deploy / f"{BLOCK}.sql").write_text(FILE.format(FILL))
    (folder / "pgrunbook.toml").write_text("")
    (folder / "runbooks").mkdir()
    projects.notebook(folder / "runbooks" / f"{RUNBOOK}.ipynb", CELLS, tagged=True)
    return projects.run(folder, RUNBOOK, server.conninfo("fill"))


def psql(*statements: str) -> Callable[[Server, Path], list[peers.Command]]:
    """psql, with these statements, one after the other."""

    def commands(server: Server, _folder: Path) -> list[peers.Command]:
        arguments = ["-X", "-v", "ON_ERROR_STOP=1", "-d", server.conninfo("fill")]
        for statement in statements:
            arguments += ["-c", statement]
        return [peers.Command([server.bin / "psql", *arguments], {})]

    return commands


def loop(sleep_s: float = 0.0, part: int = 0, parts: int = 1) -> str:
    """A loop over the table, or over that part of its ids; the first has the number 0."""
    return LOOP.format(part=part, parts=parts, rows=BATCH, fill=FILL, sleep_s=sleep_s)


def loops_and_vacuums() -> Iterator[str]:
    """A loop over each part of the table, and a vacuum behind it."""
    for part in range(PARTS):
        yield loop(part=part, parts=PARTS)
        yield "VACUUM items"


CONTESTANTS: dict[str, Callable[[Server, Path], list[peers.Command]]] = {
    "nobody": nobody,
    "pgrunbook": pgrunbook,
    "one UPDATE": psql(FILL),
    "a loop": psql(loop()),
    "a loop, with VACUUM": psql(*loops_and_vacuums()),
    f"a loop, pg_sleep({SLEEP_S})": psql(loop(SLEEP_S)),
}


def section(
    server: Server, rows: int = ROWS, clients: int = CLIENTS, only: Sequence[str] = ()
) -> str:
    """Measure every contestant, in Markdown."""
    heading = (
        f"{rows:,} rows",
        "longest wait, ms",
        "99.9 %, ms",
        "replica behind, s",
        "dead rows, %",
        "took, s",
        "answers",
    )
    fill_wal(server)
    with (
        tempfile.TemporaryDirectory(prefix="replica-") as folder,
        copied(server, Path(folder, "pg"), replicates=True) as replica,
    ):
        benchmark = Benchmark(server, replica, rows, clients)
        found = [benchmark.measure(contestant) for contestant in only or CONTESTANTS]
    per_s = clients / stall.PERIOD_S
    title = f"## A column filled, {clients} clients, {per_s:.0f} questions a second, one replica"
    return "\n\n".join([title, table(heading, found)])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the table (default {ROWS:,})")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="of the application")
    parser.add_argument(
        "--only", choices=CONTESTANTS, action="append", help="only this contestant; repeatable"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder:
        server = embedded.start(Path(folder, "pg"), 18)
        print(section(server, given.rows, given.clients, given.only or ()))
        server.stop()


if __name__ == "__main__":
    main()
