"""Confirms, after a failover, that the ledger is written on the server that answers from now on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pgrunbook.errors import Refused
from pgrunbook.ledger import install
from pgrunbook.ledger.server_match import ServerMatch
from pgrunbook.planning import checks, preflight, right_target
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.postgres.identity import identify
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.runbooks import credentials, parameters, targets
from pgrunbook.runbooks.project import Project


def look(project: Project, target: str, schema: str) -> ServerMatch:
    """Which server answers, beside the one that the ledger was written on. Reads only."""
    with _reached(project, target, schema) as (_, server_match):
        return server_match


def confirm(
    project: Project, target: str, schema: str, *, operator: str, reason: str
) -> ServerMatch:
    """Write that it is this one, and how it stands then; nothing if it is the one already.

    Makes the ledger, or brings it up to date, if need be. Raises Refused for a standby, or a
    protected target under another name; LockedOut if a run is at work there.
    """
    secrets = credentials.passwords_of_name(target)
    parameters.require_said(secrets, operator=operator, confirm=reason)
    with _reached(project, target, schema) as (sessions, server_match):
        if server_match.is_original:
            return server_match
        identity = identify(sessions.look)
        problems = preflight.check_ledger_alone(sessions.look, schema, identity)
        checks.require(problems, Refused, "The ledger cannot be written: nothing was changed.")
        right_target.check_name(
            targets.resolve(target, project), identity, server_match, project, confirming=True
        )
        sessions.lock()
        server_match.require_here(sessions.work, target)
        install.install(sessions.work)
        server_match.note(
            sessions.work, target=target, operator=operator, reason=reason, confirmed=True
        )
        return ServerMatch.of(sessions.look)


@contextmanager
def _reached(project: Project, target: str, schema: str) -> Iterator[tuple[Sessions, ServerMatch]]:
    resolved = targets.resolve(target, project)
    # what it says is about the whole database
    sessions = Sessions(resolved, schema, "server", alone=True)
    try:
        with driver_errors("The target could not be asked.", where=f"target {target!r}"):
            right_target.check_identity(resolved, identify(sessions.look))
            checks.require(
                preflight.check_schema(sessions.look, schema), Refused, "The target cannot be read."
            )
            yield sessions, ServerMatch.of(sessions.look)
    finally:
        sessions.close()
