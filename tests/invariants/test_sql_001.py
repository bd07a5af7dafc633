"""The SQL of runbook 001 by itself, as psql runs it: sample database, deploy, verify, revert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from support import databases
from support.databases import Database

from pgrunbook.postgres.embedded import Server
from pgrunbook.runbooks.source import Source

pytestmark = pytest.mark.newest

SQL = Path(__file__).parents[2] / "sql"
SAMPLE = SQL / "sample.sql"
RUNBOOK = SQL / "001_import_connector"
BLOCKS = [path.stem for path in sorted(RUNBOOK.glob("deploy/0[1-6]*.sql"))]
VERIFY = [path.stem for path in sorted(RUNBOOK.glob("verify/*.sql"))]
# in the sample database
THERE_ALREADY = {"050_accounts_source_data", "062_connections_last_sync_at"}
MADE = [block for block in BLOCKS if block not in THERE_ALREADY]

# What a later block of the runbook does: no value of this column is rejected any more.
ADMIT_ANY_VALUE = "ALTER TABLE connections DROP CONSTRAINT connections_source_type_check"
VARIABLES = {
    "connections_table": "connections",
    "source_type_column": "source_type",
    "value": "csv_import",
}

# As issue 2 gives them; the project promises exactly these.
ASKED_FOR = """
CREATE TABLE import_batches (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id UUID NOT NULL REFERENCES workspaces(id),
  entity_type TEXT NOT NULL,
  filename TEXT NOT NULL,
  source_crm TEXT,
  row_count INTEGER NOT NULL,
  records_inserted INTEGER DEFAULT 0,
  records_updated INTEGER DEFAULT 0,
  records_skipped INTEGER DEFAULT 0,
  classification JSONB,
  warnings TEXT[],
  status TEXT NOT NULL DEFAULT 'pending',
  replace_strategy TEXT DEFAULT 'replace',
  uploaded_by TEXT,
  created_at TIMESTAMPTZ DEFAULT now(),
  confirmed_at TIMESTAMPTZ,
  applied_at TIMESTAMPTZ
);
CREATE INDEX idx_import_batches_workspace ON import_batches(workspace_id, created_at DESC);
CREATE INDEX idx_import_batches_status ON import_batches(workspace_id, status);
CREATE TABLE stage_mappings (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id UUID NOT NULL REFERENCES workspaces(id),
  source TEXT NOT NULL DEFAULT 'csv_import',
  raw_stage TEXT NOT NULL,
  normalized_stage TEXT NOT NULL,
  is_open BOOLEAN NOT NULL DEFAULT true,
  display_order INTEGER DEFAULT 0,
  created_at TIMESTAMPTZ DEFAULT now(),
  updated_at TIMESTAMPTZ DEFAULT now(),
  UNIQUE(workspace_id, source, raw_stage)
);
CREATE INDEX idx_stage_mappings_workspace ON stage_mappings(workspace_id, source);
"""


def psql(database: Database, *arguments: str, **variables: str) -> str:
    """Run psql in one transaction; what it prints."""
    flags = [
        part
        for name, value in {**VARIABLES, **variables}.items()
        for part in ("-v", f"{name}={value}")
    ]
    return database.psql("-1", *flags, *arguments)


def complaint(database: Database, *arguments: str) -> str:
    """What psql complains of when it runs these, which it must do."""
    with pytest.raises(CalledProcessError) as caught:
        psql(database, *arguments)
    return str(caught.value.stderr)


def files(folder: str, names: Iterable[str]) -> list[str]:
    return [part for name in names for part in ("-f", str(RUNBOOK / folder / f"{name}.sql"))]


@pytest.fixture(scope="module")
def deployed(server: Server) -> Iterator[Database]:
    """After deploy. One for all tests of a version: whoever changes it rolls back."""
    with databases.sampled(server) as database:
        psql(database, *files("deploy", BLOCKS), "-c", ADMIT_ANY_VALUE)
        yield database


def test_the_sample_loads_twice_to_the_same_bytes(crm: Database, empty: Database) -> None:
    psql(empty, "-f", str(SAMPLE))
    assert empty.dump() == crm.dump()


@pytest.mark.parametrize(
    ("table", "rows"), [("workspaces", 8), ("accounts", 1500), ("contacts", 4000), ("deals", 3000)]
)
def test_the_sample_knows_how_many_rows_it_has(crm: Database, table: str, rows: int) -> None:
    estimate = crm.execute("SELECT reltuples::int FROM pg_class WHERE oid = %s::regclass", [table])
    assert estimate == crm.execute(f"SELECT count(*) FROM {table}") == [(rows,)]


def test_deploy_makes_the_tables_that_were_asked_for(crm: Database, empty: Database) -> None:
    psql(empty, "-f", str(SAMPLE), "-c", ASKED_FOR)
    psql(crm, *files("deploy", BLOCKS[:2]))
    assert crm.dump("-s", "--no-comments") == empty.dump("-s", "--no-comments")


def test_everything_that_deploy_makes_has_a_comment(crm: Database) -> None:
    before = set(crm.execute(UNCOMMENTED))
    psql(crm, *files("deploy", BLOCKS))
    assert set(crm.execute(UNCOMMENTED)) <= before


UNCOMMENTED = """
SELECT attrelid::regclass::text, attname
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
   AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT oid::regclass::text, NULL
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND obj_description(oid, 'pg_class') IS NULL
"""


@pytest.mark.parametrize("block", sorted(THERE_ALREADY))
def test_deploy_changes_nothing_that_is_there_already(crm: Database, block: str) -> None:
    before = crm.dump()
    psql(crm, *files("deploy", [block]))
    assert crm.dump() == before


def test_the_connections_may_have_any_name(crm: Database) -> None:
    crm.load("""
        ALTER TABLE connections DROP CONSTRAINT connections_source_type_check;
        ALTER TABLE connections RENAME source_type TO "Type";
        ALTER TABLE connections RENAME TO "A user's ""sources"" here";
    """)
    scripts = [*files("deploy", BLOCKS), *files("verify", VERIFY)]
    psql(crm, *scripts, connections_table='A user\'s "sources" here', source_type_column="Type")


def test_the_search_path_places_the_names(crm: Database) -> None:
    schema = '"A ""schema"" USING x"'
    moved = ["-c", f"ALTER SCHEMA public RENAME TO {schema}", "-c", f"SET search_path = {schema}"]
    scripts = [*files("deploy", BLOCKS), "-c", ADMIT_ANY_VALUE, *files("verify", VERIFY)]
    psql(crm, *moved, *scripts, *files("revert", reversed(BLOCKS)))


def test_revert_restores_the_schema(crm: Database) -> None:
    before = crm.dump("-s")
    psql(crm, *files("deploy", MADE))
    assert crm.dump("-s") != before
    psql(crm, *files("revert", reversed(MADE)))
    assert crm.dump("-s") == before


@pytest.mark.parametrize("block", MADE)
def test_revert_fails_where_there_is_nothing_to_revert(crm: Database, block: str) -> None:
    assert "does not exist" in complaint(crm, *files("revert", [block]))


def test_each_block_can_be_reverted_and_is_verified() -> None:
    assert [path.stem for path in sorted(RUNBOOK.glob("revert/0[1-6]*.sql"))] == BLOCKS
    source = Source.read(RUNBOOK)
    assert set(source.unverified) == set()


@pytest.mark.parametrize("name", VERIFY)
def test_verify_passes_after_deploy(deployed: Database, name: str) -> None:
    psql(deployed, *files("verify", [name]))


@pytest.mark.parametrize("name", VERIFY)
def test_verify_fails_before_deploy(crm: Database, name: str) -> None:
    assert re.search(
        "found no|found: column|does not exist", complaint(crm, *files("verify", [name]))
    )


# Columns and triggers of all the kinds that a probe could set off or stumble over.
ODD = """
CREATE SEQUENCE odd_numbers;
CREATE FUNCTION odd_number() RETURNS bigint LANGUAGE sql RETURN nextval('odd_numbers');
CREATE FUNCTION odd_trigger() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'a trigger fired on %', TG_TABLE_NAME; END $$;
CREATE DOMAIN odd_word AS text NOT NULL;
"""
ODD_TABLE = """
ALTER TABLE {table}
  ADD "Odd ""serial" bigserial,
  ADD odd_identity integer GENERATED ALWAYS AS IDENTITY,
  ADD odd_default bigint NOT NULL DEFAULT nextval('odd_numbers'),
  ADD odd_function bigint NOT NULL DEFAULT odd_number(),
  ADD odd_number integer,
  ADD odd_generated integer GENERATED ALWAYS AS (odd_number + 1) STORED,
  ADD CONSTRAINT odd_check CHECK (odd_number IS NULL OR odd_generated > odd_number);
