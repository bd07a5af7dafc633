"""A block that has to wait: for whom, how long, and what becomes of the others meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from databases import Database
from projects import Outcome

Run = Callable[..., Outcome]


@contextmanager
def reader(database: Database, table: str, seconds: float = 0) -> Iterator[int]:
    """A transaction that has read the table and stays open, for so long or for the whole block."""
    with database.connect(application_name="slow report") as conn:
        conn.execute("BEGIN")
        conn.execute(f"SELECT count(*) FROM {table} WHERE id IS NOT NULL AND 'secret' <> ''".encode())
        timer = threading.Timer(seconds, conn.execute, ["COMMIT"]) if seconds else None
        if timer:
            timer.start()
        yield conn.info.backend_pid
        if timer:
            timer.join()


def test_a_run_waits_for_a_reader_and_says_whom_it_waited_for(crm: Database, run: Run) -> None:
    with reader(crm, "deals", seconds=15) as pid:
        done = run(crm)
    assert done.code == 0, done.text
    shown = done.cells["deals-source-data"]
    assert "**waiting** for locks" in shown
    assert "slow report" in shown
    assert str(pid) in shown
    assert "AccessShareLock" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_reader_that_never_leaves_fails_the_run_and_nothing_is_half_done(crm: Database, run: Run) -> None:
    with reader(crm, "deals") as pid:
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


@pytest.mark.parametrize("server", [18], indirect=True)
def test_the_application_waits_no_longer_than_the_lock_timeout(crm: Database, run: Run) -> None:
    """I2, with room for the machine: what a block does once it has its locks is short too."""
    waits: list[float] = []
    over = threading.Event()

    def application() -> None:
        with crm.connect() as conn:
            while not over.is_set():
                start = time.monotonic()
                conn.execute("SELECT id FROM deals LIMIT 1")
                waits.append(time.monotonic() - start)
                time.sleep(0.005)

    client = threading.Thread(target=application)
    client.start()
    with reader(crm, "deals", seconds=15):
        done = run(crm)
    over.set()
    client.join()
    assert done.code == 0, done.text
    assert 0.1 < max(waits) < 1  # it felt us, and not for as long as the reader stayed
