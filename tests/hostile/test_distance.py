"""A server that is far away: what others wait behind a block is lock_timeout all the same, or the
run is refused.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from faults.proxy import Command, Handler, Proxy
from hostile.line import Line
from psycopg.rows import TupleRow
from sqltext.test_constraint_kinds import KINDS
from support.applying import Applying
from support.databases import Database, application
from support.projects import Project

from pgrunbook.applying import footprint
from pgrunbook.errors import Failed
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.locks import BLOCKS
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.scripts import statements

FOUR = ("a", "b", "c", "d")
on_18 = pytest.mark.parametrize("server", [18], indirect=True)


class Listening(Proxy):
    """A proxy that keeps what all sessions send, in the order in which it comes."""

    def __init__(self, server: Path) -> None:
        self.heard: list[str] = []
        super().__init__(server)

    def claim(self, history: Sequence[Command]) -> Handler | None:
        """Hear the last command, and let it pass."""
        self.heard.append(history[-1].sql)
        return None

    def url(self, database: Database) -> str:
        """How to reach the database through it."""
        directory = quote(str(self.directory), safe="")
        return database.url.replace(quote(str(database.server.socket), safe=""), directory)

    def blocks(self) -> list[list[str]]:
        """What was sent, by whichever session, from each block's first message to its COMMIT."""
        found: list[list[str]] = []
        open_ = False
        for sql in self.heard:
            if sql.startswith("BEGIN\n;"):
                found.append([])
                open_ = True
            if open_ and not re.search("pgrunbook_(blockers|overdue)", sql):  # who looks on
                found[-1].append(sql)
                open_ = not sql.endswith("; COMMIT")
        return found


@pytest.fixture
def proxy(crm: Database) -> Iterator[Listening]:
    made = Listening(crm.server.socket)
    yield made
    made.close()
    if made.error:
        raise made.error


@pytest.mark.parametrize(
    "kind", ["free text", "enum", *(pytest.param(k, marks=pytest.mark.long) for k in [*KINDS][2:])]
)
def test_while_a_block_has_its_locks_three_messages_are_sent(
    crm: Database, proxy: Listening, project: Project, kind: str
) -> None:
    """Of every block of 001, whatever constrains the column: its statements; the question what they
    have changed; the ledger's rows, with COMMIT. But for who looks on from another session.
    """
    if kind != "free text":  # which stands for the sample as it is, with CHECKs
        crm.load(KINDS[kind][0])
    project.env["CRM_URL"] = proxy.url(crm)
    done = project.step("env:CRM_URL")
    assert done.code == 0, done.text
    blocks = proxy.blocks()
    assert len(blocks) >= 9
    for sent in blocks:
        assert is_three(sent), [sql[:160] for sql in sent]
    assert any(len(sent) == 3 for sent in blocks)


def is_three(sent: Sequence[str]) -> bool:
    """Whether what was sent from BEGIN to COMMIT is what a block takes, and nothing else. One that
    has changed nothing has no effect to be read.
    """
    asked = ["set_config('pgrunbook.settings'" in sql for sql in sent]  # as the inventory begins
    return asked in ([False, True, False], [False, False])


@pytest.fixture
def applying(empty: Database, tmp_path: Path, place: Path) -> Iterator[Applying]:
    """Each block in one attempt."""
    for table in FOUR:
        empty.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    made = Applying(empty, tmp_path, place, timeouts=Timeouts("800ms", "20s", "1ms"))
    yield made
    made.sessions.close()


@contextmanager
def queued(database: Database, tables: Sequence[str], every_s: float) -> Iterator[list[float]]:
    """The tables are written by transactions that leave one after the other, so that none of them
    is waited for for long. How long a client that writes to the first table has waited, in seconds.
    """
    writers = [_writing(database, table) for table in tables]
    over = threading.Event()

    def leave() -> None:
        while not database.execute("SELECT FROM pg_locks WHERE NOT granted") and not over.wait(
            0.01
        ):
            pass
        for writer in writers:
            over.wait(every_s)
            writer.close()

    leaving = threading.Thread(target=leave)
    leaving.start()
    try:
        with application(database, f"DELETE FROM {tables[0]}") as waits:
            yield waits
    finally:
        over.set()
        leaving.join()


