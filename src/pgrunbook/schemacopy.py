"""A copy of a database's schema, without rows, in an embedded PostgreSQL. What is copied is only read."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook import catalog, embedded
from pgrunbook.catalog import Connection
from pgrunbook.embedded import Server
from pgrunbook.errors import Failed, Problem, Refused
from pgrunbook.targets import Target

_PREFIX = "rehearsal_"

# What is left out: owners and privileges, as roles belong to the cluster; replication; our own ledger, whose tables are
# nothing without their rows. pg_dump holds ACCESS SHARE on every table meanwhile: it gives up rather than wait for it.
_DUMP = (
    "--format=custom",
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--exclude-schema=pgrunbook",
    "--lock-wait-timeout=5s",
    "--no-sync",
)
_STATISTICS = 18  # the first version that can take over what its planner knew
_READ_ONLY = "-c default_transaction_read_only=on"


@dataclass(frozen=True, slots=True)
class Copy:
    """Where the copy is, which server that is (`PostgreSQL 18.4`), and what could not be copied, a line each."""

    target: Target
    server: str
    warnings: tuple[str, ...]


@contextmanager
def copied(target: Target, conn: Connection, folder: Path, name: str) -> Iterator[Copy]:
    """Copy the schema of the target's database, and drop the copy at the end.

    `conn` is a session on the target, `folder` where the embedded servers keep their data, `name` makes the copy's own.
    It is made on the same major version, or the next newer one that there is. Raises Refused if the role may not read
    all tables, or the target is newer than every embedded version; Failed if it cannot be dumped.
    """
    wanted = conn.info.server_version // 10_000
    _require_readable(conn)
    with ExitStack() as stack:
        server = stack.enter_context(_server(folder, wanted))
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrunbook-"))
        dump = Path(place, "schema.dump")
        _dump(target, server, dump, Path(place))
        copy = stack.enter_context(_database(server, f"{_PREFIX}{name}", conn.info.parameter_status("server_encoding")))
        _create_roles(conn, server)
        warnings = [*_other_version(wanted, server), *_restore(server, copy, dump)]
        yield Copy(replace(target, conninfo=server.conninfo(copy)), _version(server), tuple(warnings))


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
    return [f"PostgreSQL {wanted} is not embedded: locks and rewrites are those of {server.version}"]


def _version(server: Server) -> str:
    with closing(psycopg.connect(server.conninfo())) as conn:
        return "PostgreSQL " + str(conn.info.parameter_status("server_version")).split(" ")[0]


def _require_readable(conn: Connection) -> None:
    """pg_dump locks every table, which takes the privilege to read it."""
    grants = "as its owner: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {name} TO {role}"
    problems = [
        Problem(
            "may not be read by this role, so the schema cannot be copied",
            where=row["name"],
            expected=f"USAGE on schema {row['schema']}, SELECT on the table",
            remedy=grants.format(**row, role=conn.info.user),
        )
        for row in catalog.rows(conn, "unreadable")
    ]
    if problems:
        raise Refused("The target cannot be rehearsed: nothing was changed.", problems=problems)


def _dump(target: Target, server: Server, file: Path, place: Path) -> None:
    content = ("--no-data", "--statistics") if server.version >= _STATISTICS else ("--schema-only",)
    service = place / "pg_service.conf"
    conninfo, env = _outside_the_command_line(target, service)
    done = _execute(server.bin / "pg_dump", *_DUMP, *content, "--file", str(file), "--dbname", conninfo, env=env)
    if done.returncode:
        raise Failed.of(
            "pg_dump cannot copy the schema",
            where=f"target {target.name!r}",
            found=target.redact(done.stderr.strip()),
            remedy="see that pg_dump --schema-only works for this role",
        )


def _outside_the_command_line(target: Target, service: Path) -> tuple[str, dict[str, str]]:
    """A connection string without a secret, as all users of the machine could read it; that is in a service file."""
    parts = {key: str(value) for key, value in conninfo_to_dict(target.conninfo).items()}
    options = f"{parts.pop('options', os.environ.get('PGOPTIONS', ''))} {_READ_ONLY}".strip()
    if "service" in parts:
        return make_conninfo(**parts, options=options), dict(os.environ)
    service.touch(0o600)
    lines = [f"{key}={value}" for key, value in {**parts, "options": options}.items()]
    service.write_text("\n".join(["[target]", *lines, ""]), encoding="utf-8")
    return "service=target", {**os.environ, "PGSERVICEFILE": str(service)}


@contextmanager
def _database(server: Server, name: str, encoding: str | None) -> Iterator[str]:
    """A new database, dropped at the end; before, those that killed rehearsals have left.

    Whoever has made one holds an advisory lock of its name.
    """
    with closing(psycopg.connect(server.conninfo(), autocommit=True)) as conn:
        for (left,) in conn.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [_PREFIX]):
            if _lock(conn, left):
                _drop(conn, left)
        _lock(conn, name)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}")
        conn.execute(create.format(sql.Identifier(name), encoding or "UTF8"))
        try:
            yield name
        finally:
            _drop(conn, name)


def _lock(conn: Connection, name: str) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
    return bool(row and row[0])


def _drop(conn: Connection, name: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _create_roles(conn: Connection, server: Server) -> None:
    """The roles that policies name: policies are copied, and roles are not in a dump. They may not log in."""
    names = [row["name"] for row in catalog.rows(conn, "policy_roles")]
    with closing(psycopg.connect(server.conninfo(), autocommit=True)) as own:
        for name in names:
            if not own.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                own.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def _restore(server: Server, name: str, dump: Path) -> list[str]:
    """Fill the copy; what failed, a line each. Nothing of it has to survive a crash."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"PGOPTIONS": "-c synchronous_commit=off"}
    listed = _execute(server.bin / "pg_restore", "--list", str(dump), env=env).stdout.splitlines(keepends=True)
    wanted = dump.with_name("list")
    # A user mapping may hold a password, and what it is for cannot be reached from here.
    wanted.write_text("".join(line for line in listed if " USER MAPPING " not in line), encoding="utf-8")
    options = ("--no-owner", "--no-privileges", "--use-list", str(wanted), "--dbname", server.conninfo(name), str(dump))
    if server.version < _STATISTICS:
        return _errors(_execute(server.bin / "pg_restore", *options, env=env).stderr)
    done = _execute(server.bin / "pg_restore", "--no-statistics", *options, env=env)
    # After the indexes, each of which counts the rows of its table anew when it is made.
    _execute(server.bin / "pg_restore", "--statistics-only", *options, env=env)
    return _errors(done.stderr)


def _errors(said: str) -> list[str]:
    """What pg_restore complains of, each with how its command begins: up to the options, which may hold a secret."""
    pattern = r"ERROR: +(?P<error>.*)\n(?:(?!Command was: |pg_restore: ).*\n)*Command was: (?P<command>[^(\n]*)"
    found = [f"{match['command'].strip(' ;')}: {match['error']}" for match in re.finditer(pattern, said)]
    return [line for line in found if not line.startswith("COMMENT ")]


def _execute(program: Path, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command: Sequence[str | Path] = (program, *arguments)
    given = {**env, "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603  # no shell, fixed programs
        command, env=given, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
