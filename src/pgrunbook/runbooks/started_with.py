"""What a run was started with: its cells run with these parameters, on the target that they name
to the runner, or not at all.

The runner has checked the parameters by the notebook's text. A kernel may have other values by
those names: a cell below sets them, or one that papermill has left there. And in an environment
that a cell, IPython's startup or the kernel's specification has changed, a target's name may lead
to another database.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks import credentials, notebooks, targets
from pgrunbook.runbooks.kernel_parameters import injected_values
from pgrunbook.runbooks.parameters import RUN_ID, Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import KEYWORDS

# The environment variables by which a kernel is told the runbook, the digest of each parameter, and
# that of what libpq connects with.
_RUNBOOK, _DIGESTS, _REACHED = "PGRUNBOOK_RUNBOOK", "PGRUNBOOK_PARAMETERS", "PGRUNBOOK_REACHED"
_REMEDY = "take out of the notebook what sets it below the cell tagged `parameters`"


def identity(project: Project, notebook: Path, run_id: str) -> dict[str, str]:
    """Return the environment variables that tell a kernel which run of what it executes."""
    return {RUN_ID: run_id, "PGRUNBOOK_ROOT": str(project.root), _RUNBOOK: notebook.stem}


def environment(chosen: Parameters) -> dict[str, str]:
    """Return the environment variables that tell a kernel what its run is started with."""
    told = {_DIGESTS: json.dumps(_digests(chosen.record()))}
    if chosen.target != "embedded":
        with suppress(Refused):  # the kernel will say why
            told[_REACHED] = _connection_digest(targets.resolve(chosen.target, Project.find()))
    return told


def _digests(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _digest(value) for name, value in values.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _connection_digest(target: Target) -> str:
    """Return the digest of what libpq connects with; not of a password, which may be guessed."""
    settings = credentials.settings_of(target.conninfo)
    return _digest({name: settings[name] for name in settings.keys() - set(KEYWORDS)})


def require_runbook(notebook: Path) -> None:
    """Raise Refused if the run was started with another runbook than a cell begins: its notebook is
    a copy of that one's.
    """
    told = os.environ.get(_RUNBOOK, notebook.stem)
    if told != notebook.stem:
        raise Refused.of(
            "begins another runbook",
            where=f"{told}.ipynb",
            expected=f'pgrunbook.begin("{told}", globals())',
            found=notebook.stem,
            remedy="correct the cell, and save the notebook",
        )


def require(chosen: Parameters, namespace: Mapping[str, Any]) -> None:
    """Raise Refused if the run was started with other parameters than a kernel's namespace has.
    Nobody has told where its cells are run by hand.
    """
    told = _digests(injected_values(namespace)) | json.loads(os.environ.get(_DIGESTS, "{}"))
    now = _digests(chosen.record())
    what = "is not what the run was started with"
    problems = []
    for name, digest in told.items():
        if now.get(name) != digest:
            problems.append(Problem(what, where=name, remedy=_REMEDY))
    if problems:
        raise Refused("The parameters were changed: nothing was started.", problems=problems)


def require_reached(target: Target) -> None:
    """Raise Refused if the target's name leads a kernel elsewhere than where the run was started.
    The embedded server is the project's own.
    """
    told = os.environ.get(_REACHED)
    if told and target.name != "embedded" and told != _connection_digest(target):
        raise Refused.of(
            "is not reached as where the run was started",
            where=f"target {target.name!r}",
            remedy="take out what sets environment variables of libpq, or that of the target: in a "
            "cell, in IPython's startup files, or in the kernel's kernel.json; set them where the "
            "run is started",
        )


def require_not_executed(notebook: Path) -> None:
    """Raise Refused for an executed copy in a runbook's place: it has what an earlier run was
    given, and papermill leaves that where it has nothing to give.
    """
    if notebooks.was_executed(notebook):
        raise Refused.of(
            "is an executed copy, with the parameters that an earlier run was given",
            where=notebook.name,
            remedy="take the file from git again; or delete the cell tagged `injected-parameters`, "
            "and `papermill` of the notebook's metadata",
        )
