"""A runbook run headlessly: papermill underneath, the executed notebook under `outputs/`."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import papermill
from papermill.engines import papermill_engines

from pgrunbook import targets
from pgrunbook.ending import Ending
from pgrunbook.engine import NotPassed, RunbookEngine, environment
from pgrunbook.errors import Verdict
from pgrunbook.parameters import RUN_ID, Parameters
from pgrunbook.project import Project

ENGINE = "pgrunbook"
papermill_engines.register(ENGINE, RunbookEngine)  # as the entry point does, were the package not installed


def execute(
    project: Project, notebook: Path, chosen: Parameters, given: Mapping[str, Any], *, bar: bool
) -> tuple[Path, Ending]:
    """Run the notebook with papermill; where its executed copy is, and how it ended.

    The executed copy is written to `outputs/<target>/<runbook>/<UTC time>-<run id>.ipynb` after each cell.
    Raises Refused if the target is unknown or cannot be had.
    """
    target = targets.resolve(chosen.target, project)  # keeps the embedded server up until we are done
    run_id = str(uuid.uuid4())
    name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{run_id[:8]}.ipynb"
    output = Path("outputs", target.folder, notebook.stem, name)
    with contextlib.chdir(project.root), environment({RUN_ID: run_id, "PGRUNBOOK_ROOT": str(project.root)}):
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            nb = papermill.execute_notebook(
                str(notebook.relative_to(project.root)),
                str(output),
                parameters=dict(given),
                engine_name=ENGINE,
                progress_bar=bar,
            )
            noted = nb.metadata["pgrunbook"]
            ending = Ending(Verdict(noted["verdict"]), noted["reason"])
        except NotPassed as exc:
            ending = exc.ending
    return project.root / output, ending
