"""Checks whether a run may do what it plans: a protected target takes only the plan that somebody
else has approved, and, if it asks for that, rehearsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

from pgrunbook.errors import Problem, Unreadable, Verdict
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.hazards import Risk
from pgrunbook.planning.policy import described
from pgrunbook.postgres.target import Target
from pgrunbook.records.malformed_notebook import MALFORMED
from pgrunbook.records.naming import seal_of
from pgrunbook.records.plan import Plan, differences
from pgrunbook.records.record import Record
from pgrunbook.records.shown import Row
from pgrunbook.records.untrusted_files import is_regular
from pgrunbook.runbooks import arguments
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets import search
from pgrunbook.secrets.patterns import MASK

WHERE = "plan"
# is said of a plan if its record does not show all of it
_MASKED = ", masked in part"
# The latest records of one runbook on one target that are searched for a plan. An older plan is
# stale by then: its digest contains what the catalog said.
_LOOKED_AT = 200


def check(
    project: Project,
    target: Target,
    plan: Plan,
    chosen: Parameters,
    operator: str,
    risks: Sequence[Risk] = (),
) -> list[CheckResult]:
    """Return a result for each problem of the approval, the plan and the rehearsal, or one if there
    is no problem; none if nothing is to be done, or nothing is asked for.

    - `chosen` are the run's parameters. If they name an approved plan, it is compared on a target
      that is not protected, too.
    - `risks` are those for which the target's policy asks for an approval.
    """
    if not plan.steps or chosen.mode not in ("apply", "revert"):
        return []
    protected = target.expected.protected
    rehearsal = target.expected.rehearsal and plan.direction == "apply"
    if not (protected or risks or rehearsal or chosen.approved_plan):
        return []
    folders = _folders(project, target, plan)
    problems: list[Problem] = []
    if protected or risks:
        problems += _check_approval(plan, chosen, operator, () if protected else risks)
    if chosen.approved_plan and chosen.approved_plan != plan.digest:
        problems += _describe_changes(folders, plan, chosen.approved_plan)
    if rehearsal:
        problems += _check_rehearsal(project, folders, plan, chosen)
    if problems:
        return [CheckResult(problem.where, problem.what, problem) for problem in problems]
    what = "approved" if chosen.approved_plan else "rehearsed"
    masked = ""
    for _, record in _records_of(folders, plan.digest):
        if MASK in str(record.plan):
            masked = _MASKED
        break  # the latest tells
    return [CheckResult(WHERE, f"{plan.digest[:12]}… is the one that was {what}{masked}")]


def _check_approval(
    plan: Plan, chosen: Parameters, operator: str, risks: Sequence[Risk]
) -> Iterator[Problem]:
    """Yield a problem unless somebody else has approved the plan. `risks` are the reason to ask for
    that on a target which is not protected.
    """
    if not chosen.approved_plan:
        why = "the target is protected"
        if risks:
            why = "the target's policy wants its hazards approved"
        yield Problem(
            f"is not approved, and {why}",
            where=WHERE,
            expected="approved_plan, the digest of the plan that somebody has approved",
            found="\n".join(f"{r.place} {r.name} {described(r)}" for r in risks) or "none",
            remedy="have somebody else read the plan, and approve it: "
            f"-p approved_plan {plan.digest}",
        )
    if not is_another(chosen.approver, operator):
        yield Problem(
            "is not approved by somebody else",
            where=WHERE,
            expected=f"an approver other than the operator {operator!r}",
            found=repr(chosen.approver) if chosen.approver else "no approver",
            remedy="name who has approved it: -p approver NAME",
        )


def is_another(approver: str, operator: str) -> bool:
    """Whether the approver is named, and is not the operator."""
    return approver.strip().casefold() not in ("", operator.strip().casefold())


def _describe_changes(folders: Sequence[Path], plan: Plan, digest: str) -> Iterator[Problem]:
    """Yield the problem that another plan was approved, and what differs, if its record is in the
    archive.
    """
    yield Problem(
        "is not the one that was approved",
        where=WHERE,
        expected=digest,
        found=f"{plan.digest}: {plan.summary}",
        remedy="plan again, and have the new plan approved",
    )
    where = f"{WHERE} {digest[:12]}…"
    latest = next(_records_of(folders, digest), None)
    if latest is None:
        yield Problem("its record is not in the archive, so what differs cannot be shown", where)
        return
    approved = latest[1].plan
    if MASK in str(approved):
        yield Problem("parts of its record are masked, and what they were is not compared", where)
        plan = Plan.read(search.clean(plan.data, (), sql=True))
    with suppress(*MALFORMED):  # masked as a whole
        yield from differences(Plan.read(approved), plan)


def rehearsals(project: Project, target: Target, plan: Plan) -> list[str]:
    """Return the rehearsals of this plan that the archive has, the latest first. Of each: where it
    ran, how it ended, and the name of its record.
    """
    folders = _folders(project, target, plan)
    found = []
    for path, record in _records_of(folders, plan.digest):
        if record.identity.get("mode") == "rehearse":
            on = record.identity.get("rehearsed_on", "")
            verdict = record.noted.get("verdict", "no verdict")
            masked = _MASKED if MASK in str(record.plan) else ""
            found.append(f"{on}: {verdict} ({path.name}{masked})")
    return found


def _folders(project: Project, target: Target, plan: Plan) -> list[Path]:
    """Return where records of the plan may lie."""
    # before schemas had folders, all records lay in the target's
    names = dict.fromkeys([target.records(plan.target["schema"]), target.folder])
    return [project.outputs / name / plan.runbook for name in names]


def _records_of(folders: Sequence[Path], digest: str) -> Iterator[tuple[Path, Record]]:
    """Yield the records of the plan with that digest, the latest first. Only the latest
    `_LOOKED_AT` records of all are searched.
    """
    found: list[Path] = []
    for folder in folders:
        found += folder.glob("*.ipynb")
    for path in sorted(found, key=attrgetter("name"), reverse=True)[:_LOOKED_AT]:
        # Most records are of other plans: a search of their bytes is quicker than to read them.
        if is_regular(path) and digest.encode() in path.read_bytes():
            with suppress(*MALFORMED):  # a notebook that is not a record of ours
                record = Record.read(path)
                if _has_digest(record.plan, digest):
                    yield path, record


def _has_digest(plan: Row, digest: str) -> bool:
    """Whether a record's plan has that digest, and is what the digest was made of."""
    if not plan or plan["digest"] != digest:
        return False
    # If a part of the plan was masked, the digest cannot be computed again. Then it is taken from
    # the record, which its seal protects.
    return MASK in str(plan) or Plan.read(plan).digest == digest