def _writing(database: Database, table: str) -> psycopg.Connection[TupleRow]:
    conn = database.connect()
    conn.execute("BEGIN")
    conn.execute(f"DELETE FROM {table}".encode())
    return conn


@on_18
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            "".join(f"ALTER TABLE {t} ADD COLUMN y int;" for t in FOUR), id="four statements"
        ),
        pytest.param(
            f"CREATE TABLE z ({', '.join(f'{t} int REFERENCES {t} (id)' for t in FOUR)});",
            id="one statement",
        ),
    ],
)
def test_all_locks_of_a_block_have_one_deadline(
    empty: Database, applying: Applying, block: str
) -> None:
    """Each of the four is to be had in half a second, and all of them in two."""
    with (
        queued(empty, FOUR, every_s=0.5) as waits,
        pytest.raises(Failed, match="its locks could not be had"),
    ):
        applying(block)
    assert 0.4 < max(waits) < 1.4
    assert empty.execute("SELECT count(*) FROM pgrunbook.blocks") == [(0,)]


LOCKING = f"BEGIN {' '.join(f'LOCK TABLE public.{t};' for t in FOUR[1:])}"


@on_18
@pytest.mark.parametrize(
    ("there", "block"),
    [
        pytest.param(
            f"CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ {LOCKING} END $$;"
            "CREATE EVENT TRIGGER t ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE "
            "FUNCTION f();",
            "ALTER TABLE a ADD COLUMN y int;",
            id="event trigger",
        ),
        pytest.param(
            f"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ {LOCKING} RETURN 1; END $$;"
            "INSERT INTO a VALUES (1);",
            "ALTER TABLE a ADD COLUMN y int DEFAULT f();",
            id="default",
        ),
    ],
)
def test_locks_that_functions_take_have_it_too(
    empty: Database, applying: Applying, there: str, block: str
) -> None:
    empty.load(there)
    with (
        queued(empty, FOUR[1:], every_s=0.5) as waits,
        pytest.raises(Failed, match="its locks could not be had"),
    ):
        applying(block)
    assert 0.4 < max(waits) < 1.2
    assert empty.execute("SELECT count(*) FROM pgrunbook.blocks") == [(0,)]


@on_18
def test_the_run_is_refused_where_the_way_leaves_no_time_to_wait(
    crm: Database, project: Project
) -> None:
    with Line(crm.server.socket, round_trip_s=0.02) as line:
        project.env["CRM_URL"] = line.url(crm.name)
        refused = project.step("env:CRM_URL", "--mode", "plan", "--lock_timeout", "30ms")
        assert refused.code == 2, refused.text
        assert "server: is too far away for a lock_timeout of 30ms" in refused.text
        assert re.search(
            r"a round trip takes \d+ ms; concerned: 010_import_batches and \d+ more", refused.text
        )
        (longer,) = re.findall(r"-p lock_timeout (\d+ms)", refused.text)
        planned = project.step("env:CRM_URL", "--mode", "plan", "--lock_timeout", longer)
        assert planned.code == 0, planned.text


@on_18
@pytest.mark.long
def test_a_lock_is_waited_for_so_much_less_as_the_way_is_long(
    crm: Database, project: Project
) -> None:
    with Line(crm.server.socket, round_trip_s=0.05) as line, crm.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM deals")
        project.env["CRM_URL"] = line.url(crm.name)
        blocked = project.step("env:CRM_URL", "--lock_budget", "1s")
    assert blocked.code == 1, blocked.text
    (waited,) = re.findall(
        r"its locks could not be had in \d+ attempts of (\d+)ms each", blocked.text
    )
    assert 20 <= int(waited) <= 50  # of 150 ms, without two round trips


