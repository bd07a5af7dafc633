"""What all refusals have in common: nothing changes, the text helps, and it shows no secret and no
call stack.
"""

from __future__ import annotations

import re

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pgrunbook.records.format.mime_types import PROBLEMS_MIME
from support.databases import Database
from support.projects import Outcome, Project

REFUSED, LOCKED_OUT = 2, 4


def refused(
    project: Project,
    database: Database,
    *arguments: str,
    target: str = "",
    code: int = REFUSED,
    step: bool = False,
) -> Outcome:
    """Run 001, and see that it ends with this exit code, leaves the database as it was, and says so
    presentably.

    `step`: in this process, without papermill.
    """
    before = database.dump()
    done = (project.step if step else project.run)(target or database, *arguments)
    assert done.code == code, done.text
    assert database.dump() == before
    assert_presentable(done, project)
    return done


def assert_presentable(done: Outcome, project: Project) -> None:
    """Neither what was printed nor the notebook has a traceback or a password; the notebook has
    every problem, as data once.
    """
    notebook = done.notebook.read_text() if done.notebook else ""
    for shown in (done.text, notebook):
        assert "Traceback (most recent call last)" not in shown
        assert not [password for password in _passwords(project) if password in shown]
    if done.notebook:
        recorded = "\n".join(done.cells.values())
        assert not [problem for problem in problems(done) if problem not in recorded]
        assert notebook.count(f'"{PROBLEMS_MIME}"') <= 1


def problems(done: Outcome) -> list[str]:
    """The first line of each problem, `where: what`."""
    return re.findall(r"^  (\S.*)$", done.text, re.MULTILINE)


def _passwords(project: Project) -> set[str]:
    return {"hunter2"} | {
        password for value in project.env.values() if (password := _password(value))
    }


def _password(conninfo: str) -> str:
    try:
        return str(conninfo_to_dict(conninfo).get("password") or "")
    except ProgrammingError:  # not a connection string: then all of it
        return conninfo