def _check_rehearsal(
    project: Project, folders: Sequence[Path], plan: Plan, chosen: Parameters
) -> Iterator[Problem]:
    """Yield a problem unless a rehearsal of the same plan has passed, and its record is sealed and
    unchanged.
    """
    passed: list[Path] = []
    found = "none"
    for path, record in _records_of(folders, plan.digest):
        if record.identity.get("mode") == "rehearse":
            found = "one that did not pass, or that `pgrunbook run` has not recorded"
            if record.noted.get("verdict") == Verdict.PASSED:
                passed.append(path)
    if passed:
        doubt = _doubt(project, passed)
        if not doubt:
            return
        found = f"its record {doubt}"
    remedy = arguments.command_again(project, plan.runbook, chosen, "rehearse")
    yield Problem(
        "was not rehearsed", WHERE, "a rehearsal of the same plan that passed", found, remedy
    )


def _doubt(project: Project, notebooks: Sequence[Path]) -> str:
    """Return what is wrong with the first of these records of a rehearsal; empty if one of them is
    as it should be.
    """
    # No ledger has a rehearsal, as its copy is gone: the seal of its record is the only proof.
    # Imported here, as few targets ask for a rehearsal, and these imports take their time.
    from pgrunbook.records import verification
    from pgrunbook.records.archive import Archive
    from pgrunbook.records.reading import read_archive

    keys = verification.trusted_keys(project)
    archive = Archive(project.outputs)
    doubts = []
    try:
        reading = read_archive(archive)  # all its seals: once for all of them
        for notebook in notebooks:
            found = verification.verify(archive, keys, only=notebook, reading=reading)
            if found.problems:
                doubts.append("is not sealed, or was changed")
            elif archive.read(seal_of(notebook)).by_hand:
                doubts.append("was sealed by hand, and not at the end of its run")
            else:
                return ""
    except (Unreadable, OSError):
        doubts.append("is not sealed, or was changed")
    return doubts[0]
