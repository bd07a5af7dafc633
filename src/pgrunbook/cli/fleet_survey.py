"""The commands of `pgrunbook fleet` that ask every target the same, and group equal answers: plan,
verify and drift. They write nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from pgrunbook import signals
from pgrunbook.cli import commands
from pgrunbook.errors import Verdict
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.fleet.settings import Fleet
    from pgrunbook.fleet.targets import FleetTarget

FLEET = click.option(
    "--fleet", "name", required=True, metavar="NAME", help="A fleet of pgrunbook.toml."
)
PARAMETERS = commands.parameters(
    "A parameter of the runbook, the same for every target. May be repeated."
)


@click.command()
@click.argument("runbook")
@FLEET
@PARAMETERS
@commands.AS_JSON
def plan(runbook: str, name: str, pairs: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Show what RUNBOOK would do on every target of a fleet: groups of targets with the same plan.

    Writes nothing, on the targets or here. The digest of the set is what `fleet run --approved-set`
    takes: that of the plan of the largest group, without whose it is, and of the list of targets.
    Exits with 1 if a target cannot be planned.
    """
    from pgrunbook.fleet import plans, survey, targets

    notebook, found, answers = _run_everywhere(runbook, name, pairs, "plan")
    groups = survey.groups(answers, plans.group_of)
    report = plans.collect(groups, targets.digest(found), name, notebook)
    _print_and_exit(report, plans.text, as_json=as_json)


@click.command()
@click.argument("runbook")
@FLEET
@PARAMETERS
@commands.AS_JSON
def verify(runbook: str, name: str, pairs: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """Prove on every target of a fleet that what RUNBOOK has made is there and works: groups of
    targets with the same failure.

    Reads only, and keeps no record. Exits with 1 if a target is not in the verified state, or
    cannot be reached: for a nightly schedule.
    """
    from pgrunbook.fleet import survey

    _, _, answers = _run_everywhere(runbook, name, pairs, "verify")
    groups = survey.groups(answers, survey.group_of_verification)
    report = survey.collect(groups, name, "verified", "not")
    _print_and_exit(report, survey.text, as_json=as_json)


@click.command()
@FLEET
@commands.AS_JSON
def drift(name: str, as_json: bool) -> None:
    """Show on which targets of a fleet something is not as runbooks have left it: groups of targets
    with the same drift.

    Reads only. Exits with 1 if there is any, or if a target cannot be reached: for a nightly
    schedule. `pgrunbook drift` shows all of a target's.
    """
    from pgrunbook.fleet import survey, targets, task
    from pgrunbook.fleet.settings import Fleet

    project = Project.find()
    chosen = Fleet.of(project, name)
    found = targets.find(chosen, project)

    def question(target: FleetTarget) -> Callable[[], dict[str, Any]]:
        return partial(task.find_drift, str(project.root), target.as_row())

    groups = survey.groups(_ask_everywhere(project, chosen, found, question), survey.group_of_drift)
    report = survey.collect(groups, name, "without drift", "not as expected")
    _print_and_exit(report, survey.text, as_json=as_json)


def _print_and_exit(
    report: dict[str, Any], text: Callable[[dict[str, Any]], str], *, as_json: bool
) -> NoReturn:
    commands.print_report(report, text, as_json=as_json)
    sys.exit(Verdict(report["verdict"]).exit_code)


def _run_everywhere(
    runbook: str, name: str, pairs: Sequence[tuple[str, str]], mode: Literal["plan", "verify"]
) -> tuple[str, Sequence[FleetTarget], Iterator[tuple[FleetTarget, dict[str, Any]]]]:
    """Run a runbook on every target of a fleet in a mode that only reads.

    Returns the runbook's whole name, the targets, and each target with what came of its run.
    """
    from pgrunbook.fleet import approval, targets, task
    from pgrunbook.fleet.settings import Fleet

    project = Project.find()
    notebook = project.runbook(runbook)
    chosen = Fleet.of(project, name)
    found = targets.find(chosen, project)
    given = approval.read_parameters(project, notebook, found[0], pairs, mode)

    def question(target: FleetTarget) -> Callable[[], dict[str, Any]]:
        about = str(project.root), notebook.stem, target.as_row(), given, mode
        return partial(task.look, *about, cell_timeout_s=chosen.cell_timeout_s)

    return notebook.stem, found, _ask_everywhere(project, chosen, found, question)


def _ask_everywhere(
    project: Project,
    chosen: Fleet,
    found: Sequence[FleetTarget],
    question: Callable[[FleetTarget], Callable[[], dict[str, Any]]],
) -> Iterator[tuple[FleetTarget, dict[str, Any]]]:
    """Yield each target of a fleet with the answer to a question, which the fleet's workers ask."""
    from pgrunbook.fleet import executors, survey
    from pgrunbook.fleet.concurrency import Concurrency

    settings = chosen.settings
    executor = executors.start(settings.executor, settings.workers)
    concurrency = Concurrency(project, settings.workers, settings.per_server)
    with signals.as_before():
        signals.note()
        try:
            yield from survey.ask(found, executor, concurrency, question)
        finally:
            executor.shutdown()
