"""A schema called pgrunbook that is somebody else's, triggers on the ledger, and event triggers
that forbid DDL.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support import databases
from support.databases import Database
from support.projects import Outcome, Project

from pgrunbook.errors import Problem
from pgrunbook.postgres import trust
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

LEDGER = "CREATE TABLE pgrunbook.blocks (id int); CREATE VIEW pgrunbook.runs AS SELECT 1 AS run_id"


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_a_ledger_of_another_role_is_refused_and_named(
    crm: Database, run: Callable[..., Outcome], mode: str
) -> None:
    role = databases.login_role(crm)
    crm.load(f"GRANT CREATE ON DATABASE {crm.name} TO {role.name}")
    role.load(f"CREATE SCHEMA pgrunbook; {LEDGER}")
    done = run(crm, "--mode", mode)
    assert done.code == 2, done.text
    for word in (
        "schema pgrunbook",
        "pgrunbook.blocks",
        "pgrunbook.runs",
        f"owned by {role.name}",
        "OWNER TO",
    ):
        assert word in done.text, done.text


def test_a_role_that_somebody_has_put_upon_us_is_not_trusted(crm: Database) -> None:
    """Whoever may make roles may grant them to every role; what the database's owner grants is a
    word of trust.
    """
    maker, us = databases.login_role(crm), databases.login_role(crm)
    theirs = f"of_{maker.name}"
    crm.load(f"GRANT CREATE ON DATABASE {crm.name} TO PUBLIC; ALTER ROLE {maker.name} CREATEROLE")
    crm.load("GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
    with psycopg.connect(maker.url, autocommit=True) as conn:
        conn.execute(
            f"CREATE ROLE {theirs} ROLE {maker.name}; GRANT {theirs} TO {us.name}, "
            "postgres".encode()
        )
        conn.execute(f"SET ROLE {theirs}; CREATE SCHEMA pgrunbook; {LEDGER}".encode())
        conn.execute(
            "CREATE FUNCTION public.round(float8, int) RETURNS float8 LANGUAGE sql AS 'SELECT $1'"
        )
    for url in (us.url, crm.url):
        with connect(Target("test", url), schema="public") as conn:
            assert len(trust.shadows(conn, "public")) == 1
        assert [problem.where for problem in trust_of(url)] == [
            "schema pgrunbook",
            "pgrunbook.blocks",
            "pgrunbook.runs",
        ]
    options = " WITH INHERIT FALSE, SET FALSE" if crm.server.version >= 16 else ""
    grant = f'GRANT "{theirs}" TO "{us.name}"'
    assert f"{grant} WITH INHERIT FALSE, SET FALSE" in "".join(
        problem.remedy for problem in trust_of(us.url)
    )
    maker.load(f"REVOKE {theirs} FROM {us.name}")
    crm.load(f"{grant}{options}")
    assert trust_of(us.url) == []


def trust_of(url: str) -> list[Problem]:
    with connect(Target("test", url), schema="public") as conn:
        return trust.untrusted_objects(conn)[1]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE SCHEMA pgrunbook", "is there, and is no ledger"),
        (f"CREATE SCHEMA pgrunbook; {LEDGER}", "without version, installed_at"),
        ("CREATE SCHEMA pgrunbook; CREATE TABLE pgrunbook.notes ()", "is there, and is no ledger"),
    ],
)
def test_a_schema_of_that_name_that_is_no_ledger_is_refused(
    crm: Database, run: Callable[..., Outcome], made: str, said: str
) -> None:
    crm.load(made)
    before = crm.dump("--schema-only")
    done = run(crm, "--mode", "apply")
    assert (done.code, said in done.text) == (2, True), done.text
    assert crm.dump("--schema-only") == before


def test_a_trigger_on_the_ledger_is_refused(applied: Database, run: Callable[..., Outcome]) -> None:
    role = databases.login_role(applied)
    applied.load(
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role.name}; GRANT USAGE ON SCHEMA pgrunbook TO "
        f"{role.name}"
    )
    applied.load(f"GRANT TRIGGER ON pgrunbook.verdicts TO {role.name}")
    role.load("""
            CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER spy BEFORE INSERT ON pgrunbook.verdicts FOR EACH ROW EXECUTE FUNCTION spy()""")
    for mode in ("plan", "verify"):
        done = run(applied, "--mode", mode)
        assert (done.code, "trigger spy on pgrunbook.verdicts" in done.text) == (2, True), done.text


def test_a_condition_of_a_trigger_on_the_ledger_is_never_evaluated(
    applied: Database, run: Callable[..., Outcome]
) -> None:
    """The trigger calls the ledger's own function, which everybody may; the condition calls any."""
    role = databases.login_role(applied)
    applied.load(f"""
        GRANT USAGE, CREATE ON SCHEMA public TO {role.name}; GRANT USAGE ON SCHEMA pgrunbook TO {role.name};
        GRANT TRIGGER ON pgrunbook.runs TO {role.name};
        CREATE TABLE told (who text); GRANT INSERT ON told TO PUBLIC; DROP TABLE stage_mappings""")
    role.load("""
            CREATE FUNCTION spy(text) RETURNS boolean LANGUAGE plpgsql AS
              'BEGIN INSERT INTO public.told VALUES (current_user); RETURN false; END';
            CREATE TRIGGER spy BEFORE INSERT ON pgrunbook.runs FOR EACH ROW WHEN (spy(NEW.mode))
              EXECUTE FUNCTION pgrunbook.refuse_change()""")
    done = run(applied, "-p", "discard", "020_stage_mappings")
    assert applied.execute("SELECT who FROM told") == []
    assert done.code == 2, done.text
    for word in (
        "spy on pgrunbook.runs: has a condition",
        "DROP trigger spy on pgrunbook.runs; REVOKE TRIGGER ON",
    ):
        assert word in done.text, done.text


