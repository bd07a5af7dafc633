"""How a notebook begins a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pgrunbook.errors import Refused
from pgrunbook.run.run import Run
from pgrunbook.runbooks import (
    cells,
    credentials,
    kernel_parameters,
    parameters,
    started_with,
    targets,
)
from pgrunbook.runbooks.fingerprints import Sources
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.source import Source


def begin(runbook: str, namespace: Mapping[str, Any]) -> Run:
    """Begin a run: check the parameters, read the SQL, reach the target. Call it as
    `begin("001_name", globals())`.

    `namespace` holds the values of the cell tagged `parameters` and of the one that papermill
    injects. Raises Refused for bad parameters, or others than the run was started with, bad SQL, or
    a target that is not what it should be; LockedOut if another run is at work there.
    """
    project = Project.find()
    notebook = project.runbook(runbook)
    started_with.require_runbook(notebook)
    started_with.require_not_executed(notebook)
    declaration = parameters.read_declaration(notebook)
    given = kernel_parameters.values_given(declaration, namespace)
    chosen = parameters.validate(declaration, given)
    started_with.require(chosen, namespace)
    source = Source.read(project.sql(notebook.stem))
    target = targets.resolve(chosen.target, project)
    started_with.require_reached(target)
    secrets = credentials.passwords_of(target)
    held = [
        *source.secret_problems(secrets),
        *cells.secrets(notebook, secrets),
        *parameters.secret_problems(given, secrets),
    ]
    if held:
        raise Refused("The runbook holds a secret: nothing was started.", problems=held)
    for earlier in namespace.values():
        if isinstance(earlier, Run):
            # The same cell was run before: that run holds the lock that this one needs.
            earlier.close("given up for another run in the same kernel")
    changes = partial(kernel_parameters.changes_since, declaration, namespace, given)
    return Run(
        project,
        notebook.stem,
        chosen,
        source,
        target,
        Sources.of(notebook, source),
        changes,
        revert_ends=chosen.mode == "revert" and cells.reverts_last(notebook),
    )
