"""The relations that a statement names."""

from __future__ import annotations

import pglast
import pytest

from pgrunbook.sqltext import mentions


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE a RENAME TO b", {("", "a"), ("", "b")}),
        ("ALTER INDEX s.a RENAME TO b", {("s", "a"), ("s", "b")}),
        ("ALTER TABLE a RENAME COLUMN c TO b", {("", "a")}),
        ("ALTER TABLE a RENAME CONSTRAINT c TO b", {("", "a")}),
        ("ALTER VIEW s.a SET SCHEMA t", {("s", "a"), ("t", "a")}),
        ("ALTER FUNCTION f() SET SCHEMA t", set()),
        ("ALTER TYPE e RENAME TO f", set()),
    ],
)
def test_what_is_renamed_or_moved_has_two_names(
    statement: str, named: set[mentions.Relation]
) -> None:
    (parsed,) = pglast.parse_sql(statement)
    assert mentions.relations(parsed.stmt) == named
