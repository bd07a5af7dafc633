"""What a server with a streaming standby, a logical slot and an archiver says of itself."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from hostile.copies import STANDBY, copied
from support import databases
from support.databases import Database
from support.projects import wait_for

from pgrunbook.applying.pace import Pace
from pgrunbook.postgres import embedded
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.pressure import FLUSH, Pressure, look
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.give_way import PressureLimits

_SETTINGS = """
wal_level = logical
archive_mode = on
archive_command = 'true'
autovacuum = off
"""


@pytest.fixture(scope="module")
def primary(place: Path, on_version: Callable[[int], int]) -> Iterator[Server]:
    data = Path(tempfile.mkdtemp(dir=place, prefix="pressure-")) / "pg"
    data.parent.chmod(0o711)
    server = databases.start(data, on_version(18))
    server.stop()
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    server = embedded.start(data, server.version)
    yield server
    server.stop()


@pytest.fixture
def database(primary: Server) -> Iterator[Database]:
    with databases.temporary(primary) as made:
        made.load("CREATE TABLE notes (id int, note text) WITH (autovacuum_enabled = off)")
        yield made


@contextmanager
def session(database: Database, url: str = "") -> Iterator[Session]:
    with connect(Target("test", url or database.url), schema="public") as conn:
        yield conn


def seen(conn: Session, wanted: Callable[[Pressure], object]) -> Pressure:
    found = [look(conn, "public.notes")]

    def holds() -> bool:
        found.append(look(conn, "public.notes"))
        return bool(wanted(found[-1]))

    wait_for(holds)
    return found[-1]


def test_how_far_a_standby_is_behind_that_has_stopped_to_replay(
    primary: Server, database: Database
) -> None:
    data = primary.data.parent / "standby"
    pace = Pace(PressureLimits.parse("replication lag 1 s"), 1_000)
    with session(database) as conn, copied(primary, data, replicates=True) as standby:
        caught_up = seen(
            conn, lambda now: now.replica == STANDBY and (now.replayed_bytes or 0) >= now.wal_bytes
        )
        assert pace.pause(caught_up) == []
        with psycopg.connect(standby.conninfo(), autocommit=True) as replica:
            replica.execute("SELECT pg_wal_replay_pause()")
            database.execute("INSERT INTO notes SELECT n, 'x' FROM generate_series(1, 1000) AS n")
            behind = seen(conn, lambda now: now.wal_bytes - (now.replayed_bytes or 0) > 50_000)
            plain = databases.login_role(database)
            with session(database, plain.url) as other:
                hidden = look(other, "public.notes")
                assert (hidden.replica, hidden.replayed_bytes) == (None, None)
                assert "lag of replicas" in hidden.unseen
            assert pace.pause(behind) == []
            time.sleep(1.1)
            (reason,) = pace.pause(look(conn, "public.notes"))
            assert reason.startswith(f"replica {STANDBY} is 1.")
            replica.execute("SELECT pg_wal_replay_resume()")
        assert pace.pause(seen(conn, lambda now: (now.replayed_bytes or 0) >= now.wal_bytes)) == []
        assert pace.lag_s == 0


def test_what_waits_for_a_subscriber_and_for_the_archiver(database: Database) -> None:
    with session(database) as conn:
        before = seen(conn, lambda now: now.archive_files == 0)
        assert before.slot is None
        assert before.replica is None
        slot = "SELECT pg_create_logical_replication_slot('reports', 'pgoutput')"
        database.execute(slot)
        database.execute("ALTER SYSTEM SET archive_command = 'false'")
        database.execute("SELECT pg_reload_conf()")
        try:
            for number in range(3):
                database.execute("INSERT INTO notes VALUES (%s, 'x')", [number])
                database.execute("SELECT pg_switch_wal()")
            now = seen(conn, lambda now: now.archive_files == 3)
            assert now.slot == "reports"
            assert now.slot_behind_bytes
            assert now.slot_behind_bytes > 2**24
        finally:
            database.execute("ALTER SYSTEM RESET archive_command")
            database.execute("SELECT pg_reload_conf()")
            database.execute("SELECT pg_drop_replication_slot('reports')")
        database.execute("INSERT INTO notes VALUES (4, 'x')")
        database.execute("SELECT pg_switch_wal()")  # which wakes the archiver
        assert seen(conn, lambda now: now.archive_files == 0).slot is None


def test_dead_rows_who_keeps_them_and_who_vacuums(database: Database) -> None:
    database.load("INSERT INTO notes SELECT n, 'x' FROM generate_series(1, 4000) AS n")
    with session(database) as conn, database.connect(application_name="report") as reader:
        assert look(conn, "public.notes").snapshot is None
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT FROM notes LIMIT 1")
        database.load("UPDATE notes SET note = 'y' WHERE id <= 1000")
        now = seen(conn, lambda now: now.dead_rows == 1_000)
        assert (now.live_rows, now.dead_percent) == (4_000, 20.0)
        assert (
            now.snapshot == f"pid {reader.info.backend_pid} (report, postgres), idle in transaction"
        )
        assert now.snapshot_s is not None
        reader.execute("ROLLBACK")
        with database.connect(options="-c vacuum_cost_delay=100 -c vacuum_cost_limit=1") as other:
            vacuum = threading.Thread(target=_vacuum, args=(other,))
            vacuum.start()
            at_work = seen(conn, lambda now: now.vacuum)
            assert str(at_work.vacuum).startswith(f"pid {other.info.backend_pid}, ")
            assert at_work.snapshot is None
            other.cancel_safe()
            vacuum.join()


def _vacuum(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    with suppress(psycopg.errors.QueryCanceled):
        conn.execute("VACUUM notes")


def test_our_own_counts_are_told_at_once_if_we_ask_for_it(database: Database) -> None:
    database.load("INSERT INTO notes SELECT n, 'x' FROM generate_series(1, 100) AS n")
    with session(database) as conn, session(database) as work:
        for _ in range(2):  # the second would be told a second later
            work.execute(f"UPDATE public.notes SET note = 'y'; {FLUSH}".encode())
        assert look(conn, "public.notes").dead_rows == 200


def test_of_a_partitioned_table_the_partitions_count(database: Database) -> None:
    database.load("""
        CREATE TABLE parts (id int) PARTITION BY RANGE (id);
        CREATE TABLE "Low" PARTITION OF parts FOR VALUES FROM (1) TO (100);
        INSERT INTO parts SELECT generate_series(1, 50);
        DELETE FROM parts WHERE id <= 10""")
    with session(database) as conn:
        now = look(conn, "public.parts")
        assert (now.dead_rows, now.live_rows, now.may_vacuum) == (10, 40, True)


def test_what_a_role_is_not_shown_is_said(database: Database) -> None:
    role = databases.login_role(database)
    with session(database, role.url) as conn:
        now = look(conn, "public.notes")
        assert (now.may_vacuum, now.unseen) == (False, ("snapshots of other roles",))
        database.execute(f"GRANT pg_monitor TO {role.name}")
        if conn.info.server_version >= 170_000:
            database.execute(f"GRANT MAINTAIN ON notes TO {role.name}")
        else:
            database.execute(f"ALTER TABLE notes OWNER TO {role.name}")
        now = look(conn, "public.notes")
        assert (now.may_vacuum, now.unseen) == (True, ())
