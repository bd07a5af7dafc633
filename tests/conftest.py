"""Real servers, one of each version, and a fresh database for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import databases
import pytest
from databases import Database

from pgrunbook import embedded
from pgrunbook.embedded import Server

SAMPLE = Path(__file__).parents[1] / "sql" / "sample.sql"
VERSIONS = (16, 18)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pg", type=int, choices=VERSIONS, help="only the tests on this version of PostgreSQL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if wanted := config.getoption("--pg"):
        other = [item for item in items if _version(item) not in (None, wanted)]
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


def _version(item: pytest.Item) -> object:
    """What the test's parameter `server` is; None if it has none."""
    return item.callspec.params.get("server") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory for the session's servers. Not pytest's own: another session of the same user locks it again
    for the user who runs PostgreSQL for root, and its name may be too long for a socket's.
    """
    directory = Path(tempfile.mkdtemp(prefix="pgrunbook-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def servers(place: Path) -> Iterator[Callable[[int], Server]]:
    """The session's server of a version, started when it is first asked for."""
    started: list[Server] = []

    @cache
    def server(version: int) -> Server:
        started.append(databases.start(place / f"pg{version}", version))
        return started[-1]

    yield server
    for each in started:
        each.stop()


@pytest.fixture(scope="session", params=VERSIONS, ids="pg{}".format)
def server(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Server:
    """A test that asks for it, or for a database, runs on each version.

    For one only: `@pytest.mark.parametrize("server", [18], indirect=True)`.
    """
    return servers(request.param)


@pytest.fixture
def crm(server: Server) -> Iterator[Database]:
    """A database of the test's own, with the sample in it."""
    embedded.database(server, "sample", SAMPLE)
    with databases.temporary(server, template="sample") as database:
        yield database


@pytest.fixture
def empty(server: Server) -> Iterator[Database]:
    """A database of the test's own, with nothing in it."""
    with databases.temporary(server) as database:
        yield database


@pytest.fixture
def login_role() -> Callable[..., databases.Role]:
    """`login_role(database, password="")` makes a role that needs its password to connect."""
    return databases.login_role


@pytest.fixture(scope="session")
def standby(place: Path) -> Iterator[Database]:
    """The sample on a server in recovery (version 18), which refuses writes. Its WAL comes from nowhere."""
    primary = databases.start(place / "standby", 18)
    embedded.database(primary, "crm", SAMPLE)
    primary.stop()
    (primary.data / "standby.signal").touch()
    server = embedded.start(primary.data, 18)
    yield Database(server, "crm")
    server.stop()
