"""A block in batches, without a notebook: what it changes, what the ledger has of it, and how it
goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.backfilling import FILL, Backfilling
from support.databases import Database, Role
from support.projects import wait_for

from pgrunbook.errors import Failed, Interrupted, Problem, Refused, RunbookError
from pgrunbook.planning.decisions import Action
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target
from pgrunbook.records.format.parts import Progress

pytestmark = pytest.mark.newest

on_18 = pytest.mark.parametrize("server", [18], indirect=True)


@pytest.fixture
def backfill(empty: Database, tmp_path: Path) -> Backfilling:
    empty.load("CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    return Backfilling(empty, tmp_path)


def filled(database: Database, rows: int) -> None:
    database.execute("INSERT INTO t (id) SELECT g * 3 FROM generate_series(1, %s) g", [rows])


def test_each_row_is_changed_once_in_batches_of_the_size_that_is_asked_for(
    backfill: Backfilling,
) -> None:
    filled(backfill.database, 25)
    done = backfill()
    assert done
    assert done.event == "applied"
    assert backfill.batches() == [(None, "30", 10), ("30", "60", 10), ("60", "75", 5)]
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    assert backfill.gaps() == []
    events = backfill.database.execute(
        "SELECT event, revision, rows_written FROM pgrunbook.blocks ORDER BY id"
    )
    counts = {"inserted": 0, "updated": 25, "deleted": 0, "truncated": 0}
    written = [{"relation": "public.t", **counts}]
    assert events == [("started", 0, None), ("applied", 1, written)]
    assert ("t", "ROW EXCLUSIVE") in {(lock.relation, lock.mode) for lock in done.locks}
    held = "SELECT count(*) FROM pgrunbook.locks WHERE (relation, mode) = ('t', 'ROW EXCLUSIVE')"
    assert backfill.database.execute(held) == [(1,)]
    assert backfill() is None
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


@pytest.mark.parametrize("rows", [0, 1, 10, 20])
def test_the_last_batch_is_whole_or_there_is_none(backfill: Backfilling, rows: int) -> None:
    filled(backfill.database, rows)
    assert backfill()
    assert sum(row[2] for row in backfill.batches()) == rows
    assert backfill.gaps() == []
    assert backfill.database.execute("SELECT count(*) FROM t WHERE n <> 1") == [(0,)]
    assert backfill() is None


def problem(raised: pytest.ExceptionInfo[RunbookError]) -> Problem:
    (found,) = raised.value.problems
    return found


@on_18
def test_psql_runs_the_file_as_it_stands(backfill: Backfilling) -> None:
    filled(backfill.database, 25)
    assert backfill()
    first = ("-v", "from=ALL (SELECT NULL::bigint WHERE false)", "-v", "to=60")
    rest = ("-v", "from=60", "-v", "to=75")
    for bounds in (first, rest):
        backfill.database.psql(*bounds, "-f", backfill.folder / "deploy" / "010_fill.sql")
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(2,)]


@on_18
def test_a_batch_that_is_missing_from_the_ledger_is_a_gap(backfill: Backfilling) -> None:
    filled(backfill.database, 40)
    assert backfill()
    backfill.database.execute("ALTER TABLE pgrunbook.batches DISABLE TRIGGER append_only")
    backfill.database.execute("DELETE FROM pgrunbook.batches WHERE number IN (2, 4)")
    assert [gap["from_key"] for gap in backfill.gaps()] == [["60"]]
    backfill.database.execute("DELETE FROM pgrunbook.batches WHERE number = 1")
    assert [gap["number"] for gap in backfill.gaps()] == [3]
    backfill.database.execute("DELETE FROM pgrunbook.batches")
    assert [gap["to_key"] for gap in backfill.gaps()] == [["120"]]


# -- how it goes on


@on_18
def test_it_goes_on_behind_the_last_batch_when_its_session_was_ended(
    backfill: Backfilling,
) -> None:
    """Here by the server, in the middle of a batch."""
    filled(backfill.database, 40)
    backfill.sql = (
        "UPDATE t SET n = n + CASE WHEN id = 63 AND NOT pg_try_advisory_xact_lock(5) "
        "THEN pg_terminate_backend(pg_backend_pid())::int ELSE 1 END WHERE id > :from AND id <= :to"
    )
    with backfill.database.connect() as other:
        other.execute("SELECT pg_advisory_lock(5)")
        with pytest.raises(Failed) as raised:
            backfill()
    assert "done before it: 2 batches, 20 rows, up to id = 60 of 120" in problem(raised).found
    assert [row[1] for row in backfill.batches()] == ["30", "60"]
    done = backfill()
    assert done
    assert done.effect
    assert done.effect.rows_written[0]["updated"] == 20
    both = "SELECT rows_written -> 0 -> 'updated' FROM pgrunbook.blocks WHERE event = 'applied'"
    assert backfill.database.execute(both) == [(40,)]
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    assert backfill.gaps() == []


def test_until_ends_the_run_and_the_next_one_goes_on(backfill: Backfilling) -> None:
    filled(backfill.database, 30)
    backfill.header += "\nuntil: 1 ms"
    backfill.sql = "UPDATE t SET n = n + 1 FROM pg_sleep(0.01) WHERE id > :from AND id <= :to"
    with pytest.raises(Interrupted) as raised:
        backfill()
    assert "is not done after 1 ms" in problem(raised).what
    backfill.header = backfill.header.replace("1 ms", "8 h")
    assert backfill()
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


@on_18
@pytest.mark.parametrize(
    ("header", "sql", "said"),
    [
        ("batch: t by id; 5 rows", FILL.replace("n + 1", "n + 2"), "the file was edited"),
        ("batch: u by id; 10 rows", FILL.replace("UPDATE t", "UPDATE u"), "another table"),
    ],
)
def test_an_edited_file_does_not_go_on(
    backfill: Backfilling, header: str, sql: str, said: str
) -> None:
    filled(backfill.database, 30)
    backfill.database.load("CREATE TABLE u (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    backfill.header += "\nuntil: 1 ms"
    with pytest.raises(Interrupted):
        backfill()
    backfill.header, backfill.sql = header, sql
    sessions = Sessions(Target("test", backfill.database.url), "public", "test")
    decision = backfill.decide(backfill.agenda(sessions))
    sessions.close()
    assert decision.action is Action.REFUSE
    assert said in "; ".join(problem.what for problem in decision.problems)


@on_18
@pytest.mark.parametrize("planned", ["before", "after"])
def test_it_does_not_go_on_in_another_table_of_the_same_name(
    backfill: Backfilling, planned: str
) -> None:
    """That of the other schema has rows before the key that the batches have come to."""
    filled(backfill.database, 30)
    backfill.database.load("CREATE SCHEMA a; CREATE TABLE a.t (LIKE t INCLUDING ALL)")
    backfill.database.load("CREATE SCHEMA b; CREATE TABLE b.t (LIKE t INCLUDING ALL)")
    for schema in "ab":
        backfill.database.load(f"INSERT INTO {schema}.t SELECT * FROM t")
    backfill.header += "\nuntil: 1 ms\nsearch_path: b, a"
    with pytest.raises(Interrupted):
        backfill()

    def drop(_: object = None) -> None:
        backfill.database.execute("DROP TABLE b.t")

    if planned == "before":
        with pytest.raises(Refused) as raised:
            backfill(drop)
        found = raised.value.problems
    else:
        drop()
        sessions = Sessions(Target("test", backfill.database.url), "public", "test")
        found = backfill.decide(backfill.agenda(sessions)).problems
        sessions.close()
    assert [each.what for each in found] == [
        "its batches began in another table, or by another key"
    ]
    assert backfill.database.execute("SELECT count(*) FROM a.t WHERE n <> 0") == [(0,)]


SWAP = """
ALTER TABLE t RENAME TO old;
CREATE TABLE t (LIKE old INCLUDING ALL);
INSERT INTO t SELECT id, 0 FROM old;
"""


@on_18
def test_it_does_not_go_on_in_a_table_that_was_put_in_its_place(backfill: Backfilling) -> None:
    filled(backfill.database, 30)
    backfill.header += "\nuntil: 1 ms"
    with pytest.raises(Interrupted):
        backfill()
    backfill.database.load(SWAP)
    sessions = Sessions(Target("test", backfill.database.url), "public", "test")
    (found,) = backfill.decide(backfill.agenda(sessions)).problems
    sessions.close()
    assert found.what == "its batches began in another table of that name"


@on_18
def test_it_stops_when_a_table_is_put_in_its_place_meanwhile(backfill: Backfilling) -> None:
    filled(backfill.database, 30)

    class Swapping(list[Progress]):
        """Whoever is told of the first batch puts another table there."""

        def append(self, progress: Progress) -> None:
            if not self:
                backfill.database.load(SWAP)
            super().append(progress)

    backfill.told = Swapping()
    with pytest.raises(Failed) as raised:
        backfill()
    assert "another table of that name" in problem(raised).what
    assert backfill.database.execute("SELECT count(*) FROM t WHERE n <> 0") == [(0,)]


@on_18
def test_the_size_of_a_batch_may_be_changed_on_the_way(backfill: Backfilling) -> None:
    filled(backfill.database, 30)
    backfill.header += "\nuntil: 1 ms"
    with pytest.raises(Interrupted):
        backfill()
    backfill.header = "batch: t by id; 100 rows"
    assert backfill()
    assert backfill.gaps() == []


def test_rows_that_come_later_do_not_keep_it_from_its_end(backfill: Backfilling) -> None:
    filled(backfill.database, 20)
    backfill.database.load(
        "CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF pg_trigger_depth() = 1 THEN INSERT INTO t SELECT max(id) + 1 FROM t; "
        "END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER more AFTER UPDATE ON t EXECUTE FUNCTION more();"
    )
    assert backfill()
    assert backfill.database.execute("SELECT count(*) FILTER (WHERE n = 0), count(*) FROM t") == [
        (2, 22)
    ]


# -- rows that cannot be changed


BROKEN = "ALTER TABLE t ADD CONSTRAINT small CHECK (n < 1 OR id NOT IN (3, 42, 75))"


@on_18
def test_a_row_that_breaks_a_constraint_stops_it_with_its_key(backfill: Backfilling) -> None:
    filled(backfill.database, 25)
    backfill.database.execute(BROKEN.replace("3, ", ""))
    with pytest.raises(Failed) as raised:
        backfill()
    said = problem(raised)
    assert "small" in said.what
    assert "the row with id = 42" in said.found
    assert [row[1] for row in backfill.batches()] == ["30", "39"]
    backfill.database.execute("ALTER TABLE t DROP CONSTRAINT small")
    assert backfill()
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


@pytest.mark.parametrize("deferred", ["", "deferred"])
def test_rows_that_break_a_constraint_are_put_aside(backfill: Backfilling, deferred: str) -> None:
    filled(backfill.database, 25)
    backfill.header += "\nskip: rows that break a constraint"
    if deferred:
        backfill.database.load(
            "CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (0), (1);"
            "ALTER TABLE t ADD CONSTRAINT small FOREIGN KEY (n) REFERENCES u"
            " DEFERRABLE INITIALLY DEFERRED;"
            "UPDATE t SET n = 1 WHERE id IN (3, 42, 75);"
        )
        code = "23503"
    else:
        backfill.database.execute(BROKEN)
        code = "23514"
    assert backfill()
    skipped = backfill.database.execute(
        "SELECT key, sqlstate, table_name, constraint_name FROM pgrunbook.skipped_rows ORDER BY id"
    )
    assert skipped == [([key], code, "public.t", "small") for key in ("3", "42", "75")]
    assert backfill.gaps() == []
    changed = backfill.database.execute(
        "SELECT count(*) FROM t WHERE n = 1 AND id NOT IN (3, 42, 75)"
    )
    assert changed == [(22,)]


@on_18
def test_row_security_that_would_hide_rows_refuses_it(
    backfill: Backfilling, login_role: Callable[..., Role]
) -> None:
    filled(backfill.database, 5)
    owner = login_role(backfill.database)
    backfill.database.load(
        f"GRANT ALL ON SCHEMA public TO {owner.name}; GRANT CREATE ON DATABASE "
        f"{backfill.database.name} TO {owner.name}; ALTER TABLE t OWNER TO {owner.name};"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    )
    backfill.url = owner.url
    hide = "ALTER TABLE t FORCE ROW LEVEL SECURITY"
    with pytest.raises(Refused) as raised:
        backfill(lambda _: backfill.database.execute(hide))
    assert "row security may hide rows of" in problem(raised).what
    backfill.database.execute("ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    backfill.database.load(
        "CREATE TABLE u (id int); ALTER TABLE u ENABLE ROW LEVEL SECURITY;"
        f"GRANT SELECT ON u TO {owner.name}"
    )
    backfill.sql = f"{FILL} AND EXISTS (SELECT FROM u)"
    with pytest.raises(Failed) as failed:
        backfill()
    assert "BYPASSRLS" in problem(failed).remedy


@on_18
def test_its_keys_are_read_as_its_role(
    backfill: Backfilling, login_role: Callable[..., Role]
) -> None:
    """The run's own may read nothing that it has not become another role for."""
    filled(backfill.database, 15)
    database, own, owner = backfill.database, *(login_role(backfill.database) for _ in range(2))
    database.load(
        f"GRANT {owner.name} TO {own.name} WITH INHERIT FALSE; ALTER TABLE t OWNER TO {owner.name};"
        f"GRANT CREATE ON DATABASE {database.name} TO {own.name}"
    )
    backfill.url, backfill.header = own.url, f"{backfill.header}\nrole: {owner.name}"
    done = backfill()
    assert done
    assert done.event == "applied"
    assert database.execute("SELECT DISTINCT n FROM t") == [(1,)]


