"""The passwords that a run on a target could use: from wherever libpq takes them for it, and from
nowhere else.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from pgrunbook.errors import RunbookError
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import KEYWORDS

# Where libpq looks for a socket if no host is given: as PostgreSQL builds it, and as Debian and Red
# Hat do.
# nothing is written there
_SOCKET_DIRECTORIES = ("/tmp", "/var/run/postgresql", "/run/postgresql")  # noqa: S108


def of_target(target: Target) -> tuple[str, ...]:
    """Return the passwords that libpq could use for this target, each once.

    They are those of its connection string, of the service that this names, of the environment, and
    of the lines of the password file that are for this target. Left out is what every record of the
    target shows, its name, its database, host, service or role: that is no secret, and a search for
    it would stop every run.
    """
    settings = settings_of(target.conninfo)
    found = [
        *(settings.get(keyword, "") for keyword in KEYWORDS),
        os.environ.get("PGPASSWORD", ""),
        *password_file(settings),
    ]
    public = [target.name, "postgres", *_public(settings), os.environ.get("LOGNAME", "")]
    secrets = []
    for password in dict.fromkeys(filter(None, found)):
        if not any(password in name for name in public):
            secrets.append(password)
    return tuple(secrets)


def of_name(name: str) -> tuple[str, ...]:
    """Return those of the target of that name; none if it cannot be had, which the run itself will
    say. The embedded server has no password.
    """
    if name == "embedded":
        return ()
    try:
        return of_target(targets.resolve(name, Project.find()))
    except RunbookError:
        return ()


def settings_of(conninfo: str) -> dict[str, str]:
    """Return what libpq connects with: what is given, then the service's, the environment's and its
    own defaults.
    """
    try:
        given = {keyword: str(value) for keyword, value in conninfo_to_dict(conninfo).items()}
    except psycopg.ProgrammingError:
        return {}
    with _service(given.get("service", "")):
        options = pq.Conninfo.get_defaults()
    defaults = {
        o.keyword.decode(): o.val.decode("utf-8", "surrogateescape") for o in options if o.val
    }
    return defaults | {keyword: value for keyword, value in given.items() if value}


@contextmanager
def _service(name: str) -> Iterator[None]:
    """In the `with` block libpq's defaults are those of the service: it takes its name from the
    environment alone.
    """
    before = os.environ.get("PGSERVICE")
    if name:
        os.environ["PGSERVICE"] = name
    try:
        yield
    finally:
        if name and before is None:
            del os.environ["PGSERVICE"]
        elif before is not None:
            os.environ["PGSERVICE"] = before


def _public(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield what a record shows of these settings."""
    yield from (
        settings.get(name, "") for name in ("user", "dbname", "host", "hostaddr", "port", "service")
    )


# -- the password file: https://www.postgresql.org/docs/current/libpq-pgpass.html
# ------------------------------------


def password_file(settings: Mapping[str, str]) -> Iterator[str]:
    """For each host, the password of the first line that matches it, as `passwordFromFile` of
    libpq's fe-connect.c finds it.
    """
    lines = _lines(_path(settings))
    user = settings.get("user", "")
    about = (settings.get("dbname") or user, user)
    for host, port in _hosts(settings):
        for name in _names(host):
            for line in lines:
                password = _password(line, (name, port, *about))
                if password is not None:  # the first line that matches counts, even an empty one
                    if password:
                        yield password
                    break


def _path(settings: Mapping[str, str]) -> Path:
    if passfile := settings.get("passfile"):
        return Path(passfile)
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", ""), "postgresql", "pgpass.conf")
    return Path("~", ".pgpass")


def _lines(path: Path) -> list[str]:
    """Its lines but for comments; none of a file that libpq would not read: others may read it, or
    it is no file.
    """
    try:
        path = path.expanduser()
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or (os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO)):
            return []
        text = path.read_text("utf-8", errors="surrogateescape")
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return []
    return [line.rstrip("\r") for line in text.split("\n") if not line.startswith("#")]


def _hosts(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each host, by its name rather than by its address, with its port: there may be one port
    for all.
    """
    names, addresses = (settings.get(keyword, "").split(",") for keyword in ("host", "hostaddr"))
    ports = settings.get("port", "").split(",")
    for number in range(max(len(names), len(addresses))):
        name, address = ("".join(each[number : number + 1]) for each in (names, addresses))
        port = ports[0] if len(ports) == 1 else "".join(ports[number : number + 1])
        yield name or address, port or "5432"


def _names(host: str) -> list[str]:
    """Return what the file may call the host: `localhost` stands for the socket that libpq takes by
    default, too.
    """
    if not host:
        return ["localhost"]
    return [host, "localhost"] if host in _SOCKET_DIRECTORIES else [host]


def _password(line: str, about: Iterable[str]) -> str | None:
    """Return what the line has as the password for host, port, database and user; None if it is for
    others.
    """
    if not (match := _FIELDS.match(line)):
        return None
    *fields, password = match.groups()
    matches = all(
        field == "*" or _unescaped(field) == wanted
        for field, wanted in zip(fields, about, strict=True)
    )
    return _unescaped(password) if matches else None


# Four fields that a colon ends, and a fifth that may end with the line; a backslash escapes a
# colon, or itself.
_FIELDS = re.compile(r"((?:\\.|[^:\\])*):" * 4 + r"((?:\\.|[^:\\])*\\?)")


def _unescaped(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field)
