"""What the server calls types, and which of them it compares."""

from __future__ import annotations

from contextlib import nullcontext

import psycopg
import pytest
from support.databases import Database

from pgrunbook.postgres import types
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.target import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

OWN = """
CREATE FUNCTION tell(int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
CREATE DOMAIN positive AS int CHECK (tell(VALUE));
CREATE DOMAIN short AS varchar(9);
"""


def test_types_are_called_as_the_server_calls_them(empty: Database) -> None:
    empty.load(OWN)
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        written = ["UUID", "varchar(9)", "int4[]", "timestamptz(3)", "positive", "short", "short[]"]
        assert types.format_types(conn, written, "public") == [
            "uuid",
            "character varying(9)",
            "integer[]",
            "timestamp(3) with time zone",
            "public.positive",
            "public.short",
            "public.short[]",
        ]
        assert types.format_types(conn, ["uuid", "serial"], "public") == []


@pytest.mark.parametrize(
    ("one", "other", "can_be"),
    [
        ("integer", "bigint", True),
        ("character varying(9)", "text", True),
        ("positive", "integer", True),
        ("uuid", "text", False),
        ("integer", "text", False),
        ("json", "json", False),
    ],
)
def test_types_are_compared_as_a_foreign_key_does(
    empty: Database, one: str, other: str, can_be: bool
) -> None:
    empty.load(OWN)
    with connect(Target("test", empty.url), schema="public", read_only=True) as conn:
        assert types.are_comparable(conn, one, other, "public") is can_be
    empty.load(f"CREATE TABLE referenced (a {other} {'PRIMARY KEY' if other != 'json' else ''})")
    with pytest.raises(psycopg.Error) if not can_be else nullcontext():
        empty.load(f"CREATE TABLE referring (a {one} REFERENCES referenced (a))")