@pytest.mark.parametrize("forced", [False, True])
def test_a_ledger_that_hides_rows_is_refused_and_not_taken_for_empty(
    applied: Database, project: Project, forced: bool
) -> None:
    """To a role that row-level security applies to, no rows are as good as none."""
    role = databases.login_role(applied)
    applied.load(f"""
        GRANT USAGE ON SCHEMA pgrunbook TO {role.name};
        GRANT SELECT ON ALL TABLES IN SCHEMA pgrunbook TO {role.name};
        ALTER TABLE pgrunbook.blocks ENABLE ROW LEVEL SECURITY;
        ALTER TABLE pgrunbook.blocks {"FORCE" if forced else "NO FORCE"} ROW LEVEL SECURITY""")
    project.env["READER_URL"] = role.url
    seen = project.command("status", "001", "--target", "env:READER_URL")
    assert seen.code == 2, seen.text
    for word in (
        "pgrunbook.blocks: hides rows from this role",
        "ALTER TABLE pgrunbook.blocks DISABLE ROW LEVEL SECURITY",
    ):
        assert word in seen.text, seen.text


FORBID = """
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no changes on Fridays'; END$$;
CREATE EVENT TRIGGER no_fridays ON ddl_command_start EXECUTE FUNCTION forbid();
"""


def test_an_event_trigger_is_told_and_named_where_it_forbids_the_ledger(
    crm: Database, run: Callable[..., Outcome]
) -> None:
    crm.load(FORBID)
    planned = run(crm, "--mode", "plan")
    assert planned.code == 0, planned.text
    assert "event trigger no_fridays" in "".join(planned.cells.values())
    done = run(crm, "--mode", "apply")
    assert done.code == 2, done.text
    for word in (
        "nothing was changed",
        "no changes on Fridays",
        "event trigger no_fridays: public.forbid()",
    ):
        assert word in done.text, done.text
    crm.execute("ALTER EVENT TRIGGER no_fridays DISABLE")
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
