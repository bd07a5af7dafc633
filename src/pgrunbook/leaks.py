"""The search of a finished record for secrets: those that the run knew, in whatever form, and shapes of others."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from nbformat import NotebookNode
from psycopg.conninfo import conninfo_to_dict

from pgrunbook import parameters
from pgrunbook.disguises import Disguised, disguised, views
from pgrunbook.errors import Problem, Refused
from pgrunbook.redaction import KEYWORDS, MASK, looks_secret, redact, shapes
from pgrunbook.targets import Target

SHORTEST = 4  # characters, white space not counted: anything shorter is found by chance
WITHHELD = f"{MASK} withheld: this text held a secret {MASK}"


@dataclass(frozen=True, slots=True)
class Leak:
    """Where one secret stands, never the secret itself."""

    where: str
    what: str


# -- what the run knew -----------------------------------------------------------------------------------------------


def credentials(target: Target) -> tuple[str, ...]:
    """The passwords that a run on this target can know, from wherever libpq looks for them.

    Files that cannot be read are left out. So is a password that is part of what every record of the target shows (its
    name, its database, host, service or role): it is no secret, and a search for it would stop every run.
    """
    given = _conninfo(target.conninfo)
    service = _service(given.get("service") or os.environ.get("PGSERVICE", ""))
    files = [source["passfile"] for source in (given, service) if source.get("passfile")]
    found = [
        *(source.get(keyword, "") for source in (given, service) for keyword in KEYWORDS),
        os.environ.get("PGPASSWORD", ""),
        *_password_file(Path(files[0] if files else os.environ.get("PGPASSFILE") or _own(".pgpass", "pgpass.conf"))),
    ]
    public = [target.name, "postgres", *_public(given), *_public(service), *_public(os.environ)]
    return tuple(secret for secret in dict.fromkeys(found) if secret and not any(secret in name for name in public))


def _conninfo(text: str) -> dict[str, str]:
    try:
        return {keyword: str(value) for keyword, value in conninfo_to_dict(text).items()}
    except psycopg.ProgrammingError:
        return {}


def _public(settings: Mapping[str, str]) -> Iterator[str]:
    """What a record shows of these settings, or environment variables."""
    for name in ("user", "dbname", "database", "host", "hostaddr", "port", "service", "logname"):
        yield from (settings[key] for key in (name, name.upper(), f"PG{name.upper()}") if settings.get(key))


def _own(name: str, on_windows: str) -> Path:
    """A file of libpq's in the user's home."""
    return Path(os.environ.get("APPDATA", ""), "postgresql", on_windows) if os.name == "nt" else Path("~", name)


def _lines(path: Path) -> list[str]:
    try:
        return path.expanduser().read_text("utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return []


def _service(name: str) -> dict[str, str]:
    """The settings of a service: https://www.postgresql.org/docs/current/libpq-pgservice.html"""
    own = Path(os.environ.get("PGSERVICEFILE") or _own(".pg_service.conf", ".pg_service.conf"))
    system = Path(os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common"), "pg_service.conf")
    for path in (own, system):
        parser = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=False, allow_no_value=True)
        try:
            parser.read_string("\n".join(map(str.strip, _lines(path))))
        except configparser.Error:
            continue
        if parser.has_section(name):
            return {key: value for key, value in parser.items(name) if value}
    return {}


def _password_file(path: Path) -> Iterator[str]:
    """Every password in it: https://www.postgresql.org/docs/current/libpq-pgpass.html"""
    for line in _lines(path):
        fields = re.findall(r"((?:\\.|[^:\\])*)(?::|$)", line)
        if not line.startswith("#") and len(fields) > 4:
            yield re.sub(r"\\(.)", r"\1", fields[4])


# -- the search --------------------------------------------------------------------------------------------------------


def search(notebook: NotebookNode, secrets: Sequence[str]) -> list[Leak]:
    """The leaks in a notebook: in sources, outputs, attachments, metadata, in keys as well as values.

    A secret of fewer than four characters, white space not counted, is found in its usual forms only
    (`password=abc`): by itself it stands in any record by chance.
    """
    leaks = []
    for where, holder, key in _places(notebook, secrets):
        found = dict.fromkeys(what for text in _texts(holder[key]) for what in _found(text, secrets))
        leaks += [Leak(where, what) for what in found]
    return leaks


def search_text(text: str, secrets: Sequence[str], where: str) -> list[Leak]:
    """The leaks in a text, as `search` finds them; `where` says what text it is."""
    return [Leak(where, what) for what in _found(text, secrets)]


def mask(notebook: NotebookNode, secrets: Sequence[str]) -> None:
    """Take every leak out of a notebook, in place.

    `***` stands for the secret where it can be told where it ends, and a note for the whole text where it cannot. A
    number with a leak becomes a text.
    """
    for where, holder, key in list(_places(notebook, secrets)):
        if any(_found(text, secrets) for text in _texts(holder[key])):
            holder[key] = _clean(holder[key], secrets) if key != "id" else where.partition(",")[0].replace(" ", "-")


