"""Checks that a target's policy lets the blocks run, by the hazards that they have there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgrunbook.errors import Problem
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.hazards import Risk, shorten
from pgrunbook.postgres.target import Policy
from pgrunbook.sqltext.hazards import Hazard

Policies = Mapping[Hazard, Policy]


def to_approve(policies: Policies, risks: Sequence[Risk]) -> list[Risk]:
    """Return the risks for which the policy asks for an approved plan."""
    return [risk for risk in risks if policies.get(risk.hazard) is Policy.APPROVE]


def check_accepted(
    target: str, policies: Policies, risks: Sequence[Risk], *, reverting: bool = False
) -> list[CheckResult]:
    """Return one result for each hazard that a header has to accept."""
    # In mode revert nothing has to be accepted: the mode says what is wanted, and the parameter
    # `discard` what may be lost.
    if reverting:
        return []
    results = []
    for risk in risks:
        if policies.get(risk.hazard) is Policy.ACCEPT:
            problem = None if risk.accepted else _problem(target, risk)
            check = f"accepts {risk.hazard} of {risk.concerns}"
            results.append(CheckResult(risk.place, check, problem))
    return results


def _problem(target: str, risk: Risk) -> Problem:
    return Problem(
        f"{risk.name}, which the policy of target {target} has accepted by the block itself",
        where=risk.place,
        expected=f"the header `-- accepts: {risk.hazard}` in {risk.place.partition(':')[0]}",
        found=described(risk),
        remedy=f"write the header, change the block so that it has no such hazard, or set "
        f'hazards.{risk.hazard} = "allow" for the target in pgrunbook.toml',
    )


def described(risk: Risk) -> str:
    """Return what a risk concerns, its size, its dependents and its duration, in words."""
    parts = [risk.concerns, str(risk.size or ""), shorten(risk.dependents)]
    if risk.takes:
        parts.append(f"takes {risk.takes}")
    return "; ".join(part for part in parts if part)
