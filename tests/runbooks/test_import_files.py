"""Folders of other tools' SQL become runbooks, or nothing does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgrunbook import Refused
from pgrunbook.errors import Problem
from pgrunbook.runbooks.import_files import Imported, import_files
from pgrunbook.runbooks.lint import lint
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.source import Source

TABLE = "CREATE TABLE t (n int);\n"

Importer = Callable[[Mapping[str, str | bytes]], Imported]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pgrunbook.toml").write_text("")
    return Project.find(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "migrations"


@pytest.fixture
def importing(project: Project, folder: Path) -> Importer:
    """Import these files, as runbook 001_app."""

    def imported(files: Mapping[str, str | bytes]) -> Imported:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_files(project, folder, "app")

    return imported


@pytest.fixture
def refused(project: Project, importing: Importer) -> Callable[..., list[Problem]]:
    """The problems with which these files are refused: nothing is written."""

    def problems(files: Mapping[str, str | bytes]) -> list[Problem]:
        before = sorted(path for path in project.root.iterdir() if path.name != "migrations")
        with pytest.raises(Refused) as caught:
            importing(files)
        after = sorted(path for path in project.root.iterdir() if path.name != "migrations")
        assert before == after
        return list(caught.value.problems)

    return problems


def sql(project: Project, name: str) -> str:
    """A script of 001_app, without its header."""
    text = (project.sql("001_app") / name).read_bytes().decode()
    return text.replace("\r\n", "\n").split("\n\n", 1)[1]


def header(project: Project, name: str) -> Mapping[str, str]:
    return next(s.header for s in Source.read(project.sql("001_app")).scripts() if s.name == name)


def names(imported: Imported) -> list[str]:
    return [block.name for block in imported.blocks]


@pytest.mark.parametrize(
    ("files", "blocks"),
    [
        (["b.sql", "a.sql"], ["a", "b"]),
        (["001_a.sql", "002_b.sql"], ["001_a", "002_b"]),
        (["2_b.sql", "10_c.sql", "1_a.sql"], ["01_a", "02_b", "10_c"]),
        (["V1__a.sql", "V1_1__b.sql", "V2__c.sql"], ["0001_V1__a", "0002_V1_1__b", "0003_V2__c"]),
        (["V2__b.sql", "V10__c.sql", "V1.5__a.sql"], ["V01.5__a", "V02__b", "V10__c"]),
        (["V1.10__b.sql", "V2.3__c.sql", "V1.9__a.sql"], ["V1.09__a", "V1.10__b", "V2.03__c"]),
        (["R__view.sql", "V1__a.sql"], ["0001_V1__a", "0002_R__view"]),
        (["20230102_b.up.sql", "20230101_a.up.sql"], ["20230101_a", "20230102_b"]),
        (["02_b/migration.sql", "01_a/migration.sql"], ["01_a", "02_b"]),
        (["2024/b.sql", "2023/a.sql"], ["2023_a", "2024_b"]),
        (
            ["2017-08-31-230457_a/up.sql", "2017-09-01-000000_b/up.sql"],
            ["2017-08-31-230457_a", "2017-09-01-000000_b"],
        ),
        (
            ["2017-08-31-230457_b/up.sql", "20140924113530_a/up.sql"],
            ["20140924113530_a", "2017-08-31-230457_b"],
        ),
        (
            [
                "2018-01-02_c/up.sql",
                "20140924113530_a/up.sql",
                "2015-01-01-1200_b/up.sql",
                "20190101_d/up.sql",
            ],
            ["20140924113530_a", "2015-01-01-1200_b", "2018-01-02_c", "20190101_d"],
        ),
        (
            [
                "20140924113530_c/migration.sql",
                "20140923_b/migration.sql",
                "20140922113530_a/migration.sql",
            ],
            ["20140922113530_a", "20140923_b", "20140924113530_c"],
        ),
        (
            ["20140923113530_b/migration.sql", "20140923_a/migration.sql"],
            ["00000020140923_a", "20140923113530_b"],
        ),
        (["001_with space, and (more).sql"], ["001_with_space_and_more_"]),
        (["001_sign_up.sql"], ["001_sign_up"]),
        (["008_b.sql", "008_a.sql", "tail.sql"], ["008_a", "008_b", "tail"]),
    ],
)
def test_blocks_have_the_names_and_the_order_of_the_files(
    project: Project, importing: Importer, files: list[str], blocks: list[str]
) -> None:
    imported = importing(dict.fromkeys(files, TABLE))
    assert names(imported) == blocks
    assert list(Source.read(project.sql("001_app")).deploy) == blocks


@pytest.mark.parametrize(
    "files",
    [
        {"001_a.up.sql": TABLE, "001_a.down.sql": "DROP TABLE t;\n"},
        {"001_a.sql": TABLE, "001_a.undo.sql": "DROP TABLE t;\n"},
        {"001_a-up.sql": TABLE, "001_a-down.sql": "DROP TABLE t;\n"},
        {"001_a.sql": TABLE, "001_a_rollback.sql": "DROP TABLE t;\n"},
        {"001_a/up.sql": TABLE, "001_a/down.sql": "DROP TABLE t;\n"},
        {"deploy/001_a.sql": TABLE, "revert/001_a.sql": "DROP TABLE t;\n"},
        {"001_a.sql": f"-- +goose Up\n{TABLE}\n-- +goose Down\nDROP TABLE t;\n"},
        {"001_a.sql": f"-- +migrate Up\n{TABLE}\n-- +migrate Down\nDROP TABLE t;\n"},
        {"001_a.sql": f"-- migrate:up\n{TABLE}\n-- migrate:down\nDROP TABLE t;\n"},
        {"001_a.sql": f"-- Up Migration\n{TABLE}\n-- Down Migration\nDROP TABLE t;\n"},
    ],
)
def test_what_undoes_a_file_becomes_its_revert_script(
    project: Project, importing: Importer, files: dict[str, str]
) -> None:
    assert names(importing(files)) == ["001_a"]
    assert sql(project, "deploy/001_a.sql") == TABLE
    assert sql(project, "revert/001_a.sql") == "DROP TABLE t;\n"


def test_flyway_undoes_a_version_whatever_it_is_called(
    project: Project, importing: Importer
) -> None:
    importing({"V1_2__make_t.sql": TABLE, "U1_2__take_t_away.sql": "DROP TABLE t;\n"})
    assert sql(project, "revert/V1_2__make_t.sql") == "DROP TABLE t;\n"


def test_goose_brackets_a_body_that_has_semicolons(project: Project, importing: Importer) -> None:
    body = "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$;\n"
    text = f"-- +goose Up\n-- +goose StatementBegin\n{body}-- +goose StatementEnd\n"
    importing({"001_a.sql": text})
    assert sql(project, "deploy/001_a.sql") == body


@pytest.mark.parametrize("begin", ["BEGIN;", "begin transaction;", "START TRANSACTION;"])
@pytest.mark.parametrize("commit", ["COMMIT;", "end;", "COMMIT"])
def test_a_transaction_around_the_file_is_left_out_and_comments_stay(
    project: Project, importing: Importer, begin: str, commit: str
) -> None:
    text = f"-- first\n{begin}\n-- second\n{TABLE}-- third\n{commit} -- last\n"
    imported = importing({"001_a.sql": text})
    kept = sql(project, "deploy/001_a.sql")
    lines = [line.strip() for line in kept.splitlines() if line.strip()]
    assert lines == ["-- first", "-- second", TABLE.strip(), "-- third", "-- last"]
    assert {note.where for note in imported.notes} == {
        "migrations/001_a.sql:2",
        "migrations/001_a.sql:6",
    }


@pytest.mark.parametrize(
    ("other", "told"),
    [("20190101_b.sql", 1), ("20190101000000_b.sql", 0), ("20190101_b/migration.sql", 0)],
)
def test_dates_with_a_time_and_without_are_told_of(
    importing: Importer, other: str, told: int
) -> None:
    notes = importing({"20140924113530_a.sql": TABLE, other: TABLE}).notes
    assert sum("dates of 8 and 14 digits" in note.what for note in notes) == told


def test_what_must_be_alone_is_cut_out_in_order(project: Project, importing: Importer) -> None:
    text = (
        f"-- the table\n{TABLE}ALTER TABLE t ADD m int; -- two\n\n-- built while others write\n"
        "CREATE INDEX CONCURRENTLY i ON t (n);\nCOMMENT ON INDEX i IS 'x';\nANALYZE t;\n"
    )
    imported = importing({"001_a.sql": text, "001_a.down.sql": "DROP TABLE t;\n"})
    assert names(imported) == ["001_a_1", "001_a_2", "001_a_3"]
    assert [block.transaction for block in imported.blocks] == [True, False, True]
    assert [block.line for block in imported.blocks] == [1, 5, 8]
    assert sql(project, "deploy/001_a_1.sql").startswith("-- the table\n")
    assert "-- two" in sql(project, "deploy/001_a_1.sql")
    assert header(project, "deploy/001_a_2.sql") == {
        "title": "A (2 of 3)",
        "transaction": "no",
        "imported": "migrations/001_a.sql:5",
    }
    assert "revert/001_a_3.sql" in next(n.what for n in imported.notes if "revert" in n.what)


def test_each_transaction_of_a_file_is_a_block(project: Project, importing: Importer) -> None:
    local = "SET LOCAL work_mem = '1GB';\n"
    text = f"-- why\nBEGIN;\nCOMMIT;\nBEGIN;\n{local}{TABLE}COMMIT;\nBEGIN;\nANALYZE t;\nCOMMIT;\n"
    imported = importing({"001_a.sql": text})
    assert names(imported) == ["001_a_1", "001_a_2"]
    assert sql(project, "deploy/001_a_1.sql").split() == f"-- why {local}{TABLE}".split()
    assert sql(project, "deploy/001_a_2.sql") == "ANALYZE t;\n"


def test_a_new_value_of_an_enum_is_committed_before_it_is_used(
    importing: Importer,
) -> None:
    add = "ALTER TYPE e ADD VALUE 'it''s';\n"
    imported = importing(
        {"001_a.sql": f"{add}UPDATE t SET e = 'it''s';\n", "002_b.sql": f"{add}{TABLE}"}
    )
    assert names(imported) == ["001_a_1", "001_a_2", "002_b"]


@pytest.mark.parametrize("scope", ["", "SESSION ", "LOCAL "])
def test_pg_catalog_comes_first_by_itself(
    project: Project, importing: Importer, scope: str
) -> None:
    """As pg_dump has written it until 10.3: what is made in public would be taken for its own."""
    imported = importing({"001_a.sql": f"SET {scope}search_path = public, pg_catalog;\n{TABLE}"})
    (name,) = names(imported)
    assert sql(project, f"deploy/{name}.sql").startswith("SET LOCAL search_path = public;\n")


def test_settings_of_the_session_end_with_the_block(project: Project, importing: Importer) -> None:
    text = (
        "SET client_encoding = 'UTF8';\nSET statement_timeout = '5min';\nSET lock_timeout = 0;\n"
        "SET SESSION client_min_messages = warning;\nset check_function_bodies to off;\n"
        "SELECT pg_catalog.set_config('search_path', '', false);\n"
        f"BEGIN;\n{TABLE}COMMIT;\nRESET client_min_messages;\nANALYZE t;\n"
    )
    imported = importing({"001_a.sql": text})
    assert names(imported) == ["001_a_1", "001_a_2"]
    assert header(project, "deploy/001_a_1.sql")["statement_timeout"] == "5min"
    one = [line for line in sql(project, "deploy/001_a_1.sql").splitlines() if line]
    assert one == [
        "SET LOCAL client_min_messages = warning;",
        "SET LOCAL check_function_bodies to off;",
        "SELECT pg_catalog.set_config('search_path', '', true);",
        TABLE.strip(),
    ]
    assert sql(project, "deploy/001_a_2.sql").splitlines() == [
        "SET LOCAL client_min_messages = warning;",
        "SET LOCAL check_function_bodies to off;",
        "SELECT pg_catalog.set_config('search_path', '', true);",
        "SET LOCAL client_min_messages TO DEFAULT;",
        "ANALYZE t;",
    ]
    assert {note.where.rpartition(":")[2] for note in imported.notes} == {*"123456"} | {
        "7",
        "9",
        "10",
    }


def test_another_encoding_of_the_client_is_refused(refused: Callable[..., list[Problem]]) -> None:
    (problem,) = refused({"001_a.sql": f"SET client_encoding = 'LATIN1';\n{TABLE}"})
    assert problem.where == "migrations/001_a.sql:1"


def test_what_flyway_repeats_is_repeatable(project: Project, importing: Importer) -> None:
    importing({"R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1;\n"})
    assert header(project, "deploy/R__v.sql")["repeatable"] == "yes"


def test_bom_and_ends_of_lines(project: Project, importing: Importer) -> None:
    body = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\r\n  SELECT 'ä';\r\n$$;\r\n"
    importing({"001_a.sql": b"\xef\xbb\xbf" + body.encode()})
    written = (project.sql("001_app") / "deploy/001_a.sql").read_bytes()
    assert body.encode() in written
    assert written.count(b"\n") == written.count(b"\r\n")


@pytest.mark.parametrize("text", ["SELECT (ARRAY[1,2,3])[1:2], 'a:b', 1::text, '12:30'::time;\n"])
def test_no_placeholder_is_invented(project: Project, importing: Importer, text: str) -> None:
    importing({"001_a.sql": text})
    (script,) = Source.read(project.sql("001_app")).scripts()
    assert not script.variables
    assert sql(project, "deploy/001_a.sql") == text


def test_files_without_a_statement_and_others_are_told(importing: Importer) -> None:
    imported = importing(
        {
            "001_a.sql": TABLE,
            "002_b.sql": "-- nothing\n",
            "lock.toml": "",
            ".hidden.sql": "x",
            "003_c.down.sql": "SELECT 1;\n",
        }
    )
    assert names(imported) == ["001_a"]
    assert imported.others == ("lock.toml",)
    assert [note.where for note in imported.notes] == [
        "migrations/003_c.down.sql",
        "migrations/002_b.sql",
    ]


def test_all_that_cannot_be_taken_over_is_named_at_once(
    refused: Callable[..., list[Problem]],
) -> None:
    problems = refused(
        {
            "001_a.sql": f"\\set ON_ERROR_STOP on\n{TABLE}SELECT 1 \\gexec\n",
            "002_b.sql": f"{TABLE}COPY t (n) FROM stdin;\n1\n'\n\\.\n\nLISTEN x;\n",
            "003_c.sql": "PREPARE p AS SELECT 1;\nCREATE TEMP TABLE x (n int);\n",
            "004_d.sql": "SELEC 1;\n",
            "005_e.sql": b"-- caf\xe9\nSELECT 1;\n",
            "006_f.sql": "CREATE TABLE :name (n int);\n",
            "007_g.sql": f"{TABLE}\nSAVEPOINT a;\n",
            "008_h.sql": "-- liquibase formatted sql\n-- changeset a:1\nSELECT 1;\n",
            "009_i.sql": "SET work_mem = '1GB';\nCREATE INDEX CONCURRENTLY i ON t (n);\n",
            "010_j.sql": "\n\nSET SESSION AUTHORIZATION bob;\n",
            "012_l.sql": f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{TABLE}COMMIT;\n",
            "013_m.sql": f"\\copy t from C:\\x\n{TABLE}",
            "014_n.sql": f"{TABLE}\0{TABLE}",
            "015_o.sql": TABLE.encode("utf-16"),
            "011_k.sql": f"-- +goose Up\n{TABLE}\n-- +goose Down\n\nDISCARD ALL;\n",
        }
    )
    assert sorted(problem.where for problem in problems) == [
        "migrations/001_a.sql:1",
        "migrations/001_a.sql:3",
        "migrations/002_b.sql:2",
        "migrations/002_b.sql:7",
        "migrations/003_c.sql:1",
        "migrations/003_c.sql:2",
        "migrations/004_d.sql:1",
        "migrations/005_e.sql:1",
        "migrations/006_f.sql:1",
        "migrations/007_g.sql:3",
        "migrations/008_h.sql:1",
        "migrations/009_i.sql:1",
        "migrations/010_j.sql:3",
        "migrations/012_l.sql:1",
        "migrations/013_m.sql:1",
        "migrations/014_n.sql:2",
        "migrations/015_o.sql:1",
    ]
    assert all(problem.remedy for problem in problems)


def test_what_pg_dump_writes_for_psql_alone_is_left_out(
    project: Project, importing: Importer
) -> None:
    imported = importing({"1_base.sql": f"--\n\\restrict aB3\n\n{TABLE}\n\\unrestrict aB3\n"})
    assert [(note.what, note.where) for note in imported.notes] == [
        ("\\restrict is left out: it is for psql alone", "migrations/1_base.sql:2"),
        ("\\unrestrict is left out: it is for psql alone", "migrations/1_base.sql:6"),
    ]
    (script,) = Source.read(project.sql("001_app")).scripts()
    assert script.body.startswith(f"--\n\n\n{TABLE}")


def test_a_baseline_of_flyway_stands_for_what_comes_before_it(
    importing: Importer, refused: Callable[..., list[Problem]], folder: Path
) -> None:
    (problem,) = refused({"V1__a.sql": TABLE, "V2.1__b.sql": TABLE, "B2__base.sql": TABLE})
    assert (problem.where, problem.found) == ("migrations/B2__base.sql", "migrations/V1__a.sql")
    (folder / "V1__a.sql").unlink()
    imported = importing(
        {"R__v.sql": TABLE, "beforeMigrate.sql": TABLE, "afterEachMigrate__x.sql": TABLE}
    )
    assert names(imported) == ["0001_B2__base", "0002_V2.1__b", "0003_R__v"]
    assert [note.where for note in imported.notes if "Flyway" in note.what] == [
        "migrations/afterEachMigrate__x.sql",
        "migrations/beforeMigrate.sql",
    ]


def test_a_name_that_is_no_line_of_text_is_refused(refused: Callable[..., list[Problem]]) -> None:
    names = ("1_a\n-- role: app.sql", os.fsdecode(b"2_\xff.sql"))
    problems = refused(dict.fromkeys(names, TABLE))
    assert [problem.where for problem in problems] == [
        r"migrations/1_a\n-- role: app.sql",
        r"migrations/2_\udcff.sql",
    ]


def test_a_link_out_of_the_folder_is_not_read(
    tmp_path: Path, folder: Path, refused: Callable[..., list[Problem]]
) -> None:
    (tmp_path / "passwords").write_text("db.example.com:5432:crm:migrator:Tr0ub4dor-and-3\n")
    folder.mkdir()
    (folder / "001_a.sql").symlink_to(tmp_path / "passwords")
    (problem,) = refused({"002_b.sql": TABLE})
    assert problem.what.startswith("is a link that leads out of the folder")
    assert "Tr0ub4dor" not in str(problem)


def test_a_secret_beside_a_syntax_error_is_masked(refused: Callable[..., list[Problem]]) -> None:
    (problem,) = refused({"001_a.sql": "CREATE ROL app PASSWORD 'Tr0ub4dor-and-3';\n"})
    assert "PASSWORD ***" in problem.found


def test_two_files_of_one_name_are_refused(refused: Callable[..., list[Problem]]) -> None:
    (problem,) = refused({"001_a.sql": TABLE, "001_a.up.sql": TABLE})
    assert "001_a" in problem.what


def test_the_plan_of_sqitch_is_not_guessed(refused: Callable[..., list[Problem]]) -> None:
    (problem,) = refused({"sqitch.plan": "a\n", "deploy/a.sql": TABLE})
    assert problem.where == "migrations/sqitch.plan"


@pytest.mark.parametrize(
    "files",
    [
        {"001_a.up.sql": TABLE, "001_a.down.sql": "\n\n\nDROP TABLE t;\nDISCARD ALL;\n"},
        {"001_a.sql": f"-- migrate:up\n{TABLE}-- migrate:down\nDROP TABLE t;\nDISCARD ALL;\n"},
    ],
)
def test_a_revert_script_that_cannot_be_is_noted(
    project: Project, importing: Importer, files: dict[str, str]
) -> None:
    imported = importing(files)
    (note,) = imported.notes
    assert note.where.endswith(".sql:5")
    assert not imported.blocks[0].revert
    assert not list(project.sql("001_app").glob("revert/*"))


@pytest.mark.parametrize(
    ("name", "runbook"), [("app", "002_app"), ("007_app", "007_app"), ("0100_app", "0100_app")]
)
def test_the_number_is_the_next_or_the_one_given(
    project: Project, importing: Importer, folder: Path, name: str, runbook: str
) -> None:
    importing({"001_a.sql": TABLE})
    (project.root / "runbooks/001_app.ipynb").rename(project.root / "runbooks/001_x.ipynb")
    project.sql("001_app").rename(project.sql("001_x"))
    assert import_files(project, folder, name).runbook == runbook


@pytest.mark.parametrize("name", ["001_other", "app", "Nope", "12_app", "../app"])
def test_a_name_that_cannot_be_one_writes_nothing(
    project: Project, importing: Importer, folder: Path, name: str
) -> None:
    importing({"001_a.sql": TABLE})
    before = sorted(project.root.rglob("*"))
    with pytest.raises(Refused):
        import_files(project, folder, name)
    assert sorted(project.root.rglob("*")) == before


def test_a_dry_run_writes_nothing(project: Project, folder: Path) -> None:
    folder.mkdir()
    (folder / "1.sql").write_text(TABLE)
    imported = import_files(project, folder, "app", dry_run=True)
    assert names(imported) == ["1"]
    assert sorted(p.name for p in project.root.iterdir()) == ["migrations", "pgrunbook.toml"]


def test_lint_passes_on_what_was_imported(project: Project, importing: Importer) -> None:
    importing(
        {
            "001_a.up.sql": "CREATE TABLE app.t (id int PRIMARY KEY, name varchar(20));\n",
            "001_a.down.sql": "DROP TABLE app.t;\n",
        }
    )
    assert lint(project.root / "sql") == []
    cells = json.loads((project.root / "runbooks/001_app.ipynb").read_text())["cells"]
    assert ["run.apply_all()"] in [cell["source"] for cell in cells]
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_if_the_notebook_cannot_be_written_nothing_stays(
    project: Project, importing: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pgrunbook.files.write", full)
    with pytest.raises(OSError, match="No space"):
        importing({"001_a.sql": TABLE})
    assert not list(project.root.rglob("001_app*"))
    assert not list(project.root.glob(".import*"))
