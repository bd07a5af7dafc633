"""Each rule has SQL that keeps it and SQL that breaks it; the project's own SQL keeps them all."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from pgrunbook.errors import Failed, Refused
from pgrunbook.runbooks import squawk
from pgrunbook.runbooks.lint import lint
from pgrunbook.runbooks.lint_rules import RULES
from pgrunbook.runbooks.squawk import EXCLUDED, EXCLUDED_FROM_REVERT

ROOT = Path(__file__).parents[2]

NOTES = """\
-- title: Create notes
-- why: Somebody asked for them.

CREATE TABLE notes (
  id bigint PRIMARY KEY,
  body text
);
COMMENT ON TABLE notes IS 'Notes';
COMMENT ON COLUMN notes.id IS 'Key';
COMMENT ON COLUMN notes.body IS 'What was noted';
"""
GOOD = {
    "deploy/010_notes.sql": NOTES,
    "verify/010_notes.sql": """\
-- title: There are notes

DO $$ BEGIN ASSERT to_regclass('notes') IS NOT NULL; END $$;
""",
    "revert/010_notes.sql": """\
-- title: Drop notes
-- why: Takes what was noted with it.

DROP TABLE notes;
""",
}


@pytest.fixture
def sql(tmp_path):
    """The SQL of one good runbook."""
    folder = tmp_path / "sql"
    write(folder, GOOD)
    return folder


def write(sql, files):
    for name, text in files.items():
        path = sql / "001_notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def complaints(sql):
    """Rule, file and line of what is found, without the folder of the runbook."""
    return [(f.rule, f.file.removeprefix("sql/001_notes/"), f.line) for f in lint(sql)]


def deploy(statement):
    return f"-- title: Another\n-- why: Because.\n\n{statement}\n"


def test_the_projects_own_sql_is_clean():
    assert [str(finding) for finding in lint(ROOT / "sql")] == []


def test_a_good_runbook_has_no_findings(sql):
    assert lint(sql) == []


@pytest.mark.parametrize("change", ["UPDATE copy SET body = ''", "TRUNCATE pg_temp.copy"])
def test_a_verify_script_may_change_its_copy(sql, change):
    copy = "CREATE TEMP TABLE copy (LIKE notes);"
    write(sql, {"verify/010_notes.sql": f"{GOOD['verify/010_notes.sql']}\n{copy}\n{change};\n"})
    assert lint(sql) == []


ALTER = "ALTER TABLE notes ADD COLUMN {0} text;\nCOMMENT ON COLUMN notes.{0} IS 'x';"
ASSERTS = "-- title: x\nDO $$ BEGIN ASSERT true; END $$;"
IGNORE = "-- squawk-ignore-file prefer-bigint-over-int"
REVERTS = "-- title: x\n-- why: x\nALTER TABLE notes DROP COLUMN tag;"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("verify/whole_runbook.sql", ASSERTS),
        ("verify/010_notes.sql", "-- title: x\nDO $$ BEGIN RAISE EXCEPTION 'no'; END $$;"),
        ("verify/010_notes.sql", "-- title: x\nDO $$ BEGIN RAISE NOTICE 'so far'; RAISE 'no'; END "
                                 "$$;"),
        (
            "verify/010_notes.sql",
            "-- title: x\nCREATE FUNCTION pg_temp.prove() RETURNS void LANGUAGE plpgsql AS "
            "'BEGIN ASSERT false; END';\nDO $$ BEGIN PERFORM pg_temp.prove(); END $$;",
        ),
        ("verify/010_notes.sql", "-- title: x\n\n-- check: y\nSELECT count(*) = 0 FROM notes;"),
        ("verify/010_notes.sql", "-- title: x\nSELECT 1;\nDO $$ BEGIN PERFORM pg_temp.f(); RAISE; "
                                 "END $$;"),
        ("revert/010_notes.sql", "-- title: x\n-- why: x\nSELECT pg_catalog.now(), notes.id FROM "
                                 "notes;"),
        ("deploy/010_notes.sql", NOTES + "COMMENT ON CONSTRAINT notes_pkey ON notes IS 'x';"),
        ("revert/010_notes.sql", "-- title: x\n-- why: x\nDROP TRIGGER a ON notes; DROP POLICY a "
                                 "ON notes;"),
        ("deploy/010_notes.sql", NOTES + "CREATE INDEX notes_body ON notes (body);"),
        ("deploy/010_notes.sql", f"{NOTES.replace('bigint', 'int')}-- It will never hold "
                                 f"more.\n{IGNORE}"),
        ("revert/010_notes.sql", "-- title: x\n-- why: x\nALTER TABLE notes RENAME CONSTRAINT a "
                                 "TO b;"),
    ],
)  # fmt: skip
def test_what_keeps_the_rules(sql, name, text):
    write(sql, {name: text})
    assert lint(sql) == []


def test_variants_count_as_one_name(sql):
    for kind, text in {
        "deploy": deploy(ALTER.format("tag")),
        "verify": ASSERTS,
        "revert": REVERTS,
    }.items():
        write(sql, {f"{kind}/020_tag/{kind}_{variant}.sql": text for variant in ("enum", "check")})
    assert lint(sql) == []


def test_a_verify_script_is_the_partner_of_the_blocks_that_it_proves(sql):
    write(
        sql,
        {
            "verify/010_notes.sql": "-- proves: 020_tag, 030_tag\n" + GOOD["verify/010_notes.sql"],
            "deploy/020_tag.sql": deploy(ALTER.format("tag")),
            "revert/020_tag.sql": REVERTS,
        },
    )
    assert complaints(sql) == [
        ("partners", "deploy/030_tag.sql", 1),
        ("partners", "revert/030_tag.sql", 1),
    ]


def test_an_empty_folder_is_no_partner(sql):
    write(
        sql, {"deploy/020_tag/a.sql": deploy(ALTER.format("tag")), "revert/020_tag/a.sql": REVERTS}
    )
    (sql / "001_notes/verify/020_tag").mkdir()
    assert complaints(sql) == [("partners", "verify/020_tag.sql", 1)]


@pytest.mark.parametrize(
    ("name", "text", "rule", "line", "message"),
    [
        ("deploy/010_notes.sql", NOTES.replace("why", "usage"), "header", 1, "no why"),
        ("verify/010_notes.sql", GOOD["verify/010_notes.sql"].replace("-- "
                                                                      "title", "--"), "header", 1, "no title"),
        ("revert/010_notes.sql", "DROP TABLE notes;", "header", 1, "no title"),
        ("deploy/010_notes.sql", NOTES.replace("COMMENT ON "
                                               "TABLE", "-- "), "comments", 4, "notes has no "
                                                                               "comment"),
        ("deploy/010_notes.sql", NOTES.replace("'Key'", "NULL"), "comments", 4, "notes.id has no "
                                                                                "comment"),
        ("deploy/010_notes.sql", NOTES + "ALTER TABLE notes ADD tag "
                                         "text;", "comments", 11, "notes.tag has no comment"),
        ("verify/020_more.sql", ASSERTS, "partners", 1, "beside verify/020_more"),
        ("revert/020_more.sql", GOOD["revert/010_notes.sql"], "partners", 1, "beside "
                                                                             "revert/020_more"),
        ("deploy/020_more.sql", deploy(ALTER.format("tag")), "partners", 1, "beside "
                                                                            "deploy/020_more"),
        ("deploy/more.sql", deploy(ALTER.format("tag")), "partners", 1, "beside deploy/more"),
        ("verify/010_notes.sql", "-- title: x\nSELECT false;", "verify-raises", 1, "can fail"),
        ("verify/010_notes.sql", "-- title: x\n\n-- check: y\nSELECT id FROM notes;", "verify-raises", 1, "can fail"),
        ("verify/more.sql", "-- title: x\nDO $$ BEGIN --ASSERT\nRAISE LOG ''; END "
                            "$$", "verify-raises", 1, "can fail"),
        ("verify/more.sql", "-- title: x\nSELECT 'RAISE "
                            "EXCEPTION';", "verify-raises", 1, "can fail"),
        ("verify/010_notes.sql", f"{ASSERTS}\nDELETE FROM notes;", "verify-copies", 3, "locks table notes"),
        ("deploy/010_notes.sql", f"{NOTES}\n{IGNORE}", "reasons", 12, "without a reason"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule(sql, name, text, rule, line, message):
    write(sql, {name: text})
    found = [f for f in lint(sql) if f.rule == rule]
    assert found
    assert {f.line for f in found} == {line}
    assert message in found[0].message
    assert found[0].remedy


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (deploy("CREATE TABL notes ();"), 4, "syntax error"),
        (deploy("CREATE TABLE notes (\n  id bigint\n\n"), 5, "syntax error at end of input"),
        (deploy("SELECT 1;\nSELECT 'open\nand more"), 5, "unterminated quoted string"),
        (deploy("BEGIN;"), 4, "controls the transaction itself"),
        (deploy("SELECT 1;\nCOMMIT;"), 5, "controls the transaction itself"),
        (b"-- title: x\n-- why: \xff\nSELECT 1;", 2, "is not UTF-8"),
        ("", 1, "holds no statement"),
        (deploy("-- nothing"), 1, "holds no statement"),
    ],
)
def test_what_the_engine_would_refuse(sql, text, line, message):
    write(sql, {"deploy/020_more.sql": text})
    finding, *partners = lint(sql)
    assert (finding.rule, finding.file, finding.line) == (
        "usable",
        "sql/001_notes/deploy/020_more.sql",
        line,
    )
    assert message in finding.message
    assert finding.remedy
    assert [f.rule for f in partners] == ["partners", "partners"]


def test_a_file_that_cannot_be_used_hides_neither_the_rest_nor_what_is_wrong_with_it(sql):
    write(
        sql,
        {
            "deploy/010_notes.sql": deploy("CREATE TABL notes ();"),
            "deploy/020_more.sql": "-- transaction: maybe\n-- lock_timeout: soon\n"
            + ALTER.format("more"),
            "verify/020_more.sql": "SELECT 1;",
        },
    )
    found = lint(sql)
    assert {(f.file.removeprefix("sql/001_notes/"), f.rule) for f in found} == {
        ("deploy/010_notes.sql", "usable"),
        ("deploy/020_more.sql", "usable"),
        ("deploy/020_more.sql", "header"),
        ("verify/020_more.sql", "header"),
        ("verify/020_more.sql", "verify-raises"),
        ("revert/020_more.sql", "partners"),
    }
    text = "\n".join(map(str, found))
    assert 'deploy/010_notes.sql:4: syntax error at or near "TABL" [usable]\n' in text
    assert "    found:    CREATE TABL notes ();\n                     ^\n" in text
    assert (
        "deploy/020_more.sql:1: header transaction: is neither yes nor no [usable]\n    found:    "
        "maybe\n" in text
    )
    assert "deploy/020_more.sql:1: header lock_timeout: takes a duration" in text


def test_a_runbook_without_blocks(sql):
    (sql / "001_notes/deploy/010_notes.sql").unlink()
    assert complaints(sql) == [("usable", "deploy/", 1), ("partners", "deploy/010_notes.sql", 1)]


# The notebook

CELLS = {
    "parameters": 'target = "embedded"',
    "begin": 'run = pgrunbook.begin("001_notes", globals())',
    "preconditions": "run.preconditions()",
    "apply": 'run.apply("010_notes")',
    "verify": "run.verify()",
    "finish": "run.verdict()",
}


def notebook(sql, **cells):
    """Write the notebook beside the SQL, with these cells in place of `CELLS`; none for None."""
    path = sql.parent / "runbooks" / "001_notes.ipynb"
    path.parent.mkdir(exist_ok=True)
    nodes = [
        nbformat.v4.new_code_cell(source, id=name, metadata={"tags": [name]})
        for name, source in (CELLS | cells).items()
        if source is not None
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=nodes, metadata=kernel)))
    return path


@pytest.mark.parametrize(
    ("cells", "messages"),
    [
        ({}, []),
        ({"parameters": None}, ["0 cells are tagged 'parameters'"]),
        ({"parameters": "import os"}, ["parameters cell, line 1: more than assignments"]),
        ({"preconditions": "run.plan()"}, ["no cell calls run.preconditions()"]),
        (
            {"verify": 'run.verify("010_notes")', "finish": "verify()"},
            ["no cell calls run.verdict()", "no cell calls run.verify()"],
        ),
        (
            {"apply": 'run.apply("010_note")'},
            ["010_notes: no cell applies it", "cell apply: no block is called '010_note'"],
        ),
        (
            {"apply": "run.apply(", "verify": "run.verify("},
            [
                "cell apply, line 1: '(' was never closed",
                "cell verify, line 1: '(' was never closed",
            ],
        ),
    ],
)
def test_what_a_run_would_refuse_of_the_notebook_or_could_not_end_without(sql, cells, messages):
    notebook(sql, **cells)
    found = lint(sql)
    assert [f.message for f in found] == messages
    assert {(f.file, f.rule) for f in found} <= {("runbooks/001_notes.ipynb", "cells")}
    assert all(f.remedy for f in found)


def test_a_file_that_is_no_notebook_is_a_finding_beside_the_others(sql):
    write(sql, {"deploy/010_notes.sql": NOTES.replace("why", "usage")})
    notebook(sql).write_text("<html>")
    assert [(f.rule, f.file) for f in lint(sql)] == [
        ("cells", "runbooks/001_notes.ipynb"),
        ("header", "sql/001_notes/deploy/010_notes.sql"),
    ]


def test_what_lies_in_deploy_beside_the_sql_is_no_block(sql):
    notebook(sql)
    write(sql, {"deploy/README.md": "# Notes", "deploy/.010_notes.sql.swp": ""})
    assert lint(sql) == []


# hazards


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE notes ADD CONSTRAINT c CHECK (id > 0);", "scans_under_lock, locks_out_reads: table notes"),
        ("CREATE INDEX notes_id ON notes (id);", "scans_under_lock, locks_out_writes: table notes"),
        ("ALTER TABLE :table RENAME TO :\"other\";", "renames: table table"),
        ("DROP TABLE notes CASCADE;", "drops_table: table notes CASCADE"),
        ("ALTER TABLE notes DROP COLUMN body;", "drops_column: column notes.body"),
        ("DELETE FROM notes;", "deletes_rows: table notes every row"),
    ],
)  # fmt: skip
def test_a_hazard_is_told_once_unless_the_header_accepts_it(sql, statement, message):
    write(sql, {"deploy/020_more.sql": deploy(statement)})
    others = ("partners", "verify-raises")
    (found,) = [f for f in lint(sql) if f.rule not in others]
    assert (found.rule, found.line, found.message) == ("hazards", 4, message)

    names = message.partition(":")[0]
    write(
        sql,
        {"deploy/020_more.sql": deploy(statement).replace("\n\n", f"\n-- accepts: {names}\n\n")},
    )
    assert [f for f in lint(sql) if f.rule not in others] == []


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT ON notes TO PUBLIC;", "UPDATE notes SET body = 'x';", "DO $$BEGIN END$$;", "DROP VIEW v;",
        "ALTER TABLE notes ALTER COLUMN id SET NOT NULL;",
    ],
)  # fmt: skip
def test_what_is_ordinary_or_up_to_the_target_is_not_told(sql, statement):
    write(sql, {"deploy/020_more.sql": deploy(statement)})
    assert "hazards" not in [rule for rule, _, _ in complaints(sql)]


def test_what_a_header_accepts_has_to_occur_and_be_known(sql):
    write(sql, {"deploy/010_notes.sql": NOTES.replace("\n\n", "\n-- accepts: drops_table\n\n", 1)})
    assert complaints(sql) == [("accepts", "deploy/010_notes.sql", 1)]

    write(sql, {"deploy/010_notes.sql": NOTES.replace("\n\n", "\n-- accepts: drops_tabel\n\n", 1)})
    found = next(f for f in lint(sql) if f.rule == "usable")
    assert "no hazard is called 'drops_tabel'" in found.message
    assert found.remedy.startswith("did you mean drops_table? ")


# squawk


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE notes ADD COLUMN made uuid DEFAULT "
         "gen_random_uuid();", "adding-field-with-default"),
        ("ALTER TABLE notes ADD COLUMN made uuid NOT NULL;", "adding-required-field"),
        ("ALTER TABLE notes ADD COLUMN made timestamp;", "prefer-timestamp-tz"),
        ("ALTER TABLE notes ADD COLUMN made int;", "prefer-bigint-over-int"),
        ("ALTER TABLE notes ALTER COLUMN id TYPE numeric;", "changing-column-type"),
        ("ALTER TABLE notes DROP CONSTRAINT c;", "ban-drop-constraint"),
    ],
)  # fmt: skip
def test_squawks_rules_hold_in_deploy(sql, statement, rule):
    write(sql, {"deploy/020_more.sql": deploy(statement)})
    assert (f"squawk:{rule}", "deploy/020_more.sql", 4) in complaints(sql)


def test_squawk_sees_through_placeholders(sql):
    text = (
        "ALTER TABLE :\"table\" ADD COLUMN made date;\nSELECT :'value', :value;\n"
        "ALTER TABLE :table DROP CONSTRAINT c;"
    )
    write(sql, {"deploy/020_more.sql": deploy(text)})
    assert [c for c in complaints(sql) if c[0].startswith("squawk")] == [
        ("squawk:ban-drop-constraint", "deploy/020_more.sql", 6)
    ]


def test_squawk_knows_which_defaults_rewrite_no_row(sql):
    write(
        sql,
        {"deploy/020_more.sql": deploy("ALTER TABLE notes ADD COLUMN made date DEFAULT now();")},
    )
    assert not [c for c in complaints(sql) if c[0].startswith("squawk")]


def test_squawk_reads_reverts_too(sql):
    write(
        sql, {"revert/010_notes.sql": deploy("ALTER TABLE notes ADD CONSTRAINT c CHECK (id > 0);")}
    )
    assert complaints(sql) == [("squawk:constraint-missing-not-valid", "revert/010_notes.sql", 4)]


def test_only_the_sql_itself_switches_a_rule_of_squawk_off(sql, monkeypatch):
    (sql.parent / ".squawk.toml").write_text('included_rules = ["require-table-schema"]')
    monkeypatch.chdir(sql.parent)
    assert lint(sql) == []


@pytest.mark.parametrize("rule", EXCLUDED_FROM_REVERT)
def test_each_exclusion_is_needed(monkeypatch, rule):
    """Else it would hide something one day."""
    for name in ("EXCLUDED", "EXCLUDED_FROM_REVERT"):
        excluded = {k: v for k, v in getattr(squawk, name).items() if k != rule}
        monkeypatch.setattr(squawk, name, excluded)
    assert any(f.rule == f"squawk:{rule}" for f in lint(ROOT / "sql"))


def test_squawk_is_needed(sql, monkeypatch):
    monkeypatch.setattr(squawk.shutil, "which", lambda *_, **__: None)
    with pytest.raises(Refused, match="squawk is not installed"):
        lint(sql)


def test_a_squawk_that_does_not_work_is_no_clean_bill(sql, monkeypatch):
    monkeypatch.setattr(squawk, "EXCLUDED", EXCLUDED | {"no-such-rule": "for the test"})
    with pytest.raises(Failed, match="invalid rule name no-such-rule"):
        lint(sql)


# The list


def test_findings_are_in_order_and_say_what_to_do(sql):
    write(sql, {"deploy/010_notes.sql": NOTES + "DROP DOMAIN s.d;\nDROP TABLE s.notes, s.more;"})
    found = lint(sql)
    assert found == sorted(found)
    assert str(next(finding for finding in found if finding.rule == "hazards")) == (
        "sql/001_notes/deploy/010_notes.sql:12: drops_table: table s.more [hazards]\n"
        "    remedy:   change the statement, or say in the header that it is meant: -- accepts: with the names "
        "of the hazards, and the reason in -- why:"
    )


def test_only_the_folders_of_runbooks_are_read(sql):
    (sql / "sample.sql").write_text("CREATE TABL")
    (sql / "notes").mkdir()
    assert lint(sql) == []


def test_no_folder_is_no_clean_bill(tmp_path):
    with pytest.raises(Refused, match="no such folder"):
        lint(tmp_path / "sql")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_says_why_in_a_line(rule):
    assert rule.why.endswith(".")
    assert "\n" not in rule.why + rule.remedy


@pytest.mark.parametrize(
    "name",
    [
        "deploy/.ipynb_checkpoints/010_notes-checkpoint.sql",  # JupyterLab's
        "deploy/._010_notes.sql",  # the Finder's
        "verify/.#010_notes.sql",  # an editor's
        "revert/.ipynb_checkpoints/010_notes-checkpoint.sql",
    ],
)
def test_hidden_files_are_no_blocks(sql, name):
    write(sql, {name: "no SQL"})
    assert complaints(sql) == []
