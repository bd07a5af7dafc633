"""Histories as other tools keep them: imported and run, they make what psql makes of the same
files.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from support import databases
from support.databases import Database
from support.projects import Project

from pgrunbook.postgres.embedded import Server

pytestmark = pytest.mark.newest

FOLDER = Path(__file__).parent
HISTORIES = ("shop", "accounts", "mail")
RUNBOOKS = ("001_shop", "002_accounts", "003_mail")

# What PostgreSQL takes only where each statement is a transaction of its own.
ALONE = re.compile(r"CONCURRENTLY|VACUUM|the new value is used at once")
DOWN = re.compile(r"^-- (?:\+goose Down|migrate:down)\n.*", re.MULTILINE | re.DOTALL)


def files(history: str) -> list[Path]:
    """What applies the history, in its order."""
    found = [p for p in (FOLDER / history).rglob("*.sql") if not p.name.endswith(".down.sql")]
    return sorted(found, key=lambda path: _number(path.relative_to(FOLDER / history)))


def _number(path: Path) -> int:
    match = re.match(r"\d+", path.as_posix())
    assert match
    return int(match[0])


def by_psql(database: Database, path: Path, scratch: Path) -> None:
    """Apply a file as it stands, without the half that undoes it."""
    text = path.read_bytes().decode()
    scratch.write_bytes(DOWN.sub("", text).encode())
    whole = () if ALONE.search(text) else ("-1",)
    database.psql("-q", *whole, "-f", scratch)


@pytest.fixture(scope="module")
def made_by_psql(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database to which psql has applied every file."""
    scratch = tmp_path_factory.mktemp("psql") / "file.sql"
    with databases.temporary(server) as database:
        for history in HISTORIES:
            for path in files(history):
                try:
                    by_psql(database, path, scratch)
                except CalledProcessError as exc:
                    exc.add_note(str(path))
                    raise
        yield database


@pytest.fixture(scope="module")
def project(place: Path) -> Project:
    """A project that has imported them all."""
    root = Path(tempfile.mkdtemp(dir=place, prefix="histories-"))
    (root / "pgrunbook.toml").write_text("")
    project = Project(root)
    for history in HISTORIES:
        done = project.command("import", FOLDER / history, history)
        assert done.code == 0, done.text
    return project


@pytest.fixture(scope="module")
def applied(server: Server, project: Project) -> Iterator[Database]:
    """A database to which the runbooks were applied, one after the other."""
    with databases.temporary(server) as database:
        for runbook in RUNBOOKS:
            planned = project.step(database, "--mode", "plan", runbook=runbook)
            assert planned.code == 0, planned.text
            done = project.step(database, runbook=runbook)
            assert done.code == 0, done.text
        yield database


def test_lint_has_nothing_to_say(project: Project) -> None:
    assert project.command("lint").text == "0 findings\n"


def test_the_runbooks_make_what_psql_makes(made_by_psql: Database, applied: Database) -> None:
    assert applied.dump("--exclude-schema=pgrunbook") == made_by_psql.dump()


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_a_second_run_changes_nothing(project: Project, applied: Database, runbook: str) -> None:
    before = applied.dump("--exclude-schema=pgrunbook")
    done = project.step(applied, runbook=runbook)
    assert done.code == 0, done.text
    assert applied.dump("--exclude-schema=pgrunbook") == before
    assert not applied.execute(
        "SELECT FROM pgrunbook.blocks WHERE event IN ('applied', 'adopted')"
        " GROUP BY block, runbook HAVING count(*) > 1"
    )


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_verification_passes(project: Project, applied: Database, runbook: str) -> None:
    done = project.step(applied, "--mode", "verify", runbook=runbook)
    assert done.code == 0, done.text


def test_nothing_has_drifted(project: Project, applied: Database) -> None:
    done = project.command("drift", "--target", project._name(applied))
    assert done.text.startswith("no drift; "), done.text
