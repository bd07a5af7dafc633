"""The command line: the small commands, and the list of all."""

from __future__ import annotations

import sys
from functools import partial

import click

from pgrunbook import controls
from pgrunbook.cli import commands
from pgrunbook.cli.archive import archive
from pgrunbook.cli.commands import Commands
from pgrunbook.cli.fleet import fleet
from pgrunbook.cli.import_command import import_
from pgrunbook.cli.requests import pause, resume, stop
from pgrunbook.cli.run_command import run
from pgrunbook.errors import Verdict
from pgrunbook.runbooks import parameters
from pgrunbook.runbooks.project import Project


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="pgrunbook")
def main() -> None:
    """PostgreSQL schema changes as notebooks whose record can be trusted.

    A runbook is runbooks/NNN_name.ipynb with its SQL in sql/NNN_name/. Look before you leap:

    \b
        pgrunbook run 001 --target service:staging --mode plan
        pgrunbook run 001 --target service:staging
        pgrunbook status --target service:staging

    Exit codes: 0 passed, 1 failed, 2 refused (nothing was changed), 3 interrupted, 4 locked out by
    another run.
    """


main.add_command(run)


@main.command()
@click.argument("runbook", required=False)
@commands.TARGET
@commands.SCHEMA
@commands.AS_JSON
def status(runbook: str | None, target: str, schema: str, as_json: bool) -> None:
    """Show which blocks of RUNBOOK (of every runbook, if none is given) are pending or done, when,
    and by which run.

    Reads only.
    """
    from pgrunbook.cli import status as report

    project = Project.find()
    notebooks = [project.runbook(runbook)] if runbook else project.runbooks()
    reports = report.collect(project, [n.stem for n in notebooks], target, schema)
    commands.print_report(reports, report.text, as_json=as_json)


@main.command()
@commands.TARGET
@commands.SCHEMA
@click.option("--others", is_flag=True, help="List what is there and no runbook has made, too.")
@commands.AS_JSON
def drift(target: str, schema: str, others: bool, as_json: bool) -> None:
    """Show what is not as runbooks have left it: altered, dropped or added by hand.

    Each object with what is expected, what is there, and the block that last set it. Reads only.
    The exit code is 1 if there is drift.
    """
    from pgrunbook.cli import drift as report
    from pgrunbook.planning import drift_report

    found = drift_report.collect(Project.find(), target, schema)
    commands.print_report(found, partial(report.text, others=others), as_json=as_json)
    if found["drift"]:
        sys.exit(Verdict.FAILED.exit_code)


@main.command()
@commands.TARGET
@click.option(
    "--schema",
    default="pg_catalog",  # every database has it; the answer is about the whole database
    show_default=True,
    help="A schema that must be there.",
)
@click.option("--confirm", metavar="REASON", help="Say that it is this one from now on, and why.")
@commands.OPERATOR
@commands.AS_JSON
def server(target: str, schema: str, confirm: str | None, operator: str, as_json: bool) -> None:
    """Show which server answers, and whether it is the one that the target's ledger was written on.

    Backups, branches and standbys have a copy of the ledger. A target that is protected takes no
    other server for its own until somebody has confirmed it. Without --confirm it reads only.
    """
    from pgrunbook.applying import confirmation

    if confirm is not None:
        parameters.require_said(operator=operator, confirm=confirm)
    project = Project.find()
    found = now = confirmation.look(project, target, schema)
    # before anything is written: it is what the operator confirms
    click.echo(f"found:     {found}", err=as_json)
    if confirm is not None:
        now = confirmation.confirm(project, target, schema, operator=operator, reason=confirm)
    if as_json:
        commands.print_end(
            str(now),
            target=target,
            schema=schema,
            original=now.is_original,
            standby=now.standby,
            confirmed=confirm is not None and not found.is_original,
        )
    elif confirm is not None:
        click.echo("nothing to confirm" if found.is_original else f"confirmed: {now}")


@main.command()
@click.argument("name")
@commands.AS_JSON
def new(name: str, as_json: bool) -> None:
    """Make a runbook called NAME: its notebook, and one block of SQL that works as it stands, to be
    edited.

    NAME is lower-case words joined by underscores, at most 40 characters, such as add_phone. The
    table of its first block is called so, too.
    """
    from pgrunbook.runbooks import scaffold

    project = Project.find()
    made = scaffold.new(project, name)
    paths = [str(commands.relative(path)) for path in made]
    number = made[0].stem.partition("_")[0]
    following = f"next: edit them; pgrunbook lint; {commands.plan(project, number)}"
    if as_json:
        commands.print_end(following, files=paths)
        return
    for path in paths:
        click.echo(controls.one_line(path))
    click.echo(following)


for each in (pause, resume, stop, import_):
    main.add_command(each)


@main.command()
@commands.AS_JSON
def lint(as_json: bool) -> None:
    """Check every runbook, its SQL and its notebook: with squawk, and against rules of our own.
    Needs no database.
    """
    from pgrunbook.records.words import counted
    from pgrunbook.runbooks import lint as linting

    project = Project.find()
    findings = linting.lint(project.root / "sql")
    verdict = Verdict.FAILED if findings else Verdict.PASSED
    message = counted(len(findings), "finding")
    if as_json:
        places = [{"file": f.file, "line": f.line, "rule": f.rule} for f in findings]
        commands.print_end(message, verdict, [f.problem for f in findings], findings=places)
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(message)
    sys.exit(verdict.exit_code)


main.add_command(archive)
main.add_command(fleet)
