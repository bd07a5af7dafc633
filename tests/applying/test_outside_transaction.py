"""Blocks outside a transaction: recorded before and after, judged by the catalog, and finished by
the next run.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from support.databases import Database
from support.projects import PATIENCE_S, Project, kernel_of, wait_for

BLOCK = "090_deals_lookup"
INDEX = "idx_deals_import_batch"
CREATE = f"""
CREATE INDEX CONCURRENTLY {INDEX} ON deals ((source_data ->> 'import_batch_id'));
COMMENT ON INDEX {INDEX} IS 'Finds the deals of an import batch.';
"""
VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{INDEX}'::regclass"


def add(project: Project, sql: str, header: str = "transaction: no") -> None:
    """Add the block to runbook 001, at its end, with a cell that applies it."""
    path = project.root / "sql" / "001_import_connector" / "deploy" / f"{BLOCK}.sql"
    path.write_text(
        "-- title: Find deals by import batch\n-- why: An import is taken back by it.\n-- "
        f"{header}\n{sql}"
    )
    runbook = project.root / "runbooks" / "001_import_connector.ipynb"
    loaded = json.loads(runbook.read_text())
    at = next(n for n, cell in enumerate(loaded["cells"]) if cell["id"] == "validate") + 1
    cell = loaded["cells"][at - 1] | {"id": "lookup", "source": [f'run.apply("{BLOCK}")']}
    loaded["cells"].insert(at, cell)
    runbook.write_text(json.dumps(loaded))


@pytest.fixture
def lookup(project: Project) -> Project:
    add(project, CREATE)
    return project


def events(database: Database) -> list[str]:
    found = database.execute(
        "SELECT event FROM pgrunbook.blocks WHERE block = %s ORDER BY revision", [BLOCK]
    )
    return [event for (event,) in found]


@pytest.mark.newest
def test_each_statement_is_recorded_before_and_after(applied: Database, lookup: Project) -> None:
    done = lookup.run(applied)
    assert done.code == 0, done.text
    assert events(applied) == ["started", "applied"]
    rows = applied.execute(
        "SELECT number, event FROM pgrunbook.statements WHERE block = %s ORDER BY id", [BLOCK]
    )
    assert rows == [(1, "started"), (1, "finished"), (2, "started"), (2, "finished")]
    assert applied.execute(VALID) == [(True,)]
    assert "CREATE INDEX CONCURRENTLY" in done.cells["lookup"]
    assert locks(applied) == [(1, "deals", "SHARE UPDATE EXCLUSIVE")]
    again = lookup.run(applied)
    assert (again.code, events(applied)) == (0, ["started", "applied"]), again.text


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_that_was_left_invalid_is_dropped_and_built_again(
    crm: Database, lookup: Project
) -> None:
    """As a CREATE INDEX CONCURRENTLY that was broken off leaves it, here by hand, before any
    run.
    """
    crm.execute("ALTER TABLE deals ADD source_data JSONB")
    crm.execute(CREATE.split(";")[0])
    crm.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{INDEX}'::regclass")
    done = lookup.run(crm)
    assert done.code == 0, done.text
    assert f'DROP INDEX CONCURRENTLY "{INDEX}"' in done.cells["lookup"]
    assert {(1, "deals", "SHARE UPDATE EXCLUSIVE"), (1, INDEX, "SHARE UPDATE EXCLUSIVE")} <= set(
        locks(crm)
    )
    assert "left half done" in done.cells["lookup"]
    assert crm.execute(VALID) == [(True,)]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_that_was_only_adopted_is_missed_when_it_is_gone(
    applied: Database, lookup: Project
) -> None:
    applied.psql("-c", CREATE.split(";")[0], "-c", CREATE.split(";")[1])
    done = lookup.step(applied)
    assert (done.code, events(applied)) == (0, ["started", "adopted"]), done.text
    applied.execute(f"DROP INDEX {INDEX}")
    refused = lookup.step(applied)
    assert refused.code == 2
    assert f"{BLOCK}: index public.{INDEX} is gone" in refused.text


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_that_somebody_has_made_meanwhile_is_not_taken_for_ours(
    applied: Database, lookup: Project
) -> None:
    """Under the same name, while the block was broken off: nobody has asked what it is."""
    add(lookup, f"{CREATE} CREATE INDEX CONCURRENTLY second ON deals (source);")
    with writer(applied):
        assert lookup.step(applied, "-p", "lock_budget", "2s").code == 1
    applied.execute("CREATE INDEX second ON deals (name)")
    refused = lookup.step(applied)
    assert refused.code == 2
    assert f"{BLOCK}: index public.second on deals is there, and no run has made it" in refused.text
    assert "DROP INDEX CONCURRENTLY" in refused.text
    assert f"half done: index public.{INDEX} on deals" in refused.text
    applied.execute("DROP INDEX second")
    again = lookup.step(applied)
    assert (again.code, applied.execute(VALID)) == (0, [(True,)]), again.text


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_of_another_shape_is_not_taken_for_the_one_that_was_begun(
    applied: Database, lookup: Project
) -> None:
    """Its statement was begun by a run of ours, and somebody has made another one of its name
    since.
    """
    with writer(applied):
        assert lookup.step(applied, "-p", "lock_budget", "2s").code == 1
    applied.execute(f"DROP INDEX {INDEX}")
    applied.execute(f"CREATE INDEX {INDEX} ON deals (name)")
    refused = lookup.step(applied)
    assert (refused.code, events(applied)) == (2, ["started"]), refused.text
    assert f"index public.{INDEX}" in refused.text
    assert "ON public.deals USING btree (name)" in refused.text
    applied.execute(f"DROP INDEX {INDEX}")
    applied.psql("-c", CREATE.split(";")[0])
    again = lookup.step(applied)
    assert (again.code, applied.execute(VALID)) == (0, [(True,)]), again.text


def locks(database: Database) -> list[tuple[int, str, str]]:
    query = (
        "SELECT DISTINCT number, relation, mode FROM pgrunbook.locks WHERE block = %s ORDER "
        "BY number, relation"
    )
    return database.execute(query, [BLOCK])


@contextmanager
def writer(database: Database) -> Iterator[int]:
    """A transaction that has written to the table and stays open: the build waits for it."""
    with database.connect(application_name="slow report") as conn:
        conn.execute("BEGIN")
        conn.execute("LOCK TABLE deals IN ROW EXCLUSIVE MODE")
        yield conn.info.backend_pid


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_index_that_somebody_else_is_building_is_not_dropped(
    applied: Database, lookup: Project
) -> None:
    with (
        writer(applied),
        applied.connect(application_name="by hand") as builder,
        ThreadPoolExecutor(1) as thread,
    ):
        building = thread.submit(builder.execute, CREATE.split(";")[0].encode())
        wait_for(lambda: bool(applied.execute(f"SELECT 1 FROM pg_class WHERE relname = '{INDEX}'")))
        pid, done = builder.info.backend_pid, lookup.run(applied)
        builder.cancel_safe()
        assert isinstance(building.exception(), psycopg.errors.QueryCanceled)
    assert done.code == 1, done.text
    assert "may be somebody else's work, still going on" in done.cells["lookup"]
    assert f"pid {pid} (by hand, postgres)" in done.cells["lookup"]
    assert events(applied) == []


@pytest.mark.parametrize("server", [18], indirect=True)
def test_who_is_waited_for_too_long_is_named_and_the_next_run_goes_on(
    applied: Database, lookup: Project
) -> None:
    with writer(applied) as pid:
        done = lookup.run(applied, "-p", "lock_budget", "3s")
    assert done.code == 1, done.text
    shown = done.cells["lookup"]
    assert "waiting for writers before build" in shown
    assert f"pid {pid} (slow report, postgres), idle in transaction" in shown
    assert "holds its transaction: LOCK" in shown
    assert f"left half done: index public.{INDEX} on deals" in shown
    assert done.notebook
    banner = json.loads(done.notebook.read_text())["cells"][0]["source"]
    assert f"`{BLOCK}` in part, outside a transaction" in "".join(banner)
    assert events(applied) == ["started"]

    after = lookup.run(applied)
    assert after.code == 0, after.text
    assert "complete, started by run" in after.cells["lookup"]
    assert events(applied) == ["started", "started", "applied"]
    assert applied.execute(VALID) == [(True,)]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_rows_that_break_a_unique_index_are_to_be_corrected_first(
    applied: Database, project: Project
) -> None:
    add(project, f"CREATE UNIQUE INDEX CONCURRENTLY {INDEX} ON deals (source_data);")
    done = project.step(applied)
    assert done.code == 1
    assert "is duplicated" in done.text
    assert (
        "remedy:   correct the rows that break the constraint, then run again: the next run finds"
        in done.text
    )
    applied.execute("UPDATE deals SET source_data = jsonb_build_object('n', id)")
    again = project.step(applied)
    assert (again.code, applied.execute(VALID)) == (0, [(True,)]), again.text


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_build_that_somebody_cancels_had_no_timeout_to_be_raised(
    applied: Database, lookup: Project
) -> None:
    with writer(applied), ThreadPoolExecutor(1) as thread:
        running = thread.submit(lookup.step, applied)
        cancel = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index WHERE phase "
            "LIKE 'waiting%'"
        )
        wait_for(lambda: applied.execute(cancel) != [])
        done = running.result()
    assert done.code == 1
    assert "canceling statement due to user request" in done.text
    assert "remedy:   run again: the next run finds" in done.text


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_stopped_half_way_is_finished_by_the_next(
    applied: Database, lookup: Project, number: int
) -> None:
    """SIGKILL goes to the kernel, which cannot say a word; SIGTERM to the runner, which cancels and
    records.
    """
    lookup.env["CRM_URL"] = applied.url
    with writer(applied):
        runner = lookup.start("run", "001", "--target", "env:CRM_URL")
        building = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
        wait_for(lambda: applied.execute(building) != [])
        os.kill(kernel_of(runner.pid) if number == signal.SIGKILL else runner.pid, number)
        assert runner.wait(PATIENCE_S) == 3
    assert events(applied) == ["started"]

    after = lookup.run(applied)
    assert after.code == 0, after.text
    assert events(applied) == ["started", "started", "applied"]
    verdicts = applied.execute("SELECT verdict, reason FROM pgrunbook.verdicts ORDER BY id")
    assert [verdict for verdict, _ in verdicts] == ["passed", "interrupted", "passed"]
    if number == signal.SIGKILL:
        assert "died; committed: nothing" in after.cells["target"]
        assert "last known: statement 1 of 090_deals_lookup started" in verdicts[1][1]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_partition_is_detached_in_short_attempts_and_finalized(
    applied: Database, project: Project
) -> None:
    """A reader of the partition itself: it is locked out at the very end, when the partition is
    half detached.
    """
    applied.load(
        "CREATE TABLE history (at date) PARTITION BY RANGE (at);"
        "CREATE TABLE history_2025 PARTITION OF history FOR VALUES FROM ('2025-01-01') TO "
        "('2026-01-01')"
    )
    add(project, "ALTER TABLE history DETACH PARTITION history_2025 CONCURRENTLY;")
    with applied.connect(application_name="slow report") as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT 1 FROM history_2025")
        done = project.run(applied, "-p", "lock_budget", "3s")
        assert done.code == 1, done.text
        assert "slow report" in done.cells["lookup"]
        assert "left half done: partition public.history_2025 of history" in done.cells["lookup"]
        conn.execute("COMMIT")
    after = project.run(applied)
    assert after.code == 0, after.text
    assert applied.execute(
        "SELECT relispartition FROM pg_class WHERE relname = 'history_2025'"
    ) == [(False,)]
    assert {name for _, name, _ in locks(applied)} == {"history", "history_2025"}
    assert project.step(applied).code == 0


@pytest.mark.parametrize("server", [18], indirect=True)
def test_statements_that_leave_no_trace_run_until_the_ledger_has_them(
    applied: Database, project: Project
) -> None:
    add(project, "REINDEX TABLE CONCURRENTLY deals; VACUUM (ANALYZE) deals;")
    assert project.run(applied).code == 0
    assert events(applied) == ["started", "applied"]
    assert {(1, "deals", "SHARE UPDATE EXCLUSIVE"), (2, "deals", "SHARE UPDATE EXCLUSIVE")} <= set(
        locks(applied)
    )
    assert project.step(applied).code == 0
    assert events(applied) == ["started", "applied"]


@pytest.mark.parametrize(
    ("sql", "header", "said"),
    [
        (CREATE, "lock_timeout: 1s", "cannot run inside a transaction"),
        ("ALTER TABLE deals ADD x TEXT;", "transaction: no", "can run inside a transaction"),
        ("VACUUM FULL deals;", "transaction: no", "locks reads and writes out"),
        ("VACUUM;", "transaction: no", "name the tables"),
        ("REINDEX SCHEMA CONCURRENTLY public;", "transaction: no", "name the table or the index"),
        (CREATE, "transaction: maybe", "is neither yes nor no"),
    ],
)
def test_what_does_not_go_together_is_refused_when_it_is_read(
    project: Project, sql: str, header: str, said: str
) -> None:
    add(project, sql, header)
    done = project.command("run", "001", "--target", "service:nowhere")
    assert done.code == 2
    assert said in done.text
    assert f"deploy/{BLOCK}.sql" in done.text


MADE = """-- title: T
-- why: W

