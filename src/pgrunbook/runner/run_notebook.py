"""Runs a runbook headlessly, with papermill, and writes the executed notebook below `outputs/`."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgrunbook import signals
from pgrunbook.errors import Refused, Verdict
from pgrunbook.records import sealable
from pgrunbook.runbooks import kernel_spec, notebooks, started_with, targets
from pgrunbook.runbooks.environment import set_variables
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.runner import kernels
from pgrunbook.runner.kernels import Kernel

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from pgrunbook.records.how_it_ended import Ending

ENGINE = "pgrunbook"
_LOG = logging.getLogger(__name__)


def execute(
    project: Project, notebook: Path, chosen: Parameters, given: Mapping[str, Any], *, bar: bool
) -> tuple[Path, Ending]:
    """Run the notebook with papermill. Returns the path of its executed copy, and how it ended.

    The executed copy is written to `<UTC time>-<run id>.ipynb` in `outputs/<target>/<runbook>/`,
    or `outputs/<target>/<schema>/<runbook>/`, after each cell. Once the engine is done, a signal
    stops nothing until the caller has sealed it: see `signals.end`. Raises Refused if the kernel or
    the target is unknown or cannot be had, there is no place for the copy, or it could not be
    sealed; KeyboardInterrupt if a signal came before any of that was done.
    """
    kernel_name = notebooks.kernel(notebook)
    kernel_spec.require(kernel_name, notebook.name)
    started_with.require_not_executed(notebook)
    run_id = str(uuid.uuid4())
    own = started_with.identity(project, notebook, run_id)
    with (
        contextlib.chdir(project.root),
        set_variables(own | started_with.environment(chosen)),
        # early: while it starts, papermill and the rest are imported here
        kernels.start_kernel(kernel_name) as kernel,
    ):
        notebooks.require_valid(notebook)
        # This process keeps the embedded server up, if that is the target, until all is done.
        target = targets.resolve(chosen.target, project)
        output = record_path(project, target.records(chosen.schema_), notebook.stem, run_id)
        if signals.stopped():
            raise KeyboardInterrupt
        _LOG.info("%s: mode %s on %s, into %s", notebook.stem, chosen.mode, chosen.target, output)
        ending = _papermill(notebook.relative_to(project.root), output, given, kernel, bar=bar)
        _LOG.info("%s: %s, %s", notebook.stem, ending.verdict, ending.reason)
    return project.root / output, ending


def record_path(project: Project, folder: str, runbook: str, run_id: str) -> Path:
    """Return where the record of a run that begins now is to lie, from the project's root on: in a
    folder of `outputs/`, which is made. Raises Refused if it cannot.
    """
    name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{run_id[:8]}.ipynb"
    output = Path("outputs", folder, runbook, name)
    _make_folder(output.parent)
    sealable.require(project, output)
    return output


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        remedy = "make outputs/ a folder that can be written"
        found = exc.strerror or str(exc)
        raise Refused.of(
            "the record could not be written", where=f"{folder}/", found=found, remedy=remedy
        ) from exc


def _papermill(
    notebook: Path, output: Path, given: Mapping[str, Any], kernel: Kernel | None, *, bar: bool
) -> Ending:
    import papermill

    from pgrunbook.runner.engine import NotPassed

    register_engine()
    # papermill warns of parameters that the notebook does not declare: those that every runbook
    # takes. One that is unknown was refused before.
    logging.getLogger("papermill").addFilter(
        lambda record: "Passed unknown parameter" not in record.getMessage()
    )
    try:
        nb = papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters=dict(given),
            engine_name=ENGINE,
            language="python",  # as the kernel's is, whether the notebook says so or not
            progress_bar=bar,
            kernel=kernel,
            seal=False,  # the command does that, and makes the page
        )
    except NotPassed as exc:
        return exc.ending
    return noted_ending(nb)


def register_engine() -> None:
    """Have papermill know our engine, also if the package is not installed."""
    from papermill.engines import papermill_engines

    from pgrunbook.runner.engine import RunbookEngine

    papermill_engines.register(ENGINE, RunbookEngine)


def noted_ending(nb: NotebookNode) -> Ending:
    """Return how a run ended that has passed, as the engine has noted it."""
    from pgrunbook.records.how_it_ended import Ending

    noted = nb.metadata["pgrunbook"]
    return Ending(Verdict(noted["verdict"]), noted["reason"], masked=tuple(noted.get("masked", ())))
