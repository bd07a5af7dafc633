"""A block that has to wait: for whom, how long, and what becomes of the others meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.databases import Database, Role, application
from support.projects import Outcome, wait_for

from pgrunbook.postgres.blockers import blockers
from pgrunbook.postgres.session import Session

pytestmark = pytest.mark.newest

Run = Callable[..., Outcome]


@contextmanager
def reader(database: Database, table: str, *, leaves: bool) -> Iterator[int]:
    """A transaction that has read the table and stays open: for the whole block, or until three
    seconds after somebody has been seen to wait for it.
    """
    with database.connect(application_name="slow report") as conn:
        conn.execute("BEGIN")
        conn.execute(
            f"SELECT count(*) FROM {table} WHERE id IS NOT NULL AND 'secret' <> ''".encode()
        )
        leaving = threading.Thread(target=_leave, args=(database, conn))
        if leaves:
            leaving.start()
        yield conn.info.backend_pid
        if leaves:
            leaving.join()


def _leave(database: Database, conn: psycopg.Connection[TupleRow]) -> None:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'deals'::regclass"
    wait_for(lambda: bool(database.execute(waiting)))
    time.sleep(3)  # long enough to tell our waits from the reader's
    conn.execute("COMMIT")


def test_a_run_waits_for_a_reader_and_the_application_hardly_for_the_run(
    crm: Database, run: Run
) -> None:
    """I2, with room for the machine: what a block does once it has its locks is short too."""
    with (
        application(crm, "SELECT id FROM deals LIMIT 1") as waits,
        reader(crm, "deals", leaves=True) as pid,
    ):
        done = run(crm)
    assert done.code == 0, done.text
    assert 0.1 < max(waits) < 1  # it felt us, and not for as long as the reader stayed
    shown = done.cells["deals-source-data"]
    assert "**waiting** for locks" in shown
    assert "slow report" in shown
    assert str(pid) in shown
    assert "ACCESS SHARE" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_reader_that_never_leaves_fails_the_run_and_nothing_is_half_done(
    crm: Database, run: Run
) -> None:
    with reader(crm, "deals", leaves=False) as pid:
        done = run(crm, "-p", "lock_budget", "2s")
        assert done.code == 1
        assert "030_deals_source_data: its locks could not be had in" in done.text
        assert f"pid {pid} (slow report, postgres), idle in transaction" in done.text
        assert "secret" not in done.text
    blocks = [row[0] for row in crm.execute("SELECT block FROM pgrunbook.blocks ORDER BY id")]
    assert blocks == ["010_import_batches", "020_stage_mappings"]
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("failed",)]
    after = run(crm)
    assert after.code == 0, after.text


def test_a_prepared_transaction_is_named_and_how_it_ends(crm: Database, run: Run) -> None:
    with crm.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("LOCK TABLE deals IN ACCESS SHARE MODE")
        conn.execute("PREPARE TRANSACTION 'left over'")
    prepared = (
        "prepared transaction 'left over' (postgres), which COMMIT PREPARED or ROLLBACK "
        "PREPARED ends, "
    )
    try:
        blocked = run(crm, "-p", "lock_budget", "1s")
        assert blocked.code == 1
        assert prepared in blocked.text
        assert " s, holds ACCESS SHARE\n" in blocked.text
    finally:
        crm.execute("ROLLBACK PREPARED 'left over'")

    with crm.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("ALTER TABLE deals ALTER COLUMN name SET DEFAULT 'x'")
        conn.execute("PREPARE TRANSACTION 'left over'")
    try:
        unreadable = run(crm, "--mode", "plan")
        assert unreadable.code == 2, unreadable.text
        assert prepared in unreadable.text
    finally:
        crm.execute("ROLLBACK PREPARED 'left over'")


@pytest.mark.parametrize("server", [18], indirect=True)
def test_what_is_not_shown_to_the_role_is_not_made_up(
    empty: Database, login_role: Callable[[Database], Role]
) -> None:
    """Of other roles' sessions an ordinary role is told who they are and what they hold, and no
    more.
    """
    role = login_role(empty)
    empty.execute(f"CREATE TABLE notes (); GRANT ALL ON notes TO {role.name}")
    with (
        reader(empty, "(SELECT 1 AS id FROM notes) AS n", leaves=False) as pid,
        psycopg.connect(role.url) as waiting,
    ):
        asked = threading.Thread(target=_lock, args=(waiting, "notes"))
        asked.start()
        with Session.opened(role.url) as own, empty.connect() as superuser:
            deadline = time.monotonic() + 10
            while (
                not (told := list(blockers(own, waiting.info.backend_pid)))
                and time.monotonic() < deadline
            ):
                time.sleep(0.02)
            known = list(blockers(superuser, waiting.info.backend_pid))
        waiting.cancel_safe()
        asked.join()
    assert [str(blocker) for blocker in told] == [
        f"pid {pid} (slow report, postgres), not shown to this role, holds ACCESS SHARE"
    ]
    assert (told[0].transaction_s, told[0].query) == (None, "")
    assert known[0].state == "idle in transaction"
    assert known[0].transaction_s is not None


def _lock(conn: psycopg.Connection[TupleRow], table: str) -> None:
    with suppress(psycopg.errors.QueryCanceled):
        conn.execute(f"LOCK TABLE {table}".encode())
