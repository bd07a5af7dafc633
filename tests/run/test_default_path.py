"""Where a block's names are looked up if its header does not say: as psql looks them up, but for
schemas in which somebody with fewer rights has a hand.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.databases import Database
from support.projects import Outcome, Project, wait_for

from pgrunbook.postgres.embedded import Server

PASSED, FAILED, REFUSED = 0, 1, 2
NAME = "003_things"

MADE = """
CREATE SCHEMA app;
CREATE SCHEMA extensions;
CREATE DOMAIN extensions.email AS text CHECK (VALUE LIKE '%@%');
CREATE TYPE extensions.mood AS ENUM ('sad', 'glad');
CREATE TYPE extensions.pair AS (a int, b int);
CREATE FUNCTION extensions.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE OPERATOR extensions.+@ (FUNCTION = extensions.plus, LEFTARG = int, RIGHTARG = int);
CREATE TABLE extensions.shared (id int PRIMARY KEY, at int);
CREATE TABLE extensions.here (id int PRIMARY KEY);
CREATE TABLE app.here (id int PRIMARY KEY, only_here text);
INSERT INTO extensions.shared SELECT n FROM generate_series(1, 25) AS n;
"""


@dataclass
class Two:
    """A database on which a runbook is run in the schema `app`, and one on which psql runs it."""

    project: Project
    ours: Database
    psqls: Database

    @property
    def folder(self) -> Path:
        return self.project.root / "sql" / NAME

    def both(self, sql: str) -> None:
        for database in (self.ours, self.psqls):
            database.load(sql.replace("THIS", database.name))

    def blocks(self, *texts: str) -> None:
        for number, text in enumerate(texts, 1):
            path = self.folder / "deploy" / f"{number:03}_block.sql"
            header = "" if text.startswith("--") else "\n"
            path.write_text(f"-- title: T\n-- why: W.\n{header}{text}\n")

    def run(self, mode: str = "apply", *arguments: str) -> Outcome:
        given = ("--mode", mode, "--schema", "app", *arguments)
        return self.project.step(self.ours, *given, runbook=NAME)

    def shown(self, mode: str = "apply", *arguments: str) -> Outcome:
        """The same, with a record."""
        target = self.project._name(self.ours)
        given = ("--mode", mode, "-p", "schema", "app", *arguments)
        return self.project.command("run", NAME, "--target", target, *given)

    def psql(self, database: Database) -> None:
        for path in sorted(self.folder.glob("deploy/*.sql")):
            alone = path.read_text().find("transaction: no") >= 0
            database.psql(*([] if alone else ["-1"]), "-f", path)

    def ask(self, query: str) -> None:
        """Have the notebook ask this with `%sql`, in a cell `asked` behind that of the blocks."""
        path = self.project.root / "runbooks" / f"{NAME}.ipynb"
        notebook = json.loads(path.read_text())
        cells = notebook["cells"]
        (at,) = [n for n, cell in enumerate(cells) if cell["source"] == ["run.apply_all()"]]
        asked = {
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": [f"%sql {query}"],
        }
        cells.insert(at + 1, {"cell_type": "code", "id": "asked", **asked})
        path.write_text(json.dumps(notebook))

    def dumps(self) -> tuple[str, str]:
        without = "--exclude-schema=pgrunbook"
        return self.ours.dump(without), self.psqls.dump(without)

    @property
    def differences(self) -> list[str]:
        """The lines in which what the run has done differs from what psql has."""
        ours, psqls = self.dumps()
        lines = difflib.unified_diff(ours.splitlines(), psqls.splitlines(), n=0, lineterm="")
        return [*lines]


@pytest.fixture
def two(server: Server, project: Project) -> Iterator[Two]:
    assert project.command("new", "things").code == 0
    project.apply_all(NAME)
    with databases.temporary(server) as ours, databases.temporary(server) as psqls:
        two = Two(project, ours, psqls)
        for path in two.folder.rglob("*.sql"):
            path.unlink()
        two.both(MADE)
        two.both("ALTER DATABASE THIS SET search_path = app, extensions")
        yield two


USES = """
CREATE TABLE people (
  id int PRIMARY KEY, mail email, mood mood DEFAULT 'glad', pair pair, sum int DEFAULT plus(1, 2),
  shared int REFERENCES shared (id), CHECK (id +@ 1 > 0), exact extensions.email);
