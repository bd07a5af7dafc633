"""The database that changes are made to, and how it is before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from inventory import changes
from support.databases import Database

from pgrunbook.inventory.objects import Inventory
from pgrunbook.inventory.read import read
from pgrunbook.postgres.embedded import Server


@pytest.fixture(scope="module")
def made(server: Server) -> Iterator[Database]:
    with changes.made(server) as database:
        yield database


@pytest.fixture(scope="module")
def before(made: Database) -> Inventory:
    with made.connect() as conn:
        return read(conn)
