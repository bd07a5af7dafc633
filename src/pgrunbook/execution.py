"""A runbook run headlessly: papermill underneath, the executed notebook under `outputs/`."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from pgrunbook import errors, targets
from pgrunbook.display import VERDICT_MIME
from pgrunbook.errors import RunbookError, Verdict
from pgrunbook.parameters import Parameters
from pgrunbook.project import Project
from pgrunbook.run import RUN_ID


@dataclass(frozen=True, slots=True)
class Execution:
    """How an executed notebook ended: `reason` is one line, `error` the whole text where there is one."""

    notebook: Path
    verdict: Verdict
    reason: str
    error: str = ""


def execute(project: Project, notebook: Path, chosen: Parameters, given: Mapping[str, Any], *, bar: bool) -> Execution:
    """Run the notebook with papermill and say how it ended. Parameters are checked before a kernel is started.

    The executed copy is written to `outputs/<target>/<runbook>/<UTC time>-<run id>.ipynb` after each cell.
    Raises Refused if the target is unknown or cannot be had.
    """
    import papermill  # half a second that no other command needs

    target = targets.resolve(chosen.target, project)  # keeps the embedded server up until we are done
    run_id = str(uuid.uuid4())
    name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{run_id[:8]}.ipynb"
    output = Path("outputs", target.folder, notebook.stem, name)
    with contextlib.chdir(project.root), _environment({RUN_ID: run_id, "PGRUNBOOK_ROOT": str(project.root)}):
        output.parent.mkdir(parents=True, exist_ok=True)
        # papermill's own word is not asked for: how the run ended is read from what the cells left.
        with contextlib.suppress(papermill.PapermillExecutionError):
            papermill.execute_notebook(
                str(notebook.relative_to(project.root)),
                str(output),
                parameters=dict(given),
                progress_bar=bar,
                log_output=False,
            )
    return read(project.root / output)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the kernel, which inherits ours."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def read(notebook: Path) -> Execution:
    """How an executed notebook ended, told by its outputs: an error, or the card of the last cell.

    A notebook with neither did not get to its end, whatever its cells are marked as: it failed.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    for output in (output for cell in cells for output in cell.get("outputs", ())):
        if output.output_type == "error":
            kind = getattr(errors, output.ename, RunbookError)
            return Execution(notebook, kind.verdict, output.evalue.splitlines()[0], output.evalue)
        if card := output.get("data", {}).get(VERDICT_MIME):
            return Execution(notebook, Verdict(card["verdict"]), card["reason"])
    return Execution(notebook, Verdict.FAILED, "the notebook ended without a verdict")
