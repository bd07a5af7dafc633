"""The parameters that a kernel has, which papermill or somebody in JupyterLab may have set to other
values than the notebook declares: read from the namespace of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgrunbook.errors import Problem
from pgrunbook.runbooks.parameters_cell import read_assignments


def values_given(declaration: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a kernel's namespace has for the declared parameters, and whatever
    else papermill injected.
    """
    named = {name: namespace[name] for name in declaration if name in namespace}
    return injected_values(namespace) | named


def injected_values(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return what papermill has injected into a kernel with this namespace: it writes
    `# Parameters` over that, and `In` is where IPython keeps the cells that have run.
    """
    values: dict[str, Any] = {}
    for cell in namespace.get("In", ()):
        if cell.startswith("# Parameters\n"):
            values |= read_assignments(cell, "injected-parameters")
    return values


def changes_since(
    declaration: Mapping[str, Any], namespace: Mapping[str, Any], before: Mapping[str, Any]
) -> list[Problem]:
    """Return a problem for each parameter that another value was given since the run began, when it
    was given what is in `before`. The value is not repeated, as nobody has checked it.
    """
    now = values_given(declaration, namespace)
    what = "was changed after the run began"
    remedy = "set it back; or run the cell of the target again, which begins another run"
    problems = []
    for name in sorted(now.keys() | before.keys()):
        if now.get(name) != before.get(name):
            expected = repr(before.get(name, ""))
            problems.append(Problem(what, where=name, expected=expected, remedy=remedy))
    return problems
