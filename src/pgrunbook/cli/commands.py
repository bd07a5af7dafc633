"""What all commands share: their options, how errors are shown, and the one JSON document that
`--json` prints.
"""

from __future__ import annotations

import errno
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pgrunbook import controls, logs, signals
from pgrunbook.errors import (
    Failed,
    Interrupted,
    Problem,
    Refused,
    RunbookError,
    Verdict,
    first_line,
)
from pgrunbook.postgres import os_user

if TYPE_CHECKING:
    from pgrunbook.records.record import Record
    from pgrunbook.runbooks.project import Project

_Command = TypeVar("_Command", bound=Callable[..., Any])

TARGETS = "embedded, env:NAME, service:NAME, or a name from pgrunbook.toml."

# Keys in `meta` of click's context, which nested contexts share: whether a document is to be
# printed, and whether it was.
_ASKED, _PRINTED = "pgrunbook.json", "pgrunbook.printed"


class Commands(click.Group):
    """The group of all commands. It shows errors as text, and exits with the code of their verdict.

    With `--json`, a command that fails before it has printed its document prints one about the
    error, whatever the error is. That of `run` is a list, as of runs.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line. Characters that the encoding of a stream lacks are escaped."""
        # A stream is None if it was closed when we were started.
        for stream in filter(None, (sys.stdout, sys.stderr)):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        logs.enable(sys.stderr)
        return super().main(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether `--json` was given: click may refuse another option before it reads it."""
        ctx.meta[_ASKED] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises SystemExit with the code of the verdict if it ends with an error
        of ours.
        """
        try:
            # For SIGTERM, too: one way to end, which rolls back and says so.
            signals.handle(signal.default_int_handler)
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as exc:
            # A closed pipe: nobody reads any more, and click exits without a word.
            if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
                raise
            signals.end()
            error = error_of(exc)
            if ctx.meta[_ASKED] and _PRINTED not in ctx.meta:
                document: Any = error_document(error)
                if ctx.invoked_subcommand == "run":
                    document = [document]
                click.echo(controls.document(document))
            if not isinstance(exc, RunbookError | KeyboardInterrupt | OSError):
                raise  # click shows its own errors; a bug of ours ends with its traceback
            # stdout is for the document, or for what a script reads
            click.secho(f"{error.verdict.upper()}: ", fg="red", bold=True, nl=False, err=True)
            click.echo(str(error), err=True)
            sys.exit(error.verdict.exit_code)


def error_of(exc: BaseException) -> RunbookError:
    """Return whatever ended a command as one of our errors."""
    match exc:
        case RunbookError():
            return exc
        case KeyboardInterrupt():
            return Interrupted("Stopped by a signal.")
        case click.ClickException():
            ctx = getattr(exc, "ctx", None)
            remedy = f"{ctx.command_path} --help" if ctx else ""
            problem = Problem(exc.format_message(), remedy=remedy)
            return Refused(
                "The command line is not valid: nothing was started.", problems=[problem]
            )
        case OSError():
            problem = Problem(str(exc.strerror or exc), str(exc.filename or "what there is to say"))
            return Failed("A file could not be read or written.", problems=[problem])
    name = type(exc).__name__
    if isinstance(exc, Exception):
        return Failed(f"{name}: {first_line(exc)}")
    return Failed(name)


def print_document(value: Any) -> None:
    """Print the one JSON document of a command."""
    click.get_current_context().meta[_PRINTED] = True
    click.echo(controls.document(value))


def print_end(
    message: str, verdict: Verdict = Verdict.PASSED, found: Sequence[Problem] = (), **facts: Any
) -> None:
    """Print the document of a command that came to its end: the keys that every document has, and
    `facts`, its own.
    """
    print_document(_document(verdict, message, found) | facts)


def print_report(report: Any, text: Callable[[Any], str], *, as_json: bool) -> None:
    """Print what a command has found: as its JSON document, or for people as `text` has it."""
    if as_json:
        print_document(report)
    else:
        click.echo(text(report))


def error_document(error: RunbookError) -> dict[str, Any]:
    """Return an error as JSON values: the keys that every document has."""
    return _document(error.verdict, str(error), error.problems)


def _document(verdict: Verdict, message: str, found: Sequence[Problem]) -> dict[str, Any]:
    return {"verdict": str(verdict), "message": message, "problems": problems(found)}


def problems(found: Sequence[Problem]) -> list[dict[str, str]]:
    """Return problems as JSON values: `what`, `where`, `expected`, `found`, `remedy`."""
    return [asdict(problem) for problem in found]


TARGET = click.option(
    "--target", metavar="NAME", default="embedded", show_default=True, help=TARGETS
)

SCHEMA = click.option(
    "--schema",
    default="public",
    show_default=True,
    help="The schema that the runbooks were run in (`-p schema NAME`).",
)

OPERATOR = click.option(
    "--operator", default=os_user.own_name, show_default="you", help="Who says so."
)

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: docs/json.md has its form."
)


def parameters(text: str) -> Callable[[_Command], _Command]:
    """Return the option for parameters of a runbook, with this help."""
    return click.option(
        "-p",
        "--parameter",
        "pairs",
        type=(str, str),
        multiple=True,
        metavar="NAME VALUE",
        help=text,
    )


def warn(problems: Sequence[str]) -> None:
    """Print warnings to stderr: something is wrong, but what was done holds."""
    for problem in problems:
        click.secho(f"warning: {controls.one_line(problem)}", fg="yellow", err=True)


def plan(project: Project, runbook: str) -> str:
    """Return the command that plans a new runbook: on the only target that the project names."""
    target = "service:NAME"
    if len(project.settings.targets) == 1:
        (target,) = project.settings.targets
    return shlex.join(["pgrunbook", "run", runbook, "--target", target, "--mode", "plan"])


def relative(path: Path) -> Path:
    """Return the path from the working directory on, if it lies below; else as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def record(path: Path) -> Record:
    """Return the record of an executed notebook. Raises Refused if the file is not one."""
    from pgrunbook.records import malformed_notebook
    from pgrunbook.records.record import Record
    from pgrunbook.records.untrusted_files import require_regular

    require_regular(path)
    with malformed_notebook.refuse(path.name):
        return Record.read(path)
