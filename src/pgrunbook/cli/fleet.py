"""`pgrunbook fleet`: one runbook against many targets, in waves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from pgrunbook import controls, signals
from pgrunbook.cli import commands
from pgrunbook.cli.fleet_survey import FLEET, PARAMETERS, drift, plan, verify
from pgrunbook.errors import Refused, Verdict
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from pgrunbook.fleet.journal import Journal
    from pgrunbook.fleet.settings import Fleet
    from pgrunbook.fleet.state import State

_WAVE = click.option(
    "--wave",
    type=int,
    metavar="NUMBER",
    help="End after this wave, its soak included; `fleet resume` goes on.  [default: the last one]",
)
_MODE = click.option(
    "--mode",
    type=click.Choice(["apply", "revert"]),
    default="apply",
    show_default=True,
    help="revert undoes what was applied.",
)
_RUNBOOK = click.argument("runbook", required=False)


@click.group()
def fleet() -> None:
    """Run one runbook against many targets, in waves: databases, or schemas of tenants.

    \b
        pgrunbook fleet plan 001 --fleet tenants
        pgrunbook fleet run 001 --fleet tenants
        pgrunbook fleet status --fleet tenants

    What a fleet is, [fleets.NAME] of pgrunbook.toml says: docs/fleets.md.
    """


@fleet.command()
@click.argument("runbook")
@FLEET
@_MODE
@click.option(
    "--approved-set",
    default="",
    metavar="DIGEST",
    help="The digest that `fleet plan` has shown, and somebody else has approved: `-p approver "
    "NAME`. A target that plans otherwise is set aside.",
)
@_WAVE
@click.option(
    "--slice",
    "part",
    default="",
    metavar="NUMBER/OF",
    help="Take every so many-th target only, as one of several machines: 0/10 to 9/10.",
)
@PARAMETERS
@commands.AS_JSON
def run(
    runbook: str,
    name: str,
    mode: str,
    approved_set: str,
    wave: int | None,
    part: str,
    pairs: tuple[tuple[str, str], ...],
    as_json: bool,
) -> None:
    """Run RUNBOOK against every target of a fleet, wave by wave.

    A wave whose failures use up its budget is the last one. What is interrupted or locked out is
    tried again; what is refused is set aside. Ctrl-C, and `fleet abort`, begin nothing further; a
    second Ctrl-C stops the runs that are at work. `fleet resume` goes on, whatever happened.
    """
    from pgrunbook.fleet import approval, runs, targets, task
    from pgrunbook.fleet.settings import Fleet
    from pgrunbook.fleet.waves import Slice

    own = Slice.read(part)
    project = Project.find()
    notebook = project.runbook(runbook)
    chosen = Fleet.of(project, name)
    found = targets.find(chosen, project)
    given = approval.read_parameters(project, notebook, found[0], pairs, mode)
    approved = approval.approve_set(approved_set, mode, given, targets.digest(found))
    begin = partial(
        runs.begin,
        project,
        chosen,
        notebook.stem,
        found,
        mode=mode,
        given=given,
        approved=approved,
        code=task.code_digest(project, notebook.stem),
        until=wave,
        part=own,
    )
    _work(project, chosen, begin, as_json=as_json)


@fleet.command()
@_RUNBOOK
@FLEET
@_MODE
@_WAVE
@commands.OPERATOR
@commands.AS_JSON
def resume(
    runbook: str | None, name: str, mode: str, wave: int | None, operator: str, as_json: bool
) -> None:
    """Go on with the targets that have not passed in the last run of a fleet with RUNBOOK, set
    aside ones included. RUNBOOK may be left out if one runbook only has not passed.

    Whatever has ended that run: a budget that was used up, a signal, a kill, a server that was
    down. It has the same targets, waves and parameters, but for the operator.
    """
    from pgrunbook.fleet import runs
    from pgrunbook.fleet.settings import Fleet
    from pgrunbook.runbooks import parameters

    parameters.require_said(operator=operator)
    project = Project.find()
    chosen = Fleet.of(project, name)
    before = _last(project, name, runbook)
    begin = partial(runs.resume, project, chosen, before, operator, wave, mode)
    _work(project, chosen, begin, as_json=as_json)


@fleet.command()
@_RUNBOOK
@FLEET
@commands.AS_JSON
def status(runbook: str | None, name: str, as_json: bool) -> None:
    """Show how far the last run of a fleet with RUNBOOK is: its waves, and what failed or was set
    aside, and why. RUNBOOK may be left out if one only is at work, or has not passed.

    Reads the run's journal alone, and asks no target.
    """
    from pgrunbook.fleet import report

    found = report.collect(_last(Project.find(), name, runbook))
    commands.print_report(found, report.text, as_json=as_json)


@fleet.command()
@_RUNBOOK
@FLEET
@commands.OPERATOR
@commands.AS_JSON
def abort(runbook: str | None, name: str, operator: str, as_json: bool) -> None:
    """Begin no further target in the run of a fleet that is at work. The runs that are at work come
    to their end. RUNBOOK may be left out if the fleet is at work with one only.
    """
    from pgrunbook.fleet import journal
    from pgrunbook.fleet.events import EventKind
    from pgrunbook.runbooks import parameters

    parameters.require_said(operator=operator)
    path = _last(Project.find(), name, runbook)
    if not journal.is_at_work(path):
        raise Refused.of("is not at work", where=f"fleet {name!r}", found=path.name)
    journal.add(path, {"event": EventKind.STOP, "by": operator})
    message = "no further target is begun"
    if as_json:
        commands.print_end(message)
    else:
        click.echo(message)


for each in (plan, verify, drift):
    fleet.add_command(each)


def _last(project: Project, name: str, runbook: str | None) -> Path:
    """Return the journal of the fleet's run that is meant, see `runs.latest`."""
    from pgrunbook.fleet import runs

    return runs.latest(project, name, project.runbook(runbook).stem if runbook else "")


def _work(
    project: Project,
    chosen: Fleet,
    begin: Callable[[], tuple[Journal, State]],
    *,
    as_json: bool,
) -> None:
    """Run what `begin` begins, seal its record, and exit with the code of the verdict."""
    from pgrunbook.fleet import executors, record, report, runs
    from pgrunbook.fleet.concurrency import Concurrency
    from pgrunbook.fleet.coordinator import Coordinator
    from pgrunbook.fleet.outcome import Ledgers

    settings = chosen.settings
    left = runs.end_killed(project, chosen.name)
    commands.warn([f"{each.where} {each.what}: {each.found}; {each.remedy}" for each in left])
    executor = executors.start(settings.executor, settings.workers)
    concurrency = Concurrency(project, settings.workers, settings.per_server)
    ledgers = Ledgers(project)
    # Last, when everything else could be had: from now on there is a run that has to be ended.
    written, state = begin()
    with signals.as_before():
        signals.note(ending_s=executors.ending_s(executor))
        tell = partial(click.echo, err=True)
        try:
            Coordinator(project, written, state, executor, ledgers, concurrency, tell).run()
            notebook, head = record.seal(project, written.path, state)
        finally:
            executor.shutdown()
            ledgers.close()
            written.close()
    found = report.as_data(state)
    if as_json:
        commands.print_document({**found, "notebook": str(commands.relative(notebook))})
    else:
        click.echo(report.text(found))
        click.echo(f"notebook: {controls.one_line(commands.relative(notebook))}")
        click.echo(f"seal:     number {head.sequence}, {head.name}")
    sys.exit((state.verdict or Verdict.FAILED).exit_code)