@on_18
def test_a_block_whose_locks_its_text_does_not_tell_waits_no_longer(
    empty: Database, applying: Applying
) -> None:
    """Of a role that may refer to tables, and not lock them, each lock is waited for for what is
    left.
    """
    empty.execute("CREATE ROLE referring LOGIN")
    empty.execute(f"GRANT REFERENCES ON {', '.join(FOUR)} TO referring")
    wanted = (
        "SELECT has_table_privilege('referring', 'a', 'REFERENCES'), "
        "has_table_privilege('referring', 'a', 'UPDATE')"
    )
    assert empty.execute(wanted) == [(True, False)]
    with connect(Target("test", empty.url_as("referring")), schema="public") as conn:
        block = statements("CREATE TABLE y (a int REFERENCES a (id), b int REFERENCES b (id))")
        assert footprint.lock_statements(conn, ["public"], block) == [[]]
    assert footprint.lock_statements(applying.sessions.look, ["public"], block) == [
        ['LOCK TABLE ONLY "public"."a", ONLY "public"."b" IN SHARE ROW EXCLUSIVE MODE']
    ]


@on_18
@pytest.mark.parametrize(
    ("block", "locked"),
    [
        ("ALTER TABLE a ADD x int", ['"app"."a"']),
        ("ALTER TABLE b ADD x int", ['"public"."b"']),
        ("ALTER TABLE public.a ADD x int", ['"public"."a"']),
        ("CREATE TABLE b (id int); ALTER TABLE b ADD x int", []),
        ("CREATE TABLE app.b (id int); ALTER TABLE b ADD x int", []),
        ("SET LOCAL search_path = public; ALTER TABLE a ADD x int", []),
        ("DO $$ BEGIN SET LOCAL search_path = public; END $$; ALTER TABLE a ADD x int", []),
        ("SET LOCAL search_path = public; ALTER TABLE app.a ADD x int", ['"app"."a"']),
        ("SET LOCAL SCHEMA 'public'; ALTER TABLE a ADD x int", []),
        ("SET LOCAL search_path TO DEFAULT; ALTER TABLE a ADD x int", []),
        ("RESET ALL; ALTER TABLE a ADD x int", []),
        ("SET LOCAL work_mem = 99; ALTER TABLE a ADD x int", ['"app"."a"']),
        ("SELECT f(); ALTER TABLE a ADD x int", []),
        ("DO $$ BEGIN PERFORM f(); END $$; ALTER TABLE a ADD x int", []),
        ("ALTER TABLE a ADD x int; SELECT f()", ['"app"."a"']),
        ("SELECT id FROM public.a; ALTER TABLE a ADD x int", ['"app"."a"']),
        ("CREATE TABLE b AS SELECT 1; ALTER TABLE b ADD x int", []),
        ("CREATE TEMP TABLE b ON COMMIT DROP AS SELECT 1; ALTER TABLE b ADD x int", []),
        ("SELECT 1 AS id INTO TEMP b; ALTER TABLE b ADD x int", []),
        ("CREATE TABLE pg_temp.b (id int); ALTER TABLE b ADD x int", []),
        ("CREATE TEMP VIEW b AS SELECT 1; ALTER TABLE b RENAME TO z", []),
        ("ALTER TABLE app.a RENAME TO b; ALTER TABLE b ADD x int", ['"app"."a"']),
        ("ALTER TABLE a ADD b int; ALTER TABLE b ADD x int", ['"app"."a"', '"public"."b"']),
    ],
)
def test_only_a_table_that_the_block_means_is_locked(
    empty: Database, applying: Applying, block: str, locked: list[str]
) -> None:
    """Names are looked up in the block's own path."""
    empty.execute("CREATE SCHEMA app; CREATE TABLE app.a (id int)")
    sent = footprint.lock_statements(applying.sessions.look, ["app", "public"], statements(block))
    found = [re.findall(r"LOCK TABLE (\S+) IN", lock) for locks in sent for lock in locks]
    assert found == [[name] for name in locked]


