"""A copy of a database's schema, without rows, in an embedded PostgreSQL. What is copied is only
read.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgrunbook.errors import Failed, Problem, Refused
from pgrunbook.postgres import catalog, embedded
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.programs import watched
from pgrunbook.postgres.target import Target

_PREFIX = "pgrunbook_rehearsal_"  # what has this name is dropped: it must be nobody else's database

# What is left out: replication; our own ledger, whose tables are nothing without their rows.
# pg_dump holds ACCESS SHARE on every table meanwhile: it gives up rather than wait for it.
_DUMP = (
    "--format=custom",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--exclude-schema=pgrunbook",
    "--lock-wait-timeout=5s",
    "--no-sync",
)
# Owners and privileges, as roles belong to the cluster.
WITHOUT_ROLES = ("--no-owner", "--no-privileges")
_STATISTICS = 18  # the first version that can take over what its planner knew
_READ_ONLY = "-c default_transaction_read_only=on"
# what a session has made use of already
_ELSEWHERE = ("service", "servicefile", "password", "passfile", "hostaddr")


@dataclass(frozen=True, slots=True)
class Copy:
    """Where the copy is, whose it is, which server that is (`PostgreSQL 18.4`), and what could not
    be copied, a line each.
    """

    target: Target
    owner: str
    server: str
    warnings: tuple[str, ...]


@contextmanager
def copied(target: Target, conn: Connection, folder: Path, name: str) -> Iterator[Copy]:
    """Copy the schema of the target's database, and drop the copy at the end.

    `conn` is a session on the target, `folder` where the embedded servers keep their data, `name`
    makes the copy's own. It is made on the same major version, or the next newer one that there is.
    Raises Refused if the role may not read all tables, or the target is newer than every embedded
    version; Failed if it cannot be dumped.
    """
    wanted = conn.info.server_version // 10_000
    require_readable(conn)
    with ExitStack() as stack:
        server = stack.enter_context(_server(folder, wanted))
        with tempfile.TemporaryDirectory(prefix="pgrunbook-") as place:
            file = Path(place, "schema.dump")
            statistics = server.version >= _STATISTICS
            known = ("--no-data", "--statistics") if statistics else ("--schema-only",)
            dump(target, conn, server, file, *WITHOUT_ROLES, *known)
            encoding = conn.info.parameter_status("server_encoding")
            copy = stack.enter_context(database(server, f"{_PREFIX}{name}", encoding))
            create_roles(server, [row["name"] for row in catalog.rows(conn, "policy_roles")])
            failed = restore(server, copy, file, *WITHOUT_ROLES, statistics=statistics)
            warnings = [*_other_version(wanted, server), *failed]
        yield Copy(
            replace(target, conninfo=as_owner(server, copy)),
            copy,
            version(server),
            tuple(warnings),
        )


class Host(Protocol):
    """A server that copies are made on, by its superuser; `bin` has a pg_dump of its version."""

    @property
    def version(self) -> int:
        """The major version."""

    @property
    def bin(self) -> Path:
        """Where its programs are."""

    def conninfo(self, database: str = "postgres") -> str:
        """How libpq gets to one of its databases."""


@contextmanager
def _server(folder: Path, version: int) -> Iterator[Server]:
    newer = [known for known in sorted(embedded.PROGRAMS) if known >= version]
    if not newer:
        raise Refused.of(
            "cannot be rehearsed: the target is newer than every embedded PostgreSQL",
            where="mode rehearse",
            expected=" or ".join(map(str, sorted(embedded.PROGRAMS))),
            found=f"PostgreSQL {version}",
            remedy="upgrade pgrunbook, or rehearse on a staging database of your own",
        )
    data = folder / f"postgres-{newer[0]}"
    used = embedded.used(data)  # by this run's target, which needs it longer
    server = embedded.start(data, newer[0])
    try:
        yield server
    finally:
        if not used:
            server.stop()


def _other_version(wanted: int, server: Server) -> list[str]:
    if wanted == server.version:
        return []
    return [
        f"PostgreSQL {wanted} is not embedded: locks and rewrites are those of {server.version}"
    ]


def version(server: Host) -> str:
    """What it calls itself: `PostgreSQL 18.4`."""
    with closing(psycopg.connect(server.conninfo())) as conn:
        return "PostgreSQL " + str(conn.info.parameter_status("server_version")).split(" ")[0]


def require_readable(conn: Connection) -> None:
    """pg_dump locks every table, which takes the privilege to read it."""
    grants = (
        "as its owner: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {name} TO {role}"
    )
    problems = [
        Problem(
            "may not be read by this role, so the schema cannot be copied",
            where=row["name"],
            expected=f"USAGE on schema {row['schema']}, SELECT on the table",
            remedy=grants.format(**row, role=sql.Identifier(conn.info.user).as_string()),
        )
        for row in catalog.rows(conn, "unreadable")
    ]
    if problems:
        raise Refused("The target cannot be rehearsed: nothing was changed.", problems=problems)


def dump(target: Target, conn: Connection, server: Host, file: Path, *options: str) -> None:
    """Write the schema into the file, with the server's pg_dump. Raises Failed if that cannot."""
    service = file.with_name("pg_service.conf")
    env = _same_server(conn, service)
    where = ("--file", str(file), "--dbname", "service=target")
    with driver_errors(
        "The schema cannot be copied: nothing was changed.", where=f"target {target.name!r}"
    ):
        done = watched(server.bin / "pg_dump", *_DUMP, *options, *where, env=env, answers=conn)
    service.unlink()
    if done.returncode:
        locked = "LOCK TABLE" in done.stderr  # the statement that it gave up
        remedy = "see that pg_dump --schema-only works for this role"
        if locked:
            remedy = "wait until whoever alters a table is done, then rehearse again"
        raise Failed.of(
            "pg_dump cannot copy the schema",
            where=f"target {target.name!r}",
            found=target.redact(done.stderr.strip()),
            remedy=remedy,
        )


