"""The parameters of a fleet's targets, and the approval of the set of their plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgrunbook.errors import Problem, Refused
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.planning.approval import is_another
from pgrunbook.postgres import os_user
from pgrunbook.runbooks import arguments
from pgrunbook.runbooks.parameters import require_said
from pgrunbook.runbooks.project import Project

# Each target has its own, or a command sets them.
_NOT_GIVEN = ("target", "schema", "mode", "approved_plan")


def read_parameters(
    project: Project,
    notebook: Path,
    first: FleetTarget,
    pairs: Sequence[tuple[str, str]],
    mode: str,
) -> dict[str, Any]:
    """Return the parameters that every target is given, with the operator.

    `pairs` are those of the command line. They are checked as parameters of the first target.
    Raises Refused with everything that is wrong with them.
    """
    taken = [Problem("is each target's own", where=n) for n, _ in pairs if n in _NOT_GIVEN]
    if taken:
        raise Refused("The parameters are not valid: nothing was started.", problems=taken)
    own = [("target", first.target_name(project)), ("schema", first.schema), ("mode", mode)]
    asked = arguments.read_arguments([notebook], [*pairs, *own])[notebook]
    every = {key: value for key, value in asked.given.items() if key not in _NOT_GIVEN}
    operator = asked.chosen.operator or os_user.own_name()
    require_said(operator=operator)
    return {**every, "operator": operator}


def approve_set(digest: str, mode: str, every: Mapping[str, Any], listed: str) -> dict[str, str]:
    """Return the approval of a set of plans: `set`, `list` and `approver`; empty without a digest.

    `every` are the parameters of the targets, `listed` is the digest of their list. Raises Refused
    if the approver is nobody, or the operator.
    """
    if not digest:
        return {}
    if mode == "revert":
        raise Refused.of(
            "takes no approval of a set: that is of what would be applied",
            where="--approved-set",
            expected="a plan of the revert of each protected target by itself",
            remedy="leave it out; protected targets are set aside then",
        )
    approver, operator = every.get("approver", ""), every["operator"]
    if not is_another(approver, operator):
        raise Refused.of(
            "is not approved by somebody else",
            where="the set of plans",
            expected=f"an approver other than the operator {operator!r}",
            found=repr(approver) if approver else "no approver",
            remedy="name who has approved it: -p approver NAME",
        )
    return {"set": digest, "list": listed, "approver": approver}


def require_another(approved: Mapping[str, str], operator: str) -> None:
    """Raise Refused if the operator of a resumed run is the one who has approved its set."""
    if approved and not is_another(approved["approver"], operator):
        raise Refused.of(
            "has approved the set, and cannot go on with its run",
            where="operator",
            expected=f"somebody other than the approver {approved['approver']!r}",
            found=operator,
            remedy="--operator NAME, where that is who goes on",
        )
