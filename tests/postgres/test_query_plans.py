"""What is prepared is planned anew as blocks make the catalog grow."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.databases import Database
from support.projects import Project

from pgrunbook.inventory import changes
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.query_plans import QueryPlans
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

MAKE = """DO $$ BEGIN FOR i IN 1..20 LOOP
  EXECUTE format('CREATE TABLE grown_%s_%s (id int PRIMARY KEY, name text UNIQUE)', {}, i);
END LOOP; END $$"""
WHOLE = "Seq Scan on pg_index"


def plan(conn: Session) -> str:
    written, _ = changes.queries(conn, near=True)
    return "\n".join(line for (line,) in conn.execute(f"EXPLAIN {written}".encode()))


def test_a_plan_for_a_small_catalog_does_not_stay(empty: Database) -> None:
    with closing(connect(Target("test", empty.url), schema="public")) as conn:
        assert WHOLE in plan(conn)
        for number in range(40):
            empty.execute(MAKE.format(number))
            conn.execute("SELECT")  # who misses too much of what others do plans all anew
        QueryPlans().note_made(4_000, conn)
        assert WHOLE not in plan(conn)


def test_a_session_that_is_lost_keeps_nobody_from_it(empty: Database) -> None:
    lost = connect(Target("test", empty.url), schema="public")
    empty.execute(f"SELECT pg_terminate_backend({lost.info.backend_pid})")
    QueryPlans().note_made(1_000, None, lost)


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_run_counts_what_its_blocks_make(
    crm: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(Sessions, "note_made", lambda _, objects: made.append(objects))
    (project.root / "migrations").mkdir()
    (project.root / "migrations" / "001_two.sql").write_text(
        "CREATE TABLE a (); CREATE TABLE b ();"
    )
    assert project.command("import", "migrations", "made", cwd=project.root).code == 0
    project.step(crm, runbook="003_made")
    assert made == [2]
