"""The questions to the catalog, one for each kind of objects: the files of `sql/inventory/`.

Line 2 of each file is

    -- of CATALOG: OID_COLUMN[, NUMBER_COLUMN][; in SCHEMA_COLUMN][; with CATALOG LETTERS]

- CATALOG, OID_COLUMN, NUMBER_COLUMN: where the kind's objects have their addresses. The number is
  that of a column of a table, or a second OID.
- SCHEMA_COLUMN: the OID of the schema that they are in.
- `with`: the kind is asked for only if that catalog, in place of its own, has rows that initdb has
  not made; with LETTERS, only rows whose relkind, prokind or typtype is one of these count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pgrunbook.inventory.objects import Address
from pgrunbook.inventory.snapshot import Answer

# Catalogs have the same OIDs in every version: src/include/catalog/*.h.
OIDS = {
    "pg_am": 2601,
    "pg_auth_members": 1261,
    "pg_authid": 1260,
    "pg_cast": 2605,
    "pg_class": 1259,
    "pg_collation": 3456,
    "pg_constraint": 2606,
    "pg_conversion": 2607,
    "pg_database": 1262,
    "pg_db_role_setting": 2964,
    "pg_default_acl": 826,
    "pg_event_trigger": 3466,
    "pg_extension": 3079,
    "pg_foreign_data_wrapper": 2328,
    "pg_foreign_server": 1417,
    "pg_language": 2612,
    "pg_namespace": 2615,
    "pg_opclass": 2616,
    "pg_operator": 2617,
    "pg_opfamily": 2753,
    "pg_parameter_acl": 6243,
    "pg_policy": 3256,
    "pg_proc": 1255,
    "pg_publication": 6104,
    "pg_publication_namespace": 6237,
    "pg_publication_rel": 6106,
    "pg_rewrite": 2618,
    "pg_statistic_ext": 3381,
    "pg_subscription": 6100,
    "pg_transform": 3576,
    "pg_trigger": 2620,
    "pg_ts_config": 3602,
    "pg_ts_dict": 3600,
    "pg_ts_parser": 3601,
    "pg_ts_template": 3764,
    "pg_type": 1247,
    "pg_user_mapping": 1418,
}

MADE_LATER = 16384  # FirstNormalObjectId: what has a smaller OID was made by initdb

# Which catalogs hold anything that initdb has not made? For most kinds of objects that is none; of
# the large ones it is told which kinds there are. An array is no type of its own.
_USED = "SELECT {oid}, '' WHERE EXISTS (SELECT FROM {catalog} WHERE oid >= {later})"
_USED_BY = "SELECT DISTINCT {oid}, {letters}::text FROM {catalog} WHERE oid >= {later}{but}"
_LETTERS = {"pg_class": "relkind", "pg_proc": "prokind", "pg_type": "typtype"}
_BUT = {"pg_type": " AND (typelem = 0 OR typarray <> 0)"}
# What all databases of the cluster share.
SHARED = frozenset(
    OIDS[catalog]
    for catalog in (
        "pg_auth_members",
        "pg_authid",
        "pg_database",
        "pg_db_role_setting",
        "pg_parameter_acl",
    )
)
# What initdb has made of these may be altered.
_ALWAYS = SHARED | {OIDS["pg_extension"], OIDS["pg_namespace"]}
_HIDDEN = "pg_user_mapping"  # from most roles

_PAIRS = "({}, {}) IN (SELECT * FROM unnest({}::oid[], {}::{}[]))"

_HEADER = re.compile(
    r"^-- of (\w+): ([\w.]+)(?:, ([\w.]+))?(?:; in ([\w.]+))?(?:; with (\w+)((?: \w)*))?$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects, and the question that has a row for each: address, what it is part of,
    type, identity, and its properties by their names.
    """

    name: str
    text: str
    classid: int
    oid: str
    number: str | None
    namespace: str | None
    source: int  # the catalog without which there is none of the kind
    letters: frozenset[str]  # those there, of which none is without one; empty: whichever

    def of(self, addresses: Sequence[Address]) -> str:
        """Return the question about those of the addresses, all in its catalog, that may be of this
        kind; empty if none is.
        """
        whole: set[int] = set()
        parts: set[tuple[int, int]] = set()
        of_table = self.classid == OIDS["pg_class"]
        for _, oid, number in addresses:
            if number == 0:
                whole.add(oid)
            # elsewhere than in pg_class it is another OID, which may be 0
            if number > 0 or not of_table:
                parts.add((oid, number))
        if self.number is None:
            if not whole:
                return ""
            return self._asked(f"{self.oid} = ANY ({oids(whole)}){self._lasting}")
        if not parts:
            return ""
        pairs = sorted(parts)
        tables = oids(oid for oid, _ in pairs)
        these = _are_among(self.oid, self.number, pairs, "int2" if of_table else "oid")
        return self._asked(f"{self.oid} = ANY ({tables}) AND {these}{self._lasting}")

    def within(self, namespaces: Sequence[int]) -> str:
        """Return the question about all objects of the schemas; about all there are, if they have
        none.
        """
        if self.namespace is None:
            return self._asked("true")
        return self._asked(f"{self.namespace} = ANY ({oids(namespaces)})")

    @property
    def _lasting(self) -> str:
        """The condition that leaves out what is in a session's own schema, and ends with it."""
        if self.namespace is None:
            return ""
        schema = f"SELECT FROM pg_namespace session WHERE session.oid = {self.namespace}"
        return f" AND NOT EXISTS ({schema} AND session.nspname LIKE 'pg\\_%temp\\_%')"

    def _asked(self, wanted: str) -> str:
        return self.text.replace("{wanted}", wanted)


