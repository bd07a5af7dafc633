"""What servers, networks and roles that are not ours do to a run: on PostgreSQL 18, or what takes
its place (--pg 15).

A test marked `long` runs in `make test-hostile` alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import databases
from support.databases import Database

from pgrunbook.postgres.embedded import Server


@pytest.fixture(scope="session", params=[18])
def server(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Server:
    """The session's server."""
    return servers(request.param)


@pytest.fixture
def own_server(place: Path, on_version: Callable[[int], int]) -> Iterator[Server]:
    """A server of the test's own: for settings of the whole cluster, and for copies. With the
    sample in `crm`.
    """
    data = Path(tempfile.mkdtemp(dir=place, prefix="own-")) / "pg"
    data.parent.chmod(0o711)
    server = databases.start(data, on_version(18))
    databases.embedded.database(server, "crm", databases.SAMPLE)
    yield server
    server.stop()


@pytest.fixture
def own(own_server: Server) -> Database:
    """The sample on a server of the test's own."""
    return Database(own_server, "crm")
