"""Reading and rewriting the expression of a CHECK."""

from __future__ import annotations

import pytest
from support.databases import Database

from pgrunbook.admit import expressions
from pgrunbook.admit.expressions import Subject
from pgrunbook.admit.gist import gist

TEXT = Subject("c", ("text",))
VARCHAR = Subject("c", ("character varying",))
CHAR = Subject("c", ("bpchar",))
CITEXT = Subject("c", ("ext.citext",))
DOMAIN = Subject("value", ("d", "text"))
KIND = Subject("c", ("kind",), is_enum=True)
NEW_LABEL = Subject("c", ("kind",), is_enum=True, as_text=True)


@pytest.mark.parametrize(
    ("subject", "old", "new"),
    [
        (TEXT, "(c = 'a'::text)", "c IN ('a', 'new')"),
        (TEXT, "(c = ANY (ARRAY['a'::text, 'b'::text]))", "c IN ('a', 'b', 'new')"),
        (TEXT, "((c = 'a'::text) OR (c = 'b'::text))", "c IN ('a', 'b', 'new')"),
        (TEXT, "((d > 0) OR (c = 'a'::text))", "d > 0 OR c IN ('a', 'new')"),
        (TEXT, "((c)::text = 'it''s'::text)", "c IN ('it''s', 'new')"),
        (
            VARCHAR,
            "((c)::text = ANY ((ARRAY['a'::character varying])::text[]))",
            "c IN ('a', 'new')",
        ),
        (VARCHAR, "((c)::text = ANY (ARRAY[('a'::character varying)::text]))", "c IN ('a', 'new')"),
        (CHAR, "(c = ANY (ARRAY['a'::bpchar]))", "c IN ('a', 'new')"),
        (CITEXT, "(c = ANY (ARRAY['a'::ext.citext]))", "c IN ('a', 'new')"),
        (CITEXT, "((c)::text = ANY (ARRAY['a'::text]))", "c::text IN ('a', 'new')"),
        (DOMAIN, "(VALUE = ANY (ARRAY['a'::text]))", "value IN ('a', 'new')"),
        (KIND, "(c = ANY (ARRAY['a'::kind]))", "c IN ('a', 'new')"),
        (NEW_LABEL, "(c = ANY (ARRAY['a'::kind]))", "c::text IN ('a', 'new')"),
        (NEW_LABEL, "((c)::text = 'a'::text)", "c::text IN ('a', 'new')"),
    ],
)
def test_a_list_gets_one_more_entry(subject: Subject, old: str, new: str) -> None:
    assert expressions.text(expressions.widen(expressions.parse(old), subject, "new")) == new


@pytest.mark.parametrize(
    ("subject", "old"),
    [
        (TEXT, "c <> 'a'::text"),
        (TEXT, "c ~ '^a'::text"),
        (TEXT, "lower(c) = 'a'::text"),
        (TEXT, "'a'::text = c"),
        (TEXT, "d = 'a'::text"),
        (TEXT, "c = 'a'::varchar(1)::text"),
        (TEXT, "c = ANY('{a,b}'::text[])"),
        (TEXT, "c = ANY(ARRAY['a'::text, NULL::text])"),
        (TEXT, "c = 'a'::text COLLATE \"C\""),
        (TEXT, "c OPERATOR(other.=) 'a'::text"),
        (CITEXT, "c = 'a'::text"),
        (TEXT, "CASE WHEN c = 'a'::text THEN true ELSE false END"),
    ],
)
def test_what_is_no_list_is_kept_as_it_is(subject: Subject, old: str) -> None:
    widened = expressions.text(expressions.widen(expressions.parse(old), subject, "it's"))
    assert widened == f"{old} OR c IS NOT DISTINCT FROM 'it''s'"


def test_a_label_that_is_not_there_yet_is_compared_as_text() -> None:
    old = expressions.parse("((c <> 'a'::kind) AND (c = ANY ('{a}'::kind[])))")
    assert (
        expressions.text(expressions.as_text(old, NEW_LABEL))
        == "c <> 'a'::text AND c = ANY('{a}'::text[])"
    )
    assert expressions.text(
        expressions.widen(expressions.parse("c <> 'a'::kind"), NEW_LABEL, "new")
    ) == ("c <> 'a'::kind OR c::text IS NOT DISTINCT FROM 'new'")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("c > 'a'::kind", True),
        ("'a'::kind <= c", True),
        ("c = 'a'::kind", False),
        ("d > 1 AND c = 'a'::kind", False),
        ("length(c::text) > 1", False),
    ],
)
def test_an_order_of_labels_is_not_one_of_texts(expression: str, expected: bool) -> None:
    assert expressions.compares_order(expressions.parse(expression), KIND) is expected