_GONE = """\
SELECT {classid}, a.objid::bigint, a.objsubid
  FROM unnest({oids}::oid[], {numbers}::int8[]) AS a (objid, objsubid)
 WHERE NOT EXISTS ({there})"""

_THERE = {
    "pg_authid": "SELECT FROM pg_roles r WHERE r.oid = a.objid",  # which everybody may read
    "pg_auth_members": "SELECT FROM pg_auth_members m"
    " WHERE m.roleid = a.objid AND m.member = a.objsubid::oid",
    "pg_class": "SELECT FROM pg_class c WHERE c.oid = a.objid"
    " AND (a.objsubid = 0 OR EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = a.objid"
    " AND t.attnum = a.objsubid AND NOT t.attisdropped))",
    "pg_db_role_setting": "SELECT FROM pg_db_role_setting s"
    " WHERE s.setdatabase = a.objid AND s.setrole = a.objsubid::oid",
}


def gone(classid: int, addresses: Sequence[Address]) -> str:
    """Return the question which of these addresses in one catalog keep nothing any more."""
    (catalog,) = [name for name, oid in OIDS.items() if oid == classid]
    wanted = _array([each.objid for each in addresses])
    numbers = _array([each.objsubid for each in addresses])
    there = _THERE.get(catalog, f"SELECT FROM {catalog} c WHERE c.oid = a.objid")
    return _GONE.format(classid=classid, oids=wanted, numbers=numbers, there=there)


def silent(addresses: Sequence[Address]) -> str:
    """Return the question which of these addresses have no comment any more."""
    columns = list(zip(*addresses, strict=True))
    return query("silent").format(*map(_array, columns))


@cache
def query(name: str) -> str:
    """Return the text of `sql/inventory/<name>.sql`."""
    return (files("pgrunbook") / "sql" / "inventory" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def kinds() -> Sequence[Kind]:
    """Return all kinds of objects."""
    folder = files("pgrunbook") / "sql" / "inventory"
    names = sorted(path.name.removesuffix(".sql") for path in folder.iterdir())
    found = []
    for name in names:
        header = _HEADER.search(query(name))
        if not header:
            continue  # a question of another form: what is said of objects, what was written
        catalog, oid, number, namespace, source, letters = header.groups()
        kind = Kind(
            name,
            query(name),
            classid=OIDS[catalog],
            oid=oid,
            number=number,
            namespace=namespace,
            source=OIDS[source or catalog],
            letters=frozenset((letters or "").split()),
        )
        found.append(kind)
    return found


def used() -> str:
    """Return the question which kinds of objects there are any of: see `kinds_in`."""
    queries = []
    for catalog, oid in OIDS.items():
        if oid in _ALWAYS or catalog == _HIDDEN:
            continue
        about = {"oid": oid, "catalog": catalog, "later": MADE_LATER}
        if catalog in _LETTERS:
            but = _BUT.get(catalog, "")
            queries.append(_USED_BY.format(**about, letters=_LETTERS[catalog], but=but))
        else:
            queries.append(_USED.format(**about))
    return " UNION ALL ".join(queries)


def kinds_in(used: Answer) -> list[Kind]:
    """Return the kinds of objects that may be there, by the answer to the question of `used`."""
    there: dict[int, set[str]] = {oid: set() for oid in _ALWAYS}
    for oid, letter in used.rows:
        there.setdefault(oid, set()).add(letter)
    found = []
    for kind in kinds():
        if kind.source in there and (not kind.letters or kind.letters & there[kind.source]):
            found.append(kind)
    return found


def among(addresses: Sequence[Address], classid: str, oid: str) -> str:
    """Return the condition that two columns of a row address one of these objects, or a part of
    one.
    """
    return _are_among(classid, oid, sorted({each[:2] for each in addresses}), "oid")


# The catalogs that most objects of schemas are in, and their columns that hold the schema.
_LARGE = {
    "pg_class": "relnamespace",
    "pg_constraint": "connamespace",
    "pg_proc": "pronamespace",
    "pg_type": "typnamespace",
}
_WITHIN = "SELECT oid FROM {catalog} WHERE {column} = ANY ({namespaces})"


def said_of_later() -> str:
    """Return the condition that a comment or a label, `d`, is not about one of PostgreSQL's own
    objects.
    """
    return f"(d.objoid >= {MADE_LATER} OR d.classoid = ANY ({oids(_ALWAYS)}))"


def said_within(namespaces: Sequence[int]) -> str:
    """Return the condition that a comment or a label, `d`, is about an object of these schemas.

    What is about an object of a small catalog passes, wherever that object is: to read it costs
    less than to find out.
    """
    small = oids(OIDS[catalog] for catalog in _LARGE)
    queries = []
    for catalog, column in _LARGE.items():
        about = {"catalog": catalog, "column": column, "namespaces": oids(namespaces)}
        queries.append(_WITHIN.format(**about))
    return f"(d.classoid <> ALL ({small}) OR d.objoid IN ({' UNION ALL '.join(queries)}))"


def _are_among(left: str, right: str, pairs: Sequence[tuple[int, int]], type_: str) -> str:
    """Return the condition that the two columns hold one of the pairs."""
    lefts = _array([one for one, _ in pairs])
    rights = _array([other for _, other in pairs])
    return _PAIRS.format(left, right, lefts, rights, type_)


def oids(numbers: Iterable[int]) -> str:
    """Return an array of OIDs."""
    return f"{_array(sorted({*numbers}))}::oid[]"


def _array(numbers: Sequence[int]) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'"