CREATE TRIGGER odd_row BEFORE INSERT OR UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION odd_trigger();
CREATE TRIGGER odd_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION odd_trigger();
"""
ODD_MANDATORY = """
ALTER TABLE {table} DISABLE TRIGGER USER;
ALTER TABLE {table} ADD odd_mandatory text NOT NULL DEFAULT '', ADD odd_word odd_word DEFAULT '';
ALTER TABLE {table} ALTER odd_mandatory DROP DEFAULT, ALTER odd_word DROP DEFAULT,
  ADD CONSTRAINT odd_name CHECK (odd_mandatory <> 'x' AND odd_word <> 'x' AND odd_mandatory IS NOT NULL);
ALTER TABLE {table} ENABLE TRIGGER USER;
"""


@pytest.fixture
def odd(crm: Database) -> Database:
    """After deploy, with things of others on every table."""
    psql(crm, *files("deploy", BLOCKS), "-c", ADMIT_ANY_VALUE)
    crm.load(ODD)
    for table in (
        "import_batches",
        "stage_mappings",
        "connections",
        "deals",
        "contacts",
        "accounts",
    ):
        crm.load(ODD_TABLE.format(table=table))
    for table in ("deals", "contacts", "accounts"):
        crm.load(ODD_MANDATORY.format(table=table))
    return crm


def test_verify_leaves_nothing_behind(deployed: Database) -> None:
    before = deployed.dump()
    psql(deployed, *files("verify", VERIFY))
    assert deployed.dump() == before


def test_verify_sets_nothing_off(odd: Database) -> None:
    before = odd.dump()
    psql(odd, *files("verify", VERIFY))
    assert odd.dump() == before


@pytest.mark.parametrize("table", ["import_batches", "stage_mappings"])
@pytest.mark.parametrize(
    "odd",
    [
        "CREATE TRIGGER odd BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION odd_trigger()",
        "CREATE RULE odd AS ON INSERT TO {table} DO INSTEAD SELECT odd_number()",
        "ALTER TABLE {table} ADD odd serial",
        "ALTER TABLE {table} ADD odd bigint DEFAULT odd_number()",
    ],
    ids=["trigger", "rule", "serial", "default"],
)
def test_the_foreign_key_is_not_tried_where_something_else_would_act(
    crm: Database, table: str, odd: str
) -> None:
    psql(crm, *files("deploy", BLOCKS[:2]), "-c", ODD, "-c", odd.format(table=table))
    before = crm.dump()
    psql(crm, *files("verify", [block for block in BLOCKS if block.endswith(table)]))
    assert crm.dump() == before


def test_the_odd_triggers_would_have_been_noticed(odd: Database) -> None:
    assert "a trigger fired on deals" in complaint(odd, "-c", "UPDATE deals SET name = name")


# What breaks what a check checks, and what the check says then: part of its sentence, the
# sabotages, and part of the message for each. {t} is the table.
NEW_TABLE = {
    "gets an id": {
        "ALTER TABLE {t} ALTER id DROP DEFAULT": 'found: null value in column "id"',
        "ALTER TABLE {t} ALTER created_at DROP DEFAULT": "created_at",
    },
    "NULL is rejected": {
        "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey, ALTER id DROP NOT "
        "NULL": "{t}.id: expected NULL to be rejected",
        "ALTER TABLE {t} ALTER workspace_id DROP NOT "
        "NULL": "{t}.workspace_id: expected NULL to be rejected",
    },
    "the same id": {
        "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey": "{t}.id: expected the same id to be rejected"
    },
    "switched off": {
        "ALTER TABLE {t} DROP CONSTRAINT {t}_workspace_id_fkey": "expected a foreign key",
        "ALTER TABLE {t} DISABLE TRIGGER ALL": "expected a foreign key",
        "ALTER TABLE workspaces DISABLE TRIGGER ALL": "expected a foreign key",
    },
    "unknown workspace": {
        "ALTER TABLE {t} DROP CONSTRAINT "
        "{t}_workspace_id_fkey": "expected an unknown workspace to be rejected",
        "ALTER TABLE {t} DISABLE TRIGGER ALL": "expected an unknown workspace to be rejected",
    },
}
IMPORT_BATCHES = {
    "gets an id": {
        f"ALTER TABLE import_batches ALTER {column} DROP DEFAULT": "expected "
        for column in (
            "records_inserted",
            "records_updated",
            "records_skipped",
            "status",
            "replace_strategy",
        )
    },
    "NULL is rejected": {
        f"ALTER TABLE import_batches ALTER {column} DROP NOT "
        "NULL": f"{column}: expected NULL to be rejected"
        for column in ("entity_type", "filename", "row_count", "status")
    },
    "column mapping": {
        "ALTER TABLE import_batches ALTER classification TYPE text": "expected to read back",
        "ALTER TABLE import_batches ALTER warnings TYPE text": "expected to read back",
    },
}
STAGE_MAPPINGS = {
    "gets an id": {
        f"ALTER TABLE stage_mappings ALTER {column} DROP DEFAULT": "expected "
        for column in ("source", "is_open", "display_order", "updated_at")
    },
    "NULL is rejected": {
        f"ALTER TABLE stage_mappings ALTER {column} DROP NOT "
        "NULL": f"{column}: expected NULL to be rejected"
        for column in ("source", "raw_stage", "normalized_stage", "is_open")
    },
    "mapped once": {
        "ALTER TABLE stage_mappings DROP CONSTRAINT "
        "stage_mappings_workspace_id_source_raw_stage_key": "second",
        "ALTER TABLE stage_mappings ADD UNIQUE (workspace_id, "
        "raw_stage)": "mapped again for another",
        "ALTER TABLE stage_mappings ADD UNIQUE (source, raw_stage)": "mapped again for another",
    },
}
SOURCE_DATA = {
    "{t} keep": {
        "ALTER TABLE {t} DROP source_id": 'found: column "source_id"',
        "ALTER TABLE {t} DROP source_data": 'found: column "source_data"',
        "ALTER TABLE {t} ALTER source_data DROP DEFAULT, ALTER source_data TYPE "
        "text": "found: operator does not exist: text ->>",
        "ALTER TABLE {t} ALTER source_data SET DEFAULT '[]'": "expected an object to fill in",
        "ALTER TABLE {t} ADD CONSTRAINT short CHECK (source_data = '{{}}') NOT "
        "VALID": 'check constraint "short"',
    },
}
CONNECTION_RECORD = {
    "ask for nothing": {
        "ALTER TABLE connections ADD region text NOT NULL DEFAULT ''; "
        "ALTER TABLE connections ALTER region DROP DEFAULT": "besides the record's, found region",
        "ALTER TABLE connections ALTER status DROP DEFAULT": "besides the record's, found status",
    },
    "store the record": {
        "ALTER TABLE connections ADD CONSTRAINT known CHECK (source_type <> "
        "'csv_import')": 'constraint "known"',
        "ALTER TABLE connections ADD CHECK (credentials IS NOT NULL) NOT "
        "VALID": "connections_credentials_check",
        "ALTER TABLE connections ALTER source_label TYPE varchar(5)": "value too long",
        "ALTER TABLE connections ALTER last_sync_at TYPE date": "expected to read back",
        "ALTER TABLE connections DROP config": 'column "config" of relation',
    },
}


def sabotages(
    name: str, broken: Mapping[str, Mapping[str, str]], **words: str
) -> list[tuple[str, str, str, str]]:
    """The file, part of a check's sentence, the sabotage, part of the message."""
    return [
        (name, part.format(**words), sabotage.format(**words), message.format(**words))
        for part, cases in broken.items()
        for sabotage, message in cases.items()
    ]


