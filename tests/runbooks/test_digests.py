"""Digests that differ in their last digit are told apart wherever they are shown."""

from __future__ import annotations

import pytest

from pgrunbook.runbooks.digests import short
from pgrunbook.runbooks.fingerprints import Sources

ONE, OTHER = f"{'a' * 63}b", f"{'a' * 63}c"


@pytest.mark.parametrize(
    ("digests", "digits"),
    [([], None), ([ONE], 12), ([ONE, ONE], 12), ([ONE, "b" * 64], 12), ([ONE, OTHER], 64)],
)
def test_as_few_digits_are_shown_as_tell_them_apart(digests: list[str], digits: int | None) -> None:
    shown = short(digests)
    assert shown == {digest: digest[:digits] for digest in digests}


@pytest.mark.parametrize("digits", range(12, 64))
def test_wherever_they_begin_to_differ(digits: int) -> None:
    digests = ["a" * 64, f"{'a' * digits}{'b' * (64 - digits)}"]
    assert len({*short(digests).values()}) == 2


def test_files_of_a_runbook_that_differ_look_different() -> None:
    files = {
        "runbooks/001_x.ipynb": "0" * 64,
        "sql/001_x/deploy/010_a.sql": ONE,
        "sql/001_x/verify/010_a.sql": OTHER,
    }
    row = Sources(files).frame().loc["010_a"]
    assert row["deploy"] != row["verify"]
