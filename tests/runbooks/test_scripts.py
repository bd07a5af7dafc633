"""SQL files as psql reads them."""

from __future__ import annotations

import time
from pathlib import Path

import pglast
import pytest

from pgrunbook import Refused
from pgrunbook.runbooks import header
from pgrunbook.runbooks.scripts import Script, statements
from pgrunbook.runbooks.source import Source
from pgrunbook.sqltext.placeholders import substitute


def script(tmp_path: Path, text: str | bytes, kind: str = "deploy") -> Script:
    path = tmp_path / kind / "010_x.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Script.read(path, tmp_path)


def test_the_header_is_read_and_continued(tmp_path: Path) -> None:
    read = script(
        tmp_path,
        "-- title: Make t\n-- why: Because\n--   of this.\n\nCREATE TABLE t (a int);\n-- title: "
        "not here\n",
    )
    assert read.header == {"title": "Make t", "why": "Because of this."}
    assert read.body.startswith("CREATE TABLE")


FILLS = """-- fills: :"t" (a, :"c"); "U v" (d)\n\nCREATE INDEX i ON :"t" (a);\n"""


def test_every_key_is_read_of_however_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = (*header.HEADER_KEYS, "after each batch")
    monkeypatch.setattr(header, "HEADER_KEYS", keys)
    text = "".join(f"-- {key}: x\n" for key in keys)
    assert header.read_header(f"{text}SELECT 1;") == dict.fromkeys(keys, "x")


def test_the_columns_that_are_filled_are_named(tmp_path: Path) -> None:
    script(tmp_path, FILLS)
    block = Source.read(tmp_path).block("010_x", {"t": "Odd", "c": "k"})
    assert block.fills == (("Odd", "a"), ("Odd", "k"), ("U v", "d"))


def test_a_header_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path) -> None:
    script(tmp_path, FILLS.replace(", :", ",, :"))
    with pytest.raises(Refused) as caught:
        Source.read(tmp_path).block("010_x", {"t": "Odd", "c": "k"})
    assert caught.value.problems[0].where == "deploy/010_x.sql, header fills"
    assert caught.value.problems[0].found == '"Odd" (a,, "k")'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "CREATE TABLE t (a int);\nCREATE TABEL u (b int);",
            'deploy/010_x.sql:2: syntax error at or near "TABEL"',
        ),
        ("SELECT 'open", "unterminated quoted string"),
        ("", "holds no statement"),
        ("-- title: nothing\n", "holds no statement"),
        ("BEGIN;\nSELECT 1;\nCOMMIT;", "010_x.sql:1: controls the transaction itself"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\nCOMMIT;", "each statement of a block"),
        ("SELECT 1;\nCOPY t FROM STDIN;", "010_x.sql:2: copies rows from or to a client"),
        ("COPY (SELECT 1) TO STDOUT;", "010_x.sql:1: copies rows from or to a client"),
        ("SET search_path = pg_temp;", "010_x.sql:1: changes the session"),
        ("SELECT set_config('a.b', 'c', false);", "010_x.sql:1: changes the session"),
        ("SET TRANSACTION READ ONLY;", "010_x.sql:1: controls the transaction itself"),
        (
            "SET LOCAL transaction_isolation = 'serializable';",
            "010_x.sql:1: controls the transaction itself",
        ),
        ("PREPARE p AS SELECT 1;", "010_x.sql:1: changes the session"),
        ("LISTEN news;", "010_x.sql:1: changes the session"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1;", "010_x.sql:1: changes the session"),
        ("CLOSE ALL;", "010_x.sql:1: closes the cursors of the run, too"),
        ("SET LOCAL search_path = public, pg_catalog;", "010_x.sql:1: has pg_catalog behind"),
        ("SELECT set_config('search_path', 'a, pg_catalog', true);", "010_x.sql:1: has pg_catalog"),
        ("CREATE TEMP TABLE t (a int);", "010_x.sql:1: leaves t, which is temporary, behind"),
        ("SELECT 1 AS a INTO TEMP t;", "010_x.sql:1: leaves t, which is temporary, behind"),
        ("SET ROLE admin;", "010_x.sql:1: changes the session"),
        ("SET LOCAL SESSION AUTHORIZATION bob;", "010_x.sql:1: changes who the session belongs to"),
        ("RESET ALL;", "010_x.sql:1: changes the session"),
        ("RESET ROLE;", "write SET LOCAL ROLE NONE"),
        ("RESET search_path;", "write SET LOCAL search_path TO DEFAULT"),
        ("SET LOCAL NAMES 'LATIN1';", "010_x.sql:1: changes how the server reads"),
        ("DISCARD PLANS;", "010_x.sql:1: changes the session"),
        (b"-- title: ok\nCOMMENT ON TABLE t IS 'caf\xe9';", "010_x.sql:2: is not UTF-8"),
        ("-- title: ok\nSELECT 1;\0SELECT 2;", "010_x.sql:2: holds a NUL byte"),
        ("-- titel: oops\nSELECT 1;", "unknown header key 'titel'"),
        (
            "-- title: x\n-- role: a\n-- role: b\nSELECT 1;",
            "010_x.sql:3: the header key 'role' is given twice",
        ),
        ("-- title: x\n-- Role: a\nSELECT 1;", "010_x.sql:2: is no header key, but like one"),
        ("-- role : a\nSELECT 1;", "010_x.sql:1: is no header key, but like one"),
        ("--role: a\nSELECT 1;", "expected: -- role:"),
        ("-- lock timeout: 1s\nSELECT 1;", "expected: -- lock_timeout:"),
        ("-- lock-timeout: 1s\nSELECT 1;", "is no header key, but like one"),
        ("-- give_way: share 50%\nSELECT 1;", "give way"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "kind", "there"),
    [
        ("requires", "verify", "deploy/"),
        ("requires", "revert", "deploy/"),
        ("fills", "revert", "deploy/"),
        ("repeatable", "revert", "deploy/"),
        ("exposed", "revert", "deploy/"),
        ("proves", "deploy", "verify/"),
        ("role", "verify", "deploy/ or revert/"),
        ("statement_timeout", "verify", "deploy/ or revert/"),
        ("transaction", "verify", "deploy/ or revert/"),
        ("give way", "verify", "deploy/ or revert/"),
    ],
)
def test_a_key_that_says_nothing_in_a_folder_is_refused_there(
    tmp_path: Path, key: str, kind: str, there: str
) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, f"-- title: x\n-- {key}: y\nSELECT true;", kind)
    (problem,) = caught.value.problems
    assert problem.what == f"the header key {key!r} says nothing in {kind}/"
    assert (problem.where, problem.expected) == (f"{kind}/010_x.sql:2", there)