def _places(notebook: NotebookNode, secrets: Sequence[str]) -> Iterator[tuple[str, NotebookNode, str]]:
    """Where a secret may stand: in words, and as a node with one of its keys. Left out is what is the format's own."""
    for key in notebook.keys() - {"cells", "nbformat", "nbformat_minor"}:
        yield key, notebook, key
    for number, cell in enumerate(notebook.cells, 1):
        name = f"cell `{cell.id}`" if cell.get("id") and not _found(cell.id, secrets) else f"cell {number}"
        for key in sorted(cell.keys() - {"cell_type", "execution_count", "outputs"}):
            yield f"{name}, {key}", cell, key
        for position, output in enumerate(cell.get("outputs", ()), 1):
            for key in sorted(output.keys() - {"output_type", "name", "execution_count"}):
                yield f"{name}, output {position}", output, key


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value; the parts of a list also as one, for a secret may be spread over them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from [_pair(key, inner)] if _names_secret(key) else []
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        yield "\n".join(str(part) for part in value if isinstance(part, _PLAIN))
        yield from (text for part in value if not isinstance(part, _PLAIN) for text in _texts(part))
    elif isinstance(value, _PLAIN):
        yield str(value)


_PLAIN = (str, int, float)


def _names_secret(key: str) -> bool:
    return str(key).casefold().endswith(KEYWORDS)


def _pair(key: str, value: Any) -> str:
    return f"{key!r}: {value!r}" if isinstance(value, _PLAIN) else ""


def _found(text: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """What leaks from the text."""
    return _remembered(text, tuple(secrets))


@lru_cache(maxsize=100_000)  # a record is searched while it comes into being, and once more before it is sealed
def _remembered(text: str, secrets: tuple[str, ...]) -> tuple[str, ...]:
    searched = [secret for secret in _searched(secrets) if len(secret.characters) <= len(text)]
    shortest = min((len(secret.characters) for secret in searched), default=0)
    known = searched and any(secret.find(view) for view in views(text, shortest) for secret in searched)
    return (*(["a password that the run knew"] if known else []), *shapes(text))


def _searched(secrets: Iterable[str]) -> list[Disguised]:
    """The longest first, so that none is masked in part only because another is a part of it."""
    searched = [disguised(secret) for secret in secrets if len("".join(secret.split())) >= SHORTEST]
    return sorted(searched, key=lambda secret: len(secret.characters), reverse=True)


def _clean(value: Any, secrets: Sequence[str]) -> Any:
    """The value without its leaks."""
    if isinstance(value, Mapping):
        clean: dict[str, Any] = {}
        for key, inner in value.items():
            leaks = _names_secret(key) and shapes(_pair(key, inner))
            clean[_unused(_masked(key, secrets), clean)] = MASK if leaks else _clean(inner, secrets)
        return clean
    if isinstance(value, list | tuple):
        parts = [_clean(part, secrets) for part in value]
        return [_note(secrets)] if any(_found(text, secrets) for text in _texts(parts)) else parts
    if isinstance(value, str):
        return _masked(value, secrets)
    return MASK if isinstance(value, _PLAIN) and _found(str(value), secrets) else value


def _masked(text: str, secrets: Sequence[str]) -> str:
    if not _found(text, secrets):
        return text
    clean = text
    for secret in _searched(secrets):
        clean = secret.masked(clean)
    if shapes(clean):
        clean = redact(clean)
    return _note(secrets) if _found(clean, secrets) else clean


def _note(secrets: Sequence[str]) -> str:
    return MASK if _found(WITHHELD, secrets) else WITHHELD


def _unused(key: str, used: Mapping[str, Any]) -> str:
    number = 2
    while key in used:
        key, number = f"{key.partition(' #')[0]} #{number}", number + 1
    return key


# -- what is refused because of one ----------------------------------------------------------------------------------


def problems(found: Sequence[Leak]) -> list[Problem]:
    """Each leak as a problem."""
    remedy = "keep it out of the notebook; and change it, as it may have been read meanwhile"
    return [Problem(leak.what, where=leak.where, remedy=remedy) for leak in found]


def mask_parameters(nb: NotebookNode) -> None:
    """Take what looks like a secret out of a notebook that was refused because of it."""
    given = nb.metadata.papermill.get("parameters") or {}
    nb.metadata.papermill["parameters"] = _masked_values(given)
    for cell in nb.cells:
        cell.source = _masked_cell(cell.source, declares="parameters" in cell.metadata.get("tags", []))


def _masked_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if looks_secret({name: value}) else value for name, value in values.items()}


def _masked_cell(source: str, *, declares: bool) -> str:
    """Assignments are written anew, as a secret may be hard to find behind a text's quotes and backslashes. Of a cell
    that should hold nothing else and cannot be read, nothing is left: there is no telling where the secret ends.
    """
    try:
        values = parameters.assignments(source, "")
    except Refused:
        if declares and looks_secret(source):
            return f"# {MASK}"
        values = {}
    if values == (masked := _masked_values(values)):
        return redact(source)
    return "\n".join(f"{name} = {value!r}" for name, value in masked.items())
