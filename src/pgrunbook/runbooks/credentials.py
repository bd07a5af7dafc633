"""The passwords that a run on a target could use: from wherever libpq takes them for it, and from
nowhere else.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from pgrunbook.errors import RunbookError
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.environment import set_variables
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import KEYWORDS

# Where libpq looks for a socket if no host is given: as PostgreSQL builds it, and as Debian and Red
# Hat do. Nothing is written there.
_SOCKET_DIRECTORIES = ("/tmp", "/var/run/postgresql", "/run/postgresql")  # noqa: S108


def passwords_of(target: Target) -> tuple[str, ...]:
    """Return the passwords that libpq could use for this target, each once.

    They are those of its connection string, of the service that this names, of the environment, and
    of the lines of the password file that are for this target. Left out is what every record of the
    target shows, its name, its database, host, service or role: that is no secret, and a search for
    it would stop every run.
    """
    settings = settings_of(target.conninfo)
    found = [settings.get(keyword, "") for keyword in KEYWORDS]
    found += [os.environ.get("PGPASSWORD", ""), *password_file(settings)]
    public = [settings.get(keyword, "") for keyword in _PUBLIC]
    public += [target.name, "postgres", os.environ.get("LOGNAME", "")]
    secrets = []
    for password in dict.fromkeys(found):
        if password and not any(password in name for name in public):
            secrets.append(password)
    return tuple(secrets)


# What a record shows of a target's settings.
_PUBLIC = ("user", "dbname", "host", "hostaddr", "port", "service")


def passwords_of_name(name: str) -> tuple[str, ...]:
    """Return those of the target of that name; none if it cannot be had, which the run itself will
    say. The embedded server has no password.
    """
    if name == "embedded":
        return ()
    try:
        return passwords_of(targets.resolve(name, Project.find()))
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
    # libpq's defaults are those of the service that the environment names
    named = {"PGSERVICE": given["service"]} if given.get("service") else {}
    with set_variables(named):
        options = pq.Conninfo.get_defaults()
    settings = {}
    for option in options:
        if option.val:
            settings[option.keyword.decode()] = option.val.decode("utf-8", "surrogateescape")
    for keyword, value in given.items():
        if value:  # to libpq an empty one is not given
            settings[keyword] = value
    return settings


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
                password = _password_in(line, (name, port, *about))
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
    it is not a file.
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
    names = settings.get("host", "").split(",")
    addresses = settings.get("hostaddr", "").split(",")
    ports = settings.get("port", "").split(",")
    hosts = [name or address for name, address in zip_longest(names, addresses, fillvalue="")]
    if len(ports) == 1:
        ports *= len(hosts)
    for host, port in zip_longest(hosts, ports[: len(hosts)], fillvalue=""):
        yield host, port or "5432"


def _names(host: str) -> list[str]:
    """Return what the file may call the host: `localhost` stands for the socket that libpq takes by
    default, too.
    """
    if not host:
        return ["localhost"]
    if host in _SOCKET_DIRECTORIES:
        return [host, "localhost"]
    return [host]


def _password_in(line: str, about: Iterable[str]) -> str | None:
    """Return what the line has as the password for host, port, database and user; None if it is for
    others.
    """
    match = _FIELDS.match(line)
    if not match:
        return None
    *fields, password = match.groups()
    for field, wanted in zip(fields, about, strict=True):
        if field != "*" and _unescape(field) != wanted:
            return None
    return _unescape(password)


# Four fields that a colon ends, and a fifth that may end with the line; a backslash escapes a
# colon, or itself.
_FIELDS = re.compile(r"((?:\\.|[^:\\])*):" * 4 + r"((?:\\.|[^:\\])*\\?)")


def _unescape(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field)
