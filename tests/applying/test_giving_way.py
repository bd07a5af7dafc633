"""A backfill at work that gives way: to a replica, to who asks for it, to dead rows."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hostile.copies import STANDBY, copied
from support import databases
from support.backfilling import Backfilling
from support.databases import Database
from support.projects import wait_for

from pgrunbook.applying import giving_way
from pgrunbook.errors import Interrupted
from pgrunbook.ledger import batches, requests
from pgrunbook.planning import batch_keys, delays
from pgrunbook.planning.checks import CheckResult
from pgrunbook.postgres import pressure
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.pressure import Pressure
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

SLOWLY = (
    "UPDATE t SET n = n + 1 FROM (SELECT pg_sleep(0.01)) AS slowly WHERE id > :from AND id <= :to"
)


@pytest.fixture
def backfill(empty: Database, tmp_path: Path) -> Backfilling:
    empty.load("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    empty.load("INSERT INTO t SELECT generate_series(1, 4000)")
    return Backfilling(empty, tmp_path, SLOWLY, "batch: t by id; 10 rows")


@contextmanager
def at_work(backfill: Backfilling) -> Iterator[list[BaseException]]:
    """A run, in a thread; what it has raised, once the `with` block is left."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            backfill()
        except Interrupted as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: bool(backfill.told))
    try:
        yield raised
    finally:
        thread.join(60)
        assert not thread.is_alive()


def paused(backfill: Backfilling) -> str:
    """Why it pauses, once it does."""
    wait_for(lambda: bool(backfill.told and backfill.told[-1].paused))
    return "; ".join(backfill.told[-1].paused)


def count(database: Database) -> int:
    return int(database.execute("SELECT count(*) FROM pgrunbook.batches")[0][0])


def ask(database: Database, what: requests.What) -> None:
    with connect(Target("test", database.url), schema="pgrunbook") as conn:
        run = requests.run_at_work(conn, "test", "public")
        requests.ask(conn, run, what, operator="ada", host="here", reason="lunch")


def pausing(database: Database) -> batches.CurrentPause | None:
    """What the ledger says of it now."""
    with connect(Target("test", database.url), schema="pgrunbook") as conn:
        return batches.current_pause(conn, 1)


def test_it_pauses_goes_on_and_stops_as_it_is_asked(backfill: Backfilling) -> None:
    database = backfill.database
    with at_work(backfill) as raised:
        ask(database, "pause")
        assert "pause asked for at" in paused(backfill)
        assert "lunch" in str(pausing(database))
        before = count(database)
        wait_for(lambda: len(backfill.told) > 2)
        assert count(database) == before
        ask(database, "resume")
        wait_for(lambda: count(database) > before)
        assert pausing(database) is None
        ask(database, "stop")
    assert "stop asked for at" in str(raised[0])
    ended = "SELECT reasons FROM pgrunbook.pauses WHERE ended_at IS NOT NULL"
    ((reasons,),) = database.execute(ended)
    assert reasons[0].endswith(" by ada on here, as postgres: lunch")
    assert 0 < count(database) < 400
    with connect(Target("test", database.url), schema="public") as conn:
        history = batches.history(conn, "900_x", "public", "010_fill")
    moments = [row["at"].utcoffset() for row in (*history.slices, *history.pauses)]
    assert set(moments) == {timedelta(0)}  # whatever time zone Python is in
    backfill()
    assert database.execute("SELECT DISTINCT n FROM t") == [(1,)]


def test_it_pauses_for_a_replica_that_has_stopped_to_replay(
    place: Path, on_version: Callable[[int], int], tmp_path: Path, server: Server
) -> None:
    folder = Path(tempfile.mkdtemp(dir=place, prefix="lagging-"))
    folder.chmod(0o711)
    primary = databases.start(folder / "pg", on_version(server.version))
    with (
        databases.temporary(primary) as database,
        copied(primary, folder / "standby", replicates=True) as standby,
        psycopg.connect(standby.conninfo(), autocommit=True) as replica,
    ):
        database.load("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
        database.load("INSERT INTO t SELECT generate_series(1, 4000)")
        header = "batch: t by id; 10 rows\ngive way: replication lag 1 s"
        backfill = Backfilling(database, tmp_path, SLOWLY, header)
        with at_work(backfill):
            replica.execute("SELECT pg_wal_replay_pause()")
            assert f"replica {STANDBY} is 1." in paused(backfill)
            before = count(database)
            wait_for(lambda: len([far for far in backfill.told if far.paused]) > 1)
            assert count(database) == before
            replica.execute("SELECT pg_wal_replay_resume()")
        assert database.execute("SELECT DISTINCT n FROM t") == [(1,)]
        (before,) = database.execute("SELECT max(lag_s) FROM pgrunbook.batches")[0]
        (meanwhile,) = database.execute("SELECT max(lag_s) FROM pgrunbook.pauses")[0]
        assert 0.3 < before <= 1 < meanwhile
    primary.stop()


def test_lag_that_is_not_shown_is_told_before_and_noted_meanwhile(
    backfill: Backfilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = pressure.look

    def hidden(conn: Session, table: str) -> Pressure:
        return replace(look(conn, table), unseen=(pressure.LAG,))

    def checked(give_way: str = "") -> list[CheckResult]:
        target = Target("test", backfill.database.url)
        with closing(Sessions(target, "public", "test")) as sessions:
            decided = [backfill.decide(backfill.agenda(sessions))]
            keys = batch_keys.find_keys(sessions.look, decided)
            return [*delays.replicas(sessions.look, decided, keys, give_way)]

    assert checked("replication lag 5 s") == []
    monkeypatch.setattr(pressure, "look", hidden)
    (quiet,) = checked("share 50%")
    assert 'GRANT pg_monitor TO "postgres"' in quiet.not_run
    (stated,) = checked("replication lag 5 s")
    assert stated.problem
    assert stated.problem.remedy == 'GRANT pg_monitor TO "postgres"'
    backfill.header += "\ngive way: replication lag 5 s"
    assert checked()[0].problem
    backfill.header = "batch: t by id; 1000 rows"
    assert backfill()
    first = "SELECT reasons FROM pgrunbook.pauses ORDER BY id LIMIT 1"
    ((reasons,),) = backfill.database.execute(first)
    assert "is not shown to this role" in reasons[0]


def test_it_has_dead_rows_vacuumed_and_says_so(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "_OFTEN_S", 0)  # the table is small
    empty.load("CREATE TABLE t (id int PRIMARY KEY, n int) WITH (autovacuum_enabled = off)")
    empty.load("INSERT INTO t SELECT generate_series(1, 20000)")
    sql = "UPDATE t SET n = coalesce(n, 0) + 1 WHERE id > :from AND id <= :to"
    backfill = Backfilling(empty, tmp_path, sql, "batch: t by id; 1500 rows\ngive way: share 5%")
    done = backfill()
    assert done
    vacuum = 'VACUUM (SKIP_LOCKED, TRUNCATE off, PARALLEL 0) "public"."t"'
    assert vacuum in [statement for statement, _ in done.statements]
    noted = empty.execute("SELECT event FROM pgrunbook.statements WHERE sql LIKE 'VACUUM%'")
    assert noted[:2] == [("started",), ("finished",)]
    ((dead, times),) = empty.execute(
        "SELECT n_dead_tup, vacuum_count FROM pg_stat_user_tables WHERE relname = 't'"
    )
    assert times >= 1
    assert dead < 6_000
    ((reasons,), *_) = empty.execute("SELECT reasons FROM pgrunbook.pauses")
    assert reasons[0].startswith("the table is vacuumed, as ")
