"""Fleets for tests: tenants in schemas and databases of two servers, and a tiny runbook."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from support import databases
from support.databases import Database
from support.projects import Outcome, Project

from pgrunbook.ledger import ledger
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.target import Target
from pgrunbook.records.record import Record
from pgrunbook.runbooks import project as projects
from pgrunbook.runbooks import scaffold

RUNBOOK = "001_notes"
FLEET = "tenants"
TABLE = "notes"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--many", action="store_true", help="hundreds of targets, kills, and Dask")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--many", False):
        left = [item for item in items if item.get_closest_marker("many")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@dataclass
class Tenants:
    """A project with a fleet: its targets, as its file lists them, and where each is."""

    project: Project
    rows: list[dict[str, str]] = field(default_factory=list)
    databases: dict[str, Database] = field(default_factory=dict)

    def settings(self, text: str = "", *, more: str = "") -> None:
        """Write pgrunbook.toml: a fleet with what is given, its targets in a file."""
        given = text or 'waves = ["2", "100%"]\nworkers = 2'
        (self.project.root / "pgrunbook.toml").write_text(
            f'[fleets.{FLEET}]\ntargets_file = "tenants.jsonl"\n{given}\n{more}'
        )

    def list(self, rows: Sequence[dict[str, str]] | None = None) -> None:
        """Write the file of the targets."""
        lines = [json.dumps(row) for row in (self.rows if rows is None else rows)]
        (self.project.root / "tenants.jsonl").write_text("\n".join(lines))

    def add(self, database: Database, service: str, schemas: int) -> None:
        """Make so many tenants in a database, each with a schema of its own."""
        for number in range(schemas):
            schema = f"{service}_{number:03}"
            database.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)).as_string())
            self.rows.append({"name": schema, "service": service, "schema": schema})
            self.databases[schema] = database

    def serve(self, services: dict[str, Database]) -> None:
        """Write the service file."""
        text = "\n".join(
            f"[{name}]\nhost={each.server.socket}\nport=5432\ndbname={each.name}\nuser=postgres\n"
            for name, each in services.items()
        )
        path = self.project.root / "services.conf"
        path.write_text(text)
        self.project.env["PGSERVICEFILE"] = str(path)

    def fleet(self, *arguments: str) -> Outcome:
        """`pgrunbook fleet …` on the fleet."""
        command, *rest = arguments
        return self.project.command("fleet", command, *rest, "--fleet", FLEET)

    def only(self, *names: str) -> None:
        """Leave these in the fleet."""
        self.rows = [row for row in self.rows if row["name"] in names]
        self.list()

    def report(self) -> Any:
        """What `fleet status` says, as JSON."""
        return json.loads(self.fleet("status", "--json").text)

    def applied(self) -> set[str]:
        """The tenants that have the table of the runbook."""
        query = "SELECT schemaname FROM pg_tables WHERE tablename = %s"
        found: set[str] = set()
        for database in self._each_database():
            found |= {schema for (schema,) in database.execute(query, [TABLE])}
        return found

    def dumps(self) -> list[str]:
        """All that is in the databases."""
        return [database.dump() for database in self._each_database()]

    def _each_database(self) -> list[Database]:
        return [*{each.name: each for each in self.databases.values()}.values()]

    def records(self, name: str) -> list[Path]:
        """The executed notebooks of a tenant."""
        return sorted((self.project.root / "outputs" / FLEET / name).rglob("*.ipynb"))

    def record(self) -> Record:
        """That of the fleet's last run."""
        return Record.read(max((self.project.root / "outputs" / FLEET / RUNBOOK).glob("*.ipynb")))

    def verdicts(self, name: str) -> list[str]:
        """The verdicts that the ledger of a tenant has, the last run's first."""
        with connect(Target(name, self.databases[name].conninfo), schema=name) as conn:
            return [str(run["verdict"]) for run in ledger.runs(conn, RUNBOOK, name)]


def _project(place: Path) -> Tenants:
    root = place / f"fleet-{secrets.token_hex(4)}"
    root.mkdir()
    (root / "pgrunbook.toml").write_text("")
    scaffold.new(projects.Project.find(root), TABLE)
    return Tenants(Project(root))


@pytest.fixture
def many(place: Path, servers: Callable[[int], Server]) -> Iterator[Tenants]:
    """A fleet of 250 on two servers: 200 schemas of four databases, and 50 databases."""
    found = _project(place)
    with ExitStack() as stack:
        services = {}
        for number in range(54):
            made = databases.temporary(servers((16, 18)[number % 2]))
            name = f"crowd{number}" if number < 4 else f"own{number}"
            services[name] = stack.enter_context(made)
        found.serve(services)
        for name, database in services.items():
            found.add(database, name, 50 if name.startswith("crowd") else 1)
        found.list()
        yield found


@pytest.fixture
def tenants(place: Path, servers: Callable[[int], Server]) -> Iterator[Tenants]:
    """A fleet of twelve: two databases on one server, one on another, four schemas in each."""
    found = _project(place)
    with ExitStack() as stack:
        made = [databases.temporary(servers(version)) for version in (18, 18, 16)]
        services = {
            name: stack.enter_context(each)
            for name, each in zip(("red", "green", "blue"), made, strict=True)
        }
        found.serve(services)
        for name, database in services.items():
            found.add(database, name, 4)
        found.list()
        found.settings()
        yield found
