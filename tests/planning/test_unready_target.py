"""A target that is not what the blocks need: the preconditions refuse the run, and name all that is
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support import databases
from support.databases import Database, Role
from support.projects import ROOT, RUNBOOK, Project
from support.refusals import REFUSED, problems, refused

from pgrunbook.ledger import install, versions
from pgrunbook.postgres.embedded import Server

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


# -- what others do
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "table"),
    [
        ("run", "public.deals"),
        ("run", "other.apart"),
        ("rehearse", "public.deals"),
        ("drift", "public.deals"),
    ],
)
def test_who_does_not_let_a_table_be_read_is_named(
    crm: Database, project: Project, command: str, table: str
) -> None:
    """An index or a CHECK cannot be printed without its table. For `drift` another exit code would
    say that something was altered.
    """
    crm.load("CREATE SCHEMA other; CREATE TABLE other.apart (id int CHECK (id > 0))")
    with crm.connect(application_name="somebody's migration") as conn:
        conn.execute("BEGIN")
        conn.execute(f"LOCK TABLE {table}".encode())
        pid = conn.info.backend_pid
        project.env["CRM_URL"] = crm.url
        if command == "drift":
            done = project.command("drift", "--target", "env:CRM_URL")
        else:
            done = project.run(crm, "--mode", "rehearse" if command == "rehearse" else "apply")
    assert done.code == REFUSED, done.text
    assert "a table cannot be read now: somebody else is changing it" in done.text
    assert (
        f"pid {pid} (somebody's migration, postgres), idle in transaction, transaction open for"
        in done.text
    )
    assert f" s: {table}" in done.text


# -- privileges
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def role(crm: Database, project: Project, login_role: Callable[[Database], Role]) -> Role:
    """A role that may do nothing yet; `env:ROLE_URL` connects as this one."""
    role = login_role(crm)
    project.env["ROLE_URL"] = role.url
    return role


def test_a_server_that_does_not_say_which_one_it_is_refuses(
    crm: Database, project: Project, role: Role
) -> None:
    crm.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert (
        "REFUSED: The target cannot be used: nothing was changed.\n  target 'env:ROLE_URL': "
        "permission denied" in done.text
    )
    assert crm.execute(f"SELECT FROM pg_stat_activity WHERE usename = '{role.name}'") == []


@pytest.mark.parametrize(
    "revoked", ["EXECUTE ON FUNCTION pg_total_relation_size(regclass)", "SELECT ON pg_settings"]
)
@pytest.mark.usefixtures("role")
def test_a_catalog_that_may_not_be_read_refuses(
    crm: Database, project: Project, revoked: str
) -> None:
    crm.execute(f"REVOKE {revoked} FROM PUBLIC")
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert "permission denied" in done.text
    assert "let this role read it" in done.text


def test_a_server_that_is_too_old_refuses(
    crm: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgrunbook.postgres.connection.OLDEST_SERVER", 10**6)
    done = refused(project, crm, step=True)
    assert (
        "target 'env:CRM_URL': the server is too old\n      expected: PostgreSQL 15 or later\n"
        in done.text
    )


def test_every_missing_privilege_is_named_at_once(
    crm: Database, project: Project, role: Role
) -> None:
    crm.execute(f"REVOKE TEMPORARY ON DATABASE {crm.name} FROM PUBLIC")
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert problems(done) == [
        "schema public: takes no objects of this role",
        "ledger: cannot be created",
        "verification: may make no temporary tables",
        "accounts: may not be read by this role",
        "connections: is not ours to change",
        "contacts: is not ours to change",
        "deals: is not ours to change",
        "workspaces: may not be referenced by this role",
    ]
    assert f'remedy:   GRANT CREATE ON SCHEMA "public" TO "{role.name}"' in done.text
    assert (
        f'remedy:   as its owner: GRANT REFERENCES ON "public"."workspaces" TO "{role.name}"'
        in done.text
    )
    assert (
        "expected: owned by this role, or by one that it is a member of\n      found:    owned by "
        in done.text
    )


@pytest.mark.parametrize(
    ("name", "before", "what"),
    [
        ("nobody_here", "", "nobody_here is no role of this server"),
        ("pg_database_owner", "", "pg_database_owner is a role that "),
        ("nobody_here", "CREATE ROLE nobody_here;", ""),
        ("nobody_here", "DO $$ BEGIN END $$;", ""),  # which may make it
    ],
)
@pytest.mark.parametrize("after", ["", "SELECT 1;"])
def test_a_block_that_another_role_makes(
    crm: Database, project: Project, role: Role, name: str, before: str, what: str, after: str
) -> None:
    crm.execute(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    deploy = project.root / "sql" / RUNBOOK / "deploy"
    if before:
        (deploy / "001_before.sql").write_text(before)
    if after:
        (deploy / "003_after.sql").write_text(after)
    (deploy / "002_role.sql").write_text(f"-- role: {name}\n\nCREATE TABLE made_so (id int);\n")
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    told = f"002_role, header role: {what}"
    assert (told in done.text) if what else ("header role" not in done.text), done.text


ADD = "\nALTER TABLE things ADD COLUMN name text;\n"
INDEX = "-- transaction: no\n\nCREATE INDEX CONCURRENTLY things_id ON things (id);\n"


@pytest.mark.parametrize(
    ("owner", "sql", "code"), [("owns_it", ADD, 0), ("owns_it", INDEX, 0), ("postgres", ADD, 2)]
)
def test_what_a_block_may_do_is_asked_of_the_role_that_runs_it(
    empty: Database,
    project: Project,
    login_role: Callable[[Database], Role],
    owner: str,
    sql: str,
    code: int,
) -> None:
    """A role that may become another one has its privileges only as that one, since version 16."""
    role = login_role(empty)
    empty.load(
        f"CREATE ROLE owns_it; CREATE TABLE things (id int); ALTER TABLE things OWNER TO {owner};"
        f"GRANT CREATE ON DATABASE {empty.name} TO {role.name};"
        f"GRANT CREATE ON SCHEMA public TO owns_it;"
        f"GRANT owns_it TO {role.name} WITH INHERIT FALSE, SET TRUE"
    )
    project.env["ROLE_URL"] = role.url
    assert project.command("new", "things").code == 0
    folder = project.root / "sql" / "003_things"
    (folder / "verify" / "010_things.sql").unlink()
    (folder / "deploy" / "010_things.sql").write_text(
        f"-- title: T\n-- why: W.\n-- role: owns_it\n{sql}"
    )
    try:
        done = project.step("env:ROLE_URL", runbook="003_things")
        assert done.code == code, done.text
        assert ("things: is not ours to change" in done.text) == (code == 2)
        assert ('TO "owns_it"' in done.text) == (code == 2)
    finally:
        empty.load("DROP OWNED BY owns_it; DROP ROLE owns_it")


def test_a_role_that_a_block_before_makes_may_what_that_gives_it(
    empty: Database, project: Project
) -> None:
    empty.load("CREATE TABLE things (id int)")
    assert project.command("new", "things").code == 0
    folder = project.root / "sql" / "003_things"
    (folder / "verify" / "010_things.sql").unlink()
    text = "-- title: T\n-- why: W.\n"
    (folder / "deploy" / "005_role.sql").write_text(
        f"{text}\nCREATE ROLE made_here IN ROLE postgres;\n"
    )
    (folder / "deploy" / "010_things.sql").write_text(
        f"{text}-- role: made_here\n\nALTER TABLE things ADD COLUMN name text;\n"
    )
    project.apply_all("003_things")
    done = project.step(empty, "--mode", "plan", runbook="003_things")
    assert done.code == 0, done.text


def test_what_constrains_a_source_must_be_ours_too(
    crm: Database, project: Project, role: Role
) -> None:
    """A table with a CHECK, an enum, a lookup table: whatever the chosen variants change."""
    crm.load(
        f"""
        CREATE TABLE sources (code text PRIMARY KEY);
        INSERT INTO sources SELECT DISTINCT source FROM contacts WHERE source IS NOT NULL;
        ALTER TABLE contacts ADD FOREIGN KEY (source) REFERENCES sources (code);
        CREATE TYPE source_kind AS ENUM ('hubspot', 'salesforce', 'pipedrive', 'manual');
        ALTER TABLE accounts ALTER source TYPE source_kind USING source::source_kind;
        ALTER TABLE deals ADD source_data jsonb DEFAULT '{{}}';
        GRANT CREATE ON DATABASE {crm.name} TO {role.name};
        GRANT CREATE ON SCHEMA public TO {role.name};
        GRANT REFERENCES ON workspaces TO {role.name};
        GRANT SELECT ON sources, accounts, deals TO {role.name};
        ALTER TABLE connections OWNER TO {role.name};
        ALTER TABLE contacts OWNER TO {role.name};
        """
    )
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert problems(done) == [
        "deals: is not ours to change",
        "source_kind: is not ours to change",
        "sources: takes no rows from this role",
    ]


READ = (
    "GRANT USAGE ON SCHEMA pgrunbook TO {0}; GRANT SELECT ON ALL TABLES IN SCHEMA pgrunbook TO {0}"
)


@pytest.mark.parametrize(
    ("grants", "problem"),
    [("", "ledger: cannot be read"), (READ, "ledger: cannot be written")],
)
def test_a_ledger_of_another_role(
    crm: Database, project: Project, role: Role, grants: str, problem: str
) -> None:
    crm.psql("-f", ROOT / "src" / "pgrunbook" / "sql" / "ledger" / "001.sql")
    crm.load(grants.format(role.name))
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert problem in problems(done)
    assert "remedy:   run as the role that made the ledger, or let it grant them" in done.text


@pytest.fixture
def owner(crm: Database, role: Role) -> Role:
    """A role that may do all that the blocks need; the ledger is another matter."""
    crm.load(
        f"""
        GRANT CREATE ON SCHEMA public TO {role.name};
        GRANT REFERENCES ON workspaces TO {role.name};
        ALTER TABLE accounts OWNER TO {role.name};
        ALTER TABLE connections OWNER TO {role.name};
        ALTER TABLE contacts OWNER TO {role.name};
        ALTER TABLE deals OWNER TO {role.name};
        """
    )
    return role


WRITE = (
    "GRANT USAGE ON SCHEMA pgrunbook TO {0}; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA "
    "pgrunbook TO {0}"
)


def version_1(database: Database) -> None:
    database.psql("-f", ROOT / "src" / "pgrunbook" / "sql" / "ledger" / "001.sql")
    database.execute("INSERT INTO pgrunbook.versions (version, tool_version) VALUES (1, '0.1.0')")


def test_adding_rows_is_all_that_the_ledger_asks_for(
    crm: Database, project: Project, owner: Role
) -> None:
    with crm.connect() as conn:
        install.install(conn)
    crm.load(WRITE.format(owner.name))
    done = project.run("env:ROLE_URL")
    assert done.code == 0, done.text


@pytest.mark.parametrize(
    ("lacking", "problem"),
    [
        ("USAGE ON SCHEMA pgrunbook", "cannot be read"),
        ("SELECT ON pgrunbook.attempts", "cannot be read"),
        ("INSERT ON pgrunbook.locks", "cannot be written"),
    ],
)
def test_all_of_the_ledger_must_be_readable_and_take_rows(
    crm: Database, project: Project, owner: Role, lacking: str, problem: str
) -> None:
    with crm.connect() as conn:
        install.install(conn)
    crm.load(f"{WRITE}; REVOKE {lacking} FROM {{0}}".format(owner.name))
    assert problems(refused(project, crm, target="env:ROLE_URL", step=True)) == [
        f"ledger: {problem}"
    ]


def test_a_ledger_of_version_1_that_is_not_ours(
    crm: Database, project: Project, owner: Role
) -> None:
    """Rows could be added, but its tables cannot be altered."""
    version_1(crm)
    crm.load(WRITE.format(owner.name))
    done = refused(project, crm, target="env:ROLE_URL", step=True)
    assert problems(done) == [
        f"ledger: cannot be brought up to version {versions.SCHEMA_VERSION} by this role"
    ]
    assert "found:    version 1, owned by postgres\n      remedy:   run as postgres, " in done.text


def test_a_ledger_of_version_1_of_a_group_that_we_belong_to(
    crm: Database, project: Project, owner: Role
) -> None:
    version_1(crm)
    tables = ("versions", "runs", "blocks", "verdicts")
    group = f"group_{owner.name}"
    crm.load(
        f"CREATE ROLE {group}; GRANT {group} TO {owner.name}; ALTER SCHEMA pgrunbook OWNER TO "
        f"{group}"
    )
    crm.load("; ".join(f"ALTER TABLE pgrunbook.{table} OWNER TO {group}" for table in tables))
    done = project.run("env:ROLE_URL")
    assert done.code == 0, done.text
    assert crm.execute("SELECT max(version) FROM pgrunbook.versions") == [
        (versions.SCHEMA_VERSION,)
    ]


@pytest.mark.parametrize("mode", ["apply", "plan", "verify"])
def test_a_ledger_of_a_newer_version(crm: Database, project: Project, mode: str) -> None:
    with crm.connect() as conn:
        install.install(conn)
    crm.execute("INSERT INTO pgrunbook.versions (version, tool_version) VALUES (99, '9.0')")
    done = refused(project, crm, "--mode", mode, step=True)
    assert problems(done) == ["ledger: is of a newer version"]
    assert (
        f"expected: version {versions.SCHEMA_VERSION} at most\n      found:    version 99\n      remedy:   upgrade "
        "pgrunbook\n" in done.text
    )


# -- tables, columns, names
# --------------------------------------------------------------------------------------

ALTERED_KEY = (
    "ALTER TABLE workspaces DROP CONSTRAINT workspaces_pkey CASCADE, ALTER id DROP DEFAULT, {}"
)
CASES = {
    "missing": (
        "DROP TABLE contacts, workspaces CASCADE;"
        "ALTER TABLE deals DROP COLUMN source, DROP COLUMN source_id;"
        # its source_data is there already: no reason not to look
        "ALTER TABLE accounts DROP COLUMN source_id",
        [
            "contacts: the table is missing",
            "workspaces: the table is missing",
            "accounts.source_id: the column is missing",
            "deals.source: the column is missing",
            "deals.source_id: the column is missing",
        ],
        "expected: a table, needed by 010_import_batches, 020_stage_mappings\n      found:    "
        "nothing of that name\n"
        "      remedy:   correct the block, create the table, or correct the parameter `schema`\n",
    ),
    "key of another type": (
        ALTERED_KEY.format("ALTER id TYPE text, ADD PRIMARY KEY (id)"),
        ["workspaces.id: the column is of another type"],
        "expected: uuid, needed by 010_import_batches, 020_stage_mappings\n      found:    text\n"
        "      remedy:   correct the block, or bring the table to the expected shape first\n",
    ),
    "key not unique": (
        ALTERED_KEY.format("ADD PRIMARY KEY (id, slug)"),
        ["workspaces.id: is not unique, so no foreign key can reference it"],
        "remedy:   add one to the table first",
    ),
    "views": (
        "ALTER TABLE contacts RENAME TO people; CREATE VIEW contacts AS SELECT * FROM people;"
        "ALTER TABLE accounts RENAME TO firms; CREATE MATERIALIZED VIEW accounts AS SELECT * FROM "
        "firms",
        ["accounts: is not a table", "contacts: is not a table"],
        "expected: a table, needed by 050_accounts_source_data\n      found:    a materialized "
        "view\n"
        "      remedy:   correct the block, or correct the parameter `schema`\n",
    ),
    "names taken": (
        "CREATE VIEW import_batches AS SELECT 1;"
        "CREATE INDEX idx_import_batches_status ON deals (name);"
        "CREATE SEQUENCE stage_mappings_pkey; CREATE TYPE stage_mappings AS ENUM ()",
        [
            "010_import_batches: the name import_batches is taken",
            "010_import_batches: the name idx_import_batches_status is taken",
            "020_stage_mappings: the name stage_mappings is taken",
            # for its key, which nothing names, PostgreSQL chooses another one
        ],
        "expected: free\n      found:    index idx_import_batches_status on table deals, owned by "
        "postgres",
    ),
    "columns of another type": (
        "ALTER TABLE deals ADD source_data text; ALTER TABLE connections ADD config text",
        [
            "030_deals_source_data: table column public.deals.source_data is not as the block makes it",
            "061_connections_config: table column public.connections.config is not as the block makes it",
        ],
        "type: jsonb",
    ),
    "mandatory columns that nothing fills": (
        "ALTER TABLE connections ADD tenant text NOT NULL DEFAULT '', ADD \"Region\" int NOT NULL "
        "DEFAULT 1,"
        " ADD number bigserial, ADD row_number int GENERATED ALWAYS AS IDENTITY, ADD "
        "last_sync_day date"
        " NOT NULL GENERATED ALWAYS AS ('2026-01-01') STORED;"
        'ALTER TABLE connections ALTER tenant DROP DEFAULT, ALTER "Region" DROP DEFAULT, ALTER id '
        "DROP DEFAULT",
        [
            f"connections.{name}: is mandatory, and what will be written does not fill it"
            for name in ("Region", "tenant")
        ],
        "expected: a default, or NULL allowed\n      found:    integer NOT NULL, without a "
        "default\n"
        '      remedy:   ALTER TABLE "public"."connections" ALTER "Region" SET DEFAULT …, or DROP '
        "NOT NULL\n",
    ),
    "a key of several columns": (
        "ALTER TABLE sync_log DROP CONSTRAINT sync_log_connection_id_fkey; ALTER TABLE connections"
        " DROP CONSTRAINT connections_pkey, ADD PRIMARY KEY (workspace_id, id), ALTER id DROP "
        "DEFAULT",
        ["connections.id: is mandatory, and what will be written does not fill it"],
        "found:    uuid NOT NULL, without a default",
    ),
    "several tables of connections": (
        "CREATE TABLE integrations (provider text)",
        ["schema 'public': it is not plain which table is meant"],
        "found:    connections, integrations\n      remedy:   name the table: -p connections_table "
        "NAME",
    ),
    "several columns of types": (
        "ALTER TABLE connections ADD provider text",
        ["public.connections: it is not plain which column is meant"],
        "found:    source_type, provider\n      remedy:   name the column: -p source_type_column "
        "NAME",
    ),
}


@pytest.mark.parametrize(("prepare", "expected", "also"), CASES.values(), ids=CASES)
def test_the_target_is_not_ready(
    crm: Database, project: Project, prepare: str, expected: list[str], also: str
) -> None:
    crm.load(prepare)
    done = refused(project, crm, step=True)
    assert "The target is not ready: nothing was changed.\n" in done.text
    # of the blocks behind one that fails on the twin no more than that can be said
    told = [problem for problem in problems(done) if "cannot be judged: " not in problem]
    assert told == expected
    assert also in done.text


def test_a_key_of_one_column_needs_no_default(crm: Database, project: Project) -> None:
    """As the verification sees it, which leaves it empty."""
    crm.load(
        'ALTER TABLE connections ALTER id DROP DEFAULT; ALTER TABLE connections RENAME id TO "Key"'
    )
    done = project.run(crm)
    assert done.code == 0, done.text


def test_the_difference_from_a_table_in_another_shape_is_shown(
    crm: Database, project: Project
) -> None:
    files = ROOT / "sql" / RUNBOOK / "deploy"
    crm.psql("-f", files / "010_import_batches.sql")
    crm.load(
        "ALTER TABLE import_batches DROP warnings, ADD note text, ALTER row_count TYPE bigint,"
        " ALTER status SET DEFAULT 'new', DROP CONSTRAINT import_batches_workspace_id_fkey"
    )
    done = refused(project, crm, step=True)
    assert set(problems(done)) == {
        "010_import_batches: table column public.import_batches.note is on a table that the block makes",
        "010_import_batches: table column public.import_batches.row_count is not as the block makes it",
        "010_import_batches: table column public.import_batches.warnings is not as the block makes it",
        "010_import_batches: table constraint import_batches_workspace_id_fkey on "
        "public.import_batches is not as the block makes it",
        "010_import_batches: table column public.import_batches.status is not as the block makes it",
    }
    for shown in ("type: integer", "type: bigint", "'pending'", "'new'", "text[]"):
        assert shown in done.text


@pytest.mark.parametrize("given", [(), ("-p", "connections_table", "sources")])
def test_no_table_of_connections(crm: Database, project: Project, given: tuple[str, ...]) -> None:
    crm.execute("ALTER TABLE connections RENAME TO links")
    done = refused(project, crm, *given, step=True)
    assert problems(done)[0] == "schema 'public': no such table"
    assert "remedy:   name the table: -p connections_table NAME" in done.text
    assert ("sources" if given else "one of connections, connector_configs") in done.text


# -- altered after it was applied
# --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The sample with the runbook applied to it, once for all tests."""
    root = tmp_path_factory.mktemp("project")
    (root / "pgrunbook.toml").touch()
    for name in ("runbooks", "sql"):
        (root / name).symlink_to(ROOT / name)
    with databases.sampled(server) as database:
        assert Project(root).run(database).code == 0
        yield database


