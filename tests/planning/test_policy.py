"""A target's policy for hazards: shown, accepted by the block's header, or approved by somebody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from support import databases
from support.databases import Database
from support.projects import Outcome, Project
from support.refusals import REFUSED

from pgrunbook.planning import policy
from pgrunbook.planning.hazards import Risk
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Policy
from pgrunbook.sqltext.hazards import Danger, Hazard, Thing

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

NAME = "003_tidy"
HEADER = "-- title: Tidy\n-- why: Nobody reads the notes.\n"
DROP = "ALTER TABLE deals DROP COLUMN note;\n"


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with databases.temporary(server) as database:
        database.load(
            "CREATE TABLE deals (id int, note text); CREATE INDEX noted ON deals (note);"
            "INSERT INTO deals SELECT n, 'x' FROM generate_series(1, 3000) AS n"
        )
        database.execute("ANALYZE deals")
        yield database


@pytest.fixture
def tidy(project: Project, database: Database) -> Project:
    """A project with a runbook that drops a column."""
    done = project.command("new", "tidy")
    assert done.code == 0, done.text
    folder = project.root / "sql" / NAME
    for path in folder.glob("*/*.sql"):
        path.unlink()
    write(project, "deploy", DROP)
    write(project, "revert", "ALTER TABLE deals ADD COLUMN note text;\n")
    write(project, "verify", "DO $$BEGIN ASSERT to_regclass('noted') IS NULL; END$$;\n")
    project.env["CRM_URL"] = database.url
    configure(project, "")
    return project


def write(project: Project, kind: str, sql: str, header: str = "") -> None:
    path = project.root / "sql" / NAME / kind / "010_tidy.sql"
    path.write_text(f"{HEADER}{header}\n{sql}")


def configure(project: Project, settings: str) -> None:
    (project.root / "pgrunbook.toml").write_text(f'[targets.crm]\nenv = "CRM_URL"\n{settings}')


def run(project: Project, *arguments: str, kernel: bool = False) -> Outcome:
    return project.command("run", NAME, "--target", "crm", *arguments, kernel=kernel)


SHOWN = "010_tidy:4 drops_column, column deals.note: about 3,000 rows, "


def test_it_is_shown_in_the_plan_on_the_terminal_and_to_the_reviewer(tidy: Project) -> None:
    planned = run(tidy, "--mode", "plan", "--html")
    assert planned.code == 0, planned.text
    assert f"hazard:   {SHOWN}" in planned.text
    assert "; index noted" in planned.text
    assert "\nforeseen: 2 dropped, tried on a copy without rows\n" in planned.text
    assert "drops_column  column deals.note" in planned.cells["plan"]
    page = re.search(r"page: +(\S+)", planned.text)
    assert page
    assert SHOWN in (tidy.root / page[1]).read_text()

    (document,) = json.loads(run(tidy, "--mode", "plan", "--json").text)
    (row,) = document["hazards"]
    assert (row["hazards"], row["concerns"], row["dependents"]) == (
        "drops_column",
        "column deals.note",
        "index noted",
    )


def test_it_is_on_the_terminal_before_the_first_block_runs(tidy: Project) -> None:
    done = run(tidy, kernel=True)
    assert done.code == 0, done.text
    assert done.text.count(f"hazard:   {SHOWN}") == 1
    assert done.text.index("hazard: ") < done.text.index("notebook: ")
    again = run(tidy)
    assert (again.code, "hazard" in again.text) == (0, False)


def test_what_is_to_be_accepted_refuses_until_the_header_does(
    tidy: Project, database: Database
) -> None:
    before = database.dump()
    configure(tidy, 'hazards = { drops_column = "accept" }\n')
    for mode in ("plan", "apply"):
        refused = run(tidy, "--mode", mode)
        assert refused.code == REFUSED, refused.text
        assert "deploy/010_tidy.sql:4: drops_column, which the policy of target crm" in refused.text
        assert (
            "expected: the header `-- accepts: drops_column` in deploy/010_tidy.sql" in refused.text
        )
        assert "found:    column deals.note; about 3,000 rows, " in refused.text
        assert "; index noted" in refused.text
        assert "drops_column" in refused.cells["preconditions"]
    assert database.dump() == before

    write(tidy, "deploy", DROP, "-- accepts: drops_column\n")
    done = run(tidy, kernel=True)
    assert done.code == 0, done.text
    assert "column deals.note (accepted): about" in done.text


def test_to_revert_nothing_is_to_be_accepted_but_an_approval_is_asked_for() -> None:
    """The mode says what is wanted, and `discard` what may be lost."""
    table = Thing("table", "", "deals")
    risk = Risk(
        "010_tidy", "revert/010_tidy.sql:4", Danger(Hazard.DROPS_TABLE, table, 4), True, False
    )
    policies = {Hazard.DROPS_TABLE: Policy.ACCEPT}
    (asked,) = policy.check_accepted("crm", policies, [risk])
    assert asked.problem is not None
    assert policy.check_accepted("crm", policies, [risk], reverting=True) == []
    assert policy.to_approve(policies, [risk]) == []
    assert policy.to_approve({Hazard.DROPS_TABLE: Policy.APPROVE}, [risk]) == [risk]


def test_what_is_to_be_approved_takes_the_plan_that_somebody_else_approved(
    tidy: Project, database: Database
) -> None:
    configure(tidy, 'hazards = { drops_column = "approve" }\n')
    refused = run(tidy)
    assert refused.code == REFUSED, refused.text
    assert (
        "plan: is not approved, and the target's policy wants its hazards approved" in refused.text
    )
    assert "deploy/010_tidy.sql:4 drops_column column deals.note; about 3,000 rows" in refused.text
    assert database.execute("SELECT note FROM deals LIMIT 1") == [("x",)]
    planned = run(tidy, "--mode", "plan")
    found = re.search(r"^plan: +([0-9a-f]{64})$", planned.text, re.MULTILINE)
    assert found, planned.text
    by = ("-p", "operator", "ada", "-p", "approver", "grace")
    done = run(tidy, "-p", "approved_plan", found[1], *by)
    assert done.code == 0, done.text


def test_another_hazard_s_policy_asks_for_nothing(tidy: Project) -> None:
    configure(tidy, 'hazards = { drops_table = "approve", rewrites_table = "accept" }\n')
    done = run(tidy)
    assert done.code == 0, done.text
