"""Behind a pooler a run is refused, and whoever has its session next finds it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile.pooler import MODES, Pooler, pooling
from support.databases import Database
from support.projects import Outcome, Project

from pgrunbook.errors import Refused
from pgrunbook.postgres.backend import way_around
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

STATE = """
SELECT (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name <> 'application_name'),
       (SELECT array_agg(name) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


@pytest.fixture(params=MODES)
def pooler(request: pytest.FixtureRequest, crm: Database) -> Iterator[Pooler]:
    with pooling(crm.server, request.param) as pooler:
        yield pooler


def seen_by_the_application(pooler: Pooler, database: Database) -> tuple[Any, ...]:
    """What its session is like, and that it can write."""
    with pooler.connect(database.name) as conn:
        conn.execute("UPDATE deals SET id = id WHERE false")
        row = conn.execute(STATE).fetchone()
        pid = conn.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return (*row, pid)


def reached(pooler: Pooler, database: Database, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        connect(Target("test", pooler.url(database.name)), schema="public", **options)
    return caught.value


def test_what_it_hands_on_is_as_it_was(
    pooler: Pooler, crm: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen_by_the_application(pooler, crm)
    for name, value in {"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German", "PGAPPNAME": "mine"}.items():
        monkeypatch.setenv(name, value)  # libpq sends them as it connects
    for options in ({}, {"read_only": True, "statement_timeout": "1s"}):
        error = reached(pooler, crm, **options)
        assert "a connection pooler answers, and not the server itself" in str(error)
        assert "PgBouncer" in str(error)
    for name in ("PGTZ", "PGDATESTYLE", "PGAPPNAME"):
        monkeypatch.delenv(name)
    assert seen_by_the_application(pooler, crm) == before  # the same backend, too


@pytest.mark.long
def test_no_command_leaves_anything_behind(pooler: Pooler, crm: Database, project: Project) -> None:
    before = seen_by_the_application(pooler, crm)
    project.env["CRM_URL"] = pooler.url(crm.name)
    target = "env:CRM_URL"
    outputs = project.root / "outputs"
    outputs.mkdir()
    commands: dict[str, Callable[[], Outcome]] = {
        "plan": lambda: project.run(target, "--mode", "plan"),
        "apply": lambda: project.run(target),
        "rehearse": lambda: project.run(target, "--mode", "rehearse"),
        "revert": lambda: project.run(target, "--mode", "revert"),
        "status": lambda: project.command("status", "--target", target),
        "pending": lambda: project.command("run", "--pending", "--target", target),
        "verify": lambda: project.command("archive", "verify", "--target", target),
        "papermill": lambda: project.papermill(target),
        "engine": lambda: project.papermill(target, "--engine", "pgrunbook", name="y.ipynb"),
        "seal": lambda: project.command("archive", "seal", str(outputs / "x.ipynb")),
    }
    for name, command in commands.items():
        done = command()
        assert done.code in ((0, 1) if name in ("papermill", "seal") else (2,)), (name, done.text)
        assert "a connection pooler answers" in done.text or name == "seal", (name, done.text)
        assert seen_by_the_application(pooler, crm) == before, name


@pytest.mark.parametrize(
    ("host", "port", "user", "way"),
    [
        (
            "aws-0-eu-west-1.pooler.supabase.com",
            6543,
            "postgres.abc",
            "host=db.abc.supabase.co port=5432 user=postgres",
        ),
        (
            "aws-0-eu-west-1.pooler.supabase.com",
            5432,
            "deploy.abc",
            "host=db.abc.supabase.co port=5432 user=deploy",
        ),
        ("db.abc.supabase.co", 6543, "postgres", "host=db.abc.supabase.co port=5432"),
        (
            "ep-a-b-pooler.eu-central-1.aws.neon.tech",
            5432,
            "me",
            "connect to host=ep-a-b.eu-central-1.aws.neon.tech",
        ),
        ("app.proxy-abc.eu-west-1.rds.amazonaws.com", 5432, "me", "endpoint of the instance"),
        ("db.example.com", 6432, "me", "PgBouncer listens on port 6432"),
        ("db.example.com", 5432, "me", "Neon (host …-pooler.…)"),
    ],
)
def test_the_way_around_is_named(host: str, port: int, user: str, way: str) -> None:
    assert way in way_around(host, port, user)
