"""One block onto a target, without a notebook: what is committed, what its locks are said to be,
what an error says.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import databases
from support.applying import Applying
from support.databases import Database

from pgrunbook.applying import one_message
from pgrunbook.errors import Failed
from pgrunbook.ledger import write
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.postgres.embedded import Server

on_18 = pytest.mark.parametrize("server", [18], indirect=True)


@pytest.fixture
def applying(empty: Database, tmp_path: Path, place: Path) -> Iterator[Applying]:
    made = Applying(empty, tmp_path, place)
    yield made
    made.sessions.close()


def test_what_thousands_of_statements_made_may_take_us_seconds_to_read(applying: Applying) -> None:
    """The server ends a session that is silent for three."""
    asks = "SELECT current_setting('idle_in_transaction_session_timeout') AS now"
    applying(f"CREATE TABLE few AS {asks}", name="010_few")
    many = "".join(f"CREATE TYPE t{n} AS ENUM ();" for n in range(1000))
    applying(f"{many} CREATE TABLE many AS {asks}", name="020_many")
    assert applying.database.execute("TABLE few UNION ALL TABLE many") == [("3s",), ("13s",)]


def failing(applying: Applying, sql: str) -> str:
    """What the error says, all of it."""
    with pytest.raises(Failed) as raised:
        applying(sql)
    return str(raised.value)


@on_18
@pytest.mark.parametrize(
    "there",
    [
        "CREATE TABLE t (id int, name text); CREATE INDEX i ON t (id);",  # adopted
        "CREATE TABLE t (id int, name text);",  # completed
    ],
)
def test_what_was_there_already_is_compared_again_before_it_is_recorded(
    applying: Applying, there: str
) -> None:
    applying.database.load(there)
    applying.before = lambda: applying.database.execute("ALTER TABLE t DROP name")
    said = failing(applying, "CREATE TABLE t (id int, name text); CREATE INDEX i ON t (id);")
    assert (
        "table column public.t.name has changed since it was decided about\n      expected: type: "
        "text\n      found:    absent" in said
    )
    assert applying.database.execute("SELECT count(*) FROM pgrunbook.blocks") == [(0,)]


@on_18
def test_a_column_that_if_not_exists_left_alone_may_keep_its_default(applying: Applying) -> None:
    applying.database.load("CREATE TABLE t (id int, name text DEFAULT 'old')")
    done = applying(
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS name text NOT NULL DEFAULT ''; CREATE INDEX i ON "
        "t (id);"
    )
    assert done.event == "applied"


@on_18
def test_a_block_that_is_committed_stays_so_if_its_wait_cannot_be_noted(
    applying: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = write.note_attempt

    def refuse(conn: psycopg.Connection[Any], run_id: str, attempt: Attempt) -> None:
        if attempt.got_locks:
            raise psycopg.errors.LockNotAvailable("somebody holds the table of attempts")
        note(conn, run_id, attempt)

    monkeypatch.setattr(write, "note_attempt", refuse)
    applying.database.execute("CREATE TABLE t (id int)")
    with psycopg.connect(applying.database.url) as blocker:
        leaving = threading.Timer(0.3, blocker.commit)

        def lock() -> None:
            blocker.execute("LOCK TABLE t")
            leaving.start()

        applying.before = lock  # who looks at the table before would wait for it, too
        assert applying("ALTER TABLE t ADD COLUMN y int;").event == "applied"
        leaving.join()
    assert applying.database.execute("SELECT got_locks FROM pgrunbook.attempts")[0] == (False,)


@on_18
def test_who_only_looks_gives_up_behind_a_lock_and_the_attempt_is_noted(applying: Applying) -> None:
    """An index or a CHECK cannot be printed without its table."""
    applying.database.load("CREATE TABLE t (id int CHECK (id > 0)); CREATE INDEX i ON t (id)")
    with psycopg.connect(applying.database.url) as blocker:
        leaving = threading.Timer(5, blocker.commit)  # after the second attempt has given up

        def lock() -> None:
            blocker.execute("LOCK TABLE t")
            leaving.start()

        applying.before = lock
        assert applying("ALTER TABLE t ADD COLUMN y int;").event == "applied"
        leaving.join()
    waited = applying.database.execute(
        "SELECT max(waited_ms) FROM pgrunbook.attempts WHERE NOT got_locks"
    )
    assert waited[0][0] > 1000


@on_18
def test_a_block_that_completes_what_is_there_is_asked_after_each_statement(
    applying: Applying,
) -> None:
    """Its own table is not new: somebody may be using it."""
    applying.database.execute("CREATE TABLE t (id int)")
    done = applying("CREATE TABLE t (id int); CREATE INDEX i ON t (id); CREATE TABLE u (id int);")
    assert [(lock.number, lock.relation, lock.mode) for lock in done.locks] == [(1, "t", "SHARE")]


@on_18
def test_what_others_made_while_the_block_waited_is_not_taken_for_its_own(
    applying: Applying,
) -> None:
    applying.database.execute("CREATE TABLE t (id int)")
    with psycopg.connect(applying.database.url) as blocker:
        blocker.execute("CREATE INDEX meanwhile ON t (id)")
        leaving = threading.Timer(0.3, blocker.commit)
        leaving.start()
        applying.timeouts = Timeouts("5s", "5s", "20s")
        done = applying("ALTER TABLE t ADD COLUMN y int NOT NULL DEFAULT (random() * 10)::int;")
        leaving.join()
    assert {lock.relation: lock.rewritten for lock in done.locks} == {"meanwhile": True, "t": True}


@on_18
def test_nothing_is_committed_if_the_ledger_has_lost_the_run(applying: Applying) -> None:
    applying.database.execute("CREATE TABLE t (id int)")
    applying.run_id = str(uuid.uuid4())
    for sql_ in ("CREATE TABLE t (id int);", "CREATE TABLE u (id int);"):  # adopted; applied
        assert "SQLSTATE 23" in failing(applying, sql_)
    assert applying.database.execute("SELECT to_regclass('u'), count(*) FROM pgrunbook.blocks") == [
        (None, 0)
    ]


@on_18
def test_after_a_function_has_deallocated_everything_the_next_block_has_a_new_session(
    applying: Applying,
) -> None:
    applying.database.load(
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$BEGIN DEALLOCATE ALL; RETURN 1; "
        "END$$;"
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1)"
    )
    assert "prepared statement" in failing(applying, "ALTER TABLE t ADD COLUMN y int DEFAULT f();")
    assert applying("CREATE TABLE u (id int);").event == "applied"


@pytest.mark.parametrize("server", [16], indirect=True)
def test_what_an_older_server_does_not_know_is_shown_where_it_stands(applying: Applying) -> None:
    """The server reads the whole message before it begins: the first part of it is what fails."""
    virtual = "  b int GENERATED ALWAYS AS (a * 2) VIRTUAL"
    said = failing(applying, f"CREATE TABLE t (id int);\nCREATE TABLE u (\n  a int,\n{virtual}\n);")
    assert 'syntax error at or near "VIRTUAL"' in said
    assert "deploy/010_block.sql:7" in said
    assert virtual in said
    assert "remedy:" in said


@on_18
def test_what_is_deferred_until_the_commit_is_in_the_record(applying: Applying) -> None:
    applying.database.load(
        "CREATE TABLE busy (id int); CREATE TABLE noted (id int);"
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3);"
        " CREATE TABLE unseen (id int); INSERT INTO busy VALUES (1); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON noted DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION late();"
    )
    done = applying("INSERT INTO noted VALUES (1);\nALTER TABLE busy ADD COLUMN y int;")
    assert done.effect
    assert "public.unseen" in {each.object.identity for each in done.effect.differences}
    assert {each["relation"] for each in done.effect.rows_written} >= {"public.busy"}
    assert {lock.relation: lock.held_ms > 250 for lock in done.locks}["busy"]


@on_18
def test_an_index_on_a_partitioned_table_is_applied(applying: Applying) -> None:
    applying.database.execute("CREATE TABLE p (id int) PARTITION BY RANGE (id)")
    applying.database.execute("CREATE TABLE q PARTITION OF p FOR VALUES FROM (0) TO (9)")
    assert applying("CREATE INDEX p_id ON p (id);").event == "applied"


@on_18
def test_a_blocker_is_noted_in_a_database_that_lacks_its_letters(
    server: Server, tmp_path: Path, place: Path
) -> None:
    latin = databases.encoded(server, "LATIN1")
    latin.execute("CREATE TABLE t (id int)")
    applying = Applying(latin, tmp_path, place)
    with psycopg.connect(latin.url) as blocker:
        # so long that it is cut, with an ellipsis
        blocker.execute(f"SELECT {', '.join(['id'] * 60)} FROM t".encode())
        leaving = threading.Timer(0.4, blocker.commit)
        applying.before = leaving.start
        assert applying("ALTER TABLE t ADD COLUMN y int;").event == "applied"
        leaving.join()
    applying.sessions.close()
    (first, *_) = latin.execute(
        "SELECT blockers -> 0 ->> 'query' FROM pgrunbook.attempts ORDER BY number"
    )
    assert first[0].endswith("?")


@on_18
def test_a_database_of_bytes_counts_them_and_an_error_is_placed_by_characters(
    server: Server, tmp_path: Path, place: Path
) -> None:
    applying = Applying(databases.encoded(server, "SQL_ASCII"), tmp_path, place)
    said = failing(
        applying,
        "CREATE TABLE t (id int); COMMENT ON TABLE t IS 'éééé';\nCREATE TABLE u (id nothing);",
    )
    assert (
        "found:    CREATE TABLE u (id "
        f"nothing)\n{'^':>{len('      found:    CREATE TABLE u (id ') + 1}}\n" in said
    )
    applying.sessions.close()


@on_18
def test_rows_that_a_block_before_has_written_are_not_counted_again(applying: Applying) -> None:
    """The server passes its counts on a second later."""
    applying.database.execute("CREATE TABLE t (id int)")
    applying("INSERT INTO t VALUES (1), (2);", name="010_first")
    done = applying("UPDATE t SET id = id + 1;", name="020_second")
    assert done.effect
    counts = {"inserted": 0, "updated": 2, "deleted": 0, "truncated": 0}
    assert done.effect.rows_written == [{"relation": "public.t", **counts}]


@on_18
@pytest.mark.parametrize("by_hand", ["", "ALTER TABLE s ADD UNIQUE (id, state)"])
def test_a_key_without_a_name_is_not_one_that_a_run_has_made(
    applying: Applying, by_hand: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the twin would be asked, which has no rows, and so cannot run what depends on them."""
    rows = "CREATE TABLE v (p text REFERENCES names); INSERT INTO v VALUES ('a')"
    applying(
        "CREATE TABLE names (name text PRIMARY KEY); INSERT INTO names VALUES ('a');"
        "CREATE TABLE s (id int PRIMARY KEY, state text UNIQUE); CREATE INDEX ON s (state);"
    )
    applying.database.load(by_hand or "SELECT")
    capsys.readouterr()
    done = applying(
        f"{rows}; ALTER TABLE s ADD UNIQUE (id, state); CREATE INDEX ON s (id, state);",
        name="020_block",
    )
    assert ("asking the twin" in capsys.readouterr().out) == bool(by_hand)
    assert by_hand or done.event == "applied"


def test_no_lock_is_lost_where_not_each_statement_is_looked_at(
    applying: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are held to the end. What code locks, nobody knows beforehand."""
    monkeypatch.setattr(one_message, "_MOST_LOOKS", 2)
    tables = [f"t_{n}" for n in range(7)]
    applying.database.load("".join(f"CREATE TABLE {each} ();" for each in tables))
    locks = [f"DO $$ BEGIN LOCK TABLE {each} IN SHARE MODE; END $$" for each in tables]
    done = applying("; ".join(locks))
    found = [(lock.number, lock.relation) for lock in done.locks if lock.mode == "SHARE"]
    assert [relation for _, relation in sorted(found)] == tables
    # the statement that took it, or one of the next
    for taken, (number, _) in enumerate(sorted(found), 1):
        assert taken <= number <= taken + 3