# -- others at work


@on_18
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_what_the_server_gave_up_for_another_transaction_is_tried_again(
    backfill: Backfilling, code: str
) -> None:
    filled(backfill.database, 20)
    backfill.database.load(
        "CREATE SEQUENCE tries;"
        "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('tries') = 12 THEN RAISE EXCEPTION SQLSTATE '{code}'; END IF; "
        "RETURN NEW; END $$;"
        "CREATE TRIGGER give_up BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION give_up();"
    )
    assert backfill()
    tried = backfill.database.execute("SELECT number, attempts FROM pgrunbook.batches ORDER BY id")
    assert tried == [(1, 1), (2, 2)]
    # not those of the attempt that was rolled back
    counted = "SELECT rows_written -> 0 ->> 'updated' FROM pgrunbook.batches ORDER BY id"
    assert backfill.database.execute(counted) == [("10",), ("10",)]
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


BESIDES = {
    "made": ("CREATE TABLE IF NOT EXISTS log (id int)", "table public.log: made or altered"),
    "altered": ("COMMENT ON COLUMN other.n IS 'x'", "table column public.other.n: made or altered"),
    "dropped": ("DROP TABLE other", "table public.other: dropped"),
    "temporary": ("CREATE TEMP TABLE mine (id int) ON COMMIT DROP", ""),
    "temporary and dropped": ("CREATE TEMP TABLE mine (id int); DROP TABLE mine", ""),
}


