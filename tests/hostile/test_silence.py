"""A server that says nothing any more, and a standby that does not confirm: each wait ends, and the
record says how.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from hostile.copies import synchronous
from hostile.line import Line
from support.applying import begin
from support.databases import Database
from support.projects import RUNBOOK, Outcome, Project, wait_for

from pgrunbook.applying import outside_transaction
from pgrunbook.errors import Failed, Refused
from pgrunbook.ledger import install
from pgrunbook.planning.agenda import Agenda
from pgrunbook.planning.timeouts import Timeouts
from pgrunbook.postgres import (
    connection,
    copy_place,
    durability,
    restore,
    schema_copy,
    session,
    twin_server,
)
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import Heartbeat, Sessions
from pgrunbook.postgres.session import Patience, Session, Silent
from pgrunbook.postgres.target import Target
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.source import Source

RUN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def line(crm: Database) -> Iterator[Line]:
    with Line(crm.server.socket) as line:
        yield line


@pytest.fixture
def durable(own: Database) -> Database:
    """Whose commits wait for standbys, if there are to be any: those of the tests' servers do
    not.
    """
    own.execute(f"ALTER DATABASE {own.name} SET synchronous_commit = on")
    return own


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MARGIN_S", 0.3)
    monkeypatch.setattr(session, "CANCEL_S", 0.3)


def reached(line: Line, database: Database) -> Session:
    return connect(
        Target("test", line.url(database.name)), schema="public", statement_timeout="500ms"
    )


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_not_waited_for(line: Line, crm: Database) -> None:
    with closing(reached(line, crm)) as conn:
        line.fall_silent()
        begun = time.monotonic()
        with pytest.raises(Silent, match=r"the server has not answered for 1 s"):
            conn.execute("SELECT 1")
        assert conn.closed
        assert time.monotonic() - begun < 3


@pytest.mark.usefixtures("impatient")
def test_nor_where_a_statement_may_take_as_long_as_it_takes(line: Line, crm: Database) -> None:
    """As an index build may, which somebody looks after."""
    with closing(reached(line, crm)) as conn, closing(reached(line, crm)) as look:
        line.fall_silent()
        with (
            pytest.raises(Silent),
            conn.allowing(None),
            conn.watched(0.1, lambda: look.execute("SELECT 1")),
        ):
            conn.execute("SELECT pg_sleep(60)")
        assert conn.closed


@pytest.mark.long
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("silent", ["later", "while it is opened anew"])
def test_nor_where_the_session_that_looks_was_lost_before(
    line: Line, crm: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    """Who is opened anew, and goes on looking."""
    monkeypatch.setattr("pgrunbook.postgres.connection.STATEMENT_TIMEOUT", "500ms")
    monkeypatch.setattr("pgrunbook.postgres.connection.CONNECT_TIMEOUT_S", 6)
    opened = connection._open

    def silently(target: Target) -> Session:
        line.fall_silent()
        return opened(target)

    (tmp_path / "deploy").mkdir()
    header = "-- title: An index\n-- why: A test.\n-- transaction: no\n\n"
    (tmp_path / "deploy" / "010_index.sql").write_text(
        f"{header}CREATE INDEX CONCURRENTLY i ON deals (id);\n"
    )
    sessions = Sessions(Target("test", line.url(crm.name)), "public", "test", "500ms")
    with closing(sessions), crm.connect() as older:
        sessions.lock()
        install.install(sessions.work)
        begin(sessions.work, RUN, "9_x")
        source = Source.read(tmp_path)
        agenda = Agenda(sessions, "9_x", "public", source)
        (decision,) = agenda.decide_now([source.block("010_index", {})])
        older.execute("BEGIN; UPDATE deals SET id = id")  # which the index waits for

        def lose() -> None:
            wait_for(lambda: bool(crm.execute("SELECT FROM pg_locks WHERE NOT granted")))
            if silent != "later":
                monkeypatch.setattr("pgrunbook.postgres.connection._open", silently)
            crm.execute("SELECT pg_terminate_backend(%s, 5000)", [sessions.look.info.backend_pid])
            time.sleep(2)
            line.fall_silent()

        losing = threading.Thread(target=lose)
        losing.start()
        begun = time.monotonic()
        with pytest.raises(Failed, match="outside a transaction"):
            outside_transaction.apply(
                sessions,
                decision,
                RUN,
                Timeouts("150ms", "500ms", "1h"),
                ground=agenda.state.ground,
                report=lambda _: None,
                progress=lambda _: None,
            )
        assert time.monotonic() - begun < 30
        losing.join()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_only_takes_its_time_is_told_to_stop(crm: Database) -> None:
    """It does not keep to statement_timeout where a function has changed that."""
    with connect(Target("test", crm.url), schema="public", statement_timeout="500ms") as conn:
        conn.execute("SET statement_timeout = 0")
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute("SELECT pg_sleep(60)")
        assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("impatient")
def test_each_statement_of_a_message_has_its_time(crm: Database) -> None:
    with (
        connect(Target("test", crm.url), schema="public", statement_timeout="500ms") as conn,
        conn.message_of(4),
    ):
        conn.execute(
            "SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4)"
        )


def test_a_server_that_falls_silent_while_we_connect(
    line: Line, crm: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgrunbook.postgres.connection.CONNECT_TIMEOUT_S", 2)
    line.fall_silent()
    begun = time.monotonic()
    with pytest.raises(Exception, match="cannot be reached"):
        reached(line, crm)
    assert time.monotonic() - begun < 4


def test_an_interrupt_does_not_wait_for_a_silent_server(line: Line, crm: Database) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with closing(reached(line, crm)) as conn:
        line.fall_silent()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt), conn.watched(0.05, interrupt):
            conn.execute("SELECT 1")
        assert time.monotonic() - begun < 2.5


@pytest.mark.usefixtures("impatient")
def test_pg_dump_is_ended_where_the_server_falls_silent(
    line: Line, crm: Database, tmp_path: Path
) -> None:
    def fall_silent() -> None:
        wait_for(lambda: bool(crm.execute("SELECT FROM pg_locks WHERE NOT granted")))
        line.fall_silent()

    with closing(reached(line, crm)) as conn, crm.connect() as other:
        other.execute("BEGIN; LOCK TABLE deals")  # which pg_dump waits for
        threading.Thread(target=fall_silent).start()
        begun = time.monotonic()
        with (
            pytest.raises(Failed, match="the server has not answered"),
            schema_copy.copy_schema(Target("test", line.url(crm.name)), conn, tmp_path, "silent"),
        ):
            pass
        assert time.monotonic() - begun < 15


def test_a_session_that_the_server_has_ended_is_opened_anew(crm: Database) -> None:
    sessions = Sessions(Target("test", crm.url), "public", "test")
    with closing(sessions):
        first = sessions.work.info.backend_pid
        assert sessions.work.info.backend_pid == first
        crm.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        assert sessions.work.execute("SELECT 1").fetchone() == (1,)
        assert sessions.work.info.backend_pid != first


def test_the_lock_is_given_back_once_there_is_no_sign_of_life(line: Line, crm: Database) -> None:
    conn = connect(Target("test", line.url(crm.name)), schema="public", idle_timeout="1s")
    pid = conn.info.backend_pid
    conn.execute("SELECT pg_advisory_lock(1)")
    beating = Heartbeat(conn, every_s=0.2)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
    time.sleep(1.5)
    assert crm.execute(held, [pid]) == [(1,)]
    line.fall_silent()
    wait_for(lambda: crm.execute(held, [pid]) == [(0,)], timeout_s=5)
    conn.close()
    beating.stop()


@pytest.mark.long
def test_a_row_that_no_standby_confirms_is_written_and_told(durable: Database) -> None:
    durable.execute("CREATE TABLE ends (reason text)")
    with (
        connect(Target("test", durable.url), schema="public") as conn,
        synchronous(durable.server, "nobody"),
    ):
        time.sleep(0.5)
        told = durability.write(conn, "INSERT INTO public.ends VALUES (%s)", ["lost"], within_s=1.0)
        assert "is committed on the primary only" in told
        assert conn.execute("SELECT reason FROM public.ends").fetchall() == [("lost",)]
    with connect(Target("test", durable.url), schema="public") as conn, conn.patient(Patience(5.0)):
        assert durability.write(conn, "INSERT INTO public.ends VALUES (%s)", ["there"]) == ""


# -- whole runs
# ----------------------------------------------------------------------------------------------


class Paused:
    """A run of 001 that waits before a cell, until it is told to go on."""

    def __init__(self, project: Project, url: str, before: str, *, papermill: bool = False) -> None:
        self.reached, self.go = project.root / "reached", project.root / "go"
        self._project = project
        notebook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
        text = json.loads(notebook.read_text())
        (cell,) = [c for c in text["cells"] if "".join(c["source"]).startswith(before)]
        wait = f"import pathlib, time\npathlib.Path({str(self.reached)!r}).touch()\n"
        wait += f"while not pathlib.Path({str(self.go)!r}).exists(): time.sleep(0.02)\n"
        cell["source"] = wait + "".join(cell["source"])
        notebook.write_text(json.dumps(text))
        project.env["CRM_URL"] = url
        given = ["-p", "target", "env:CRM_URL", "-p", "statement_timeout", "2s"]
        if papermill:
            (project.root / "outputs").mkdir()
            command = [
                "-m",
                "papermill",
                "--engine",
                "pgrunbook",
                str(notebook),
                "outputs/x.ipynb",
                *given,
            ]
        else:
            command = ["-m", "pgrunbook", "run", RUNBOOK, *given]
        self._output = (project.root / "output").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=project.root,
            env=project._env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        wait_for(lambda: self.reached.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text

    @property
    def text(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def ends(self, within_s: float) -> Outcome:
        """How it ended, if it does."""
        try:
            self.process.wait(within_s)
        finally:
            self.process.kill()
        notebooks = [*self._project.root.glob("outputs/**/*.ipynb")]
        return Outcome(self.process.returncode, self.text, notebooks[0] if notebooks else None)


def noted(outcome: Outcome) -> dict[str, str]:
    assert outcome.notebook, outcome.text
    return dict(json.loads(outcome.notebook.read_text())["metadata"].get("pgrunbook", {}))


def passes_soon(project: Project, database: Database, within_s: float) -> None:
    """Another run is locked out for so long at most, and does what is left."""
    deadline = time.monotonic() + within_s
    (project.root / "go").touch()
    while (done := project.run(database)).code == 4 and time.monotonic() < deadline:
        time.sleep(2)
    assert done.code == 0, done.text


@pytest.mark.long
@pytest.mark.parametrize("before", ["run.preconditions", 'run.apply("040', "run.verdict"])
def test_a_run_whose_server_falls_silent_ends(
    line: Line, crm: Database, project: Project, before: str
) -> None:
    run = Paused(project, line.url(crm.name), before)
    line.fall_silent()
    run.go.touch()
    begun = time.monotonic()
    done = run.ends(within_s=100)
    assert time.monotonic() - begun < 100
    assert done.code == 1, done.text
    assert "has not answered for" in done.text
    assert noted(done)["verdict"] == "failed"
    passes_soon(project, crm, within_s=75)


@pytest.mark.long
@pytest.mark.parametrize("papermill", [False, True])
def test_a_second_signal_ends_a_run_whose_server_is_silent(
    line: Line, crm: Database, project: Project, papermill: bool
) -> None:
    run = Paused(project, line.url(crm.name), 'run.apply("040', papermill=papermill)
    line.fall_silent()
    run.go.touch()
    time.sleep(1)
    begun = signalled(run)
    done = run.ends(within_s=20)
    assert time.monotonic() - begun < 5, done.text
    assert done.code == 3, done.text
    assert noted(done).get("verdict") == "interrupted"
    assert "a second signal came" in done.text


def signalled(run: Paused) -> float:
    """SIGINT and twice SIGTERM; when the second of them was sent."""
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    begun = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with suppress(ProcessLookupError):
        run.process.send_signal(signal.SIGTERM)
    return begun


@pytest.mark.long
@pytest.mark.parametrize("papermill", [False, True])
def test_a_second_signal_ends_a_run_that_seals(
    line: Line, crm: Database, project: Project, papermill: bool
) -> None:
    run = Paused(project, line.url(crm.name), "run.verdict", papermill=papermill)
    run.go.touch()
    wait_for(lambda: crm.execute("SELECT count(*) FROM pgrunbook.verdicts") == [(1,)])
    line.fall_silent()
    time.sleep(1)
    begun = signalled(run)
    done = run.ends(within_s=20)
    assert time.monotonic() - begun < 5, done.text


@pytest.mark.long
def test_a_run_whose_standby_is_lost_at_its_verdict_passes_and_says_so(
    durable: Database, project: Project
) -> None:
    run = Paused(project, durable.url, "run.verdict")
    with synchronous(durable.server, "nobody"):
        time.sleep(0.5)
        run.go.touch()
        done = run.ends(within_s=60)
    assert done.code == 0, done.text
    assert done.notebook
    assert "the verdict in the ledger" in done.notebook.read_text()
    assert "the head of the archive is committed on the primary only" in done.text
    assert durable.execute("SELECT verdict FROM pgrunbook.verdicts") == [("passed",)]


@pytest.mark.long
@pytest.mark.parametrize("papermill", [False, True])
def test_a_second_signal_ends_a_run_whose_standby_is_lost(
    durable: Database, project: Project, papermill: bool
) -> None:
    run = Paused(project, durable.url, "run.verdict", papermill=papermill)
    with synchronous(durable.server, "nobody"):
        time.sleep(0.5)
        run.go.touch()
        time.sleep(2)
        begun = signalled(run)
        done = run.ends(within_s=20)
    assert time.monotonic() - begun < 5, done.text
    assert done.code in (0, 3), done.text
    assert noted(done).get("verdict") == ("passed" if done.code == 0 else "interrupted")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("of", "step"),
    [
        pytest.param(restore, "run_watched", id="restoring"),
        pytest.param(Twin, "session", id="asking", marks=pytest.mark.long),
    ],
)
def test_a_server_for_twins_that_falls_silent_is_given_up(
    crm: Database, place: Path, monkeypatch: pytest.MonkeyPatch, of: object, step: str
) -> None:
    monkeypatch.setattr(copy_place, "_STATEMENT_S", 1.0)
    monkeypatch.setattr(copy_place, "_CONNECT_S", 2)
    crm.load("CREATE SCHEMA restored_first")
    host = twin_server.embedded_server(place / "silent", crm.server.version)
    target = Target("test", crm.url)
    with Line(host.socket) as line, closing(connect(target, schema="public")) as conn:
        server = twin_server.own_server(line.url("postgres", host.superuser), host.version)
        monkeypatch.setattr(of, step, _silenced(line, getattr(of, step)))
        begun = time.monotonic()
        with (
            pytest.raises(Refused, match="the server for twins does not answer"),
            twin_server.make_twin(target, conn, server, "silent") as twin,
        ):
            twin.session()
        assert time.monotonic() - begun < 30
        monkeypatch.undo()
    # what it has left goes with the next
    with closing(connect(target, schema="public")) as conn:
        with twin_server.make_twin(target, conn, host, "spoken"):
            pass
        left = "SELECT datname FROM pg_database WHERE datname LIKE 'pgrunbook%'"
        assert Database(host, "postgres").execute(left) == []
    host.stop()


def _silenced(line: Line, step: Callable[..., object]) -> Callable[..., object]:
    def taken(*arguments: object, **named: object) -> object:
        line.fall_silent()
        return step(*arguments, **named)

    return taken
