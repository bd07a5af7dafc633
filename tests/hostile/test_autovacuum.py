"""A long autovacuum in the way of a block: cancelled where the role may, and named with what to do
where it may not.
"""

from __future__ import annotations

import psycopg
import pytest
from support.databases import Database
from support.projects import Project, wait_for

from pgrunbook.applying import lock_waits
from pgrunbook.postgres import blockers
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

# It sleeps a tenth of a second after each page.
SLOW = (
    "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, "
    "autovacuum_vacuum_threshold = 1"
)
USE_UP_XIDS = """
CREATE TEMP TABLE used_up ();
DO $$ BEGIN FOR n IN 1..110000 LOOP BEGIN INSERT INTO used_up DEFAULT VALUES; EXCEPTION WHEN division_by_zero THEN
  END; END LOOP; END $$
"""


def vacuumed(own: Database, table: str) -> int:
    """Let an autovacuum work on the table, for minutes: its process id."""
    own.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    own.execute("SELECT pg_reload_conf()")
    own.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0, {SLOW})")
    at_work = (
        f"SELECT pid FROM pg_stat_progress_vacuum WHERE relid = '{table}'::regclass AND "
        "heap_blks_scanned > 0"
    )
    wait_for(lambda: bool(own.execute(at_work)))
    ((pid,),) = own.execute(at_work)
    return int(pid)


def filled(own: Database, owner: str = "postgres") -> None:
    """The table `t`, with rows that are dead."""
    own.execute("CREATE TABLE t (id int, filler text)")
    own.execute(f"ALTER TABLE t OWNER TO {owner}")
    own.execute("INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 20000) AS n")
    own.execute("DELETE FROM t WHERE id % 2 = 0")


def altered(url: str, budget: str = "1s") -> tuple[list[Attempt], bool]:
    """Add a column to `t`, in attempts of 150 ms as a block does; what is reported, and whether it
    is there.
    """
    attempts: list[Attempt] = []
    target = Target("test", url)
    with (
        connect(target, schema="public") as work,
        connect(target, schema="public", read_only=True) as look,
    ):
        work.execute("SET lock_timeout = '150ms'")
        try:
            lock_waits.retry(
                lambda: work.execute("ALTER TABLE public.t ADD COLUMN more int"),
                block="010_t",
                budget=budget,
                watch=lambda: lock_waits.watch_blockers(work, look, "150ms"),
                report=attempts.append,
            )
        except psycopg.errors.LockNotAvailable:
            return attempts, False
    return attempts, True


@pytest.mark.long
def test_a_run_is_not_held_up_by_it_and_the_ledger_knows(own: Database, project: Project) -> None:
    columns = "workspace_id, stage, normalized_stage"
    more = (
        f"SELECT {columns}, repeat('x', 500) FROM (SELECT * FROM deals LIMIT 1) AS d, "
        "generate_series(1, 20000)"
    )
    own.execute(f"INSERT INTO deals ({columns}, name) {more}")
    own.execute("DELETE FROM deals WHERE name LIKE 'xxx%'")
    pid = vacuumed(own, "deals")
    passed = project.step(own, "--lock_budget", "3s")
    assert passed.code == 0, passed.text
    cancelled = (
        "SELECT DISTINCT blocker ->> 'autovacuum', blocker ->> 'role' FROM pgrunbook.attempts, "
    )
    cancelled += "jsonb_array_elements(blockers) AS blocker WHERE blocker ->> 'pid' = %s"
    assert own.execute(cancelled, [str(pid)]) == [("cancelled", "autovacuum worker")]


@pytest.mark.long
def test_who_may_not_cancel_it_is_told_what_to_do(own: Database) -> None:
    own.execute("CREATE ROLE plain LOGIN")
    own.execute("GRANT CREATE ON SCHEMA public TO plain")
    filled(own, owner="plain")
    pid = vacuumed(own, "t")
    attempts, done = altered(own.url_as("plain"))
    assert not done
    blocker = attempts[-1].blockers[0]
    assert (blocker.pid, blocker.autovacuum[:15]) == (pid, "not cancelled: ")
    assert blocker.remedy.endswith(f": SELECT pg_cancel_backend({pid})")
    own.execute(blocker.remedy.partition(": ")[2])
    wait_for(lambda: not own.execute("SELECT FROM pg_stat_progress_vacuum WHERE pid = %s", [pid]))


@pytest.mark.long
def test_from_version_18_on_there_is_a_role_that_may(own: Database) -> None:
    if own.server.version < 18:
        pytest.skip("there is none before")
    own.execute("CREATE ROLE plain LOGIN IN ROLE pg_signal_autovacuum_worker")
    own.execute("GRANT CREATE ON SCHEMA public TO plain")
    filled(own, owner="plain")
    vacuumed(own, "t")
    attempts, done = altered(own.url_as("plain"))
    assert done
    assert "cancelled" in {
        blocker.autovacuum for attempt in attempts for blocker in attempt.blockers
    }


@pytest.mark.long
@pytest.mark.parametrize("role", ["postgres", "plain"])
def test_one_that_prevents_wraparound_is_let_be(own: Database, role: str) -> None:
    """Whether or not the role is shown what it says of itself."""
    own.execute("CREATE ROLE plain LOGIN")
    own.execute("GRANT CREATE ON SCHEMA public TO plain")
    filled(own, owner=role)
    own.execute("ALTER TABLE t SET (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000)")
    own.load(USE_UP_XIDS)
    pid = vacuumed(own, "t")
    attempts, done = altered(own.url_as(role))
    assert not done
    assert {(b.pid, b.autovacuum) for a in attempts for b in a.blockers} == {
        (pid, blockers.PREVENTS_WRAPAROUND)
    }
    assert own.execute("SELECT count(*) FROM pg_stat_progress_vacuum WHERE pid = %s", [pid]) == [
        (1,)
    ]
