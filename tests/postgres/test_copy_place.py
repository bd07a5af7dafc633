"""What a copy of a schema leaves behind on its server: nothing."""

from __future__ import annotations

import itertools

import pytest
from support.databases import Database

from pgrunbook.postgres import copy_place
from pgrunbook.postgres.embedded import Server

ROLES = ["copied_a", "copied_b", "copied_c", "copied_d"]


@pytest.mark.parametrize("chain", [ROLES, ROLES[::-1]])
def test_roles_that_have_granted_one_another_are_dropped(
    server: Server, empty: Database, chain: list[str]
) -> None:
    """Each has granted the next one, so that it can be dropped only after that."""
    with copy_place.make_roles(server, ROLES):
        for one, another in itertools.pairwise(chain):
            empty.load(f"GRANT {another} TO {one} WITH ADMIN OPTION")
            empty.load(f"GRANT {another} TO CURRENT_USER GRANTED BY {one}")
    left = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'copied%'"
    assert empty.execute(left) == []