@pytest.mark.parametrize(
    "text",
    [
        "SET LOCAL search_path = pg_temp;",
        "SET LOCAL standard_conforming_strings = on;",
        "SET CONSTRAINTS ALL DEFERRED;",
        "SELECT set_config('a.b', 'c', true);",
        "CREATE TEMP TABLE t (a int) ON COMMIT DROP;",
        "CREATE TEMP TABLE t (a int);\nDROP TABLE t;",
        "-- title: x\n--   Role: of the application\n-- by hand: see below\n\n-- Role: app\nSELECT 1;",
        "SELECT tags[1:2], other[low:high], 'a:b', now()::text FROM t;",
        b"\xef\xbb\xbf-- title: x\r\n\r\nSELECT 1;\r\n",
    ],
)
def test_what_ends_with_the_block_and_what_psql_reads_may_stand_in_a_file(
    tmp_path: Path, text: str | bytes
) -> None:
    assert not script(tmp_path, text).variables


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("search_path: a; b", "header search_path: is no search path"),
        ("search_path: app, pg_catalog", "header search_path: has pg_catalog behind"),
        ("repeatable: often", "header repeatable: is neither yes nor no"),
    ],
)
def test_a_header_that_says_something_else_is_refused(
    tmp_path: Path, header: str, message: str
) -> None:
    script(tmp_path, f"-- {header}\n\nSELECT 1;")
    with pytest.raises(Refused) as caught:
        Source.read(tmp_path)
    assert message in str(caught.value)


def test_a_slice_is_no_placeholder_beside_one(tmp_path: Path) -> None:
    assert script(tmp_path, 'SELECT tags[1:n] FROM :"t";').variables == {"t"}


def test_a_check_directly_below_the_header_is_told_what_ends_the_header(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, "-- titel: x\n-- why: y\n-- check: it holds\nSELECT 1;", "verify")
    title, check = caught.value.problems
    assert (title.where, check.where) == ("verify/010_x.sql:1", "verify/010_x.sql:3")
    assert title.remedy.startswith("did you mean title? ")
    assert check.remedy == "correct it, or put an empty line above it, which ends the header"


def test_a_verify_script_may_change_the_session_as_it_is_rolled_back(tmp_path: Path) -> None:
    read = script(
        tmp_path,
        "SET LOCAL ROLE app;\n-- check: the application may read it\nSELECT FROM t;\n",
        "verify",
    )
    assert len(read.parsed) == 2


@pytest.mark.parametrize("text", ["DEALLOCATE ALL;", "DISCARD ALL;", "PREPARE p AS SELECT 1;"])
def test_what_no_rollback_undoes_is_refused_in_a_verify_script_too(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, text, "verify")
    assert "verify/010_x.sql:1: changes the session" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "-- check: one\n-- check: another\nSELECT 1;\n",
        "-- check: one\n-- DO $$ BEGIN ASSERT false; END $$;\n\n-- check: two\nSELECT 1;\n",
        "-- check:\nSELECT 1;\n",
    ],
)
def test_a_check_without_a_sentence_or_a_statement_of_its_own_is_refused(
    tmp_path: Path, text: str
) -> None:
    """It would be in no verification, and nobody would know."""
    with pytest.raises(Refused) as caught:
        script(tmp_path, f"SELECT 1;\n{text}--check: behind it all\n", "verify")
    first, last = caught.value.problems
    assert first.where == "verify/010_x.sql:2"
    assert last.where == f"verify/010_x.sql:{2 + text.count(chr(10))}"
    assert {first.what, last.what} == {"is a check that nobody tries"}


