"""The tools of these tests do what they say."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from hostile.copies import copied, synchronous
from hostile.line import Line
from hostile.pooler import MODES, pooling
from psycopg.rows import TupleRow
from support.databases import Database


def test_a_line_takes_its_time_and_falls_silent(crm: Database) -> None:
    with Line(crm.server.socket, round_trip_s=0.05) as line, closing(_connected(line, crm)) as conn:
        start = time.monotonic()
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert time.monotonic() - start >= 0.05
        line.fall_silent()
        conn.pgconn.send_query(b"SELECT 2")
        time.sleep(0.3)
        conn.pgconn.consume_input()
        assert conn.pgconn.is_busy()
        line.speak()
        line.cut()


def _connected(line: Line, database: Database) -> psycopg.Connection[TupleRow]:
    return psycopg.connect(line.url(database.name), autocommit=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_pooler_hands_its_session_on(crm: Database, mode: str) -> None:
    with pooling(crm.server, mode) as pooler:
        pids = []
        for _ in range(2):
            with pooler.connect(crm.name) as conn:
                pids.append(conn.execute("SELECT pg_backend_pid()").fetchone())
        assert pids[0] == pids[1]


@pytest.mark.long
def test_a_copy_has_the_identifier_of_its_original_and_a_standby_follows(
    own: Database, place: Path
) -> None:
    cluster = "SELECT system_identifier FROM pg_control_system()"
    with copied(own.server, place / "copy" / "pg") as server:
        assert Database(server, "crm").execute(cluster) == own.execute(cluster)
    with (
        copied(own.server, place / "standby-of" / "pg", replicates=True) as server,
        synchronous(own.server),
    ):
        assert Database(server, "crm").execute("SELECT pg_is_in_recovery()") == [(True,)]
        own.execute("SET synchronous_commit = on; CREATE TABLE made ()")
