"""`pgrunbook pause`, `resume` and `stop`: requests to the run that is at work on a target.

They are rows in the target's ledger, which the run reads between two batches: so they can be given
on any machine that reaches the target.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import click

from pgrunbook.cli import commands
from pgrunbook.controls import one_line
from pgrunbook.ledger.requests import What


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all three commands have."""
    reason = click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
    asked = reason(commands.OPERATOR(commands.AS_JSON(command)))
    return commands.TARGET(commands.SCHEMA(asked))


@click.command()
@_options
def pause(target: str, schema: str, **asked: Any) -> None:
    """Have the backfill at work on a target wait before its next batch.

    The ledger keeps who asked for it, when and why. What is committed stays.
    """
    told = "pauses before its next batch; pgrunbook resume has it go on"
    _ask("pause", told, target, schema, **asked)


@click.command()
@_options
def resume(target: str, schema: str, **asked: Any) -> None:
    """Have a backfill go on that `pgrunbook pause` has paused.

    The pauses that it makes by itself, as it gives way, end by themselves.
    """
    _ask("resume", "goes on", target, schema, **asked)


@click.command()
@_options
def stop(target: str, schema: str, **asked: Any) -> None:
    """End the run that is at work on a backfill, before its next batch.

    The ledger keeps who asked for it, when and why. What is committed stays, and the next run goes
    on from there.
    """
    told = "ends before its next batch; the next run goes on from there"
    _ask("stop", told, target, schema, **asked)


def _ask(
    what: What, told: str, target: str, schema: str, *, reason: str, operator: str, as_json: bool
) -> None:
    from pgrunbook.ledger import requests
    from pgrunbook.planning import right_target
    from pgrunbook.postgres.connection import connect
    from pgrunbook.postgres.driver_errors import driver_errors
    from pgrunbook.postgres.identity import identify
    from pgrunbook.runbooks import credentials, parameters, targets
    from pgrunbook.runbooks.project import Project

    resolved = targets.resolve(target, Project.find())
    said = {"operator": operator, **({"reason": reason} if reason else {})}
    parameters.require_said(credentials.passwords_of(resolved), **said)
    with (
        driver_errors("The run could not be asked.", where=f"target {target!r}"),
        connect(resolved, schema="pgrunbook", label=what) as conn,
    ):
        # not a run of a copy, such as a restored backup that the same name leads to now
        right_target.check_identity(resolved, identify(conn))
        run_id = requests.run_at_work(conn, target, schema)
        remark = requests.ask(
            conn, run_id, what, operator=operator, host=platform.node(), reason=reason
        )
    if remark:
        commands.warn([f"the request {remark}"])
    message = f"run {run_id[:8]} {told}"
    if as_json:
        commands.print_end(message, target=target, run=run_id, asked=what)
    else:
        click.echo(one_line(message))