CREATE INDEX ON people (plus(id, 1));
COMMENT ON TABLE people IS 'some';
INSERT INTO people (id, shared) VALUES (1, NULL);
"""
ALTERS = "ALTER TABLE shared ADD COLUMN note text; CREATE INDEX shared_at ON shared (at);"
NEAREST = "ALTER TABLE here ADD COLUMN mood mood; CREATE TABLE shared (mine int);"
FUNCTION = """
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT plus($1, $1)';
UPDATE shared SET at = twice(id);
"""
OUTSIDE = "-- transaction: no\n\nCREATE INDEX CONCURRENTLY shared_id ON shared (id, at);"
ROWS = """-- batch: shared by id; 10 rows

UPDATE shared SET at = plus(id, 1) WHERE id > :from AND id <= :to;"""


@pytest.mark.parametrize(
    "blocks",
    [[USES], [ALTERS], [NEAREST], [FUNCTION], [USES, ALTERS, FUNCTION, OUTSIDE, NEAREST]],
    ids=["uses", "alters", "nearest", "function", "all"],
)
def test_blocks_make_what_psql_makes(two: Two, blocks: list[str]) -> None:
    two.blocks(*blocks)
    two.psql(two.psqls)
    for mode in ("plan", "rehearse", "apply", "verify"):
        done = two.run(mode)
        assert done.code == PASSED, (mode, done.text)
    assert two.differences == []
    assert two.run().code == PASSED  # there is nothing left to do


def test_batches_go_through_the_table_that_psql_would_find(two: Two) -> None:
    two.blocks(ROWS)
    done = two.run()
    assert done.code == PASSED, done.text
    two.psqls.load("UPDATE extensions.shared SET at = id + 1")
    found = "SELECT * FROM extensions.shared ORDER BY id"
    assert two.ours.execute(found) == two.psqls.execute(found)


@pytest.mark.parametrize("blocks", [[USES, ALTERS], [NEAREST], [USES, ALTERS, NEAREST]])
def test_what_psql_has_made_is_adopted(two: Two, blocks: list[str]) -> None:
    two.blocks(*blocks)
    two.psql(two.ours)
    before = two.ours.dump("--exclude-schema=pgrunbook")
    done = two.shown()
    assert done.code == PASSED, done.text
    assert "adopted" in done.text or "adopt" in done.cells["observe"], done.text
    assert two.ours.dump("--exclude-schema=pgrunbook") == before


def test_the_rest_of_a_run_looks_along_the_same_path(two: Two) -> None:
    two.blocks(ALTERS)
    (two.folder / "verify" / "001_block.sql").write_text(
        "\n-- check: it adds\nSELECT plus(1, 2) = 3;\n-- check: it is there\n"
        "SELECT count(note) = 0 FROM shared;\n"
    )
    (two.folder / "revert" / "001_block.sql").write_text(
        "DROP INDEX shared_at; ALTER TABLE shared DROP COLUMN note;\n"
    )
    two.ask("SELECT plus(20, 3) AS sum, current_schemas(false)::text AS path")
    two.both("ALTER DATABASE THIS SET search_path = extensions, app, nowhere")
    done = two.shown()
    assert done.code == PASSED, done.text
    assert "23" in done.cells["asked"]
    assert "{app,extensions}" in done.cells["asked"]
    where = "behind app names are looked up in extensions, nowhere, as it is set for the database"
    assert where in done.cells["preconditions"]
    two.ours.load("UPDATE extensions.shared SET note = 'some' WHERE id = 1")
    two.psqls.load("UPDATE extensions.shared SET at = at WHERE id = 1")  # moves the row, too
    refused = two.run("revert")
    assert refused.code == REFUSED, refused.text
    assert "shared.note: has values" in refused.text
    undone = two.run("revert", "--discard", "001_block")
    assert undone.code == PASSED, undone.text
    assert two.differences == []


def test_a_schema_in_lesser_hands_is_left_out_and_the_plan_says_so(two: Two) -> None:
    role = databases.login_role(two.ours)
    two.both("CREATE SCHEMA more; CREATE TABLE more.told (what text)")
    two.both("ALTER DATABASE THIS SET search_path = app, more, extensions")
    two.ours.load(f"GRANT CREATE, USAGE ON SCHEMA more TO {role.name}")
    role.load(
        "CREATE FUNCTION more.plus(int, int) RETURNS int LANGUAGE plpgsql AS $$"
        "BEGIN INSERT INTO more.told VALUES ('called'); RETURN 0; END $$"
    )
    two.blocks("CREATE TABLE sums AS SELECT plus(1, 2) AS sum;")
    done = two.shown()
    assert done.code == PASSED, done.text
    assert two.ours.execute("SELECT sum FROM app.sums") == [(3,)]
    said = done.cells["preconditions"]
    assert said.count("is left out of the search path") == 1, said
    assert f"{role.name} may create objects in it" in said
    assert f'REVOKE CREATE ON SCHEMA "more" FROM "{role.name}"' in said


def test_what_is_not_found_has_a_remedy_that_works(two: Two) -> None:
    two.both("GRANT CREATE ON SCHEMA extensions TO PUBLIC")
    text = "CREATE TABLE moods (mood mood);"
    two.blocks(text)
    done = two.run()
    assert done.code == FAILED, done.text
    assert "the preconditions say which are left out" in done.text
    two.blocks(f"-- search_path: app, extensions\n\n{text}")
    assert two.run().code == PASSED
    two.psql(two.psqls)
    assert two.differences == []


def test_a_header_is_the_whole_path(two: Two) -> None:
    two.blocks("-- search_path: app\n\nCREATE TABLE moods (mood mood);")
    done = two.run()
    assert done.code == FAILED, done.text
    assert 'type "mood" does not exist' in done.text


def test_a_schema_that_a_block_makes_is_looked_in_from_then_on(two: Two) -> None:
    two.both("ALTER DATABASE THIS SET search_path = app, later")
    two.blocks(
        "CREATE SCHEMA later; CREATE TYPE later.kind AS ENUM ('a');", "CREATE TABLE k (kind kind);"
    )
    two.psql(two.psqls)
    for mode in ("plan", "rehearse", "apply"):
        done = two.run(mode)
        assert done.code == PASSED, (mode, done.text)
    assert two.differences == []


def test_a_plan_does_not_hold_along_another_path(two: Two) -> None:
    two.blocks("CREATE TABLE moods (mood mood);")
    planned = two.shown("plan")
    (digest,) = set(re.findall(r"\b[0-9a-f]{64}\b", planned.cells["preconditions"]))
    two.ours.execute(f"ALTER DATABASE {two.ours.name} SET search_path = extensions, public")
    approved = ("--approved_plan", digest, "--approver", "kim")
    done = two.run("apply", *approved)
    assert done.code == REFUSED, done.text
    assert '"app", "extensions", "public"' in done.text
    two.ours.execute(f"ALTER DATABASE {two.ours.name} SET search_path = app, extensions")
    done = two.run("apply", *approved)
    assert done.code == PASSED, done.text


def test_an_index_of_that_name_further_along_the_path_is_none_of_ours(two: Two) -> None:
    two.both("CREATE INDEX found ON extensions.here (id)")
    two.blocks("-- transaction: no\n\nCREATE INDEX CONCURRENTLY found ON here (id);")
    broken = "UPDATE pg_index SET indisvalid = NOT indisvalid WHERE indexrelid = 'extensions.found'::regclass"
    two.ours.execute(broken)
    done = two.run()
    assert done.code == PASSED, done.text
    two.ours.execute(broken)
    two.psql(two.psqls)
    assert two.differences == []


def test_the_locks_of_a_block_outside_a_transaction_are_those_of_its_table(two: Two) -> None:
    two.blocks(OUTSIDE)
    assert two.run().code == PASSED
    locks = two.ours.execute("SELECT DISTINCT relation FROM pgrunbook.locks")
    assert locks == [("extensions.shared",)]


def test_an_index_that_somebody_else_is_building_further_along_is_not_dropped(two: Two) -> None:
    two.blocks(OUTSIDE)
    there = "SELECT 1 FROM pg_class WHERE relname = 'shared_id'"
    with (
        two.ours.connect() as writer,
        two.ours.connect() as builder,
        ThreadPoolExecutor(1) as thread,
    ):
        writer.execute("BEGIN; LOCK TABLE extensions.shared IN ROW EXCLUSIVE MODE")
        build = b"CREATE INDEX CONCURRENTLY shared_id ON extensions.shared (id, at)"
        building = thread.submit(builder.execute, build)
        wait_for(lambda: bool(two.ours.execute(there)))
        done = two.run()
        builder.cancel_safe()
        assert isinstance(building.exception(), psycopg.errors.QueryCanceled)
    assert "may be somebody else's work, still going on" in done.text, done.text


def test_what_is_refused_of_a_table_further_along_is_not_of_the_first(two: Two) -> None:
    two.both(
        "CREATE TABLE extensions.parts (id int) PARTITION BY RANGE (id); CREATE TABLE app.parts (id int);"
        "CREATE TABLE extensions.told (id int); CREATE TABLE app.told (id int PRIMARY KEY);"
        "CREATE PUBLICATION p FOR TABLE extensions.told, app.told"
    )
    two.blocks(
        "-- transaction: no\n\nCREATE INDEX CONCURRENTLY parts_id ON parts (id);",
        "UPDATE told SET id = id + 1;",
    )
    done = two.run()
    assert done.code == PASSED, done.text
    two.psql(two.psqls)
    assert two.differences == []


def test_a_backfill_does_not_go_on_in_another_table(two: Two) -> None:
    two.blocks(ROWS.replace("10 rows", "10 rows\n-- until: 1 ms"))
    interrupted = two.run()
    assert interrupted.code not in (PASSED, REFUSED), interrupted.text
    two.both(
        "CREATE TABLE app.shared AS TABLE extensions.shared; ALTER TABLE app.shared ADD PRIMARY KEY (id)"
    )
    done = two.run()
    assert done.code == REFUSED, done.text
    assert "its batches began in another table" in done.text


def test_types_and_operator_classes_of_an_extension(two: Two) -> None:
    known = {name for (name,) in two.ours.execute("SELECT name FROM pg_available_extensions")}
    if "vector" in known:
        made = "v vector(3)); CREATE INDEX ON extended USING hnsw (v vector_l2_ops);"
        extension = "vector"
    elif "citext" in known:
        made = "v citext UNIQUE); CREATE INDEX ON extended (v citext_pattern_ops);"
        extension = "citext"
    else:
        pytest.skip("NOT TESTED: this server has neither vector nor citext")
    two.both(f"CREATE EXTENSION {extension} SCHEMA extensions")
    two.blocks(f"CREATE TABLE extended (id int PRIMARY KEY, {made}")
    two.psql(two.psqls)
    for mode in ("plan", "rehearse", "apply"):
        done = two.run(mode)
        assert done.code == PASSED, (mode, done.text)
    assert two.differences == []


def test_a_block_with_a_role_sees_what_that_may_use(two: Two) -> None:
    role = databases.login_role(two.ours)
    two.both(f"GRANT USAGE, CREATE ON SCHEMA app TO {role.name}")
    two.blocks(f"-- role: {role.name}\n\nCREATE TABLE moods (mood mood);")
    done = two.run()
    assert done.code == FAILED, done.text
    assert 'type "mood" does not exist' in done.text
    two.both(f"GRANT USAGE ON SCHEMA extensions TO {role.name}")
    assert two.run().code == PASSED
    for path in two.folder.glob("deploy/*.sql"):
        two.psqls.load(f"SET ROLE {role.name}; {path.read_text()}")
    assert two.differences == []


def test_plans_of_runbooks_one_behind_the_other(two: Two) -> None:
    assert two.project.command("new", "next").code == PASSED
    two.project.apply_all("004_next")
    folder = two.project.root / "sql" / "004_next"
    for path in folder.rglob("*.sql"):
        path.unlink()
    two.blocks(ALTERS)
    more = (
        "-- title: T\n-- why: W.\n\nCREATE TABLE notes (mood mood, id int REFERENCES shared (id));"
    )
    (folder / "deploy" / "010_more.sql").write_text(f"{more}\nUPDATE shared SET note = 'a';\n")
    for number in ("001", "002"):
        for path in two.project.root.glob(f"runbooks/{number}_*"):
            path.unlink()
    target = ("--target", two.project._name(two.ours), "-p", "schema", "app")
    for mode in ("plan", "apply"):
        done = two.project.command("run", "--pending", "--mode", mode, *target)
        assert done.code == PASSED, done.text
    two.psql(two.psqls)
    two.psqls.psql("-1", "-f", folder / "deploy" / "010_more.sql")
    assert two.differences == []