@pytest.mark.parametrize("deferred", ["", "CONSTRAINT"])
@pytest.mark.parametrize("does", BESIDES)
def test_what_a_trigger_changes_besides_rows_refuses_the_batch(
    backfill: Backfilling, does: str, deferred: str
) -> None:
    """The block's effect would lack it, and nobody would expect it to be there."""
    ddl, told = BESIDES[does]
    database = backfill.database
    filled(database, 20)
    database.load(
        "CREATE TABLE other (n int); CREATE FUNCTION besides() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF OLD.id = 45 THEN {ddl}; END IF; RETURN NEW; END $$; "
        f"CREATE {deferred} TRIGGER besides AFTER UPDATE ON t"
        f"{' DEFERRABLE INITIALLY DEFERRED' if deferred else ''}"
        " FOR EACH ROW EXECUTE FUNCTION besides()"
    )
    if not told:
        assert backfill()
        return
    with pytest.raises(Failed) as raised:
        backfill()
    assert told in problem(raised).found.splitlines()
    assert backfill.batches() == [(None, "30", 10)]
    assert database.execute("SELECT count(*) FROM t WHERE n = 1") == [(10,)]


def test_whoever_has_a_row_is_named(backfill: Backfilling) -> None:
    filled(backfill.database, 20)
    waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
    with backfill.database.connect(application_name="slow report") as other:
        other.execute("BEGIN; UPDATE t SET n = 0 WHERE id = 45")

        def leave() -> None:
            wait_for(lambda: backfill.database.execute(waiting) == [(True,)])
            time.sleep(0.5)  # longer than lock_timeout
            other.rollback()

        leaving = threading.Thread(target=leave)
        leaving.start()
        assert backfill()
        leaving.join()
    ((attempts, waited_for),) = backfill.database.execute(
        "SELECT attempts, waited_for FROM pgrunbook.batches WHERE number = 2"
    )
    assert attempts > 1
    assert waited_for[0]["application"] == "slow report"
    assert backfill.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


