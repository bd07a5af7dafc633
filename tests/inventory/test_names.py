"""The names in identities, as the server quotes them."""

from __future__ import annotations

import pytest
from support.databases import Database

from pgrunbook.inventory.names import names

NAMES = ["t", "T", "a b", 'a"b', '"', "a.b", "select", "values", "é", "1a", "a$b", ".", " on "]


@pytest.mark.parametrize("server", [18], indirect=True)
def test_names_are_read_as_the_server_writes_them(empty: Database) -> None:
    pairs = [(schema, name) for schema in NAMES for name in NAMES]
    query = "SELECT format('%%I.%%I', s, n) FROM unnest(%s::text[], %s::text[]) AS g (s, n)"
    printed = empty.execute(query, [[s for s, _ in pairs], [n for _, n in pairs]])
    assert [names(identity) for (identity,) in printed] == pairs