CREATE TABLE z (id int, n text);
CREATE INDEX z_n ON z (n);
CREATE DOMAIN number AS int CONSTRAINT positive CHECK (VALUE > 0);
CREATE TABLE history (at date NOT NULL CHECK (at > '2000-01-01')) PARTITION BY RANGE (at);
CREATE TABLE history_2025 PARTITION OF history FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON history (at);
"""


# what a block does to another's objects before it is broken off, what somebody does then by hand,
# and what of that is drift
TAKEN = {
    "drops an index": ("DROP INDEX CONCURRENTLY z_n", "", ""),
    "detaches a partition": (
        "ALTER TABLE history DETACH PARTITION history_2025 CONCURRENTLY",
        "",
        "",
    ),
    "comments": (
        "COMMENT ON TABLE z IS 'a z'; COMMENT ON COLUMN z.n IS 'a name';"
        "COMMENT ON CONSTRAINT positive ON DOMAIN number IS 'a number'",
        "",
        "",
    ),
    "comments, and somebody grants": (
        "COMMENT ON TABLE z IS 'a z'",
        "GRANT SELECT ON z TO pg_monitor",
        "REVOKE SELECT ON z FROM pg_monitor",
    ),
    "comments, and somebody does otherwise": (
        "COMMENT ON TABLE z IS 'a z'",
        "COMMENT ON TABLE z IS 'theirs'",
        "COMMENT ON TABLE z IS 'a z'",
    ),
    "detaches a partition, and somebody adds a column": (
        "ALTER TABLE history DETACH PARTITION history_2025 CONCURRENTLY",
        "ALTER TABLE history_2025 ADD by_hand int",
        "ALTER TABLE history_2025 DROP by_hand",
    ),
    "detaches a partition, and somebody grants": (
        "ALTER TABLE history DETACH PARTITION history_2025 CONCURRENTLY",
        "GRANT SELECT ON history_2025 TO pg_monitor",
        "REVOKE SELECT ON history_2025 FROM pg_monitor",
    ),
    "detaches a partition, and somebody adds a CHECK": (
        "ALTER TABLE history DETACH PARTITION history_2025 CONCURRENTLY",
        "ALTER TABLE history_2025 ADD CONSTRAINT theirs CHECK (at > '2000-01-02')",
        "ALTER TABLE history_2025 DROP CONSTRAINT theirs",
    ),
}

_SHORT = (
    "drops an index",
    "comments, and somebody grants",
    "detaches a partition, and somebody adds a CHECK",
)


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize(
    "case",
    [case if case in _SHORT else pytest.param(case, marks=pytest.mark.long) for case in TAKEN],
)
def test_what_a_block_has_taken_from_another_is_no_drift_while_it_is_broken_off(
    empty: Database, project: Project, case: str
) -> None:
    taken, by_hand, undo = TAKEN[case]
    project.env["CRM_URL"] = empty.url
    folder = project.new("009_taken")
    (folder / "deploy" / "010_made.sql").write_text(MADE)
    assert project.step(empty, runbook="009_taken").code == 0
    (folder / "deploy" / "020_taken.sql").write_text(
        "-- title: T\n-- why: W\n-- transaction: no\n\n"
        f"{taken};\nCREATE UNIQUE INDEX CONCURRENTLY z_id ON z (id);"
    )
    empty.execute("INSERT INTO z VALUES (1, 'a'), (1, 'b')")
    assert project.step(empty, runbook="009_taken").code == 1
    empty.execute("DELETE FROM z WHERE n = 'b'")
    if by_hand:
        empty.execute(by_hand)
        refused = project.step(empty, runbook="009_taken")
        assert refused.code == 2
        assert "by hand" in refused.text
        assert "partition: FOR VALUES" not in refused.text  # that was the block
        assert ": a z" not in refused.text
        empty.execute(undo)
    done = project.step(empty, runbook="009_taken")
    assert done.code == 0, done.text
    drift = project.command("drift", "--target", "env:CRM_URL")
    assert drift.code == 0, drift.text
    assert project.step(empty, "--mode", "verify", runbook="009_taken").code == 0
