"""`pgrunbook run`: one runbook, or every one that is pending."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import click

from pgrunbook import controls, signals
from pgrunbook.cli import commands
from pgrunbook.errors import Failed, Interrupted, RunbookError, Verdict
from pgrunbook.records import row_words, words
from pgrunbook.runbooks import arguments, parameters
from pgrunbook.runbooks.arguments import Arguments
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.records.how_it_ended import Ending
    from pgrunbook.records.record import Record

# Given a notebook, returns the context that it is to be run in. The context yields the pending
# runbooks that were planned on its copy before.
_Turn = Callable[[Path], AbstractContextManager[Sequence[str]]]


@click.command()
@click.argument("runbook", required=False)
@click.option(
    "--pending",
    is_flag=True,
    help="Run every runbook that is not done, in order, up to the first that does not pass.",
)
@click.option("--target", metavar="NAME", help=f"{commands.TARGETS}  [default: the runbook's]")
@click.option(
    "--mode",
    type=click.Choice(get_args(parameters.Mode)),
    help="plan writes nothing; rehearse applies the blocks to a copy of the schema; verify only "
    "looks; revert undoes"
    " what was applied.  [default: the runbook's, usually apply]",
)
@commands.parameters(
    "A parameter of the runbook: schema, ticket, operator, lock_timeout, lock_budget, "
    "statement_timeout, approved_plan, approver, discard, adopt, or one of its own. May be "
    "repeated."
)
@click.option(
    "--html", is_flag=True, help="Also make the reviewer's page of the record, below outputs/site/."
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show a progress bar.  [default: only on a terminal]",
)
@commands.AS_JSON
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

    The last lines are the verdict, the target and how far it came if it did not pass, in the modes
    plan and rehearse the digest of the plan if anything is to do, the path of the notebook, and its
    seal.
    With --json they are the runbook, verdict, message, problems, target, far, plan, notebook, page
    and seal; and an error if it could not be begun or sealed. A parameter that the runbook does not
    declare, or of another type, refuses the run before anything is started.

    A scheduled release calls it with --pending: every runbook of which the target's ledger lacks a
    block, a block was edited since, or the last run did not pass; and none after the first that
    does not pass, whose exit code it is. A parameter goes to the runbooks that declare it, and a
    block's name in `adopt` to those that have it. With --mode plan or rehearse each is looked at on
    a copy of the schema that has what those before it would make.
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
    asked = arguments.read_arguments(notebooks, all_pairs)
    if pending:
        asked = arguments.share_adopted(project, asked)
        for path, each in list(asked.items()):
            if not _is_pending(project, path, each.chosen):
                del asked[path]
        # stdout is the document's alone
        click.echo(f"pending: {', '.join(path.stem for path in asked) or 'nothing'}", err=as_json)
    if progress is None:
        progress = bool(sys.stderr and sys.stderr.isatty())
    with contextlib.ExitStack() as turns:
        turn = _turn(project, asked, turns)
        _run_in_order(project, asked, turn, html=html, bar=progress, as_json=as_json)


def _run_in_order(
    project: Project,
    asked: Mapping[Path, Arguments],
    turn: _Turn,
    *,
    html: bool,
    bar: bool,
    as_json: bool,
) -> None:
    """Run the runbooks in order, up to the first that does not pass. Prints what came of each when
    it is over; as JSON, of all when the last is over.
    """
    documents: list[dict[str, Any]] = []
    try:
        for path, each in asked.items():
            document: dict[str, Any] = {"runbook": path.stem}
            documents.append(document)
            for name, value in _run(project, path, each, turn(path), html=html, bar=bar):
                document[name] = value
                if not as_json:
                    _say(name, value, passed=document["verdict"] == Verdict.PASSED)
            verdict = Verdict(document["verdict"])
            if verdict is not Verdict.PASSED:
                _exit(verdict, [each["runbook"] for each in documents[:-1]])
            # The first signal stops the run that is at work; the runbooks after it would be begun.
            if signals.stopped() and path != list(asked)[-1]:
                raise Interrupted(
                    f"Stopped by a signal, after {path.stem}: the runbooks after it were not begun."
                )
    except (Exception, KeyboardInterrupt) as exc:
        error = commands.error_document(commands.error_of(exc))
        error_too = {"problems": error["problems"], "error": error["message"]}
        # What was known of the runbook by then stays: its verdict and its notebook.
        documents[-1] = error | documents[-1] | error_too
        raise
    finally:
        if as_json:
            commands.print_document(documents)


def _turn(project: Project, asked: Mapping[Path, Arguments], turns: contextlib.ExitStack) -> _Turn:
    """Return what makes the context of each runbook. Several runbooks that are only planned or
    rehearsed share a copy: see `InTurn.turn`.
    """
    if len(asked) <= 1:
        return lambda _: contextlib.nullcontext(())
    from pgrunbook.runner.in_turn import InTurn

    return turns.enter_context(InTurn(project, asked)).turn


def _exit(verdict: Verdict, passed: Sequence[str]) -> NoReturn:
    """Exit with the code of a run that did not pass, and a note about the runbooks before it."""
    if passed:
        click.echo(f"note:     {', '.join(passed)} came before it and passed", err=True)
    sys.exit(verdict.exit_code)


def _is_pending(project: Project, notebook: Path, chosen: parameters.Parameters) -> bool:
    """Return whether a runbook is to be run, by its files and the ledger."""
    from pgrunbook.cli import status as report

    (found,) = report.collect(project, [notebook.stem], chosen.target, chosen.schema_)
    return report.pending(found)


def _run(
    project: Project,
    notebook: Path,
    asked: Arguments,
    turn: AbstractContextManager[Sequence[str]],
    *,
    html: bool,
    bar: bool,
) -> Iterator[tuple[str, Any]]:
    """Run one runbook, and seal its record. Then yield what came of it, by the keys of the JSON.

    Everything is done before the first value is yielded: the caller may stop listening, as at a
    broken pipe.
    """
    with signals.as_before(), turn as after:
        path, ending = _execute(project, notebook, asked, bar=bar)
        seal = _seal(project, path)
        page = _make_page(project, path) if html else None
    yield "verdict", str(ending.verdict)
    if after:
        yield "after", list(after)
    yield "message", ending.text
    yield "problems", commands.problems(ending.problems)
    yield "target", asked.chosen.target
    if ending.verdict is Verdict.FAILED and (far := _how_far(path)):
        yield "far", far
    dry = asked.chosen.mode in ("plan", "rehearse")
    if dry or ending.verdict is Verdict.PASSED:
        record = commands.record(path)
        put_aside = record.card.get("put_aside")
        if put_aside:
            yield "put_aside", put_aside
        if dry:
            if assumed := _assumed(record):
                yield "assumed", assumed
            yield "hazards", record.rows("hazards")
            if foreseen := record.rows("foreseen"):
                yield "foreseen", foreseen
            if record.plan.get("digest"):
                yield "plan", record.plan["digest"]
    yield "notebook", str(commands.relative(path))
    if page:
        yield "page", str(commands.relative(page))
    if isinstance(seal, RunbookError):
        raise seal
    if seal:
        yield "seal", seal


def _how_far(path: Path) -> str:
    from pgrunbook.records import unfinished_cells

    with contextlib.suppress(RunbookError):  # what cannot be read, the seal says
        return unfinished_cells.how_far(commands.record(path))
    return ""


def _assumed(record: Record) -> list[str]:
    """Return the blocks that are taken for done only since later ones are there."""
    from pgrunbook.planning.judgement import ASSUMED

    return [row["block"] for row in record.rows("decisions") if row["reason"] in ASSUMED]


def _execute(
    project: Project, notebook: Path, asked: Arguments, *, bar: bool
) -> tuple[Path, Ending]:
    try:
        signals.note()  # until the engine handles signals itself
        from pgrunbook.runner import run_notebook

        return run_notebook.execute(project, notebook, asked.chosen, asked.given, bar=bar)
    except KeyboardInterrupt as exc:
        raise Interrupted("Stopped by a signal, before any cell was run.") from exc


def _make_page(project: Project, notebook: Path) -> Path:
    from pgrunbook.records.archive import Archive
    from pgrunbook.records.site import Site

    return Site(Archive(project.outputs)).page(notebook)


def _seal(project: Project, notebook: Path) -> str | RunbookError:
    """Seal the record. Returns the seal in a line, or the error that says why there is none: it is
    raised after everything else was printed.
    """
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
    """Print one value of `_run` for people. The reason why a run did not pass goes to stderr."""
    if name == "message":  # its text has the problems
        click.secho(value, fg="green" if passed else "red", err=not passed)
    elif name == "put_aside":
        commands.warn([value])
    elif name == "assumed":
        for block in value:
            click.echo(f"assumed:  {controls.one_line(block)} is done, as a later block is there")
    elif name == "hazards":
        for row in value:
            click.echo(f"hazard:   {controls.one_line(row_words.hazard(row))}")
    elif name == "foreseen":
        found = Counter(row["change"] for row in value)
        click.echo(f"foreseen: {words.tally(found)}, tried on a copy without rows")
    elif name not in ("verdict", "problems", "after") and not (name == "target" and passed):
        click.echo(f"{name + ':':<10}{controls.one_line(value)}")