SABOTAGES = [
    *sabotages("010_import_batches", NEW_TABLE, t="import_batches"),
    *sabotages("010_import_batches", IMPORT_BATCHES),
    *sabotages("020_stage_mappings", NEW_TABLE, t="stage_mappings"),
    *sabotages("020_stage_mappings", STAGE_MAPPINGS),
    *sabotages("030_deals_source_data", SOURCE_DATA, t="deals"),
    *sabotages("030_deals_source_data", SOURCE_DATA, t="contacts"),
    *sabotages("030_deals_source_data", SOURCE_DATA, t="accounts"),
    *sabotages("connection_record", CONNECTION_RECORD),
]


def checks(name: str) -> dict[str, str]:
    """Each check of a file by its sentence, as SQL that runs it alone, after the file's setup."""
    text = (RUNBOOK / "verify" / f"{name}.sql").read_text()
    setup, *parts = re.split(r"^-- check: ", text, flags=re.MULTILINE)
    return {part.split("\n", 1)[0]: f"{setup}-- check: {part}" for part in parts}


def sentence(name: str, part: str) -> str:
    (found,) = (text for text in checks(name) if part in text)
    return found


@pytest.mark.parametrize(
    ("name", "part", "sabotage", "message"),
    SABOTAGES,
    ids=[f"{name}-{sql}" for name, _, sql, _ in SABOTAGES],
)
def test_each_check_fails_when_what_it_checks_is_broken(
    deployed: Database, tmp_path: Path, name: str, part: str, sabotage: str, message: str
) -> None:
    alone = tmp_path / "check.sql"
    alone.write_text(checks(name)[sentence(name, part)])
    said = complaint(deployed, "-c", sabotage, "-f", str(alone), "-c", "ROLLBACK")
    assert message in said
    assert "check.sql" in said, "it was the sabotage that failed"


def test_every_check_has_a_sabotage() -> None:
    broken = {(name, sentence(name, part)) for name, part, _, _ in SABOTAGES}
    assert broken == {(name, text) for name in VERIFY for text in checks(name)}
