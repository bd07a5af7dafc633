"""Real servers, one of each version, and a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import databases
from support.databases import Database
from support.projects import ROOT, Outcome, Project

from pgrunbook import signals
from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server

VERSIONS = (16, 18)
# Asked for, one of these takes the place of 18 in every test. Each with how to get it.
STAND_INS = {15: "apt-get install postgresql-15", 17: "pip install --editable '.[test-all]'"}


def pytest_addoption(parser: pytest.Parser) -> None:
    versions = sorted([*VERSIONS, *STAND_INS])
    parser.addoption(
        "--every-version", action="store_true", help="all tests on 16 and 18; else many on 18 only"
    )
    parser.addoption(
        "--pg", type=int, choices=versions, help="only the tests on this version of PostgreSQL"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--pg")
    other: list[pytest.Item] = []
    if wanted:
        other = [item for item in items if _version(item) not in (None, wanted)]
    elif not config.getoption("--every-version"):
        other = [item for item in items if _is_for_the_night(item)]
    left = set(other)
    config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if item not in left]


def _is_for_the_night(item: pytest.Item) -> bool:
    """Whether no landing waits for it."""
    if item.get_closest_marker("long"):
        return True
    return bool(item.get_closest_marker("newest")) and _version(item) not in (None, 18)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """`pg18` in a test's name, or the version that takes its place."""
    return f"pg{_standing_in(config, val)}" if argname == "server" else None


def _version(item: pytest.Item) -> object:
    """The version that the test runs on; None if it has no parameter `server`."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return _standing_in(item.config, params["server"]) if "server" in params else None


def _standing_in(config: pytest.Config, version: Any) -> Any:
    """The version itself, or the stand-in that was asked for."""
    wanted = config.getoption("--pg")
    return wanted if wanted in STAND_INS and version == 18 else version


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory for the session's servers. Not pytest's own: another session of the same user
    locks it again for the user who runs PostgreSQL for root, and its name may be too long for a
    socket's. In memory where there is room: hundreds of databases are copied, and none is kept.
    """
    directory = Path(tempfile.mkdtemp(prefix="pgrunbook-", dir=_memory()))
    yield directory
    shutil.rmtree(directory)


def _memory() -> Path | None:
    """A file system in memory with room for the servers of a session; None if there is none."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return memory if roomy and os.access(memory, os.W_OK | os.X_OK) else None


_ROOM = 4 * 2**30  # bytes


@pytest.fixture(scope="session")
def on_version(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """The version to run on where a test asks for this one. Skips the test if this machine does not
    have it.
    """

    def chosen(version: int) -> int:
        actual = _standing_in(request.config, version)
        if not databases.has(actual):
            pytest.skip(
                f"NOT TESTED: PostgreSQL {actual} is not on this machine. {STAND_INS[actual]}"
            )
        return actual

    return chosen


@pytest.fixture(scope="session")
def servers(place: Path, on_version: Callable[[int], int]) -> Iterator[Callable[[int], Server]]:
    """The session's server of a version, started when it is first asked for."""
    started: list[Server] = []

    @cache
    def server(version: int) -> Server:
        actual = on_version(version)
        started.append(databases.start(place / f"pg{actual}", actual))
        return started[-1]

    yield server
    for each in started:
        each.stop()


@pytest.fixture(scope="session", params=VERSIONS)
def server(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Server:
    """A test that asks for it, or for a database, runs on each version.

    For one only: `@pytest.mark.parametrize("server", [18], indirect=True)`.
    """
    return servers(request.param)


@pytest.fixture
def crm(server: Server) -> Iterator[Database]:
    """A database of the test's own, with the sample in it."""
    with databases.sampled(server) as database:
        yield database


@pytest.fixture(scope="session")
def after_001(server: Server) -> Iterator[Database]:
    """The sample after a run of 001 that passed, to be copied."""
    with databases.sampled(server) as database:
        done = Project(ROOT).step(database)
        assert done.code == 0, done.text
        yield database


@pytest.fixture
def applied(server: Server, after_001: Database) -> Iterator[Database]:
    """A database of the test's own, to which a run of 001 has applied all blocks."""
    with databases.temporary(server, template=after_001.name) as database:
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


@pytest.fixture(autouse=True)
def no_signal_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run of another test was sent, in this process, is kept until the next run begins."""
    monkeypatch.setattr(signals, "_received", signals._Received())


@pytest.fixture(scope="session")
def standby(place: Path, on_version: Callable[[int], int]) -> Iterator[Database]:
    """The sample on a server in recovery, which refuses writes. Its WAL comes from nowhere."""
    primary = databases.start(place / "standby", on_version(18))
    embedded.database(primary, "crm", databases.SAMPLE)
    primary.stop()
    (primary.data / "standby.signal").touch()
    server = embedded.start(primary.data, primary.version)
    yield Database(server, "crm")
    server.stop()


@pytest.fixture
def project(place: Path) -> Project:
    """A project of the test's own, with this repository's runbooks and SQL: free to be edited. A
    rehearsal keeps a server in it, so it lies where the servers do.
    """
    root = Path(tempfile.mkdtemp(dir=place, prefix="project-"))
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, root / name)
    (root / "pgrunbook.toml").write_text("")
    share_twins(place, root)
    return Project(root)


def share_twins(place: Path, root: Path) -> None:
    """Let a project have the servers for twins in common with others: making one takes seconds."""
    (root / ".pgrunbook").mkdir()
    for version in (*VERSIONS, *STAND_INS):
        name = f"twin-{version}"
        (root / ".pgrunbook" / name).symlink_to(place / name)


@pytest.fixture
def run(project: Project) -> Callable[..., Outcome]:
    """`run(database, "--mode", "plan")`: runbook 001 against a database, with papermill, from the
    command line.
    """
    return project.run
