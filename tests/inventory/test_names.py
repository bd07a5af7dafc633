"""The names in identities, as the server quotes them."""

from __future__ import annotations

import pytest
from support.databases import Database

from pgrunbook.inventory.names import names, own, parent, schema

NAMES = ["t", "T", "a b", 'a"b', '"', "a.b", "select", "values", "é", "1a", "a$b", ".", " on "]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_names_are_read_as_the_server_writes_them(empty: Database) -> None:
    pairs = [(schema, name) for schema in NAMES for name in NAMES]
    query = "SELECT format('%%I.%%I', s, n) FROM unnest(%s::text[], %s::text[]) AS g (s, n)"
    printed = empty.execute(query, [[s for s, _ in pairs], [n for _, n in pairs]])
    assert [names(identity) for (identity,) in printed] == pairs


@pytest.mark.parametrize("server", [18], indirect=True)
def test_the_schema_of_whatever_is_in_one(empty: Database) -> None:
    for name in NAMES:
        (quoted,) = empty.execute("SELECT quote_ident(%s)", [name])[0]
        for identity in (
            f"{quoted}.t",
            f'{quoted}."a.b".c',
            f'"a.b c" on {quoted}.t',
            f'{quoted}.f(elsewhere.kind,"x.y")',
            f'{quoted}."+"(integer,integer)',
        ):
            assert schema(identity) == name
    assert schema('"a.b"') is None
    assert schema("plpgsql") is None


@pytest.mark.parametrize("server", [18], indirect=True)
def test_an_objects_own_name_and_that_of_what_it_is_part_of(empty: Database) -> None:
    for name in NAMES:
        quoted, part = empty.execute("SELECT quote_ident(%s), quote_ident(%s)", [name, "x" + name])[
            0
        ]
        for identity, found in {
            f"public.{quoted}": (name, ""),
            f"public.{quoted}.{part}": ("x" + name, name),
            f"{part} on public.{quoted}": ("x" + name, name),
            f'public.{quoted}(integer,"a on b".t)': (name, ""),
            quoted: (name, ""),
        }.items():
            assert (own(identity), parent(identity)) == found, identity
    assert (own("(integer AS text)"), parent("(integer AS text)")) == ("", "")
