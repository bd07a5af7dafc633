"""Names that fit into 63 bytes."""

from __future__ import annotations

import pytest

from pgrunbook.sqltext.long_names import free_name


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        ("c", ["c"], "c_new"),
        ("c", ["c", "c_new", "c_new1"], "c_new2"),
        ("x" * 63, ["x" * 63], "x" * 59 + "_new"),
        ("é" * 31, ["é" * 31], "é" * 29 + "_new"),
    ],
)
def test_a_name_is_free_and_short_enough(name: str, taken: list[str], free: str) -> None:
    assert free_name(name, taken) == free
    assert len(free.encode()) <= 63
