"""Read the definitions of objects: of whole schemas, or of a list. Reads only."""

from __future__ import annotations

import gc
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.inventory import catalogs
from pgrunbook.inventory.catalogs import MADE_LATER, OIDS, SHARED, Kind
from pgrunbook.inventory.objects import Address, Definition, Inventory, Object
from pgrunbook.inventory.snapshot import Answer, Snapshot, is_superuser
from pgrunbook.postgres.session import Session
from pgrunbook.secrets.patterns import MASK, mask_shapes

_SCHEMAS = """\
SELECT n.oid, n.nspname::text FROM pg_namespace n
 WHERE {wanted}
 ORDER BY n.nspname"""
_ALL = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'pgrunbook')"
_PUBLIC = Object("schema", "public")  # by initdb, too, but no part of PostgreSQL

# Options of servers and tables whose values may be secret, by what wrappers call them; of a user
# mapping all may be but the name.
_SECRET = re.compile(
    r"pass|pwd|secret|token|credential|private|access_?key|api_?key", re.IGNORECASE
)
_SHORT = 20  # characters: a connection string with a password, or a token, takes more
_NO_SECRET = re.compile(r"user(name)?", re.IGNORECASE)

_OID = re.compile(r"\{(\w\.\w+)\}")  # a column that holds an OID, in initial_privileges.sql

# The catalog of what the column `part_of` holds, where that is not a table.
_WHOLES = {
    "domain_constraints": "pg_type",
    "publication_schemas": "pg_publication",
    "publication_tables": "pg_publication",
}

# What is said of objects of every kind, and kept in one catalog each.
_SAID = {
    "comment": "comments",
    "security labels": "security_labels",
    "depends on extensions": "depends_on_extensions",
}


def read(conn: Session, schemas: Sequence[str] | None = None) -> Inventory:
    """Return all objects of these schemas, and those that belong to none: extensions, casts,
    publications, default privileges …; this database, and the cluster's roles.

    None: the objects of all schemas but PostgreSQL's own and the ledger's. Reads only. Raises
    psycopg.Error, also if a lock of somebody else's keeps the server from printing a definition.
    """
    named = _ALL
    if schemas is not None:
        named = f"n.nspname = ANY ({sql.Literal([*schemas]).as_string()}::text[])"
    with Snapshot(conn) as snapshot:
        wanted = _SCHEMAS.replace("{wanted}", named)
        found, used = snapshot.ask([wanted, catalogs.used()], last=False)
        namespaces = [oid for oid, _ in found.rows]
        said = catalogs.said_of_later()
        if schemas is not None:
            said += f" AND {catalogs.said_within(namespaces)}"
        about = _About(said=said, member="true", privileged="true")
        asked = {kind: kind.within(namespaces) for kind in catalogs.kinds_in(used)}
        with _without_gc():
            inventory = _read(snapshot, conn, asked, about)
    inventory.schemas = [name for _, name in found.rows]
    return inventory


def read_objects(
    conn: Session,
    addresses: Sequence[Address],
    known: Mapping[int, Collection[Address]] | None = None,
    remarked: Collection[Address] = (),
) -> Inventory:
    """Return the objects at these addresses, without those that are not there. They are found by
    OID, whatever the catalog's size.

    `known` are other addresses, by catalog: those where nothing is any more become `gone`. Of the
    `remarked` ones, those without a comment become `silent`.
    """
    lost = [catalogs.gone(classid, sorted(those)) for classid, those in (known or {}).items()]
    if remarked:
        lost.append(catalogs.silent(sorted(remarked)))
    if not addresses and not lost:
        return Inventory()
    # There may be ten thousand: each of the many kinds looks only at those of its catalog.
    by_catalog = defaultdict[int, list[Address]](list)
    for address in addresses:
        by_catalog[address.classid].append(address)
    kinds = [kind for kind in catalogs.kinds() if kind.classid in by_catalog]
    asked = {kind: kind.of(by_catalog[kind.classid]) for kind in kinds}
    about = _About(
        said=catalogs.among(addresses, "d.classoid", "d.objoid"),
        member=catalogs.among(addresses, "d.classid", "d.objid"),
        privileged=f"{{oid}} = ANY ({catalogs.oids(each.objid for each in addresses)})",
    )
    questions = {kind: question for kind, question in asked.items() if question}
    with Snapshot(conn) as snapshot:
        return _read(snapshot, conn, questions, about, lost, silent=bool(remarked))


@contextmanager
def _without_gc() -> Iterator[None]:
    """No garbage is looked for: all that is read is kept, and to walk through it again and again,
    as it grows, takes as long as to read it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _About(NamedTuple):
    """The objects of which more is asked than each kind's question says, as conditions."""

    said: str  # of rows that hold a comment or a label
    member: str  # of rows that make something the member of an extension
    privileged: str  # of an OID, in place of {oid}


