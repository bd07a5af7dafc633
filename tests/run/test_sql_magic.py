"""`%sql` has none of the faults that ipython-sql 0.5.0 was measured to have (DESIGN.md, section
3).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import papermill
import prettytable
import psycopg
import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from support import databases, notebooks
from support.databases import Database
from support.projects import wait_for
from traitlets.config import Config

from pgrunbook.errors import Failed, Interrupted, Refused
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.run.sql_magic import ONLY_LOOKS, ROW_LIMIT, ReadOnlySqlMagic, register

pytestmark = pytest.mark.newest

REGISTER = """
import os, psycopg
from pgrunbook.run.sql_magic import register
register(get_ipython(), lambda: psycopg.connect(os.environ["LOOKING_AT"]))
"""


@pytest.fixture(scope="module")
def app(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as database:
        database.load("""
            CREATE TABLE notes (id int PRIMARY KEY, body text);
            INSERT INTO notes VALUES (1, 'first'), (2, NULL);
            CREATE SEQUENCE tickets;
            CREATE FUNCTION write_note() RETURNS int LANGUAGE sql AS 'INSERT INTO notes VALUES (99) RETURNING id';
        """)
        yield database


@pytest.fixture(scope="module")
def bare_shell(tmp_path_factory: pytest.TempPathFactory) -> InteractiveShell:
    config = Config()
    config.HistoryManager.enabled = False
    return InteractiveShell(config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")))


@pytest.fixture
def shell(bare_shell: InteractiveShell, app: Database) -> InteractiveShell:
    register(bare_shell, lambda: app.connect(application_name="looking"))
    return bare_shell


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame.itertuples(index=False, name=None))


def ask(shell: InteractiveShell, cell: str) -> Any:
    """What a cell returns; its error is raised."""
    result: ExecutionResult = shell.run_cell(cell)
    result.raise_error()
    return result.result


# An error is raised, and says no more than it should.


def test_a_failed_statement_shows_the_message_the_place_and_the_hint(shell, capsys):
    with pytest.raises(Failed) as failed:
        ask(shell, "%%sql\nSELECT 'é', 1;\nSELECT id,\n       lenght(body)\nFROM notes")
    assert str(failed.value).splitlines()[:4] == [
        "The query failed.",
        "  %sql:4: function lenght(text) does not exist (SQLSTATE 42883)",
        "      found:           lenght(body)",
        "                       ^",
    ]
    assert "remedy:   No function matches" in str(failed.value)
    assert isinstance(failed.value.__cause__, psycopg.errors.UndefinedFunction)
    shown = capsys.readouterr().out
    assert shown.strip() == f"FAILED: {failed.value}"
    assert "sqlalche.me" not in shown


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%sql SELECT 1/0", "division by zero"),
        (
            "%sql SELEC 1",
            r'%sql:1: syntax error at or near "SELEC"\n      found:    SELEC 1\n {16}\^',
        ),
        ("%sql SELECT 'infinity'::timestamptz", "timestamp too large"),
        ("%sql SELECT pg_terminate_backend(pg_backend_pid())", "terminating connection"),
        ("%sql SELECT 1 FROM notes WHERE body = nope", 'column "nope" does not exist'),
    ],
)
def test_whatever_goes_wrong_raises(shell, cell, message):
    with pytest.raises(Failed, match=message):
        ask(shell, cell)
    assert rows(ask(shell, "%sql SELECT 1")) == [(1,)]


def test_an_interrupt_stops_the_query_and_says_so_in_a_line(bare_shell, app, capsys):
    register(bare_shell, lambda: connect(Target("app", app.url), schema="public", read_only=True))
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGUSR1]).start()
    with pytest.raises(Interrupted):
        ask(bare_shell, "%sql SELECT pg_sleep(30)")
    signal.signal(signal.SIGUSR1, before)
    assert capsys.readouterr().out.strip() == "INTERRUPTED: The query was interrupted."
    assert app.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' AND state = "
        "'active'"
    ) == [(0,)]
    assert rows(ask(bare_shell, "%sql SELECT 1")) == [(1,)]


def test_a_connection_that_fails_raises(bare_shell):
    register(
        bare_shell,
        lambda: psycopg.connect("host=127.0.0.1 port=1 user=u password=hunter2 dbname=d"),
    )
    with pytest.raises(Failed, match="connection failed") as failed:
        ask(bare_shell, "%sql SELECT 1")
    assert "hunter2" not in str(failed.value)


def test_the_callers_own_refusal_to_connect_comes_through(bare_shell):
    def refuse() -> psycopg.Connection[Any]:
        raise Refused("The target cannot be reached.")

    register(bare_shell, refuse)
    with pytest.raises(Refused, match=r"^The target cannot be reached\.$"):
        ask(bare_shell, "%sql SELECT 1")


@pytest.fixture
def execute(
    app: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], Path]:
    """Runs a notebook of the given cells with papermill, after one that registers the magic."""
    monkeypatch.setenv("LOOKING_AT", app.url)
    source, output = tmp_path / "source.ipynb", tmp_path / "output.ipynb"

    def execute(cells: list[str]) -> Path:
        notebooks.write(source, REGISTER, *cells)
        with contextlib.suppress(papermill.PapermillExecutionError):
            papermill.execute_notebook(source, output, progress_bar=False)
        return output

    return execute


def test_papermill_stops_at_a_failed_statement(execute, app):
    output = execute(
        ["password = 'hunter' + str(2)", "%%sql\nSELECT id, nope FROM notes", "print('never')"]
    )
    *_, failed, after = nbformat.read(output, 4).cells
    *_, error = failed.outputs  # the problems, for programs, come before it
    assert failed.metadata.papermill.status == "failed"
    assert (error.ename, after.execution_count) == ("Failed", None)
    assert error.traceback == [
        "FAILED: The query failed.",
        '  %sql:2: column "nope" does not exist (SQLSTATE 42703)',
        "      found:    SELECT id, nope FROM notes",
        "                           ^",
    ]
    assert not [secret for secret in ("hunter2", app.url, app.name) if secret in output.read_text()]


def test_a_notebook_shows_frames_and_nothing_else(execute):
    output = execute(["%sql SELECT id FROM notes", "%sql found << SELECT 1 AS one", "found"])
    _, frame, assignment, variable = nbformat.read(output, 4).cells
    assert [o.output_type for o in frame.outputs] == ["execute_result"]
    assert "<th>id</th>" in frame.outputs[0].data["text/html"]
    assert assignment.outputs == []
    assert "one" in variable.outputs[0].data["text/plain"]
    assert "postgresql" not in output.read_text()


# It only looks.


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (a int)",
        "DROP TABLE notes",
        "INSERT INTO notes VALUES (3)",
        "DELETE FROM notes",
        "TRUNCATE notes",
        "SELECT * INTO copied FROM notes",
        "SELECT 1 AS a INTO copied UNION SELECT 2",
        "CREATE TABLE copied AS SELECT 1",
        "WITH gone AS (DELETE FROM notes RETURNING *) SELECT * FROM gone",
        "SELECT * FROM (WITH w AS (INSERT INTO notes VALUES (3) RETURNING id) SELECT * FROM w) s",
        "SELECT * FROM notes FOR UPDATE",
        "SELECT 1 WHERE EXISTS (SELECT FROM notes FOR KEY SHARE)",
        "EXPLAIN ANALYZE DELETE FROM notes",
        "EXPLAIN DELETE FROM notes",
        "EXPLAIN ANALYZE CREATE TABLE copied AS SELECT 1",
        "BEGIN",
        "COMMIT",
        "SET search_path = x",
        "RESET ALL",
        "COPY notes TO STDOUT",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "LOCK TABLE notes",
        "PREPARE p AS SELECT 1",
        "VACUUM",
        "LISTEN x",
        "SELECT 1; DROP TABLE notes",
    ],
)
def test_what_does_not_only_look_is_refused_unsent(bare_shell, statement):
    register(bare_shell, lambda: pytest.fail("it connected"))
    with pytest.raises(Refused, match=ONLY_LOOKS):
        ask(bare_shell, f"%sql {statement}")


def test_a_refusal_does_not_repeat_the_statement(shell, capsys):
    with pytest.raises(Refused):
        ask(shell, "%%sql\nSELECT 1;\nCREATE ROLE me PASSWORD 'hunter2'")
    assert capsys.readouterr().out.splitlines() == [
        f"REFUSED: {ONLY_LOOKS}",
        "  %sql:3: not a SELECT, VALUES, TABLE, SHOW, or EXPLAIN of those",
    ]


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SELECT 1", [(1,)]),
        ("(SELECT 1);", [(1,)]),
        ("/* c */ VALUES (1), (2) -- two rows", [(1,), (2,)]),
        ("TABLE notes ORDER BY id LIMIT 1", [(1, "first")]),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3) SELECT * "
            "FROM n",
            [(1,), (2,), (3,)],
        ),
        ("SELECT id FROM notes WHERE false", []),
        ("SHOW transaction_read_only", [("on",)]),
        ("SHOW default_transaction_isolation", [("read committed",)]),
        ("EXPLAIN (COSTS OFF) SELECT 1", [("Result",)]),
        ("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) VALUES (1)", None),
    ],
)
def test_what_only_looks_is_answered(shell, statement, answer):
    frame = ask(shell, f"%sql {statement}")
    assert answer is None or rows(frame) == answer
    assert len(frame.columns)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT write_note()",
        "SELECT nextval('tickets')",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT set_config('transaction_read_only', 'off', false), write_note()",
        "EXPLAIN ANALYZE SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT set_config('default_transaction_read_only', 'off', false); SELECT write_note()",
    ],
)
def test_the_server_refuses_writes_that_a_function_makes(shell, app, query):
    with pytest.raises(
        Failed, match=r"read-only transaction|read-write mode must be set before any query"
    ):
        ask(shell, f"%sql {query}")
    assert app.execute("SELECT count(*) FROM notes") == [(2,)]
    assert app.execute("SELECT is_called FROM tickets") == [(False,)]


def test_a_statement_cannot_hide_in_what_only_the_server_reads_as_a_string(bare_shell, app):
    register(bare_shell, lambda: app.connect(options="-c standard_conforming_strings=off"))
    frame = ask(bare_shell, r"%sql SELECT '\', '; COMMIT; CREATE TABLE smuggled (); --'")
    assert rows(frame) == [("\\", "; COMMIT; CREATE TABLE smuggled (); --")]
    assert app.execute("SELECT to_regclass('smuggled')") == [(None,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_advisory_lock(1)",
        "TABLE notes",
        "SELECT 1/0",
        "SELECT generate_series(1, 1000000)",
    ],
)
def test_nothing_stays_open_or_locked(shell, app, query):
    shell.run_cell(f"%sql {query}")
    left = """SELECT pid FROM pg_stat_activity WHERE application_name = 'looking'
              UNION SELECT pid FROM pg_locks WHERE locktype = 'advisory'"""
    wait_for(lambda: app.execute(left) == [])  # a backend outlives its session for a moment


# The session is the run's own.


@pytest.mark.parametrize(
    "line",
    [
        "postgresql://me:hunter2@localhost/app SELECT 1",
        "postgresql+psycopg://me:hunter2@localhost/app",
        "me:hunter2@app SELECT 1",
        "me@app",
        "[section] SELECT 1",
        "found << postgresql://me:hunter2@localhost/app SELECT 1",
        "--connections",
        "-l",
        "--close hunter2",
        "-x hunter2",
        "--creator hunter2 SELECT 1",
        "--section hunter2",
        "--persist hunter2",
        "--append hunter2",
        '-a {"password":"hunter2"} SELECT 1',
        "--connection_arguments={} SELECT 1",
        "--file=hunter2.sql",
        "-fhunter2.sql",
    ],
)
@pytest.mark.parametrize("form", ["%sql {}", "%%sql {}\nSELECT 1", "%%sql\n{}\nSELECT 1"])
def test_connections_and_options_are_refused_without_repeating_them(bare_shell, capsys, form, line):
    register(bare_shell, lambda: pytest.fail("it connected"))
    with pytest.raises(Refused, match=r"(connection is|options are) not taken") as refused:
        ask(bare_shell, form.format(line))
    assert "hunter2" not in f"{refused.value}{capsys.readouterr()}"


def test_a_connection_string_further_on_is_redacted(shell, capsys):
    with pytest.raises(Failed, match="syntax error"):
        ask(shell, "%sql SELECT 1 FROM postgresql://me:hunter2@localhost/app")
    assert "hunter2" not in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["%sql", "%sql -- a comment", "%%sql\n;", "%sql --pers frame"])
def test_no_statement_is_refused(shell, cell):
    with pytest.raises(Refused, match="no SQL"):
        ask(shell, cell)


def test_database_url_is_ignored(shell, app, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    assert rows(ask(shell, "%sql SELECT current_database()")) == [(app.name,)]


def test_registering_again_replaces_the_session(shell, app, empty):
    for database in (empty, app):
        register(shell, database.connect)
        assert rows(ask(shell, "%sql SELECT current_database()")) == [(database.name,)]
    assert len({id(c) for c in shell.configurables if isinstance(c, ReadOnlySqlMagic)}) == 1


def test_a_runs_own_session_serves(bare_shell, app):
    target = Target("app", app.conninfo)
    register(bare_shell, lambda: connect(target, schema="public", label="x", read_only=True))
    facts = (
        "current_schema(), current_setting('application_name'), "
        "current_setting('transaction_read_only')"
    )
    assert rows(ask(bare_shell, f"%sql SELECT {facts}")) == [("public", "pgrunbook x", "on")]


# SQL is sent as it is.

LITERAL = (
    r"$$it's$$ || $tag$ $name ${name} {name} $$ $tag$ || ' :name %s %(name)s %% % {{x}} "
    r"{1/0} \n\ ''$HOME''' || E'\t'"
)
TEXT = r"it's $name ${name} {name} $$  :name %s %(name)s %% % {{x}} {1/0} \n\ '$HOME'" + "\t"


@pytest.mark.parametrize("form", ["%sql {}", "%%sql\n{}", "%%sql {}\n--"])
def test_sql_is_sent_as_it_is(shell, monkeypatch, form):
    monkeypatch.setenv("HOME", "EXPANDED")
    shell.user_ns["name"] = "EXPANDED"
    query = (
        f"SELECT {LITERAL}, 7 % 4, '5'::int, (ARRAY[1,2,3])[1:2], '{{\"a\": 1}}'::jsonb ? "
        "'a', 1 << 2"
    )
    frame = ask(shell, form.replace("{}", query))
    assert rows(frame) == [(TEXT, 3, 5, [1, 2], True, 4)]


@pytest.mark.parametrize("reference", ["{name}", "$name", ":name"])
def test_variables_are_not_interpolated(shell, reference):
    shell.user_ns["name"] = "1"
    with pytest.raises(Failed, match="syntax error"):
        ask(shell, f"%sql SELECT {reference}")


# Frames.


def test_types(shell):
    frame = ask(
        shell,
        """%%sql
        SELECT 9007199254740993 AS big, 1.50 AS exact, 0.5::float8 AS real, true AS yes, '{"a": [1]}'::jsonb AS doc,
               ARRAY['x', NULL] AS list, '2024-05-01 12:00+02'::timestamptz AS at, 'é' AS word
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL""",
    )
    first, second = rows(frame)
    instant = dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)
    assert first == (
        9007199254740993,
        Decimal("1.50"),
        0.5,
        True,
        {"a": [1]},
        ["x", None],
        instant,
        "é",
    )
    assert all(value is None or value is pd.NA for value in second)
    assert frame.dtypes.astype(str).to_dict() == {
        "big": "Int64",
        "exact": "object",
        "real": "Float64",
        "yes": "boolean",
        "doc": "object",
        "list": "object",
        "at": "object",
        "word": "object",
    }


def test_column_names_are_unique(shell):
    frame = ask(shell, "%sql SELECT 1 AS a, 'x' AS a, 2 AS b, NULL AS a")
    assert frame.columns.to_list() == ["a", "a_1", "b", "a_2"]
    assert rows(frame) == [(1, "x", 2, None)]


@pytest.mark.parametrize("wanted", [0, ROW_LIMIT, ROW_LIMIT + 1])
def test_rows_are_cut_with_a_note(shell, capsys, wanted):
    frame = ask(shell, f"%sql cut << SELECT generate_series(1, {wanted}) AS n")
    assert frame is None
    assert len(shell.user_ns["cut"]) == min(wanted, ROW_LIMIT)
    note = "The first 1,000 rows; there are more. Narrow the query, or page with LIMIT.\n"
    assert capsys.readouterr().out == (note if wanted > ROW_LIMIT else "")


def test_the_limit_can_be_configured(shell, app, capsys):
    try:
        ask(shell, "%config ReadOnlySqlMagic.autolimit = 2")
        register(shell, app.connect)  # the setting outlives the run
        assert len(ask(shell, "%sql SELECT generate_series(1, 9)")) == 2
    finally:
        del shell.config.ReadOnlySqlMagic
    assert "The first 2 rows" in capsys.readouterr().out


def test_of_several_statements_the_last_is_returned(shell, capsys):
    frame = ask(
        shell, "%%sql\nSELECT generate_series(1, 2000);\nSELECT ';' AS a;\nSHOW server_encoding;"
    )
    assert rows(frame) == [("UTF8",)]
    assert "rows" not in capsys.readouterr().out.replace("[1 rows", "")


@pytest.mark.parametrize(
    "cell", ["%sql found << SELECT 1", "%%sql found <<\nSELECT 1", "found = %sql SELECT 1"]
)
def test_a_result_can_be_assigned_in_silence(shell, capsys, cell):
    assert ask(shell, cell) is None
    assert rows(shell.user_ns["found"]) == [(1,)]
    assert capsys.readouterr().out == ""


def test_a_bare_question_prints_nothing_but_its_frame(shell, capsys, monkeypatch):
    monkeypatch.delattr(prettytable, "DEFAULT")  # as in 3.12 and later
    frame = ask(shell, "%sql SELECT 1 AS one;")
    assert capsys.readouterr().out == f"Out[0]: \n{frame}\n"
