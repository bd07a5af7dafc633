"""What blocks need of the target, as the catalog has it: told before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.databases import Database

from pgrunbook.planning import requirements
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.requirements import NeededRelations
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

THERE = """
CREATE TABLE t (id bigint PRIMARY KEY, name text, code varchar(9) UNIQUE);
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE INDEX i ON t (name);
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (id int) SERVER s;
"""
HEADER = "-- title: x\n-- why: x\n"


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (["CREATE TABLE u (t_id int REFERENCES t (id))"], []),
        (["CREATE TABLE u (code text REFERENCES t (code))"], []),
        (["CREATE TABLE u (t_id int REFERENCES t)"], []),
        (
            ["CREATE TABLE u (t_id uuid REFERENCES t (id))"],
            ["t.id: the column is of another type: uuid, needed by 000_x: bigint"],
        ),
        (
            ["CREATE TABLE u (t_id text REFERENCES t (name))"],
            ["t.name: is not unique, so no foreign key can reference it: "],
        ),
        (["CREATE INDEX n ON m (name)"], []),
        (["CREATE INDEX n ON v (name)"], ["v: is not a table: a table, needed by 000_x: a view"]),
        (["ALTER TABLE m ADD c int"], ["m: is not a table: "]),
        (["COMMENT ON COLUMN v.name IS 'x'", "COMMENT ON COLUMN m.name IS 'x'"], []),
        (["COMMENT ON COLUMN i.name IS 'x'"], ["i: is not a table: a table, needed by 000_x: a"]),
        (["ALTER TABLE f ADD c int, ADD CHECK (c > 0)"], []),
        (["CREATE TABLE u (t_id int REFERENCES f (id))"], ["f: is not a table: "]),
        (["CREATE INDEX n ON t (nome)"], ["t.nome: the column is missing: a column, needed by "]),
        (["ALTER TABLE t ADD nome text", "CREATE INDEX n ON t (nome)"], []),
        (["ALTER TABLE t RENAME name TO nome", "CREATE INDEX n ON t (nome)"], []),
        (
            [
                "ALTER TABLE t ALTER id TYPE uuid USING gen_random_uuid()",
                "CREATE TABLE u (t_id uuid REFERENCES t (id))",
            ],
            [],
        ),
        (["CREATE TABLE u (a int)", "COMMENT ON COLUMN u.a IS 'x'"], []),
        (["DO 'BEGIN END'", "CREATE INDEX n ON nobody (knows)"], []),
        (["CREATE INDEX n ON nobody (knows)"], ["nobody: the table is missing: "]),
        ([f"{HEADER}-- requires: t (id int8, code varchar(9))\n\nSELECT 1"], []),
        (
            [f"{HEADER}-- requires: t (id int4)\n\nALTER TABLE t ADD c int"],
            ["t.id: the column is of another type: integer, needed by 000_x: bigint"],
        ),
    ],
)
def test_what_is_needed_and_not_there(
    empty: Database, tmp_path: Path, blocks: Sequence[str], expected: Sequence[str]
) -> None:
    found = told(empty, tmp_path, blocks)
    assert [one[: len(start)] for one, start in zip(found, expected, strict=True)] == [*expected]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX n ON m (name)",
        "ALTER TABLE f ADD CHECK (id > 0)",
        "COMMENT ON COLUMN v.name IS 'x'",
        "CREATE TABLE u (t_id int REFERENCES t (id))",
    ],
)
def test_what_is_done_needs_to_be_read_at_most(empty: Database, tmp_path: Path, sql: str) -> None:
    assert told(empty, tmp_path, [sql], Action.SKIP) == []


@pytest.mark.parametrize(
    "blocks",
    [
        ["CREATE INDEX n ON old (id)", "DROP TABLE old"],
        ["CREATE INDEX n ON old (id)", "ALTER TABLE old RENAME TO new"],
        ["SELECT make_partitions()", "CREATE INDEX n ON old (id)", "DROP TABLE parent"],
    ],
)
def test_a_block_that_is_done_may_have_needed_what_another_took_away(
    empty: Database, tmp_path: Path, blocks: Sequence[str]
) -> None:
    assert told(empty, tmp_path, blocks, Action.SKIP) == []


def told(
    database: Database, folder: Path, blocks: Sequence[str], action: Action = Action.APPLY
) -> list[str]:
    """The problems of these blocks."""
    database.load(THERE)
    (folder / "deploy").mkdir()
    for number, sql in enumerate(blocks):
        header = "" if sql.startswith("--") else f"{HEADER}\n"
        (folder / "deploy" / f"{number:03}_x.sql").write_text(f"{header}{sql};\n")
    source = Source.read(folder)
    decisions = [Decision(source.block(name, {}), action, "") for name in source.plain_blocks()]
    with connect(Target("test", database.url), schema="public", read_only=True) as conn:
        there = NeededRelations.read(conn, decisions)
        found = [
            r.problem
            for r in requirements.check(conn, there, decisions, conn.info.user)
            if r.problem
        ]
    return [f"{p.where}: {p.what}: {p.expected}: {p.found}" for p in found]
