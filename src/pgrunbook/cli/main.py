"""The command line: a light wrapper. Exit codes: 0 passed, 1 failed, 2 refused, 3 interrupted, 4
locked out.
"""

from __future__ import annotations

import getpass
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from pgrunbook import controls, signals
from pgrunbook.cli import commands
from pgrunbook.cli.archive import archive
from pgrunbook.cli.commands import Commands
from pgrunbook.cli.import_command import import_
from pgrunbook.cli.requests import pause, resume, stop
from pgrunbook.errors import (
    Failed,
    Interrupted,
    RunbookError,
    Verdict,
)
from pgrunbook.records import hazard_rows
from pgrunbook.runbooks import arguments, parameters
from pgrunbook.runbooks.arguments import Asked
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.records.how_it_ended import Ending

_TARGETS = "embedded, env:NAME, service:NAME, or a name from pgrunbook.toml."


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


@main.command()
@click.argument("runbook", required=False)
@click.option(
    "--pending",
    is_flag=True,
    help="Run every runbook that is not done, in order, up to the first that does not pass.",
)
@click.option("--target", metavar="NAME", help=f"{_TARGETS}  [default: the runbook's]")
@click.option(
    "--mode",
    type=click.Choice(get_args(parameters.Mode)),
    help="plan writes nothing; rehearse applies the blocks to a copy of the schema; verify only "
    "looks; revert undoes"
    " what was applied.  [default: the runbook's, usually apply]",
)
@click.option(
    "-p",
    "--parameter",
    "pairs",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the runbook: schema, ticket, operator, lock_timeout, lock_budget, "
    "statement_timeout,"
    " approved_plan, approver, discard, adopt, or one of its own. May be repeated.",
)
@click.option(
    "--html", is_flag=True, help="Also make the reviewer's page of the record, below outputs/site/."
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show a progress bar.  [default: only on a terminal]",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON when all is over: docs/json.md has its form.",
)
def run(
    runbook: str | None,
    pending: bool,
    target: str | None,
    mode: str | None,
    pairs: tuple[tuple[str, str], ...],
    html: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Run RUNBOOK (its number or name) with papermill, and keep the executed notebook under
    outputs/.

    The last lines are the verdict, in the modes plan and rehearse the digest of the plan if
    anything is to do, the path of the notebook, and its seal. With --json they are the runbook,
    verdict, message, problems, plan, notebook, page and seal; and an error if it could not be begun
    or sealed. A parameter that the runbook does not declare, or of another type, refuses the run
    before anything is started.

    A scheduled release calls it with --pending: every runbook of which the target's ledger lacks a
    block, a block was edited since, or the last run did not pass; and none after the first that
    does not pass, whose exit code it is. A parameter goes to the runbooks that declare it.
    """
    if pending == bool(runbook):
        raise click.UsageError("Name a RUNBOOK, or give --pending.")
    if pending and mode == "revert":
        raise click.UsageError(
            "Name the RUNBOOK to revert: --pending is for what is to be applied."
        )
    project = Project.find()
    all_pairs = [*pairs, ("target", target), ("mode", mode)]
    notebooks = [project.runbook(runbook)] if runbook else project.runbooks()
    asked = arguments.asked(notebooks, all_pairs)
    if pending:
        asked = {
            path: each for path, each in asked.items() if _is_pending(project, path, each.chosen)
        }
        click.echo(f"pending: {', '.join(path.stem for path in asked) or 'nothing'}", err=as_json)
    bar = bool(sys.stderr and sys.stderr.isatty()) if progress is None else progress
    told: list[dict[str, Any]] = []
    try:
        for path, each in asked.items():
            told.append(facts := {"runbook": path.stem})
            for name, value in _run(project, path, each, html=html, bar=bar):
                facts[name] = value
                if not as_json:
                    _say(name, value, passed=facts["verdict"] == Verdict.PASSED)
            _go_on(
                [facts["runbook"] for facts in told], each.chosen.mode, Verdict(facts["verdict"])
            )
            if signals.stopped() and path != list(asked)[-1]:
                raise Interrupted(
                    f"Stopped by a signal, after {path.stem}: the runbooks after it were not begun."
                )
    except (Exception, KeyboardInterrupt) as exc:
        error = commands.told(commands.error_of(exc))
        told[-1] = error | told[-1] | {"problems": error["problems"], "error": error["message"]}
        raise
    finally:
        if as_json:
            commands.print_document(told)


def _go_on(done: Sequence[str], mode: str, verdict: Verdict) -> None:
    """Exit if the last of these runbooks did not pass, with a note about those before it."""
    if verdict is Verdict.PASSED:
        return
    if passed := done[:-1]:
        dry = mode in ("plan", "rehearse")
        note = (
            "comes before it and is not applied there yet" if dry else "came before it and passed"
        )
        click.echo(f"note:     {', '.join(passed)} {note}", err=True)
    sys.exit(verdict.exit_code)


def _is_pending(project: Project, notebook: Path, chosen: parameters.Parameters) -> bool:
    """Whether a runbook is to be run, as far as the ledger and the files tell."""
    from pgrunbook.cli import status as report

    (found,) = report.collect(project, [notebook.stem], chosen.target, chosen.schema_)
    return report.pending(found)


def _run(
    project: Project, notebook: Path, asked: Asked, *, html: bool, bar: bool
) -> Iterator[tuple[str, Any]]:
    """Run one runbook, and seal its record; what there is to say, each with its name, once nothing
    is left to be done: nobody need listen to the end.
    """
    with signals.as_before():
        path, ending = _execute(project, notebook, asked, bar=bar)
        sealed = _sealed(project, path)
        page = _page(project, path) if html else None
    yield "verdict", str(ending.verdict)
    yield "message", ending.text
    yield "problems", commands.problems(ending.problems)
    if asked.chosen.mode in ("plan", "rehearse"):
        record = commands.record(path)
        yield "hazards", record.rows("hazards")
        if digest := record.plan.get("digest"):
            yield "plan", digest
    yield "notebook", str(commands.relative(path))
    if page:
        yield "page", str(commands.relative(page))
    if isinstance(sealed, RunbookError):
        raise sealed
    if sealed:
        yield "seal", sealed


def _execute(project: Project, notebook: Path, asked: Asked, *, bar: bool) -> tuple[Path, Ending]:
    try:
        # SIGTERM too: before the engine takes over, it ends what was begun
        signals.handle(signal.default_int_handler)
        from pgrunbook.runner import run_notebook

        return run_notebook.execute(project, notebook, asked.chosen, asked.given, bar=bar)
    except KeyboardInterrupt as exc:
        raise Interrupted("Stopped by a signal, before any cell was run.") from exc


def _page(project: Project, notebook: Path) -> Path:
    from pgrunbook.records.archive import Archive
    from pgrunbook.records.site import Site

    return Site(Archive(project.outputs)).page(notebook)


def _sealed(project: Project, notebook: Path) -> str | RunbookError:
    """The seal, in a line, or why there is none."""
    from pgrunbook.records import sealing

    try:
        done = sealing.seal(project, notebook)
        commands.warn(done.problems)
        return str(done)
    except RunbookError as exc:
        return Failed(
            "The run has ended as it says above. Its record is not sealed.", problems=exc.problems
        )


def _say(name: str, value: Any, *, passed: bool) -> None:
    """One thing about a run, for people. Why it did not pass is an error."""
    if name == "message":  # which has the problems in it
        click.secho(value, fg="green" if passed else "red", err=not passed)
    elif name == "hazards":
        for row in value:
            click.echo(f"hazard:   {controls.one_line(hazard_rows.line(row))}")
    elif name not in ("verdict", "problems"):
        click.echo(f"{name + ':':<10}{controls.one_line(value)}")


@main.command()
@click.argument("runbook", required=False)
@click.option("--target", metavar="NAME", default="embedded", show_default=True, help=_TARGETS)
@click.option(
    "--schema",
    default="public",
    show_default=True,
    help="The schema that the runbooks were run in (`-p schema NAME`).",
)
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
    commands.print_document(reports) if as_json else click.echo(report.text(reports))


@main.command()
@click.option("--target", metavar="NAME", default="embedded", show_default=True, help=_TARGETS)
@click.option(
    "--schema",
    default="public",
    show_default=True,
    help="The schema that the runbooks were run in (`-p schema NAME`).",
)
@click.option("--others", is_flag=True, help="List what is there and no runbook has made, too.")
@commands.AS_JSON
def drift(target: str, schema: str, others: bool, as_json: bool) -> None:
    """Show what is not as runbooks have left it: altered, dropped or added by hand.

    Each object with what is expected, what is there, and the block that last set it. Reads only.
    The exit code is 1 if there is drift.
    """
    from pgrunbook.cli import drift as report

    found = report.collect(Project.find(), target, schema)
    commands.print_document(found) if as_json else click.echo(report.text(found, others=others))
    if found["drift"]:
        sys.exit(Verdict.FAILED.exit_code)


@main.command()
@click.option("--target", metavar="NAME", default="embedded", show_default=True, help=_TARGETS)
@click.option("--schema", default="public", show_default=True, help="A schema of the target.")
@click.option("--confirm", metavar="REASON", help="Say that it is this one from now on, and why.")
@click.option("--operator", default=getpass.getuser, show_default="you", help="Who says so.")
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

    made = scaffold.new(Project.find(), name)
    paths = [str(commands.relative(path)) for path in made]
    number = made[0].stem.partition("_")[0]
    following = f"next: edit them; pgrunbook lint; pgrunbook run {number} --mode plan"
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
    from pgrunbook.runbooks import lint as linting

    project = Project.find()
    findings = linting.lint(project.root / "sql")
    verdict = Verdict.FAILED if findings else Verdict.PASSED
    counted = f"{len(findings)} finding{'s' * (len(findings) != 1)}"
    if as_json:
        places = [{"file": f.file, "line": f.line, "rule": f.rule} for f in findings]
        commands.print_end(counted, verdict, [f.problem for f in findings], findings=places)
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(counted)
    sys.exit(verdict.exit_code)


main.add_command(archive)
