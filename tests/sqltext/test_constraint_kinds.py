"""Whatever constrains a source's values: after the run one more is admitted, and nothing else."""

from __future__ import annotations

import psycopg
import pytest
from support.databases import Database
from support.projects import Project

pytestmark = pytest.mark.newest

VALUE = "csv_import"
NONSENSE = "nonsense"
WITHOUT_CHECKS = (
    "ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;"
    "ALTER TABLE deals DROP CONSTRAINT deals_source_check;"
)
ENUM = "CREATE TYPE source_kind AS ENUM ('hubspot', 'salesforce', 'pipedrive', 'manual');"
LISTED = "IN ('hubspot', 'salesforce', 'pipedrive', 'manual')"
LOOKUP = """
CREATE TABLE source_types (code text PRIMARY KEY, label text NOT NULL, position int NOT NULL DEFAULT 0);
INSERT INTO source_types VALUES ('hubspot', 'HubSpot'), ('salesforce', 'Salesforce'), ('pipedrive', 'Pipedrive'),
                                ('manual', 'By hand');
"""


def kind(of_connections: str, of_deals: str, first: str = "") -> str:
    """A sample in which the two columns are constrained like this."""
    return (
        f"{WITHOUT_CHECKS}{first}"
        f"ALTER TABLE connections {of_connections.format(c='source_type')};"
        f"ALTER TABLE deals {of_deals.format(c='source')};"
    )


ENUMERATED = "ALTER {c} DROP DEFAULT, ALTER {c} TYPE source_kind USING {c}::source_kind"
LOOKED_UP = "ADD FOREIGN KEY ({c}) REFERENCES source_types (code)"
SHORT = f"ALTER {{c}} TYPE varchar(9) USING left({{c}}, 9), ADD CHECK ({{c}} <> '{NONSENSE}')"

KINDS = {
    "free text": (WITHOUT_CHECKS, False),
    "enum": (kind(ENUMERATED, ENUMERATED, ENUM), True),
    "one named CHECK": (
        kind(f'ADD CONSTRAINT "Of types" CHECK ({{c}} {LISTED})', f"ADD CHECK ({{c}} {LISTED})"),
        True,
    ),
    "several CHECKs of several forms": (
        kind(
            f"ADD CHECK ({{c}} {LISTED}), ADD CHECK ({{c}} <> '' AND {{c}} ~ '^[a-z]+$')",
            "ADD CHECK ({c} = 'hubspot' OR {c} = 'salesforce' OR {c} LIKE '%pipe%' OR {c} = "
            "'manual')",
        ),
        True,
    ),
    "domain": (
        kind(
            "ALTER {c} TYPE source_name",
            "ALTER {c} TYPE source_name",
            f"CREATE DOMAIN source_name AS text CONSTRAINT known CHECK (VALUE {LISTED});",
        ),
        True,
    ),
    "lookup table": (
        kind(
            "ADD FOREIGN KEY ({c}) REFERENCES source_types (code)",
            "ADD FOREIGN KEY ({c}) REFERENCES source_types (code)",
            LOOKUP,
        ),
        True,
    ),
    "varchar too short": (
        kind(
            SHORT,
            SHORT,
            "UPDATE connections SET source_type = 'hubspot'; UPDATE deals SET source = 'hubspot';",
        ),
        True,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_one_more_value_is_admitted_and_nothing_else(
    crm: Database, project: Project, name: str
) -> None:
    change, rejects = KINDS[name]
    crm.load(change)
    done = project.run(crm)
    assert done.code == 0, done.text
    for table, column in [("connections", "source_type"), ("deals", "source")]:
        assert update(crm, table, column, VALUE)
        assert update(crm, table, column, "hubspot")
        assert update(crm, table, column, NONSENSE) is not rejects
        assert not unvalidated(crm)
    if crm.server.version == 18:  # which answers no differently
        assert project.step(crm, "--mode", "verify").code == 0


def update(database: Database, table: str, column: str, value: str) -> bool:
    """Whether a row takes the value; nothing is kept."""
    with database.connect() as conn, conn.transaction(force_rollback=True):
        try:
            conn.execute(
                f"UPDATE {table} SET {column} = '{value}' WHERE id = (SELECT id FROM {table} "
                "LIMIT 1)".encode()
            )
        except psycopg.Error:
            return False
    return True


def unvalidated(database: Database) -> list[tuple[str]]:
    return database.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
