"""Plans of many targets beside each other: which are the same but for whose they are, and the
digest by which all of these are approved at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.errors import Problem, Verdict
from pgrunbook.fleet import survey
from pgrunbook.fleet.command import fleet_command
from pgrunbook.fleet.survey import Group
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.records.plan import Plan, Step, differences
from pgrunbook.records.words import counted, listed

Row = Mapping[str, Any]
# A string constant, with the type that it is cast to; and what stands for a target's own schema,
# which is another thing than no schema.
_CONSTANT = r"'(?:[^']|'')*'(?:::\w+)?"
_OWN_SCHEMA = "<schema>."
# Of many differences between two plans, a terminal shows the first ones.
_DIFFERENCES = 3


def without_target(plan: Row) -> Plan:
    """A plan without the identity of its target: the same for targets in the same state. The
    target's schema is a part of that, also where a definition in the plan names it.
    """
    given = Plan.read(plan)
    schema = given.target["schema"]
    quoted = '"' + schema.replace('"', '""') + '"'
    own = re.compile(rf"(?<![\w$\"])(?:{re.escape(schema)}|{re.escape(quoted)})\.")
    parts = re.compile(rf"{_CONSTANT}|{own.pattern}")

    def part(found: re.Match[str]) -> str:
        # A constant holds a value, unless it is the name of an object: 'app.t_id_seq'::regclass.
        is_value = found[0].startswith("'") and "'::reg" not in found[0]
        return found[0] if is_value else own.sub(_OWN_SCHEMA, found[0])

    def without(text: str) -> str:
        return parts.sub(part, text)

    return replace(
        given,
        target={},
        steps=[Step(step.block, step.action, without(step.sql)) for step in given.steps],
        facts={without(key): without(value) for key, value in given.facts.items()},
    )


def digest(plan: Row) -> str:
    """The SHA-256 of a plan without the identity of its target."""
    return without_target(plan).digest


def set_digest(plan: str, targets: str) -> str:
    """What an approval of a set names: the SHA-256 of the digest of the plan and of that of the
    list of targets.
    """
    return hashlib.sha256(f"{plan} {targets}".encode()).hexdigest()


def group_of(target: FleetTarget, answer: Row) -> Group:
    """The group of a target: of those that plan the same, or that cannot be planned for the same
    reason.
    """
    verdict, plan = Verdict(answer["verdict"]), answer.get("plan")
    if verdict is not Verdict.PASSED:
        return survey.group_of_failure(target, answer)
    if plan:
        return Group(digest(plan), verdict, summary(plan), plan)
    return Group("", verdict, "nothing is to be done")


def collect(groups: Sequence[Group], targets: str, fleet: str, runbook: str) -> dict[str, Any]:
    """The groups as JSON values, the largest of those that were planned first: `groups`, each with
    `plan`, `told`, `differs` (problems: in what its plan differs from the first one's) and
    `targets`; `approve`, the digest of the set, empty if nothing is to be done.
    """
    # those with a plan before those with nothing to do
    ordered = sorted(groups, key=lambda each: (each.verdict is not Verdict.PASSED, not each.answer))
    first = ordered[0]
    told = []
    for each in ordered:
        differs = []
        if each.answer and each is not first:
            then, now = without_target(first.answer), without_target(each.answer)
            differs = [asdict(one) for one in differences(then, now)]
        told.append(
            {
                "verdict": each.verdict,
                "plan": each.key if each.answer else "",
                "told": each.told,
                "differs": differs,
                "targets": sorted(each.names),
            }
        )
    bad = sum(len(each.names) for each in ordered if each.verdict is not Verdict.PASSED)
    return {
        "verdict": Verdict.FAILED if bad else Verdict.PASSED,
        "message": f"{bad} could not be planned" if bad else "every target could be planned",
        "problems": [],
        "fleet": fleet,
        "runbook": runbook,
        "list": targets,
        "approve": set_digest(first.key, targets) if first.answer else "",
        "groups": told,
    }


def text(report: dict[str, Any]) -> str:
    """The groups for a terminal."""
    lines = []
    for number, each in enumerate(report["groups"]):
        names = each["targets"]
        how = (
            each["told"]
            if each["verdict"] == Verdict.PASSED
            else f"{each['verdict']}: {each['told']}"
        )
        lines.append(f"{counted(len(names), 'target')}: {how}")
        for differing in each["differs"][:_DIFFERENCES]:
            lines.append("  otherwise than the first:")
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
    """`blocks: 2 apply`."""
    return Plan.read(plan).summary
