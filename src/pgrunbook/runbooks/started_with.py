"""What a run was started with: its cells run with these parameters, or not at all.

The runner has checked the parameters by the notebook's text. A kernel may have other values by
those names: a cell below sets them, or one that papermill has left there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import notebooks
from pgrunbook.runbooks.parameters import Parameters, injected

# The environment variable by which a kernel is told the digest of each parameter.
_DIGESTS = "PGRUNBOOK_PARAMETERS"
_REMEDY = "take out of the notebook what sets it below the cell tagged `parameters`"


def environment(chosen: Parameters) -> dict[str, str]:
    """Return the environment variable that tells a kernel what its run is started with."""
    return {_DIGESTS: json.dumps(_digests(chosen.record()))}


def _digests(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        text = json.dumps(value, sort_keys=True)
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def require(chosen: Parameters, namespace: Mapping[str, Any]) -> None:
    """Raise Refused if the run was started with other parameters than a kernel's namespace has.
    Nobody has told where its cells are run by hand.
    """
    told = _digests(injected(namespace)) | json.loads(os.environ.get(_DIGESTS, "{}"))
    now = _digests(chosen.record())
    what = "is not what the run was started with"
    problems = []
    for name, digest in told.items():
        if now.get(name) != digest:
            problems.append(Problem(what, where=name, remedy=_REMEDY))
    if problems:
        raise Refused("The parameters were changed: nothing was started.", problems=problems)


def require_not_executed(notebook: Path) -> None:
    """Raise Refused for an executed copy in a runbook's place: it has what an earlier run was
    given, and papermill leaves that where it has nothing to give.
    """
    tagged = any("injected-parameters" in cell.tags for cell in notebooks.cells(notebook))
    if tagged or notebooks.given_before(notebook):
        raise Refused.of(
            "is an executed copy, with the parameters that an earlier run was given",
            where=notebook.name,
            remedy="take the file from git again; or delete the cell tagged `injected-parameters`, "
            "and `papermill` of the notebook's metadata",
        )
