"""From a target's name to a connection string, and the identity card of what answers there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.errors import Refused
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import looks_secret, redact

if TYPE_CHECKING:
    from pgrunbook.postgres.copy_place import Host

# A URL with an @ after the first @ or /, not percent-encoded: libpq ends the password too early,
# and takes the rest for the name of a host or of a database, which error messages repeat.
_MISREAD = re.compile(r"\w+://[^@?]*[@/][^?]*@")


def resolve(name: str, project: Project) -> Target:
    """Return the target called `name`: `embedded`, `env:NAME`, `service:NAME`, or one of
    `pgrunbook.toml`.

    `embedded` starts the server and loads the project's sample if need be. Raises Refused for an
    unknown name, an environment variable that is not set, or a connection string that libpq cannot
    read.
    """
    if name == "embedded":
        return Target(name, _start_embedded(project))
    if name in project.settings.targets:
        settings = project.settings.targets[name]
        source = f"service:{settings.service or name}"
        if settings.env:
            source = f"env:{settings.env}"
        return Target(name, _conninfo(source, project), settings)
    return Target(name, _conninfo(name, project))


def for_twins(project: Project, version: int) -> Host:
    """Return the server that twins of a target of that major version are made on. Raises Refused if
    there is none.
    """
    from pgrunbook.postgres import twin_server  # few runs need it

    if named := project.settings.twin.server:
        return twin_server.own_server(resolve(named, project).conninfo, version)
    return twin_server.embedded_server(project.scratch(), version)


def _start_embedded(project: Project) -> str:
    from pgrunbook.postgres import embedded  # other targets do not need the server

    settings = project.settings.embedded
    server = embedded.start(project.scratch() / f"postgres-{settings.version}", settings.version)
    sample = None
    if settings.sample:
        sample = project.root / settings.sample
    return embedded.database(server, settings.database, sample)


def _conninfo(source: str, project: Project) -> str:
    kind, _, name = source.partition(":")
    if looks_secret(source) or "://" in name:
        kind = ""  # no name, and not to be repeated as it stands
    if kind == "service" and name:
        return make_conninfo(service=name)
    if kind == "env" and name:
        return _from_environment(name)
    what = "unknown target"
    if "://" in source:
        what = "a URL is not the name of a target"
    raise Refused.of(
        what,
        where="target",
        expected=", ".join(["embedded", "env:NAME", "service:NAME", *project.settings.targets]),
        found=redact(source),
        remedy="add it to pgrunbook.toml, or name an environment variable or a libpq service",
    )


def _from_environment(name: str) -> str:
    url = os.environ.get(name, "")
    if not url:
        raise Refused.of(
            "the environment variable is not set",
            where=f"target 'env:{name}'",
            remedy=f"export {name}=postgresql://user@host/database (the password: in PGPASSFILE)",
        )
    # SQLAlchemy names its driver in the scheme
    url = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)
    if not _readable(url):  # libpq's own text would repeat the string, which may hold a password
        raise Refused.of(
            "libpq cannot read the connection string",
            where=f"environment variable {name}",
            expected="postgresql://user@host:port/database, or keyword=value pairs",
            remedy="percent-encode special characters in the user, the password and the "
            "database's name",
        )
    return url


def _readable(conninfo: str) -> bool:
    """Return whether libpq reads the string, and as it was meant."""
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return False
    return not _MISREAD.match(conninfo)
