"""Servers that may be killed, and what is true on them when nothing goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path

import pytest
from faults.cases import Case
from faults.reference import Reference
from faults.report import PROPERTY, Report
from faults.runbooks import Runbook
from faults.stage import Stage, staged
from support import databases
from support.databases import Database

from pgrunbook.postgres.embedded import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        metavar="REPORT",
        help="the whole fault matrix, its result as a table in this file",
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("whole", None)
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(Path(path).resolve()))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Runbook 001 takes longer than runbook 900, and shows `make test` nothing else."""
    return (
        collection_path.name == "test_runbook_001.py" and not config.getoption("whole", None)
    ) or None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each module with a part of the matrix chooses how much of it is run, and on which
    versions.
    """
    if "cases" in metafunc.fixturenames:
        whole = bool(metafunc.config.getoption("whole", None))
        metafunc.definition.add_marker(metafunc.module.chosen(whole=whole))


@pytest.fixture(scope="session")
def killable(place: Path) -> Iterator[Callable[[int], Server]]:
    """The session's servers whose processes may be killed, by their versions: what they have
    acknowledged stays.
    """
    started: dict[int, Server] = {}

    def server(version: int) -> Server:
        if version not in started:
            started[version] = databases.start(place / f"faults{version}", version)
            database = Database(started[version], "postgres")
            for setting in SETTINGS:
                database.execute(f"ALTER SYSTEM SET {setting}")
            database.execute("SELECT pg_reload_conf()")
        return started[version]

    yield server
    for each in started.values():
        each.stop()


# COMMIT waits for a standby that does not exist, if a session wants that.
SETTINGS = ("synchronous_commit = local", "synchronous_standby_names = 'nobody'")


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest,
    killable: Callable[[int], Server],
    on_version: Callable[[int], int],
) -> Server:
    """One of them, in place of the server that all other tests use. Each test says on which
    versions it runs.
    """
    return killable(on_version(request.param))


@pytest.fixture(scope="session")
def references() -> Callable[[Server, Runbook], Reference]:
    """What a runbook makes on a server when nobody disturbs it, found once."""
    return cache(lambda server, runbook: runbook.reference(server))


@pytest.fixture
def reference(
    server: Server, references: Callable[[Server, Runbook], Reference]
) -> Callable[[Runbook], Reference]:
    """The same, on the server of the test."""
    return partial(references, server)


@pytest.fixture
def stage(
    server: Server, reference: Callable[[Runbook], Reference], tmp_path: Path
) -> Callable[[Runbook], AbstractContextManager[Stage]]:
    """`with stage(runbook) as on`: its project and database, for runs that are hit."""
    return lambda runbook: staged(runbook, server, reference(runbook), tmp_path / "project")


@pytest.fixture
def tell(server: Server, record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """`tell(part, title, case, told)` puts into the report what a run said that was hit."""
    number = Database(server, "postgres").execute("SHOW server_version")[0][0].split()[0]

    def record(part: str, title: str, case: Case | None = None, told: str = "") -> None:
        row = {"part": part, "title": title, "server": number, "told": told}
        if case:
            row |= {
                "fault": case.fault.name,
                "block": case.block,
                "stop": case.stop.value,
                "when": case.when.value,
            }
        record_property(PROPERTY, row)

    return record
