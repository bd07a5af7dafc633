"""A commit that waits for a standby that does not answer: its locks are let go, and what is said of
it is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hostile.copies import copied, synchronous
from support.databases import Database, application
from support.projects import RUNBOOK, Outcome, Project, wait_for

from pgrunbook.applying import standbys
from pgrunbook.planning import delays
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

Run = Callable[..., Outcome]

LOCK_TIMEOUT_S = 0.15


def lasting(own: Database) -> None:
    """Commits of this server are durable, and so wait for its standbys: those of a test's are
    not.
    """
    own.execute("ALTER SYSTEM SET synchronous_commit = on")
    own.execute("SELECT pg_reload_conf()")


@contextmanager
def waiting(own: Database, project: Project) -> Iterator[tuple[Session, Future[Outcome]]]:
    """A run that waits for the locks of a block, and the session that it waits for."""
    with ThreadPoolExecutor(1) as pool, own.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM deals")
        running = pool.submit(project.step, own)
        wait_for(lambda: bool(own.execute("SELECT FROM pg_locks WHERE NOT granted")))
        yield reader, running


@pytest.mark.long
def test_standbys_that_nobody_is_are_seen_before_anything_is_done(own: Database, run: Run) -> None:
    lasting(own)
    with synchronous(own.server, "FIRST 2 (nobody, none)"):
        for mode in ("plan", "apply"):
            refused = run(own, "--mode", mode)
            assert refused.code == 2, refused.text
            assert "nobody confirms commits" in refused.text
            assert (
                "expected: 2 for synchronous_standby_names = 'FIRST 2 (nobody, none)'"
                in refused.text
            )
            assert "ALTER SYSTEM SET synchronous_standby_names = ''" in refused.text
    assert own.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


@pytest.mark.long
def test_a_role_that_is_not_shown_the_standbys_is_told_so(own: Database) -> None:
    lasting(own)
    own.execute("CREATE ROLE plain LOGIN")
    with synchronous(own.server, "nobody"), own.connect() as conn:
        conn.execute("SET ROLE plain")
        (problem,) = [found.problem for found in delays.standbys(conn)]
        assert problem is not None
        assert problem.found == "0; 0 connected"


def test_a_block_is_committed_its_locks_are_gone_and_all_of_it_is_said(
    own: Database, project: Project
) -> None:
    """The standbys are lost after the preconditions, while the run waits for a block's locks."""
    lasting(own)
    with waiting(own, project) as (reader, running), synchronous(own.server, "nobody"):
        time.sleep(0.5)  # for the server to have heard of it
        reader.execute("COMMIT")
        with application(own, "SELECT FROM deals LIMIT 1") as waits:
            outcome = running.result(30)
    assert outcome.code == 1, outcome.text
    assert "is committed on this server, and not confirmed by a standby" in outcome.text
    assert max(waits) < 10 * LOCK_TIMEOUT_S
    ((verdict, reason),) = own.execute("SELECT verdict, reason FROM pgrunbook.verdicts")
    assert verdict == "failed"
    assert "not confirmed by a standby" in reason
    assert own.execute("SELECT block FROM pgrunbook.blocks ORDER BY id DESC LIMIT 1") == [
        ("030_deals_source_data",)
    ]
    unconfirmed = '[{"role": "synchronous standby", "state": "has not confirmed the commit"}]'
    said = own.execute(
        "SELECT block, got_locks FROM pgrunbook.attempts WHERE blockers @> %s", [unconfirmed]
    )
    assert said == [("030_deals_source_data", True)]
    again = project.step(own)
    assert again.code == 0, again.text


@pytest.mark.parametrize(
    "setting",
    [
        "SET LOCAL synchronous_commit = on;",
        "DO $$ BEGIN PERFORM set_config('synchronous_commit', 'on', true); END $$;",
    ],
)
def test_a_block_does_not_decide_how_it_is_committed(
    own: Database, project: Project, setting: str
) -> None:
    """The role waits for no standby, so nobody would see that the block's commit does."""
    own.execute("ALTER SYSTEM SET synchronous_commit = local")
    own.execute("SELECT pg_reload_conf()")
    block = project.root / "sql" / RUNBOOK / "deploy" / "030_deals_source_data.sql"
    block.write_text(f"{block.read_text()}\n{setting}\n")
    with synchronous(own.server, "nobody"):
        start = time.monotonic()
        done = project.step(own)
        took_s = time.monotonic() - start
    assert done.code == 0, done.text
    assert took_s < standbys.PATIENCE_MS / 1000, "a commit has waited"


@pytest.mark.long
def test_a_standby_that_vanishes_in_the_middle(
    own: Database, project: Project, place: Path
) -> None:
    lasting(own)
    with (
        copied(own.server, place / "vanishing" / "pg", replicates=True) as standby,
        synchronous(own.server),
    ):
        wait_for(lambda: own.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
        planned = project.step(own, "--mode", "plan")
        assert planned.code == 0, planned.text
        with waiting(own, project) as (reader, running):
            standby.stop()
            reader.execute("COMMIT")
        outcome = running.result()
        assert outcome.code == 1, outcome.text
        assert "030_deals_source_data" in outcome.text
        assert "not confirmed by a standby" in outcome.text
        refused = project.step(own)
        assert refused.code == 2, refused.text
        assert "nobody confirms commits" in refused.text


@pytest.mark.long
def test_a_session_that_ends_while_its_commit_waits_does_not_make_it_confirmed(
    own: Database, project: Project
) -> None:
    lasting(own)
    with waiting(own, project) as (reader, running), synchronous(own.server, "nobody"):
        time.sleep(0.5)  # for the server to have heard of it
        reader.execute("COMMIT")
        ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        wait_for(lambda: bool(own.execute(ends)))
        outcome = running.result(30)
    assert outcome.code == 1, outcome.text
    assert (
        "030_deals_source_data: is committed on this server, and not confirmed by a standby"
        in outcome.text
    )
    said = own.execute(
        'SELECT block FROM pgrunbook.attempts WHERE blockers @> \'[{"role": "synchronous '
        "standby\"}]'"
    )
    assert said == [("030_deals_source_data",)]
    assert own.execute("SELECT block FROM pgrunbook.blocks ORDER BY id DESC LIMIT 1") == said


@pytest.mark.long
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("ALTER DATABASE crm SET track_activities = off", id="not shown"),
        pytest.param(
            "DROP EXTENSION plpgsql CASCADE; DROP LANGUAGE IF EXISTS plpgsql CASCADE",
            id="no plpgsql",
        ),
    ],
)
def test_where_the_server_cannot_cancel_the_wait_we_do(own: Database, odd: str) -> None:
    lasting(own)
    own.execute("CREATE TABLE a (id int)")
    own.load(odd)
    with (
        closing(Sessions(Target("test", own.url), "public", "test")) as sessions,
        synchronous(own.server, "nobody"),
    ):
        work, look = sessions.work, sessions.look
        time.sleep(0.5)
        work.execute(
            "BEGIN; SET LOCAL synchronous_commit = on; ALTER TABLE public.a ADD COLUMN y int"
        )
        begun = time.monotonic()
        with standbys.watch_commit(work, look, LOCK_TIMEOUT_S * 1000) as commit:
            work.execute("COMMIT")
    assert not commit.confirmed
    assert time.monotonic() - begun < 2
