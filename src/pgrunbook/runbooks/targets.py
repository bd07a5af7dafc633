"""From a target's name to a connection string, and the identity card of what answers there."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import catalog
from pgrunbook.runbooks.project import Project, TargetSettings
from pgrunbook.secrets.patterns import KEYWORDS, redact

if TYPE_CHECKING:
    import pandas as pd

    from pgrunbook.ledger.origin import Standing

# A URL with an @ after the first @ or /, not percent-encoded: libpq ends the password too early, and takes the rest for
# the name of a host or of a database, which error messages repeat.
_MISREAD = re.compile(r"\w+://[^@?]*[@/][^?]*@")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run works. The connection string may hold a password: it is left out of `repr`."""

    name: str
    conninfo: str = field(repr=False)
    expected: TargetSettings = field(default_factory=TargetSettings)

    @property
    def folder(self) -> str:
        """The name as one path component, for `outputs/<target>/`."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.") or "target"

    def redact(self, text: str) -> str:
        """The text without this target's password."""
        return redact(text, *(str(v) for k, v in self._parts().items() if k in KEYWORDS))

    def _parts(self) -> dict[str, object]:
        return dict(conninfo_to_dict(self.conninfo))


def resolve(name: str, project: Project) -> Target:
    """The target called `name`: `embedded`, `env:NAME`, `service:NAME`, or one of `pgrunbook.toml`.

    `embedded` starts the server and loads the project's sample if need be. Raises Refused for an unknown
    name, an environment variable that is not set, or a connection string that libpq cannot read.
    """
    if name == "embedded":
        return Target(name, _embedded(project))
    if name in project.settings.targets:
        settings = project.settings.targets[name]
        source = f"env:{settings.env}" if settings.env else f"service:{settings.service or name}"
        return Target(name, _conninfo(source, project), settings)
    return Target(name, _conninfo(name, project))


def _embedded(project: Project) -> str:
    from pgrunbook.postgres import embedded  # other targets do not need the server

    settings = project.settings.embedded
    server = embedded.start(project.root / ".pgrunbook" / f"postgres-{settings.version}", settings.version)
    sample = project.root / settings.sample if settings.sample else None
    return embedded.database(server, settings.database, sample)


def _conninfo(source: str, project: Project) -> str:
    kind, _, name = source.partition(":")
    if kind == "service" and name:
        return make_conninfo(service=name)
    if kind == "env" and name:
        return _from_environment(name)
    raise Refused.of(
        "unknown target" if "://" not in source else "a URL is not the name of a target",
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
    url = re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)  # SQLAlchemy names its driver in the scheme
    if not _readable(url):  # libpq's own text would repeat the string, which may hold a password
        raise Refused.of(
            "libpq cannot read the connection string",
            where=f"environment variable {name}",
            expected="postgresql://user@host:port/database, or keyword=value pairs",
            remedy="percent-encode special characters in the user, the password and the database's name",
        )
    return url


def _readable(conninfo: str) -> bool:
    """Whether libpq reads the string, and as it was meant."""
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return False
    return not _MISREAD.match(conninfo)


@dataclass(frozen=True, slots=True)
class Identity:
    """What answered: enough to tell this database from every other, and no secret."""

    database: str
    host: str
    server_version: str
    role: str
    system_identifier: str
    recovery: str
    read_only: bool
    superuser: bool
    server: str = ""  # as plans know it: see `origin.Standing.server`

    def frame(self) -> pd.DataFrame:
        """One row a fact: index `identity` (str), column `value` (str)."""
        import pandas as pd  # here, because it takes a third of a second, and not everybody needs it

        rows = {
            "database": self.database,
            "host": self.host,
            "server version": self.server_version,
            "role": self.role + (" (superuser)" if self.superuser else ""),
            "system identifier": self.system_identifier,
            "primary or standby": self.recovery,
            "read-only": "yes" if self.read_only else "no",
        }
        return pd.DataFrame({"value": rows}, dtype="str").rename_axis("identity")


def identify(conn: catalog.Connection) -> Identity:
    """Ask the server who it is."""
    return Identity(**catalog.rows(conn, "identity")[0])


