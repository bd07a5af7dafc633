"""Histories as other tools keep them: imported and run, they make what psql makes of the same
files.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError
from typing import NamedTuple

import pytest
from support import databases
from support.databases import Database
from support.projects import Project

from pgrunbook.postgres.embedded import Server
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record

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


class Carried(NamedTuple):
    """A database to which the runbooks were applied, one after the other, with the records of the
    plan and the run of each.
    """

    database: Database
    plans: dict[str, Record]
    runs: dict[str, Record]


@pytest.fixture(scope="module")
def carried(server: Server, project: Project) -> Iterator[Carried]:
    with databases.temporary(server) as database:
        carried = Carried(database, {}, {})
        for runbook in RUNBOOKS:
            for records, mode in (carried.plans, "plan"), (carried.runs, "apply"):
                arguments = ("--target", project._name(database), "--mode", mode)
                done = project.command("run", runbook, *arguments)
                assert done.code == 0, done.text
                assert done.notebook
                records[runbook] = Record.read(done.notebook)
        yield carried


@pytest.fixture(scope="module")
def applied(carried: Carried) -> Database:
    return carried.database


def test_lint_has_nothing_to_say(project: Project) -> None:
    assert project.command("lint").text == "0 findings\n"


def test_the_runbooks_make_what_psql_makes(made_by_psql: Database, applied: Database) -> None:
    assert applied.dump("--exclude-schema=pgrunbook") == made_by_psql.dump()


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_a_plan_foresees_what_each_block_changes(carried: Carried, runbook: str) -> None:
    """Word for word. The shop's 21_roles may fail on the twin: it makes a role."""
    planned = [[*row.values()] for row in carried.plans[runbook].rows(Kind.FORESEEN)]
    last = planned[-1][0]
    effects = carried.runs[runbook].by_block(Kind.EFFECT)
    if runbook == "001_shop":
        assert last >= "20_"
        effects = {name: rows for name, rows in effects.items() if name <= last}
    done = []
    for name, rows in effects.items():
        done += [[name, *row.values()] for row in rows]
    assert planned == done


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