def test_a_syntax_error_has_a_caret_under_it(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, "CREATE TABLE t (\n  a int,,\n  b int);")
    line, caret = caught.value.problems[0].found.splitlines()
    assert line[caret.index("^")] == ","


def test_sql_that_ends_too_early_is_pointed_at_where_it_ends(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        script(tmp_path, "SELECT 1;\nALTER TABLE t ADD COLUMN\n\n")
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == ("deploy/010_x.sql:2", "syntax error at end of input")
    assert problem.found == "ALTER TABLE t ADD COLUMN\n                        ^"


def test_placeholders_are_filled_in_as_psql_does_it() -> None:
    sql = """ALTER TABLE :"t" ADD c text DEFAULT :'v', ADD CHECK (:e); SELECT x::text, ':t', $$ :t $$, a[1:2] -- :t"""
    filled = substitute(sql, {"t": 'odd "name"', "v": "it's", "e": "c > 0"})
    assert filled.startswith(
        """ALTER TABLE "odd ""name\""" ADD c text DEFAULT 'it''s', ADD CHECK (c > 0);"""
    )
    assert filled.endswith("SELECT x::text, ':t', $$ :t $$, a[1:2] -- :t")


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    read = script(tmp_path, """UPDATE :"t" SET a = :'v';""")
    assert read.variables == {"t", "v"}
    with pytest.raises(Refused, match="no value for v"):
        read.render({"t": "x"})


LACKS = """-- fills: :"t" (a, :"c")

UPDATE :"deals_tabel" SET a = 1;
UPDATE :"t" SET a = :'v', b = :deals_tabel;
"""


def test_a_placeholder_without_a_value_is_told_where_it_stands_first_and_what_may_be_meant(
    tmp_path: Path,
) -> None:
    lacking = {
        p.what: p
        for p in script(tmp_path, LACKS).missing_values({"deals_table": "deals", "t": "x"})
    }
    assert {what: problem.where for what, problem in lacking.items()} == {
        "no value for deals_tabel": "deploy/010_x.sql:3",
        "no value for v": "deploy/010_x.sql:4",
        "no value for c": "deploy/010_x.sql, header fills",
    }
    problem = lacking["no value for deals_tabel"]
    assert (problem.expected, problem.found) == ("one of deals_table, t", ':"deals_tabel"')
    assert problem.remedy.startswith("did you mean deals_table? run.locate(…) gives")


def test_comments_and_white_space_change_the_bytes_and_not_the_tree(tmp_path: Path) -> None:
    one = script(tmp_path, "CREATE TABLE t (a int);")
    two = script(tmp_path, "-- title: t\n\ncreate table t\n( a   INT ); -- done\n")
    three = script(tmp_path, "CREATE TABLE t (a bigint);")
    assert one.source_sha256 != two.source_sha256
    assert one.tree_sha256 == two.tree_sha256 != three.tree_sha256


def test_a_filled_statement_knows_its_place_in_the_file(tmp_path: Path) -> None:
    """The header counts, though it is not sent."""
    text = """-- title: t\n-- why: because\n\nALTER TABLE :"t"\n  ADD a int;\n\nCREATE INDEX i ON :"t" (a);\n"""
    read = script(tmp_path, text)
    filled = read.statements_with({"t": "odd; -- name"})
    rendered = statements(read.render({"t": "odd; -- name"}))
    assert [s.sql for s in filled] == [s.sql for s in rendered]
    assert [s.place() for s in filled] == ["deploy/010_x.sql:4", "deploy/010_x.sql:7"]
    assert filled[0].place(filled[0].sql.index("ADD")) == "deploy/010_x.sql:5"


def test_statements_know_their_line_and_their_check() -> None:
    found = statements(
        "-- a\nSELECT 1;\n\n-- check: it holds\nDO $$ BEGIN; END $$;\nSELECT 'é'; SELECT 2;\n"
        "  --Check : however written\nSELECT 3"
    )
    assert [(s.sql, s.line, s.check) for s in found] == [
        ("SELECT 1", 2, ""),
        ("DO $$ BEGIN; END $$", 5, "it holds"),
        ("SELECT 'é'", 6, ""),
        ("SELECT 2", 6, ""),
        ("SELECT 3", 8, "however written"),
    ]


def test_a_large_file_is_read_in_proportion_to_its_length(tmp_path: Path) -> None:
    text = "INSERT INTO t VALUES (1, 'a''b', 'c');\n" * 30_000
    began = time.process_time()
    pglast.parse_sql(text)
    parsed = time.process_time()
    assert len(script(tmp_path, text).parsed) == 30_000
    assert time.process_time() - parsed < 6 * (parsed - began)