BESIDES = """
CREATE TABLE child (a int CONSTRAINT to_a REFERENCES a (id), b int REFERENCES b (id));
CREATE TABLE p (id int PRIMARY KEY, at int CONSTRAINT later CHECK (at > 0)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);
CREATE TABLE heir () INHERITS (d);
"""


@on_18
@pytest.mark.parametrize(
    "block",
    [
        "CREATE INDEX ON a (id); ALTER TABLE a ADD COLUMN y int; CREATE INDEX ON a (y)",
        "CREATE TABLE n (id int REFERENCES a (id), b int, FOREIGN KEY (b) REFERENCES p (id)); "
        "CREATE INDEX ON n (id)",
        "COMMENT ON TABLE p IS ''; COMMENT ON COLUMN a.id IS ''; COMMENT ON CONSTRAINT later ON p "
        "IS ''",
        "ALTER TABLE ONLY d ALTER id SET STATISTICS 9; ALTER TABLE p ALTER id SET STATISTICS 9",
        "ALTER TABLE child DROP CONSTRAINT to_a; ALTER TABLE child DROP COLUMN b",
        "ALTER TABLE child ALTER a TYPE bigint",
        "DROP TABLE child, c",
        "ALTER TABLE c ADD COLUMN d int REFERENCES d (id); ALTER TABLE b ADD FOREIGN KEY (id) "
        "REFERENCES p (id)",
        "ALTER TABLE p ADD COLUMN y int DEFAULT 1, ADD CHECK (y > 0) NOT VALID; CREATE INDEX ON p "
        "(y)",
        "ALTER TABLE p RENAME CONSTRAINT later TO sooner; ALTER TABLE p ALTER at SET NOT NULL, "
        "ALTER at TYPE bigint",
        "ALTER TABLE d ADD CONSTRAINT k CHECK (id > 0) NOT VALID; ALTER TABLE d VALIDATE "
        "CONSTRAINT k",
        "ALTER TABLE p DETACH PARTITION p1",
        "DROP TABLE p1",
        "INSERT INTO a VALUES (1); UPDATE d SET id = 2; DELETE FROM c; TRUNCATE child",
        "LOCK TABLE d IN SHARE MODE; ALTER TABLE a RENAME TO z; ALTER TABLE IF EXISTS missing ADD "
        "COLUMN y int",
    ],
)
def test_a_lock_is_taken_where_and_as_its_statement_takes_it(
    empty: Database, applying: Applying, block: str
) -> None:
    """The judge is PostgreSQL: a statement has no lock to take any more, and none that it would not
    have taken.
    """
    empty.load(BESIDES)
    work = applying.sessions.work
    parsed = statements(block)
    with work.transaction(force_rollback=True), empty.connect() as look:
        work.execute("SET LOCAL search_path = public")
        for statement, locks in zip(
            parsed, footprint.lock_statements(work, ["public"], parsed), strict=True
        ):
            with work.transaction(force_rollback=True):
                work.execute(statement.sql.encode())
                alone = held(look, work)
            for lock in locks:
                work.execute(lock.encode())
            assert held(look, work) == alone, statement.sql
            work.execute(statement.sql.encode())


def held(look: psycopg.Connection[TupleRow], work: psycopg.Connection[TupleRow]) -> dict[str, str]:
    """The strongest lock of a session on each table that others see, but for those that every query
    takes.
    """
    query = """
      SELECT relation::regclass::text, replace(mode, 'Lock', '') FROM pg_locks JOIN pg_class c ON c.oid = relation
       WHERE pid = %s AND relkind IN ('r', 'p') AND relation >= 16384
         AND mode NOT IN ('AccessShareLock', 'RowShareLock')
    """
    order = [mode.title().replace(" ", "") for mode in BLOCKS]
    found = look.execute(query, [work.info.backend_pid]).fetchall()
    return dict(sorted(found, key=lambda row: order.index(row[1])))
