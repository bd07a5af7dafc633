"""What a run logs while nobody steps through it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from support.databases import Database
from support.projects import Project

from pgrunbook import logs


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Our logger, as it was before the test."""
    log = logging.getLogger("pgrunbook")
    before, level = [*log.handlers], log.level
    yield log
    log.handlers, log.level = before, level


@pytest.mark.parametrize(
    ("level", "written"), [("info", True), ("warning", False), ("", False), ("loud", False)]
)
def test_it_is_written_if_the_environment_says_so(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch, level: str, written: bool
) -> None:
    monkeypatch.setenv("PGRUNBOOK_LOG", level)
    stream = io.StringIO()
    logs.enable(stream)
    log.info("behind %s", "somebody\n\x1b[2J")
    assert (r"INFO pgrunbook: behind somebody\n\x1b[2J" in stream.getvalue()) is written
    assert stream.getvalue().count("\n") == written, "a record is a line"


@pytest.mark.parametrize("server", [18], indirect=True)
def test_a_run_logs_what_it_does_and_its_record_holds_none_of_it(
    crm: Database, project: Project
) -> None:
    project.env["PGRUNBOOK_LOG"] = "info"
    done = project.run(crm, kernel=True)
    assert done.code == 0, done.text
    lines = [line.partition(" INFO ")[2] for line in done.text.splitlines() if " INFO " in line]
    assert "pgrunbook.applying.apply_blocks: 010_import_batches: to apply, absent" in lines
    assert lines[0].startswith("pgrunbook.runner.run_notebook: 001_import_connector: mode apply")
    assert lines[-1].startswith("pgrunbook.runner.run_notebook: 001_import_connector: passed, all")
    assert done.notebook
    assert "INFO pgrunbook" not in done.notebook.read_text()
