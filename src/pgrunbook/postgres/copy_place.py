"""Where a copy of a schema is made: a database of its own, and its owner, on a server of ours."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.postgres import catalog, session_settings
from pgrunbook.postgres.session import Session

PREFIX = "pgrunbook_rehearsal_"  # what has this name is dropped: it must be nobody else's database

_CONNECT_S = 10
_STATEMENT_S = 60.0  # without rows
_MADE = "made by pgrunbook, for copies of a schema"  # the comment on roles that are ours to drop


class Host(Protocol):
    """A server that copies are made on, by its superuser; `bin` has a pg_dump of its version."""

    @property
    def version(self) -> int:
        """The major version."""

    @property
    def bin(self) -> Path:
        """Where its programs are."""

    def conninfo(self, database: str = "postgres") -> str:
        """Return how libpq gets to one of its databases."""


@dataclass(frozen=True, slots=True)
class CopyDatabase:
    """A database for a copy, and the role of the same name that owns it.

    - `server`: the server that it is on.
    - `keeper`: a session of the server's superuser, in another database; for what the owner may not
      do, and to see whether the server is still there.
    - `options`: what its sessions begin with, as libpq's `options`.

    The role is a superuser until `demote`, for what takes one to make. It never becomes one again:
    what runs as it from then on is somebody else's code, which may leave sessions behind.
    """

    server: Host
    name: str
    password: str
    keeper: Session
    options: str

    @property
    def conninfo(self) -> str:
        """How to get there as its owner."""
        return make_conninfo(
            self.server.conninfo(self.name),
            user=self.name,
            password=self.password,
            options=self.options,
        )

    @contextmanager
    def superuser(self) -> Iterator[Session]:
        """A session there as the server's superuser, which may touch nothing that calls code."""
        with closing(session(self.server.conninfo(self.name))) as conn:
            yield conn

    def demote(self) -> None:
        """Let the owner be a superuser no more."""
        self._alter("ALTER ROLE {} NOSUPERUSER")

    def forget_settings(self) -> None:
        """Undo what the owner may have set for sessions there, a superuser's too."""
        self._alter("ALTER DATABASE {} RESET ALL")

    def _alter(self, statement: str) -> None:
        self.keeper.execute(sql.SQL(statement).format(sql.Identifier(self.name)))


def session(conninfo: str) -> Session:
    """Return a session on a server for copies, which is given up where that falls silent."""
    conn = Session.opened(
        conninfo,
        connect_timeout=_CONNECT_S,
        client_encoding="UTF8",  # from SQL_ASCII the driver would give texts as bytes
        # PGOPTIONS is for the target; not empty, or libpq takes it all the same
        options=conninfo_to_dict(conninfo).get("options") or " ",
    )
    conn.allow(_STATEMENT_S)
    return conn


@contextmanager
def make_place(server: Host, name: str, like: Session) -> Iterator[CopyDatabase]:
    """A new database and its owner, dropped at the end; before, those that killed runs left. Its
    encoding, and how its sessions read statements and values, are those of the session `like`.

    Whoever has made one holds an advisory lock of its name.
    """
    encoding = like.info.parameter_status("server_encoding")
    names = [*session_settings.OF_VALUES, *session_settings.OF_STATEMENTS]
    values = {}
    for row in catalog.rows(like, "value_settings", names=names):
        values[row["name"]] = row["reset_val"]
    owner = "CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}"
    with closing(session(server.conninfo())) as conn:
        options = session_settings.as_options(values)
        made = CopyDatabase(server, name, secrets.token_hex(16), conn, options)
        for (left,) in conn.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]
        ):
            if _lock(conn, left):
                _drop(conn, left)
        _lock(conn, name)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}")
        conn.execute(create.format(sql.Identifier(name), encoding or "UTF8"))
        try:
            conn.execute(sql.SQL(owner).format(sql.Identifier(name), made.password))
            conn.execute(sql.SQL("ALTER DATABASE {0} OWNER TO {0}").format(sql.Identifier(name)))
            yield made
        finally:
            if not conn.closed:
                _drop(conn, name)


def _lock(conn: Session, name: str) -> bool:
    row = conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
    return bool(row and row[0])


def _drop(conn: Session, name: str) -> None:
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@contextmanager
def make_roles(server: Host, names: Iterable[str]) -> Iterator[None]:
    """The roles that a schema, or a block, names: they are not in a dump. They may not log in, and
    go with the last copy that needs any.
    """
    with closing(session(server.conninfo())) as own:
        own.execute("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", [_MADE])
        try:
            for name in names:
                # of another copy, which may be making it just now, or not ours
                with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                    _make_role(own, sql.Identifier(name))
            yield
        finally:
            if not own.closed:
                own.execute("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", [_MADE])
                if _lock(own, _MADE):
                    _drop_made_roles(own)


def grant_roles(copy: CopyDatabase, names: Iterable[str]) -> None:
    """Make the copy's owner a member of these roles, and let them create in its schemas. Only those
    that `make_roles` has made: another role of such a name may be a superuser.
    """
    asked = f"{_OF_COPIES} AND rolname = ANY (%s)"
    made = [sql.Identifier(name) for (name,) in copy.keeper.execute(asked, [_MADE, [*names]])]
    if not made:
        return
    roles = sql.SQL(", ").join(made)
    copy.keeper.execute(sql.SQL("GRANT {} TO {}").format(roles, sql.Identifier(copy.name)))
    with closing(session(copy.conninfo)) as own:
        for (schema,) in own.execute(_ITS_SCHEMAS).fetchall():
            grant = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}")
            own.execute(grant.format(sql.Identifier(schema), roles))


_ITS_SCHEMAS = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
)


_OF_COPIES = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s"


def _make_role(own: Session, role: sql.Identifier) -> None:
    with own.transaction():
        own.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
        own.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, _MADE))


def _drop_made_roles(own: Session) -> None:
    # Since PostgreSQL 16, a role that has granted others can be dropped only after these, which may
    # have granted others, too. One that somebody has given something stays.
    before: list[str] = []
    names = _made_roles(own)
    while names != before:
        for name in names:
            with suppress(psycopg.errors.DependentObjectsStillExist):
                own.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
        before, names = names, _made_roles(own)


def _made_roles(own: Session) -> list[str]:
    return [name for (name,) in own.execute(_OF_COPIES, [_MADE]).fetchall()]


def version(server: Host) -> str:
    """Return what it calls itself: `PostgreSQL 18.4`."""
    with closing(session(server.conninfo())) as conn:
        return "PostgreSQL " + str(conn.info.parameter_status("server_version")).split(" ")[0]
