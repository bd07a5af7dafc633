"""Time limits of roles and databases that are not ours: our sessions have their own, or the cause
is named.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from hostile.line import Line
from support.databases import Database, Role
from support.projects import Outcome

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import role_timeouts
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target

LIMITS = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
]


def has(database: Database, limit: str) -> bool:
    return database.execute("SELECT EXISTS (SELECT FROM pg_settings WHERE name = %s)", [limit]) == [
        (True,)
    ]


@pytest.fixture(params=LIMITS)
def limit(request: pytest.FixtureRequest, crm: Database) -> str:
    if not has(crm, request.param):
        pytest.skip(f"this version has no {request.param}")
    return str(request.param)


def test_a_session_has_limits_of_its_own(crm: Database, limit: str) -> None:
    crm.execute(f"ALTER DATABASE {crm.name} SET {limit} = '200ms'")
    sessions = Sessions(Target("test", crm.url), "public", "test", "45s")
    with closing(sessions):
        for conn in (sessions.look, sessions.work):
            assert conn.execute("SELECT current_setting(%s)", [limit]).fetchone() != ("200ms",)
            conn.execute("SELECT pg_sleep(0.3)")


def test_reading_has_the_timeout_of_the_run(crm: Database) -> None:
    show = "SELECT current_setting('statement_timeout')"
    for given, own in {"45s": "45s", "1s": "30s"}.items():
        sessions = Sessions(Target("test", crm.url), "public", "test", given)
        with closing(sessions), closing(sessions.open_look()) as look:
            assert look.execute(show).fetchone() == (given,)
            assert sessions.look.execute(show).fetchone() == (own,)  # a short one is for blocks
    # as `status` reads
    with connect(Target("test", crm.url), schema="public", read_only=True) as conn:
        assert conn.execute(show).fetchone() == ("30s",)


WHO = ["ROLE {role}", "DATABASE {database}", "ROLE {role} IN DATABASE {database}"]


@pytest.mark.parametrize("who", WHO)
def test_where_it_is_set_is_named_with_what_mends_it(
    crm: Database, login_role: Callable[..., Role], who: str
) -> None:
    role = login_role(crm)
    # what is set nearer comes first
    crm.execute(f"ALTER DATABASE {crm.name} SET statement_timeout = '200ms'")
    crm.execute(
        f"ALTER {who.format(role=role.name, database=crm.name)} SET statement_timeout = '1ms'"
    )
    with (
        closing(psycopg.connect(role.url)) as conn,
        pytest.raises(psycopg.errors.QueryCanceled) as caught,
    ):
        conn.execute("SELECT pg_sleep(1)")
    found = role_timeouts.name_setting(
        Problem("was cancelled"), caught.value, role.name, lambda: psycopg.connect(role.url)
    )
    assert found.found.startswith("statement_timeout=1ms, set for the ")
    crm.execute(found.remedy)
    with closing(psycopg.connect(role.url)) as conn:
        assert conn.execute("SHOW statement_timeout").fetchone() != ("1ms",)


def test_one_that_leaves_no_time_to_say_anything_is_named(
    crm: Database, login_role: Callable[..., Role]
) -> None:
    """A session is idle as long as its first query is on its way."""
    role = login_role(crm)
    crm.execute(
        f"ALTER ROLE {role.name} SUPERUSER; ALTER ROLE {role.name} SET idle_session_timeout = "
        "'20ms'"
    )
    with Line(crm.server.socket, round_trip_s=0.2) as line:
        url = f"postgresql://{role.name}:{role.password}@127.0.0.1:{line.port}/{crm.name}"
        with pytest.raises(Refused) as caught:
            connect(Target("test", url), schema="public")
    assert "(SQLSTATE 57P05)" in str(caught.value)
    assert "found:    idle_session_timeout is too short" in str(caught.value)
    (remedy, *_) = [text for text in str(caught.value).splitlines() if "ALTER ROLE" in text]
    crm.execute(remedy.partition("remedy:")[2])
    assert crm.execute(
        "SELECT count(*) FROM pg_db_role_setting WHERE setrole = %s::regrole", [role.name]
    ) == [(0,)]


@pytest.mark.long
def test_a_run_does_not_care_for_them(
    crm: Database, run: Callable[..., Outcome], limit: str
) -> None:
    crm.execute(
        f"ALTER DATABASE {crm.name} SET {limit} = "
        f"'{50 if limit == 'idle_session_timeout' else 5}ms'"
    )
    done = run(crm)
    assert done.code == 0, done.text


@pytest.mark.long
def test_looking_does_not_read_a_big_table_as_a_whole(
    crm: Database, run: Callable[..., Outcome]
) -> None:
    crm.execute("""
        INSERT INTO deals (workspace_id, name, stage, normalized_stage, source)
        SELECT (SELECT id FROM workspaces LIMIT 1), 'deal ' || n, 'new', 'discovery', 'hubspot'
          FROM generate_series(1, 200000) n;
        ANALYZE deals;
        SELECT pg_stat_reset();
    """)
    done = run(crm, "--mode", "plan")
    assert done.code == 0, done.text
    ((read,),) = crm.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'deals'")
    assert 0 < read < 50_000