def _read(
    snapshot: Snapshot,
    conn: Session,
    asked: Mapping[Kind, str],
    about: _About,
    lost: Sequence[str] = (),
    *,
    silent: bool = False,
) -> Inventory:
    """Return the objects that the questions are about, with what is said of them. Of what
    extensions and PostgreSQL itself have brought only privileges that were changed.
    """
    privileges = catalogs.query("initial_privileges")
    questions = [
        catalogs.query("members").replace("{wanted}", about.member),
        _OID.sub(lambda match: about.privileged.replace("{oid}", match[1]), privileges),
        *(catalogs.query(name).replace("{wanted}", about.said) for name in _SAID.values()),
        *(_permitted(conn, kind, question) for kind, question in asked.items()),
        *lost,
    ]
    members, granted, *others = snapshot.ask(questions, last=True)
    # the answers come in the order of the questions
    rest = iter(others)
    said = {name: next(rest) for name in _SAID}
    answers = {kind: next(rest) for kind in asked}
    brought = set(members.rows)
    inventory = Inventory()
    for kind, answer in answers.items():
        _take(inventory, kind, answer, brought)
    _add_granted(inventory, granted)
    _add(inventory, said)
    of_lost = [{Address(*row) for row in answer.rows} for answer in rest]
    if silent:
        inventory.silent = of_lost.pop()
    inventory.gone = set().union(*of_lost)
    return inventory


def _permitted(conn: Session, kind: Kind, question: str) -> str:
    """Return the question without what only a superuser may read."""
    if kind.name == "subscriptions" and not is_superuser(conn):
        question = question.replace("s.subconninfo AS", "NULL AS")
        question = question.replace("to_jsonb(s) - ", "NULL::jsonb - ")
    return question


def _take(inventory: Inventory, kind: Kind, answer: Answer, brought: set[tuple[Any, ...]]) -> None:
    """Add the objects of one kind. `brought` are the members of extensions: those are not ours."""
    definitions = _Definitions(answer.names[5:])
    whole = OIDS[_WHOLES.get(kind.name, "pg_class")]
    for row in answer.rows:
        oid, number, part_of, type_, identity = row[:5]
        each = Object(type_, identity)
        own = oid < MADE_LATER and kind.classid not in SHARED
        if own and each != _PUBLIC and type_ != "extension":
            continue
        if brought and ((kind.classid, oid) in brought or (whole, part_of) in brought):
            continue
        inventory.definitions[each] = definitions.of(row[5:])
        inventory.addresses[each] = Address(kind.classid, oid, number)
        if part_of is not None:
            inventory.owners[each] = Address(whole, part_of)


class _Definitions:
    """The definitions of objects of one kind. Those with the same values, as thousands of columns
    have them, share one.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._made: dict[tuple[Any, ...], Definition] = {}

    def of(self, values: tuple[Any, ...]) -> Definition:
        try:
            known = self._made.get(values)
        except TypeError:  # a list among them: of privileges, of options
            return Definition(_properties(self._names, values))
        if known is None:
            known = self._made[values] = Definition(_properties(self._names, values))
        return known


def _properties(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return what there is to say, by name."""
    # what is false, or not there, goes without saying
    named = zip(names, values, strict=True)
    said = {name: value for name, value in named if value is not None and value is not False}
    for name, value in said.items():
        # a function's text may hold a secret, and a comment; what is short holds none
        if isinstance(value, str) and len(value) > _SHORT:
            said[name] = _masked(value)
    usual = said.pop("default acl", ())  # a column has none
    if "acl" in said:
        privileges = sorted(said.pop("acl"))
        if privileges != sorted(usual):
            said["privileges"] = privileges
    if "options" in said and isinstance(said["options"], list):
        said["options"] = sorted(said["options"])
    if "foreign options" in said:
        said["foreign options"] = [_mask(option) for option in said["foreign options"]]
    if "mapping options" in said:
        said["mapping options"] = [_mask_in_mapping(option) for option in said["mapping options"]]
    if "connection" in said:
        said["connection"] = _without_password(said["connection"])
    if "settings" in said:
        for setting in said.pop("settings"):
            name, _, value = _mask(setting).partition("=")
            said[name] = value
    return said


@lru_cache(maxsize=1_000)
def _masked(text: str) -> str:
    """Return the text without what may be secret. Those of types and defaults come again and
    again.
    """
    return mask_shapes(text, sql=True)


def _mask(option: str) -> str:
    """Return an option of whatever is foreign, without a value that may be secret."""
    name, _, _ = option.partition("=")
    if _SECRET.search(name):
        return f"{name}={MASK}"
    return mask_shapes(option)


def _mask_in_mapping(option: str) -> str:
    name, _, _ = option.partition("=")
    if _NO_SECRET.fullmatch(name):
        return option
    return f"{name}={MASK}"


def _without_password(conninfo: str) -> str:
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return MASK
    for name in given:
        if _SECRET.search(name):
            given[name] = MASK
    return make_conninfo("", **given)


def _add_granted(inventory: Inventory, answer: Answer) -> None:
    """Add objects that are not ours for their privileges alone; public is one that is there."""
    names = ["acl", "default acl", "comment"]
    for *address, type_, identity, acl, usual, comment in answer.rows:
        each = Object(type_, identity)
        properties = _properties(names, [acl, usual, comment])
        if "privileges" in properties:
            inventory.definitions.setdefault(each, Definition(properties))
            inventory.addresses.setdefault(each, Address(*address))


def _add(inventory: Inventory, remarks: Mapping[str, Answer]) -> None:
    """Add what is said of the objects at their addresses."""
    if not any(answer.rows for answer in remarks.values()):
        return  # to turn the addresses around takes its time
    objects = inventory.at()
    for name, answer in remarks.items():
        for classid, oid, number, text in answer.rows:
            each = objects.get(Address(classid, oid, number))
            if each is None:
                continue
            if isinstance(text, str):  # else a list: of extensions, of labels
                text = mask_shapes(text, sql=True)
            properties = {**inventory.definitions[each].properties, name: text}
            inventory.definitions[each] = Definition(properties)