@pytest.fixture
def applied(template: Database) -> Iterator[Database]:
    """A database of the test's own that the runbook was applied to."""
    with databases.temporary(template.server, template=template.name) as database:
        yield database


def test_a_file_edited_after_it_was_applied(applied: Database, project: Project) -> None:
    file = project.root / "sql" / RUNBOOK / "deploy" / "010_import_batches.sql"
    file.write_text(file.read_text().replace("row_count INTEGER", "row_count BIGINT"))
    done = refused(project, applied, step=True)
    assert problems(done) == ["010_import_batches: the file was edited after it was applied"]
    assert "expected: sha256 " in done.text
    assert (
        "remedy:   restore the file, and make the change in a new block or a new runbook"
        in done.text
    )


def test_a_comment_edited_afterwards_is_no_change(applied: Database, project: Project) -> None:
    file = project.root / "sql" / RUNBOOK / "deploy" / "010_import_batches.sql"
    file.write_text(file.read_text().replace("CREATE TABLE", "-- files\ncreate table", 1))
    done = project.run(applied)
    assert done.code == 0, done.text


CHECK = "CHECK (source_type IN ('hubspot', 'salesforce', 'pipedrive'))"
ALTERED = {
    "column dropped": (
        "ALTER TABLE import_batches DROP warnings",
        "010_import_batches: table column public.import_batches.warnings is gone",
        "expected: type: text[]",
    ),
    "type changed": (
        "ALTER TABLE import_batches ALTER row_count TYPE bigint",
        "010_import_batches: table column public.import_batches.row_count was altered by hand",
        "expected: type: integer\n      found:    type: bigint",
    ),
    "column added": (
        "ALTER TABLE stage_mappings ADD note text",
        "020_stage_mappings: table column public.stage_mappings.note was added by hand",
        "expected: absent\n      found:    type: text",
    ),
    "constraint dropped": (
        "ALTER TABLE stage_mappings DROP CONSTRAINT "
        "stage_mappings_workspace_id_source_raw_stage_key",
        "020_stage_mappings: table constraint stage_mappings_workspace_id_source_raw_stage_key on "
        "public.stage_mappings is gone",
        "expected: definition: UNIQUE (workspace_id, source, raw_stage)\n      found:    absent",
    ),
    "default changed": (
        "ALTER TABLE deals ALTER source_data DROP DEFAULT",
        "030_deals_source_data: table column public.deals.source_data was altered by hand",
        "expected: default: '{}'::jsonb\n      found:    no default",
    ),
    "CHECK reverted": (
        "ALTER TABLE connections DROP CONSTRAINT connections_source_type_check,"
        f" ADD CONSTRAINT connections_source_type_check {CHECK}",
        "070_admit_csv_import:connections.source_type: value connections.source_type was applied "
        "and then altered",
        "expected: csv_import\n      found:    absent",
    ),
    "needed column dropped": (
        "ALTER TABLE deals DROP source_id",
        "deals.source_id: the column is missing",
        "expected: a column, needed by 030_deals_source_data\n",
    ),
}


@pytest.mark.parametrize(("alter", "problem", "also"), ALTERED.values(), ids=ALTERED)
def test_a_table_altered_by_hand_afterwards(
    applied: Database, project: Project, alter: str, problem: str, also: str
) -> None:
    applied.load(alter)
    done = refused(project, applied, step=True)
    assert problem in problems(done)
    assert also in done.text


def test_an_index_of_ones_own_is_no_alteration(applied: Database, project: Project) -> None:
    applied.execute("CREATE INDEX of_the_dba ON import_batches (filename)")
    done = project.run(applied)
    assert done.code == 0, done.text
