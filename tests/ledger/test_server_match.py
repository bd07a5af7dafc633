"""Whether what answers is the server that the ledger was written on, by the facts of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgrunbook.ledger.server_match import ServerIdentity, ServerMatch

NOTED = ServerIdentity(
    "7412", 16384, 1, "10.0.0.1:5432", "/var/lib/postgresql", None, datetime(2026, 1, 1, tzinfo=UTC)
)
RESTARTED = {"server_started_at": NOTED.server_started_at + timedelta(days=1)}
MOVED = {"address": "10.0.0.2:5432"}


@pytest.mark.parametrize(
    ("changed", "same", "copy"),
    [
        ({}, True, False),
        (RESTARTED, True, False),
        (MOVED, True, False),  # another address of the same: it runs since the same moment
        (RESTARTED | MOVED, False, False),
        (RESTARTED | {"timeline": 2}, False, False),
        ({"timeline": 2}, False, False),
        ({"database_oid": 5}, False, False),
        (RESTARTED | {"data_directory": "/srv"}, False, True),
        (RESTARTED | {"data_directory": "/srv", "timeline": 2}, False, False),
        (RESTARTED | {"data_directory": "/srv", "timeline": None}, False, False),
        (RESTARTED | {"data_directory": None}, True, False),
        (RESTARTED | {"timeline": None}, True, False),
    ],
)
def test_one_server_or_two(changed: dict[str, Any], same: bool, copy: bool) -> None:
    here = replace(NOTED, **changed)
    assert (here.is_same(NOTED), here.is_copy(NOTED)) == (same, copy)
    server_match = ServerMatch(here, "first", [NOTED])
    assert (server_match.is_other_server, server_match.is_original) == (not same, same)
    assert server_match.server == (NOTED if same else here).text  # of the plan


def test_a_branch_stands_in_place_of_the_address() -> None:
    """Of a hosted server, the machine comes and goes."""
    noted = replace(NOTED, branch="br-main")
    here = replace(noted, **RESTARTED, **MOVED)
    assert here.is_same(noted)
    assert here.text == noted.text
    assert not replace(here, branch="br-test").is_same(noted)


def test_a_standby_has_the_ledger_of_its_primary() -> None:
    server_match = ServerMatch(
        replace(NOTED, timeline=None, **RESTARTED, **MOVED), "first", [NOTED], standby=True
    )
    assert (server_match.is_other_server, server_match.is_original, server_match.server) == (
        False,
        False,
        NOTED.text,
    )


def test_what_differs_and_what_is_not_shown_is_named() -> None:
    here = replace(NOTED, data_directory=None, **MOVED, **RESTARTED)
    assert ServerMatch(here, "first", [NOTED]).differences_text.splitlines() == [
        "address: 10.0.0.1:5432, and here 10.0.0.2:5432",
        "server started at: 2026-01-01 00:00:00+00:00, and here 2026-01-02 00:00:00+00:00",
        "data directory: not shown to this role",
    ]


def test_a_standby_says_what_is_known_of_its_ledger() -> None:
    assert str(ServerMatch(NOTED, "first", [NOTED], standby=True)) == (
        "a standby at 10.0.0.1:5432; the ledger was written on its primary"
    )
    assert str(ServerMatch(NOTED, standby=True)) == (
        "a standby at 10.0.0.1:5432; the ledger names no server yet, if there is one"
    )
