"""A copy of the project for each test, and its command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import ROOT, Outcome, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the test's own, with this repository's runbooks and SQL: free to be edited."""
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "pgrunbook.toml").write_text("")
    return Project(tmp_path)


@pytest.fixture
def run(project: Project) -> Callable[..., Outcome]:
    """`run(database, "--mode", "plan")`: runbook 001 against a database, with papermill, from the command line."""
    return project.run
