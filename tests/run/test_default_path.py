"""Where a block's names are looked up if its header does not say: as psql looks them up, but for
schemas in which somebody with fewer rights has a hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import databases
from support.databases import Database
from support.projects import Outcome, Project

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

    def dumps(self) -> tuple[str, str]:
        without = "--exclude-schema=pgrunbook"
        return self.ours.dump(without), self.psqls.dump(without)

    def alike(self) -> bool:
        """Whether the run and psql have done the same."""
        ours, psqls = self.dumps()
        return ours == psqls


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
    assert two.alike(), two.dumps()
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
