"""`pgrunbook pause`, `resume` and `stop` from another shell, while a run holds its lock."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from support import applying, databases
from support.databases import Database
from support.projects import Outcome, Project

from pgrunbook.ledger import batches, install, ledger, requests
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

RUN = str(uuid.uuid4())


@pytest.fixture
def at_work(empty: Database) -> Iterator[Sessions]:
    """A run that holds the lock."""
    sessions = Sessions(Target("test", empty.url), "public", f"{RUN[:8]} 900_x")
    with closing(sessions):
        sessions.lock()
        yield sessions


def begin(sessions: Sessions) -> None:
    install.install(sessions.work)
    applying.begin(sessions.work, RUN)


def begin_batches(sessions: Sessions) -> None:
    """What the ledger has of a block in batches that has begun."""
    texts = dict.fromkeys(["reason", "sql", "source_sha256", "tree_sha256", "sql_sha256"], "")
    lists: dict[str, list[str]] = {"variants": [], "variables": [], "kept": []}
    about = json.dumps({"block": "010_fill", **texts, **lists})
    batches.begin(
        sessions.work,
        RUN,
        about,
        event="started",
        revision=0,
        tree_sha256="",
        table="public.t",
        oid=1,
        key=["id"],
        upper=["9"],
        estimated_rows=9,
        started_at=datetime.now(UTC),
    )


def ask(project: Project, database: Database, what: str, *arguments: str) -> Outcome:
    project.env["CRM_URL"] = database.url
    return project.command(what, "--target", "env:CRM_URL", *arguments)


def test_a_run_is_paused_goes_on_and_is_stopped(
    empty: Database, project: Project, at_work: Sessions
) -> None:
    begin(at_work)
    early = ask(project, empty, "pause")
    assert early.code == 2
    assert "the run at work has no batches to do" in early.text
    assert requests.last_request(at_work.look, RUN) is None
    begin_batches(at_work)
    paused = ask(project, empty, "pause", "--reason", "the sale begins", "--operator", "ada")
    assert paused.code == 0, paused.text
    assert f"run {RUN[:8]} pauses before its next batch" in paused.text
    request = requests.last_request(at_work.look, RUN)
    assert request
    assert (request.what, request.operator, request.database_user) == ("pause", "ada", "postgres")
    assert str(request).startswith("pause asked for at ")
    assert str(request).endswith(f" by ada on {request.host}, as postgres: the sale begins")
    resumed = ask(project, empty, "resume", "--json")
    assert json.loads(resumed.text) == {
        "verdict": "passed",
        "message": f"run {RUN[:8]} goes on",
        "problems": [],
        "target": "env:CRM_URL",
        "run": RUN,
        "asked": "resume",
    }
    again = ask(project, empty, "resume")
    assert again.code == 2
    assert "nobody has paused the run" in again.text
    assert ask(project, empty, "stop").code == 0
    told = ledger.rows_of_run(at_work.look, RUN)
    assert told
    assert [row["what"] for row in told["requests"] or ()] == ["pause", "resume", "stop"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        empty.execute("DELETE FROM pgrunbook.requests")


def test_a_flood_of_words_is_cut(empty: Database, at_work: Sessions) -> None:
    """Whoever may ask writes the row: a run repeats it wherever it is told."""
    begin(at_work)
    empty.execute(
        "INSERT INTO pgrunbook.requests (run_id, what, operator, host, reason)"
        f" SELECT '{RUN}', 'pause', repeat('x', 5000), repeat('x', 5000), repeat('x', 5000000)"
    )
    request = requests.last_request(at_work.look, RUN)
    assert request
    assert len(str(request)) < 1000


def test_who_cannot_be_asked_is_said(empty: Database, project: Project) -> None:
    nobody = ask(project, empty, "pause")
    assert nobody.code == 2
    assert "no run is at work" in nobody.text
    unsaid = ask(project, empty, "pause", "--reason", " ")
    assert unsaid.code == 2
    assert empty.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]


def test_a_run_that_has_written_nothing_or_is_of_an_older_version_is_not_asked(
    empty: Database, project: Project, at_work: Sessions
) -> None:
    early = ask(project, empty, "stop")
    assert early.code == 2
    assert "the run at work has written nothing yet" in early.text
    for number in range(1, 7):
        empty.load(install.sql(f"{number:03}"))
        empty.execute("INSERT INTO pgrunbook.versions VALUES (%s, now(), 'x', 'x')", [number])
    applying.begin(at_work.work, RUN)
    older = ask(project, empty, "stop")
    assert older.code == 2
    assert "is of an older version of pgrunbook" in older.text


def test_a_role_that_may_not_write_there_is_told_so(
    empty: Database, project: Project, at_work: Sessions
) -> None:
    begin(at_work)
    begin_batches(at_work)
    role = databases.login_role(empty)
    project.env["CRM_URL"] = role.url
    empty.load(f"GRANT USAGE ON SCHEMA pgrunbook TO {role.name}")
    empty.load(f"GRANT SELECT ON ALL TABLES IN SCHEMA pgrunbook TO {role.name}")
    refused = project.command("pause", "--target", "env:CRM_URL")
    assert refused.code == 2
    assert "permission denied for table requests" in refused.text
    said = "run_id, what, operator, host, reason"
    grant = f'GRANT INSERT ({said}) ON pgrunbook.requests TO "{role.name}"'
    assert grant in refused.text
    empty.load(grant)
    done = project.command("pause", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