def _same_server(conn: Connection, service: Path) -> dict[str, str]:
    """The environment, and the service file `target`, that lead pg_dump to the very server of the
    session: of several hosts it could choose another. Nothing is on the command line, which all
    users of the machine can read; and the password is not in the file, which might outlive us.

    What has a variable is not in the file either: the libpq of an older pg_dump leaves a variable
    alone that it does not know, but takes no file with such a name in it.
    """
    options = {o.keyword.decode(): o for o in conn.pgconn.info}
    found = {name: o.val.decode() for name, o in options.items() if o.val not in (None, o.compiled)}
    own = {name: value for name, value in found.items() if name not in _ELSEWHERE}
    own |= {"host": conn.info.host, "port": str(conn.info.port), "password": conn.info.password}
    own |= {"hostaddr": conn.info.hostaddr} if found.get("hostaddr") else {}
    own["options"] = f"{found.get('options', '')} {_READ_ONLY}".strip()
    given, lines = {"PGSERVICEFILE": str(service)}, ["[target]"]
    for name, value in own.items():
        if variable := options[name].envvar:
            given[variable.decode()] = value
        else:
            lines.append(f"{name}={value}")
    service.touch(0o600)
    service.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return _environment(**given)


def _environment(**given: str) -> dict[str, str]:
    """Ours, with these settings of libpq in place of the user's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | given


@contextmanager
def database(server: Host, name: str, encoding: str | None) -> Iterator[str]:
    """A new database and its owner of the same name, dropped at the end; before, those that killed
    runs left.

    Whoever has made one holds an advisory lock of its name.
    """
    with closing(psycopg.connect(server.conninfo(), autocommit=True)) as conn:
        for (left,) in conn.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [_PREFIX]
        ):
            if _lock(conn, left):
                _drop(conn, left)
        _lock(conn, name)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}")
        conn.execute(create.format(sql.Identifier(name), encoding or "UTF8"))
        try:
            for owned in ("CREATE ROLE {0} LOGIN SUPERUSER", "ALTER DATABASE {0} OWNER TO {0}"):
                conn.execute(sql.SQL(owned).format(sql.Identifier(name)))
            yield name
        finally:
            _drop(conn, name)


def _lock(conn: Connection, name: str) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
    return bool(row and row[0])


def _drop(conn: Connection, name: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def as_owner(server: Host, name: str) -> str:
    """How to get to a copy, as its owner."""
    return make_conninfo(server.conninfo(name), user=name)


def _demote(server: Host, owner: str) -> None:
    with closing(psycopg.connect(server.conninfo(), autocommit=True)) as conn:
        conn.execute(sql.SQL("ALTER ROLE {} NOSUPERUSER").format(sql.Identifier(owner)))


def create_roles(server: Host, names: Iterable[str]) -> None:
    """The roles that a schema names, as policies do: they are not in a dump. They may not log
    in.
    """
    with closing(psycopg.connect(server.conninfo(), autocommit=True)) as own:
        for name in names:
            # of an earlier copy, or one at the same time
            with suppress(psycopg.errors.DuplicateObject):
                own.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def restore(
    server: Host, name: str, dump: Path, *options: str, statistics: bool = False
) -> list[str]:
    """Fill the copy; what failed, a line each.

    Some of what a schema holds takes a superuser to make; but its functions are somebody else's
    code, and a superuser's code can do on this machine what we can. So the owner is one no more
    before an index or a run calls any of them.
    """
    # nothing of the copy has to survive a crash
    env = _environment(PGOPTIONS="-c synchronous_commit=off")
    listed = _pg_restore(server, "--list", str(dump), env=env).stdout.splitlines(keepends=True)

    def filled(conninfo: str, entries: Callable[[str], bool], *parts: str) -> str:
        chosen = dump.with_name("list")
        chosen.write_text("".join(filter(entries, listed)), encoding="utf-8")
        given = ("--use-list", str(chosen), *options, *parts, "--dbname", conninfo, str(dump))
        return _pg_restore(server, *given, env=env).stderr

    owner = as_owner(server, name)
    plain = ("--no-statistics",) if statistics else ()
    said = filled(owner, _copied, "--section=pre-data", *plain)
    _demote(server, name)
    said += filled(owner, _copied, "--section=post-data", *plain)
    said += filled(server.conninfo(name), _is_event_trigger, "--section=post-data", *plain)
    if statistics:  # after the indexes, each of which counts its table anew when it is made
        filled(owner, _copied, "--statistics-only")
    return _errors(said)


def _copied(entry: str) -> bool:
    """Not a user mapping: it may hold a password, and what it is for cannot be reached from
    here.
    """
    return " USER MAPPING " not in entry and not _is_event_trigger(entry)


def _is_event_trigger(entry: str) -> bool:
    return " EVENT TRIGGER " in entry


def _pg_restore(
    server: Host, *arguments: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Raises Failed if it is broken off; what it could not do and went on after is among its
    errors.
    """
    done = watched(server.bin / "pg_restore", *arguments, env=env)
    if done.returncode and "errors ignored on restore" not in done.stderr:
        raise Failed.of(
            "pg_restore was broken off: the copy is not complete",
            where="the copy of the schema",
            found=done.stderr.strip() or f"it ended with {done.returncode}",
            remedy="see the log of the embedded PostgreSQL, and whether the disk is full; then "
            "run again",
        )
    return done


def _errors(said: str) -> list[str]:
    """What pg_restore complains of, each with how its command begins: up to the options, which may
    hold a secret.
    """
    pattern = (
        r"ERROR: +(?P<error>.*)\n(?:(?!Command was: |pg_restore: ).*\n)*Command was: "
        r"(?P<command>[^(\n]*)"
    )
    found = [
        f"{match['command'].strip(' ;')}: {match['error']}" for match in re.finditer(pattern, said)
    ]
    return [line for line in found if not line.startswith("COMMENT ")]
