"""The role of docs/security.md can do what the page says, made by the SQL that stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support.databases import Database
from support.projects import ROOT, Project

PAGE = (ROOT / "docs" / "security.md").read_text()
TABLES = ("workspaces", "deals", "contacts", "accounts", "connections")


@pytest.fixture
def migrator(crm: Database) -> Iterator[str]:
    """The URL of the page's role, in a database whose tables belong to another one."""
    crm.execute("CREATE ROLE app_owner")
    for table in TABLES:
        crm.execute(f"ALTER TABLE {table} OWNER TO app_owner")
    for statement in "\n".join(re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)).splitlines():
        if "pg_signal_autovacuum_worker" not in statement or crm.server.version >= 18:
            crm.execute(statement.replace("crm", crm.name))
    yield crm.url_as("migrator")
    for role in ("migrator", "app_owner"):
        crm.execute(f"REASSIGN OWNED BY {role} TO postgres")
        crm.execute(f"DROP OWNED BY {role}")
        crm.execute(f"DROP ROLE {role}")


@pytest.mark.long
def test_the_role_of_the_page_applies_runbook_001(migrator: str, project: Project) -> None:
    project.env["MIGRATOR_URL"] = migrator
    done = project.step("env:MIGRATOR_URL")
    assert done.code == 0, done.text


REVOKED = """
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA pg_catalog FROM PUBLIC;
DO $$ DECLARE called regprocedure; BEGIN
  FOR called IN SELECT oprcode FROM pg_operator WHERE oprcode <> 0 UNION SELECT castfunc FROM pg_cast WHERE castfunc <> 0
    UNION SELECT unnest(ARRAY[typinput, typoutput]) FROM pg_type UNION SELECT amproc FROM pg_amproc
  LOOP EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', called); END LOOP;
END $$
"""


@pytest.mark.long
def test_it_needs_no_other_functions_than_those_of_the_page(
    crm: Database, migrator: str, project: Project
) -> None:
    """A query of ours that calls one more fails here: give the page its name."""
    (granted,) = re.findall(r"```plpgsql\n(.*?)```", PAGE, re.DOTALL)
    crm.load(REVOKED)
    crm.load(granted)
    crm.load(f"CREATE SCHEMA more; ALTER DATABASE {crm.name} SET search_path = public, more")
    project.env["MIGRATOR_URL"] = migrator
    for mode in ("plan", "apply", "verify"):
        done = project.step("env:MIGRATOR_URL", "--mode", mode)
        assert done.code == 0, done.text
