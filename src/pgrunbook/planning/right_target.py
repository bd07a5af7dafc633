"""Checks that the database which answered is the one that was meant."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from pgrunbook.errors import Problem, Refused
from pgrunbook.planning.checks import CheckResult
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.target import Target, TargetSettings
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.ledger.server_match import ServerMatch


def check_identity(target: Target, identity: Identity) -> None:
    """Raise Refused if the database or the cluster that answered is another one than
    `pgrunbook.toml` says of the target.
    """
    problems = []
    for label, expected, found in (
        ("database", target.expected.database, identity.database),
        ("system identifier", target.expected.system_identifier, identity.system_identifier),
    ):
        if expected and expected != found:
            problems.append(
                Problem(
                    f"the wrong {label}",
                    where=f"target {target.name!r}",
                    expected=expected,
                    found=found,
                    remedy="correct the connection, or the target in pgrunbook.toml",
                )
            )
    if problems:
        raise Refused("This is not the target: nothing was changed.", problems=problems)


def check_server(target: Target, server_match: ServerMatch) -> CheckResult:
    """Whether the server is the one that the ledger was written on. Where another one will do, the
    result tells which it is.
    """
    problem = server_match.refusal(target)
    told = str(server_match) if server_match.is_other_server and not problem else ""
    return CheckResult("server", "is the one that the ledger was written on", problem, told)


def check_name(
    target: Target,
    identity: Identity,
    server_match: ServerMatch,
    project: Project,
    *,
    confirming: bool = False,
) -> None:
    """Raise Refused if this is a protected target under another name, which asks for less; or one
    that would not be known again under another name. A copy of it is none, if it can be told from
    it: but it is not `confirming` then.
    """
    given = target.expected
    if (given.protected or given.rehearsal) and not (given.database and given.system_identifier):
        raise Refused.of(
            "is protected by its name alone: under another one, the same database would take "
            "anything",
            where=f"target {target.name!r}",
            expected=f'database = "{identity.database}"\nsystem_identifier = '
            f'"{identity.system_identifier}"',
            found=f'database = "{given.database}"\nsystem_identifier = "{given.system_identifier}"',
            remedy=f"write both into [targets.{target.name}] of pgrunbook.toml, if this is the "
            "database that is meant",
        )
    if given.copy_of and given.copy_of not in project.settings.targets.keys() - {target.name}:
        raise Refused.of(
            "copy_of names no other target",
            where=f"target {target.name!r}",
            expected=", ".join(project.settings.targets.keys() - {target.name}),
            found=given.copy_of,
            remedy="correct it in pgrunbook.toml",
        )
    copied = set() if confirming else _copied(target, server_match, project)
    problems = []
    for name, settings in project.settings.targets.items():
        if _asks_less(given, settings) or given.copy_of == name:
            known = _is_known_as(settings, identity) and name not in copied
            if known or _is_reached_as(name, settings, target):
                problems.append(_under_another_name(target, name, server_match))
    if problems:
        raise Refused(
            "The target is protected under another name: nothing was changed.", problems=problems
        )


def _copied(target: Target, server_match: ServerMatch, project: Project) -> set[str]:
    """Return the targets of which this database is a copy: any, if the ledger shows it; or the one
    that the key `copy_of` names, if this is another server than the ledger was written on.
    """
    if server_match.is_copy:
        return {*project.settings.targets}
    if server_match.is_other_server:
        return {target.expected.copy_of}
    return set()


def _under_another_name(target: Target, name: str, server_match: ServerMatch) -> Problem:
    where, there = f"target {target.name!r}", f"--target {shlex.quote(name)}"
    if not server_match.is_other_server:
        return Problem(
            f"is the target {name!r}, which is protected",
            where,
            expected=f"target {name!r}",
            found="" if server_match.known else f"{server_match}, by which a copy could be told",
            remedy=f"name it so: {there}",
        )
    return Problem(
        f"is the target {name!r}, which is protected, after a failover; or a copy of it",
        where,
        expected=f"target {name!r}, or a target of pgrunbook.toml that is said to be a copy of it",
        found=str(server_match),
        remedy=f"name it so: {there}; or, if it is a copy, write into pgrunbook.toml, and name "
        "that target:\n"
        f'{_section(target)}\ncopy_of = "{name}"',
    )


def _section(target: Target) -> str:
    """Return how the target's own part of pgrunbook.toml begins, or could begin."""
    # `env:NAME` and `service:NAME` are targets that the file does not have
    kind, _, name = target.name.partition(":")
    if not name:
        return f"[targets.{kind}]"
    section = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "copy"
    return f'[targets.{section}]\n{kind} = "{name}"'


def _asks_less(given: TargetSettings, other: TargetSettings) -> bool:
    return (other.protected and not given.protected) or (other.rehearsal and not given.rehearsal)


def _is_reached_as(name: str, settings: TargetSettings, target: Target) -> bool:
    """Whether the target was given as `env:…` or `service:…`, and is this one of pgrunbook.toml."""
    if settings.env:
        return target.name == f"env:{settings.env}"
    return target.name == f"service:{settings.service or name}"


def _is_known_as(settings: TargetSettings, identity: Identity) -> bool:
    """Whether pgrunbook.toml says that it is this database of this cluster."""
    known = settings.system_identifier == identity.system_identifier
    return known and settings.database in ("", identity.database)
