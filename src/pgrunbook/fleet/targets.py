"""The targets of a fleet: listed by a database, a program or a file, and all checked before
anything is begun.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from pgrunbook.controls import one_line
from pgrunbook.errors import Problem, Refused
from pgrunbook.fleet.settings import Fleet
from pgrunbook.postgres import session_settings, trust
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.runbooks import credentials, targets
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets.patterns import looks_secret, redact

# How long the program that lists the targets may take.
COMMAND_TIMEOUT_S = 60
# Bytes of a name. It is a folder in the archive, and part of every line about the target.
_LONGEST = 100
_MOST_PROBLEMS = 50
# What `targets_query` sees beside pg_catalog.
_SCHEMA = "public"


@dataclass(frozen=True, slots=True)
class FleetTarget:
    """A target of a fleet: a schema behind a libpq service or an environment variable with a URL.
    `name` is its name in the fleet, and the folder of its records.
    """

    name: str
    service: str = ""
    env: str = ""
    schema: str = "public"

    def as_row(self) -> dict[str, str]:
        """Return the target as its source and the journal have it, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value}

    def target_name(self, project: Project) -> str:
        """Return what the parameter `target` of its run is.

        That is a target of pgrunbook.toml which is reached in the same way: its policy holds then.
        Else it is `service:NAME` or `env:NAME`.
        """
        for name, settings in project.settings.targets.items():
            service = settings.service
            if not service and not settings.env:
                service = name  # a target's own name is that of its service by default
            if (service, settings.env) == (self.service, self.env):
                return name
        return f"env:{self.env}" if self.env else f"service:{self.service}"


def server(target: FleetTarget, project: Project) -> str:
    """Return host and port of the target's server, as libpq finds them, for `per_server`.

    Where they cannot be found out it is the name of the target; the run says why.
    """
    called = target.target_name(project)
    try:
        found = credentials.settings_of(targets.resolve(called, project).conninfo)
    except Refused:
        return called
    return f"{found.get('hostaddr') or found.get('host', '')}:{found.get('port', '')}"


def find(fleet: Fleet, project: Project) -> list[FleetTarget]:
    """Return the fleet's targets, in the order of their source. Raises Refused with everything that
    is wrong with them; Failed if the database cannot be asked.
    """
    rows = [*_rows(fleet, project)]
    problems = [*_problems(rows)]
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        problems[_MOST_PROBLEMS:] = [Problem(f"{more} more", where="targets")]
    if problems:
        raise Refused(
            f"The targets of fleet {fleet.name!r} are not valid: nothing was started.",
            problems=problems,
        )
    found = []
    for row in rows:
        given = {name: value for name, value in row.items() if value}
        found.append(FleetTarget(**given))
    return found


def digest(found: Iterable[FleetTarget]) -> str:
    """Return the SHA-256 of a list of targets, the same for any order."""
    lines = sorted(json.dumps(each.as_row(), sort_keys=True) for each in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _rows(fleet: Fleet, project: Project) -> Iterator[Mapping[str, Any]]:
    settings = fleet.settings
    if settings.targets_query:
        yield from _query_rows(settings.targets_query, project)
    elif settings.targets_command:
        yield from _line_rows(
            _run_command(settings.targets_command, project.root), "targets_command"
        )
    else:
        yield from _line_rows(
            _read_file(project.root / settings.targets_file), settings.targets_file
        )


def _query_rows(query: Mapping[str, str], project: Project) -> list[dict[str, Any]]:
    where = f"target {query['target']!r}"
    target = targets.resolve(query["target"], project)
    with (
        driver_errors("The fleet's targets could not be asked for.", where=where),
        connect(target, schema=_SCHEMA, label="fleet", read_only=True) as conn,
    ):
        if problems := trust.shadows(conn, _SCHEMA):
            raise Refused("The fleet's targets were not asked for.", problems=problems)
        with session_settings.as_block(conn), conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(query["sql"].encode())
            return cursor.fetchall() if cursor.description else []


def _run_command(command: Sequence[str], root: Path) -> str:
    where = "targets_command"
    try:
        done = subprocess.run(  # noqa: S603  # the project's own, without a shell
            command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=True,
            encoding="utf-8",
        )
    except subprocess.TimeoutExpired as exc:
        raise Refused.of(
            f"did not end within {COMMAND_TIMEOUT_S} s", where=where, found=command[0]
        ) from exc
    except subprocess.CalledProcessError as exc:
        said = redact(exc.stderr.strip())[-2000:]
        found = "\n".join(filter(None, [f"exit code {exc.returncode}", said]))
        raise Refused.of("did not list the targets", where=where, found=found) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused.of("could not be run", where=where, found=str(exc)) from exc
    return done.stdout


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused.of(
            "cannot be read",
            where=path.name,
            expected="one JSON object a line, in UTF-8",
            found=getattr(exc, "strerror", None) or str(exc),
            remedy="correct targets_file in pgrunbook.toml: a path from the project's root",
        ) from exc


def _line_rows(text: str, where: str) -> Iterator[Mapping[str, Any]]:
    """Return each line that is not empty, as JSON. Raises Refused with all lines that are not."""
    rows, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique_keys)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            expected = '{"name": "acme", "service": "billing", "schema": "acme"}'
            what = "is not a JSON object with each key once"
            problems.append(Problem(what, f"{where}, line {number}", expected))
    if problems:
        raise Refused("The fleet's targets cannot be read.", problems=problems[:_MOST_PROBLEMS])
    return iter(rows)


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raises ValueError if a key is there twice: json.loads takes the last one,
    https://www.rfc-editor.org/rfc/rfc8259#section-4, and whoever wrote it may have meant the other.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