def check_identity(target: Target, identity: Identity) -> None:
    """Raise Refused if what answered is not what `pgrunbook.toml` says the target is."""
    problems = [
        Problem(
            f"the wrong {label}",
            where=f"target {target.name!r}",
            expected=expected,
            found=found,
            remedy="correct the connection, or the target in pgrunbook.toml",
        )
        for label, expected, found in [
            ("database", target.expected.database, identity.database),
            ("system identifier", target.expected.system_identifier, identity.system_identifier),
        ]
        if expected and expected != found
    ]
    if problems:
        raise Refused("This is not the target: nothing was changed.", problems=problems)


def check_name(
    target: Target, identity: Identity, standing: Standing, project: Project, *, confirming: bool = False
) -> None:
    """Raise Refused if this is a protected target under another name, which asks for less; or one that would not be
    known again under another name. A copy of it is none, if it can be told from it: but it is not `confirming` then.
    """
    given = target.expected
    if (given.protected or given.rehearsal) and not (given.database and given.system_identifier):
        raise Refused.of(
            "is protected by its name alone: under another one, the same database would take anything",
            where=f"target {target.name!r}",
            expected=f'database = "{identity.database}"\nsystem_identifier = "{identity.system_identifier}"',
            found="\n".join(f'{name} = "{getattr(given, name)}"' for name in ("database", "system_identifier")),
            remedy=f"write both into [targets.{target.name}] of pgrunbook.toml, if this is the database that is meant",
        )
    if given.copy_of and given.copy_of not in project.settings.targets.keys() - {target.name}:
        raise Refused.of(
            "copy_of names no other target",
            where=f"target {target.name!r}",
            expected=", ".join(project.settings.targets.keys() - {target.name}),
            found=given.copy_of,
            remedy="correct it in pgrunbook.toml",
        )
    copied = set() if confirming else _copied(target, standing, project)
    problems = [
        _under_another_name(target, name, standing)
        for name, settings in project.settings.targets.items()
        if _asks_less(given, settings) or given.copy_of == name
        if _is_reached_as(name, settings, target) or (_is_known_as(settings, identity) and name not in copied)
    ]
    if problems:
        raise Refused("The target is protected under another name: nothing was changed.", problems=problems)


def _copied(target: Target, standing: Standing, project: Project) -> set[str]:
    """The targets of which this is a copy for certain, or is said to be one and is not the server itself."""
    if standing.is_copy:
        return {*project.settings.targets}
    return {target.expected.copy_of} if standing.elsewhere else set()


def _under_another_name(target: Target, name: str, standing: Standing) -> Problem:
    where, there = f"target {target.name!r}", f"--target {shlex.quote(name)}"
    if not standing.elsewhere:
        found = "" if standing.noted else f"{standing}, by which a copy could be told"
        what = f"is the target {name!r}, which is protected"
        return Problem(what, where, expected=f"target {name!r}", found=found, remedy=f"name it so: {there}")
    return Problem(
        f"is the target {name!r}, which is protected, after a failover; or a copy of it",
        where,
        expected=f"target {name!r}, or a target of pgrunbook.toml that is said to be a copy of it",
        found=str(standing),
        remedy=f"name it so: {there}; or, if it is a copy, write into pgrunbook.toml, and name that target:\n"
        f'{_section(target)}\ncopy_of = "{name}"',
    )


def _section(target: Target) -> str:
    """How the target's own part of pgrunbook.toml begins, or could begin."""
    kind, _, name = target.name.partition(":")
    if not name:
        return f"[targets.{kind}]"
    return f'[targets.{re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "copy"}]\n{kind} = "{name}"'


def _asks_less(given: TargetSettings, other: TargetSettings) -> bool:
    return (other.protected and not given.protected) or (other.rehearsal and not given.rehearsal)


def _is_reached_as(name: str, settings: TargetSettings, target: Target) -> bool:
    return target.name == (f"env:{settings.env}" if settings.env else f"service:{settings.service or name}")


def _is_known_as(settings: TargetSettings, identity: Identity) -> bool:
    """Whether it is the same database of the same cluster, as far as these tell."""
    known = settings.system_identifier == identity.system_identifier
    return known and settings.database in ("", identity.database)
