"""A copy of the project for each test, and its command line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import ROOT, Outcome, Project


@pytest.fixture
def project(place: Path) -> Project:
    """A project of the test's own, with this repository's runbooks and SQL: free to be edited. A rehearsal keeps a
    server in it, so it lies where the servers do.
    """
    root = Path(tempfile.mkdtemp(dir=place, prefix="project-"))
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, root / name)
    (root / "pgrunbook.toml").write_text("")
    return Project(root)


@pytest.fixture
def run(project: Project) -> Callable[..., Outcome]:
    """`run(database, "--mode", "plan")`: runbook 001 against a database, with papermill, from the command line."""
    return project.run