_KEYS = FleetTarget.__match_args__


def _problems(rows: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    if not rows:
        yield Problem(
            "there are none",
            where="targets",
            expected="at least one target",
            remedy="see that the source of the targets in pgrunbook.toml finds some",
        )
    names: dict[str, int] = {}
    places: dict[tuple[str, str, str], str] = {}
    for number, row in enumerate(rows, 1):
        where = f"target {number}"
        if wrong := [*row_problems(row, where)]:
            yield from wrong
            continue
        name = row["name"]
        # Some file systems do not tell upper from lower case, or compose accents: two names would
        # be one folder there.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in names:
            yield Problem(
                f"is called {name!r}, as target {names[key]} is",
                where,
                expected="a name of its own, also where upper and lower case are the same",
                remedy="see that the source lists each target once",
            )
        names.setdefault(key, number)
        place = (row.get("service") or "", row.get("env") or "", row.get("schema") or "public")
        if places.setdefault(place, name) != name:
            yield Problem(
                f"is the same schema behind the same {'service' if place[0] else 'env'} as "
                f"{places[place]!r}",
                f"target {number}, {name!r}",
                found=" ".join(filter(None, place)),
                remedy="list it once",
            )


def row_problems(row: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Yield what is wrong with one target of a list by itself. A value that may be a password is
    not repeated.
    """
    if unknown := sorted(map(str, row.keys() - {*_KEYS})):
        yield Problem(
            "has keys that no target has",
            where,
            expected=", ".join(_KEYS),
            found=redact(", ".join(map(one_line, unknown))),
            remedy="name the columns so; a password stays where libpq looks for it",
        )
    if no_text := [key for key in _KEYS if not _is_text(row.get(key))]:
        yield Problem(
            "is not a text",
            f"{where}, {', '.join(no_text)}",
            expected="a text of Unicode without control characters, or null",
        )
        return
    if hidden := [key for key in _KEYS if row.get(key) and looks_secret(row[key])]:
        yield Problem(
            "holds what looks like a password",
            f"{where}, {', '.join(hidden)}",
            expected="the name of a service, or of a variable that holds the URL",
            remedy="a password stays where libpq looks for it: ~/.pgpass, or the variable",
        )
        return
    name = row.get("name") or ""
    if not (re.fullmatch(r"\w[\w.-]*", name) and len(name.encode()) <= _LONGEST):
        yield Problem(
            "cannot be the name of a target: its records lie in a folder of that name",
            where,
            expected=f"letters, digits, _, - and ., at most {_LONGEST} bytes",
            found=ascii(redact(name)[: 2 * _LONGEST]),
            remedy="have the source make such a name",
        )
    if bool(row.get("service")) == bool(row.get("env")):
        yield Problem(
            "does not say how it is reached",
            f"{where}, {one_line(name)!r}",
            expected="either service, a libpq service, or env, an environment variable that holds "
            "a URL",
            found="both" if row.get("service") else "neither",
        )
    if not 0 < len((row.get("schema") or "public").encode()) <= 63:
        yield Problem("takes the name of a schema: 1 to 63 bytes", f"{where}, {one_line(name)!r}")


def _is_text(value: object) -> bool:
    """Return whether a value is NULL, or a text without control characters: libpq would end it at a
    NUL, and a line break would make lines of its own in reports.
    """
    if not isinstance(value, str):
        return value is None
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in value)
