"""Whatever is killed, at whatever moment: each row is changed once, when runs have gone on to the
end.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.rows import TupleRow
from support import databases
from support.backfilling import Backfilling
from support.databases import Database
from support.projects import wait_for

from pgrunbook.postgres import embedded

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["support.backfilling"])
ENDING_S = 600  # of a run that nothing has hit: it does all that is left
SLOWLY = (
    "UPDATE t SET n = n + 1 FROM (SELECT pg_sleep(0.01)) AS slowly WHERE id > :from AND id <= :to"
)


def made(database: Database, folder: Path, rows: int) -> Backfilling:
    database.load(
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
        f"INSERT INTO t SELECT generate_series(1, {rows})"
    )
    return Backfilling(database, folder, SLOWLY, "batch: t by id; 20 rows")


@contextmanager
def at_work(backfill: Backfilling) -> Iterator[multiprocessing.Process]:
    process = PROCESSES.Process(target=backfill.quietly)
    process.start()
    try:
        yield process  # type: ignore[misc]
    finally:
        process.join(ENDING_S)
        hangs = process.is_alive()
        process.kill()
        assert not hangs


def batches(conn: psycopg.Connection[TupleRow]) -> int:
    with suppress(psycopg.Error):
        row = conn.execute("SELECT count(*) FROM pgrunbook.batches").fetchone()
        return int(row[0]) if row else 0
    return 0


def wait_for_more(database: Database, process: multiprocessing.Process) -> None:
    """Return when the process has committed a batch, or ended. In one session: a new one for each
    look would take more of the machine than the process.
    """
    deadline = time.monotonic() + 60
    with database.connect() as conn:
        before = batches(conn)
        while batches(conn) <= before and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)


def check(backfill: Backfilling) -> None:
    """Rows and ledger say the same."""
    ((changed, recorded),) = backfill.database.execute(
        "SELECT (SELECT count(*) FROM t WHERE n = 1), (SELECT sum(rows) FROM pgrunbook.batches)"
    )
    assert changed == recorded
    assert backfill.database.execute("SELECT max(n) <= 1 FROM t") == [(True,)]


def end(backfill: Backfilling) -> None:
    """Nobody disturbs the last run."""
    backfill()
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    assert backfill.gaps() == []
    numbers = backfill.database.execute("SELECT count(*), max(number) FROM pgrunbook.batches")
    assert numbers[0][0] == numbers[0][1]


def kill(_: Database, process: multiprocessing.Process) -> None:
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)


def terminate(database: Database, _: multiprocessing.Process) -> None:
    """The sessions of the run, the one that holds its lock among them."""
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'pgrunbook%' "
        " AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("hit", [kill, terminate])
@pytest.mark.parametrize(
    "times", [4, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_after_many_kills_each_row_is_changed_once(
    empty: Database,
    tmp_path: Path,
    hit: Callable[[Database, multiprocessing.Process], None],
    times: int,
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown if the test fails
    chance = random.Random(seed)
    backfill = made(empty, tmp_path, 200 * times)
    for _ in range(times):
        with at_work(backfill) as process:
            wait_for_more(empty, process)
            time.sleep(chance.uniform(0, 0.05))
            hit(empty, process)
        check(backfill)
    end(backfill)


def stop_at_once(server: embedded.Server) -> None:
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGQUIT)
    wait_for(lambda: not psutil.pid_exists(postmaster))


def test_after_the_server_was_stopped_at_once_each_row_is_changed_once(
    server: embedded.Server, place: Path, tmp_path: Path
) -> None:
    """Its postmaster killed: it recovers from its WAL, and has what was committed."""
    own = databases.start(place / "stopped", server.version)
    with psycopg.connect(own.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET fsync = on")
        conn.execute("ALTER SYSTEM SET synchronous_commit = on")
        conn.execute("CREATE DATABASE stopped")
        conn.execute("SELECT pg_reload_conf()")
    database = Database(own, "stopped")
    backfill = made(database, tmp_path, 2_000)
    for _ in range(2):
        with at_work(backfill) as process:
            wait_for_more(database, process)
            stop_at_once(own)
        own = embedded.start(own.data, own.version)
        check(backfill)
    end(backfill)
    own.stop()