def test_what_other_columns_say_is_unknown() -> None:
    node = expressions.parse("((c = 'a'::text) AND (d > 0)) OR NOT (e IS NULL OR c = f)")
    assert (
        expressions.text(expressions.with_unknown_others(node, "c"))
        == "(c = 'a'::text AND NULL) OR NOT (NULL OR c = f)"
    )


def test_knows_what_an_expression_reads() -> None:
    node = expressions.parse("f(t.*) AND \"C\" = ANY (ARRAY['a', 'b']) AND (x).y = 'a'")
    assert expressions.columns(node) == {"*", "C", "x"}
    assert expressions.literals(node) == ["a", "b"]


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        (
            "(c)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])",
            "c IN ('a', 'b')",
        ),
        ("(c)::text <> ALL ((ARRAY['a'::character varying])::text[])", "c NOT IN ('a')"),
        ("c = ANY (ARRAY['a'::text])", "c = ANY(ARRAY['a'::text])"),
        (
            "(c)::text = ALL ((ARRAY['a'::character varying])::text[])",
            "c::text = ALL(ARRAY['a'::varchar]::text[])",
        ),
    ],
)
def test_a_list_of_varchars_is_written_as_it_was(shown: str, written: str) -> None:
    assert expressions.text(expressions.as_written(expressions.parse(shown))) == written


PRINTED = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'k'"
DISTINCT = "(c <> 'x' OR d > 0) AND (d BETWEEN 1 AND 5 OR c LIKE 'a%')"


@pytest.mark.parametrize("server", [18], indirect=True)
@pytest.mark.parametrize(
    ("subject", "column", "old"),
    [
        (TEXT, "text", "c IN ('a', 'b')"),
        (TEXT, "text", "c = 'a' OR c = 'b' OR d > 0"),
        (TEXT, "text", DISTINCT),
        (TEXT, "text", "c ~ '^a' AND d NOT BETWEEN 1 AND 5 AND e IN ('p', 'q')"),
        (VARCHAR, "varchar(9)", "c IN ('a', 'b')"),
        (VARCHAR, "varchar(9)", DISTINCT),
        (CHAR, "char(3)", "c IN ('a', 'b')"),
        (KIND, "kind", "c IN ('a', 'b')"),
        (NEW_LABEL, "kind", "c IN ('a', 'b')"),
        (NEW_LABEL, "kind", "c <> 'a' OR d > 0"),
    ],
)
def test_what_the_server_prints_of_an_expression_says_the_same(
    empty: Database, subject: Subject, column: str, old: str
) -> None:
    """Or it would be asked about it once more while the table is locked."""
    empty.load("CREATE TYPE kind AS ENUM ('a', 'b', 'new')")
    empty.load(f"CREATE TABLE t (c {column}, d int, e varchar(2), CONSTRAINT k CHECK ({old}))")
    widened = expressions.widen(expressions.parse(printed(empty)), subject, "new")
    written = expressions.text(expressions.as_written(widened))
    empty.load(f"ALTER TABLE t DROP CONSTRAINT k, ADD CONSTRAINT k CHECK ({written})")
    said = gist(expressions.parse(written), subject)
    assert gist(expressions.parse(printed(empty)), subject) == said
    other = expressions.parse(written.replace("'new'", "'old'"))
    assert gist(other, subject) != said


def printed(database: Database) -> str:
    return str(database.execute(PRINTED)[0][0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("c IN ('a', 'b')", "c IN ('b', 'a', 'c')"),
        ("c = 'a'::ext.citext", "c::text = 'a'::text"),
        ("c = 'a'::ext.citext", "c IS NOT DISTINCT FROM 'a'::ext.citext"),
        ("c = 'a'::ext.citext", "NOT c = 'a'::ext.citext"),
        ("c = 'a'::ext.citext AND d", "c = 'a'::ext.citext OR d"),
        ("lower(c) = 'a'", "lower(c::text) = 'a'"),
    ],
)
def test_what_says_otherwise_is_told_apart(one: str, other: str) -> None:
    assert gist(expressions.parse(one), CITEXT) != gist(expressions.parse(other), CITEXT)
