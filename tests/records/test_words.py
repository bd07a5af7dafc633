"""Names that a text about one target has, and that of another one has not."""

from __future__ import annotations

import pytest

from pgrunbook.records.words import without_names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a table public.table is not there", "a table public.table is not there"),
        ("table.notes is no table.", "….notes is no table."),
        ('relation "table" of schema table', 'relation "…" of schema …'),
        ("target 'service:table', table 'table'", "target 'service:…', table '…'"),
        ('"table"."notes"', '"…"."notes"'),
    ],
)
def test_a_name_that_is_a_word_too_is_known_by_where_it_stands(text: str, expected: str) -> None:
    assert without_names(text, "table", "") == expected


def test_a_name_that_is_no_word_is_known_wherever_it_stands_alone() -> None:
    text = "red_1 is locked: user red_1, pred_1, red_1.notes, red_10"
    assert without_names(text, "red_1") == "… is locked: user …, pred_1, ….notes, red_10"
