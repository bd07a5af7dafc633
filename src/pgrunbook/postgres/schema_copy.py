"""A copy of a database's schema, without rows, in an embedded PostgreSQL. What is copied is only
read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import catalog, copy_place, embedded, locks, programs
from pgrunbook.postgres.copy_place import PREFIX, Host
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.programs import run_watched
from pgrunbook.postgres.restore import STATISTICS, Restore
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

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
_WITHOUT_ROLES = ("--no-owner", "--no-privileges")
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
def copy_schema(target: Target, conn: Session, folder: Path, name: str) -> Iterator[Copy]:
    """Copy the schema of the target's database, and drop the copy at the end.

    `conn` is a session on the target, `folder` where the embedded servers keep their data, `name`
    makes the copy's own. It is made on the same major version, or the next newer one that there is.
    Raises Refused if the role may not read all tables, the target is newer than every embedded
    version, or it cannot be dumped.
    """
    wanted = conn.info.server_version // 10_000
    require_readable(conn)
    with ExitStack() as stack:
        server = stack.enter_context(_server(folder, wanted))
        with tempfile.TemporaryDirectory(prefix="pgrunbook-") as place:
            file = Path(place, "schema.dump")
            statistics = server.version >= STATISTICS
            options = [*_WITHOUT_ROLES, "--schema-only"]
            if statistics:
                options = [*_WITHOUT_ROLES, "--no-data", "--statistics"]
            dump(target, conn, server, file, *options)
            roles = [row["name"] for row in catalog.rows(conn, "roles")]
            stack.enter_context(copy_place.make_roles(server, roles))
            copy = stack.enter_context(copy_place.make_place(server, f"{PREFIX}{name}", conn))
            restore = Restore(copy, conn, file, roles=False)
            restore.make_inert()
            copy_place.grant_roles(copy, roles)
            restore.make_the_rest()
            if statistics:
                restore.set_statistics()
            warnings = [f"extension {name} is on no copy" for name in restore.left_out.values()]
            warnings += restore.errors()
            if server.version != wanted:
                what = f"PostgreSQL {wanted} is not embedded"
                warnings.insert(0, f"{what}: locks and rewrites are those of {server.version}")
        yield Copy(
            replace(target, conninfo=copy.conninfo),
            copy.name,
            copy_place.version(server),
            tuple(warnings),
        )


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
    used = embedded.is_used(data)  # by this run's target, which needs it longer
    server = embedded.start(data, newer[0])
    try:
        yield server
    finally:
        if not used:
            server.stop()


def require_readable(conn: Session) -> None:
    """Raise Refused unless the role may read every table: pg_dump locks them, which takes that."""
    grants = (
        "as its owner: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {name} TO {role}"
    )
    role = sql.Identifier(conn.info.user).as_string()
    problems = []
    for row in catalog.rows(conn, "unreadable"):
        problem = Problem(
            "may not be read by this role, so the schema cannot be copied",
            where=row["name"],
            expected=f"USAGE on schema {row['schema']}, SELECT on the table",
            remedy=grants.format(**row, role=role),
        )
        problems.append(problem)
    if problems:
        raise Refused("The target cannot be rehearsed: nothing was changed.", problems=problems)


def dump(target: Target, conn: Session, server: Host, file: Path, *options: str) -> None:
    """Write the schema into the file, with the server's pg_dump. Raises Refused if that cannot."""
    service = file.with_name("pg_service.conf")
    env = _lead_to_server(conn, service)
    where = ("--file", str(file), "--dbname", "service=target")
    with driver_errors(
        "The schema cannot be copied: nothing was changed.", where=f"target {target.name!r}"
    ):
        done = run_watched(server.bin / "pg_dump", *_DUMP, *options, *where, env=env, answers=conn)
    service.unlink()
    if done.returncode:
        if "LOCK TABLE" in done.stderr:  # the statement that it gave up
            raise Refused(problems=[locks.unreadable(conn, target.name)])
        raise Refused.of(
            "pg_dump cannot copy the schema",
            where=f"target {target.name!r}",
            found=target.redact(done.stderr.strip()),
            remedy="see that pg_dump --schema-only works for this role",
        )


def _lead_to_server(conn: Session, service: Path) -> dict[str, str]:
    """Return the environment, and the service file `target`, that lead pg_dump to the very server
    of the session: of several hosts it could choose another. Nothing is on the command line, which
    all users of the machine can read; and the password is not in the file, which might outlive us.

    What has a variable is not in the file either: the libpq of an older pg_dump leaves a variable
    alone that it does not know, but takes no file with such a name in it.
    """
    variables: dict[str, bytes | None] = {}
    found: dict[str, str] = {}
    for option in conn.pgconn.info:
        name = option.keyword.decode()
        variables[name] = option.envvar
        if option.val is not None and option.val != option.compiled:
            found[name] = option.val.decode()
    own = {name: value for name, value in found.items() if name not in _ELSEWHERE}
    own |= {"host": conn.info.host, "port": str(conn.info.port), "password": conn.info.password}
    if found.get("hostaddr"):
        own["hostaddr"] = conn.info.hostaddr
    own["options"] = f"{found.get('options', '')} {_READ_ONLY}".strip()
    given, lines = {"PGSERVICEFILE": str(service)}, ["[target]"]
    for name, value in own.items():
        if variable := variables[name]:
            given[variable.decode()] = value
        else:
            lines.append(f"{name}={value}")
    service.touch(0o600)
    service.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return programs.environment(**given)
