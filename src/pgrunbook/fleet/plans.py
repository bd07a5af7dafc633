"""Compares the plans of a fleet's targets: which are the same but for the identity of the target.
One digest approves all of these at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.errors import Problem, Verdict
from pgrunbook.fleet import survey
from pgrunbook.fleet.command import fleet_command
from pgrunbook.fleet.survey import Group
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.records.plan import Plan, differences
from pgrunbook.records.words import counted, listed

Row = Mapping[str, Any]
# A string constant of SQL, with the type that it is cast to.
_CONSTANT = r"'(?:[^']|'')*'(?:::\w+)?"
# Stands for a target's own schema. Not empty: with no schema at all, another table may be meant.
_OWN_SCHEMA = "<schema>."
_DIFFERENCES = 3  # between two plans: a terminal shows the first ones


def without_target(plan: Row) -> Plan:
    """Return a plan without the identity of its target: targets in the same state have the same.

    The target's schema is a part of its identity, also where a definition in the plan names it.
    """
    given = Plan.read(plan)
    schema = given.target["schema"]
    quoted = '"' + schema.replace('"', '""') + '"'
    own = re.compile(rf"(?<![\w$\"])(?:{re.escape(schema)}|{re.escape(quoted)})\.")
    parts = re.compile(rf"{_CONSTANT}|{own.pattern}")

    def replace_part(found: re.Match[str]) -> str:
        # A constant holds a value, unless it is the name of an object: 'app.t_id_seq'::regclass.
        is_value = found[0].startswith("'") and "'::reg" not in found[0]
        return found[0] if is_value else own.sub(_OWN_SCHEMA, found[0])

    def replace_schema(text: str) -> str:
        return parts.sub(replace_part, text)

    steps = [step._replace(sql=replace_schema(step.sql)) for step in given.steps]
    facts = {replace_schema(key): replace_schema(value) for key, value in given.facts.items()}
    return replace(given, target={}, steps=steps, facts=facts)


def digest(plan: Row) -> str:
    """Return the SHA-256 of a plan without the identity of its target."""
    return without_target(plan).digest


def set_digest(plan: str, targets: str) -> str:
    """Return the digest that an approval of a set names: the SHA-256 of the digest of the plan and
    of the digest of the list of targets.
    """
    return hashlib.sha256(f"{plan} {targets}".encode()).hexdigest()


def group_of(target: FleetTarget, answer: Row) -> Group:
    """Return the group of a target: those with the same plan, or that cannot be planned for the
    same reason.
    """
    verdict, plan = Verdict(answer["verdict"]), answer.get("plan")
    if verdict is not Verdict.PASSED:
        return survey.group_of_failure(target, answer)
    if plan:
        return Group(digest(plan), verdict, summary(plan), plan)
    return Group("", verdict, "nothing is to be done")


def collect(groups: Sequence[Group], targets: str, fleet: str, runbook: str) -> dict[str, Any]:
    """Return the groups as JSON values: those with a plan first, the largest before the others.

    - `groups`, each with `plan` (its digest), `told`, `differs` (problems: in what its plan differs
      from the first one) and `targets`.
    - `approve`: the digest of the set; empty if nothing is to be done.
    """
    # A stable sort: within each kind the order of `survey.groups` stays.
    ordered = sorted(groups, key=lambda each: (each.verdict is not Verdict.PASSED, not each.answer))
    first = ordered[0]
    listing = []
    for each in ordered:
        differs: Iterable[Problem] = ()
        if each.answer and each is not first:
            differs = differences(without_target(first.answer), without_target(each.answer))
        plan = each.key if each.answer else ""
        listing.append({**survey.as_data(each, differs), "plan": plan})
    bad = sum(len(each.names) for each in ordered if each.verdict is not Verdict.PASSED)
    return {
        "verdict": Verdict.FAILED if bad else Verdict.PASSED,
        "message": f"{bad} could not be planned" if bad else "every target could be planned",
        "problems": [],
        "fleet": fleet,
        "runbook": runbook,
        "list": targets,
        "approve": set_digest(first.key, targets) if first.answer else "",
        "groups": listing,
    }


def text(report: dict[str, Any]) -> str:
    """Return the groups as lines for a terminal."""
    lines = []
    for number, each in enumerate(report["groups"]):
        names = each["targets"]
        how = each["told"]
        if each["verdict"] != Verdict.PASSED:
            how = f"{each['verdict']}: {how}"
        lines.append(f"{counted(len(names), 'target')}: {how}")
        for differing in each["differs"][:_DIFFERENCES]:
            lines.append("  differs from the first plan:")
            lines += [f"    {line}" for line in Problem(**differing).lines()]
        if number:
            lines.append(f"  {listed(names)}")
    if report["approve"]:
        about = report["runbook"], report["fleet"], "--approved-set", report["approve"]
        lines.append(f"set: {report['approve']}")
        lines.append(
            f"when somebody else has approved it: {fleet_command('run', *about)} -p approver NAME"
        )
    return "\n".join(map(one_line, lines))


def summary(plan: Row) -> str:
    """Return `blocks: 2 apply`."""
    return Plan.read(plan).summary