# -- other statements


CALL = """CREATE FUNCTION fill(low bigint, high bigint) RETURNS void LANGUAGE sql AS
$$ UPDATE t SET n = n + 1 WHERE (low IS NULL OR id > low) AND id <= high $$"""


@on_18
@pytest.mark.parametrize(
    ("sql", "oracle"),
    [
        ("DELETE FROM t WHERE n = 0 AND id > :from AND id <= :to", "SELECT 0, 0"),
        (
            "INSERT INTO copied SELECT id FROM t WHERE t.id > :from AND t.id <= :to",
            "SELECT 25, 25",
        ),
        (
            "MERGE INTO copied USING (SELECT id FROM t WHERE id > :from AND id <= :to) AS s "
            "ON copied.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
            "SELECT 25, 25",
        ),
        ("SELECT fill(:from, :to)", "SELECT 25, 0"),
    ],
)
def test_any_statement_that_changes_rows(backfill: Backfilling, sql: str, oracle: str) -> None:
    filled(backfill.database, 25)
    backfill.database.load(f"CREATE TABLE copied (id bigint); {CALL}")
    backfill.sql = sql
    assert backfill()
    assert sum(row[2] for row in backfill.batches()) == 25
    counts = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM copied)"
    if sql.startswith("SELECT"):
        counts = "SELECT (SELECT count(*) FROM t WHERE n = 1), (SELECT count(*) FROM copied)"
    assert backfill.database.execute(counts) == backfill.database.execute(oracle)
