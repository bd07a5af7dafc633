"""Asks the catalog where a statement's text leaves open whether it is dangerous.

`sqltext` finds the dangers, and says by `Doubt`s what only the catalog can tell: whether a column
has NULLs, whether a function is volatile. All doubts of a run are asked in one round trip.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pglast import ast

from pgrunbook.admit.expressions import parse
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.sqltext.hazards import Danger, Doubt, Thing
from pgrunbook.sqltext.search_paths import ANYWHERE

Row = Mapping[str, Any]


class Likely(enum.IntEnum):
    """Whether a hazard is there. The numbers are its order: the least and the greatest of several
    are looked for.
    """

    NO = 0
    MAY = 1
    YES = 2


# The schemas in which a block's statements look a name up, in order; ANYWHERE at the end stands for
# any other one.
Path = tuple[str, ...]

_Place = tuple[str, str, str, str]  # of a relation: kind, schema, name and part
_Column = tuple[str, str, str, str, str]  # schema, table, column; its new type and collation


class Catalog:
    """The catalog's answers about dangers. A name without a schema is looked up along the path of
    the danger's block.
    """

    def __init__(self, conn: Session, schema: str, dangers: Sequence[tuple[Danger, Path]]) -> None:
        """Ask about all dangers in one round trip. Names are printed for the schema: without it."""
        # Dicts without values: their order is the same each time, which that of a set is not.
        relations: dict[_Place, None] = {}
        columns: dict[_Column, None] = {}
        functions: set[str] = set()
        domains: list[str] = []
        dropped: dict[_Place, None] = {}
        checked: dict[tuple[str, str], None] = {}
        searched: set[str] = set()
        for danger, path in dangers:
            places = _places(danger.thing, path)
            relations |= dict.fromkeys(places)
            searched.update(path)
            for doubt in danger.doubts:
                if doubt.about in _OF_COLUMNS:
                    column, new_type, collation = _column(danger.thing, doubt)
                    for _, where, table, _ in places:
                        columns[where, table, column, new_type, collation] = None
                elif doubt.about in _OF_FUNCTIONS:
                    functions.update(doubt.values)
                elif doubt.about == "domain":
                    domains.append(doubt.values[0])
                elif doubt.about == "of domain":
                    checked |= dict.fromkeys(_domains(danger.thing, path))
                elif doubt.about == "taken along":
                    dropped |= dict.fromkeys(_places(danger.thing, path or ("",)))
        asked = {
            "hazard_relations": _arrays(relations, ("kinds", "schemas", "names", "parts")),
            "hazard_columns": {
                **_arrays(columns, ("schemas", "tables", "columns", "types", "collations")),
                "printed_for": schema,
            },
            "hazard_functions": {"functions": sorted(functions), "schemas": sorted(searched)},
            "hazard_domains": {"types": domains, "printed_for": schema},
        }
        if dropped:
            names = ("kinds", "schemas", "names", "parts")
            asked["hazard_taken_along"] = {**_arrays(dropped, names), "printed_for": schema}
        if checked:
            names_of = _arrays(checked, ("schemas", "names"))
            asked["hazard_domain_tables"] = {**names_of, "printed_for": schema}
        answers = catalog.rows_of_several(conn, asked)
        self._of_domains: dict[tuple[str, str], Sequence[str]] = {}
        for row in answers.get("hazard_domain_tables", ()):
            self._of_domains[row["schema"], row["name"]] = row["tables"]
        self._relations: dict[_Place, Row] = {}
        for row in answers["hazard_relations"]:
            self._relations[row["kind"], row["place"], row["name"], row["part"]] = row
        self._columns: dict[_Column, Row] = {}
        for row in answers["hazard_columns"]:
            place = row["schema"], row["table"], row["column"]
            self._columns[*place, row["new_type"], row["new_collation"]] = row
        self._functions = {row["name"]: row for row in answers["hazard_functions"]}
        self._domains = {row["type"] for row in answers["hazard_domains"]}
        self._taken_along: dict[_Place, Row] = {}
        for row in answers.get("hazard_taken_along", ()):
            self._taken_along[row["kind"], row["schema"], row["name"], row["part"]] = row

    def relation(self, thing: Thing, path: Path) -> Row | None:
        """Return the row of a relation, or of a part of one: of the first schema of the path that
        has it. None if none has.
        """
        for place in _places(thing, path):
            if place in self._relations:
                return self._relations[place]
        return None

    def ambiguous(self, thing: Thing, path: Path) -> bool:
        """Whether several relations have the name, and the path does not tell which one is meant:
        a statement before may have set any path.
        """
        if ANYWHERE not in path or thing.schema:
            return False
        row = self._relations.get((thing.kind, ANYWHERE, thing.name, thing.part))
        return row is not None and row["namesakes"] > 1

    def _column_of(
        self, row: Row | None, column: str, new_type: str = "", collation: str = ""
    ) -> Row | None:
        if row is None:
            return None
        return self._columns.get((row["schema"], row["name"], column, new_type, collation))

    def answer(self, danger: Danger, path: Path) -> Likely:
        """Return whether the hazard is there."""
        # A hazard is there unless one of its doubts dispels it: the least likely answer counts.
        row = self.relation(danger.thing, path)
        answers = [self._answer(danger.thing, path, row, doubt) for doubt in danger.doubts]
        if self.ambiguous(danger.thing, path):
            answers.append(Likely.MAY)
        return min(answers, default=Likely.YES)

    def _answer(self, thing: Thing, path: Path, row: Row | None, doubt: Doubt) -> Likely:
        match doubt.about, doubt.values:
            case "type", (new_type, using, collation):
                column = self._column_of(row, thing.part, new_type, collation)
                return _retyped(column, new_type, using)
            case "made anew", (new_type, using, collation):
                column = self._column_of(row, thing.part, new_type, collation)
                if _retyped(column, new_type, using) is not Likely.NO:
                    return Likely.NO  # the table is written anew, which reads it
                return Likely.YES if column and column["made_anew"] else Likely.NO
            case "default", functions:
                return self._are(functions, "volatile")
            case "volatile", functions:
                return self._are(functions, "code")
            case "returns set", functions:
                return self._are(functions, "set")
            case "taken along", (what,):
                return self._takes_along(thing, path, what)
            case "fires", (event,):
                return Likely.YES if row and event in row["fires"] else Likely.NO
            case "domain", (type_,):
                return Likely.YES if type_ in self._domains else Likely.NO
            case "not null", (name,):
                column = self._column_of(row, name)
                return _NULLS[column["is_not_null"]] if column else Likely.YES
            case "stored", (name,):
                column = self._column_of(row, name)
                return Likely.NO if column and column["generated"] == "v" else Likely.YES
            case "key", (index,):
                return _nullable(row, index)
            case "checks", _:
                return Likely.MAY if row and row["checked"] else Likely.YES
            case "default partition", _:
                return Likely.YES if row and row["has_default_partition"] else Likely.NO
            case "storage", (setting, value):
                same = row is not None and row[setting.replace(" ", "_")] == value
                # of a partitioned table it is what its next partitions get
                return Likely.NO if same or (row and row["partitioned"]) else Likely.YES
            case "of domain", _:
                return Likely.YES if self.of_domain(thing, path) else Likely.NO
            case "absent", _:
                return Likely.NO if row and row["attnum"] else Likely.YES
        return Likely.MAY

    def _takes_along(self, thing: Thing, path: Path, what: str) -> Likely:
        """Return whether what is dropped takes a `table` or a `column` along, or has other tables
        `locked`; or something that is neither, an `other`.
        """
        for place in _places(thing, path or ("",)):
            row = self._taken_along.get(place)
            if row and (self.along(thing, (place[1],), what) if what == "other" else row[what]):
                return Likely.MAY if ANYWHERE in place else Likely.YES
        return Likely.NO

    def along(self, thing: Thing, path: Path, what: str) -> tuple[str, ...]:
        """Return what CASCADE drops with the thing: each `table`, `column`, or `other`."""
        for place in _places(thing, path or ("",)):
            if place in self._taken_along:
                found = [each.partition(" ") for each in self._taken_along[place]["along"]]
                return tuple(name for kind, _, name in found if kind == what)
        return ()

    def of_domain(self, domain: Thing, path: Path) -> tuple[str, ...]:
        """Return the tables that have a column of a domain."""
        for place in _domains(domain, path):
            if place in self._of_domains:
                return tuple(self._of_domains[place])
        return ()

    def locked_beside(self, thing: Thing, path: Path) -> tuple[str, ...]:
        """Return the tables that stay and are locked when the thing is dropped."""
        for place in _places(thing, path or ("",)):
            if place in self._taken_along:
                return tuple(self._taken_along[place]["locked"])
        return ()

    def _are(self, functions: tuple[str, ...], what: str) -> Likely:
        """Return whether one of these functions is `volatile`, runs `code`, or returns a `set`.

        A name may be that of several functions, which differ in their arguments: the query says
        whether `some` of them are so, and whether `every` one is.
        """
        likely = Likely.NO
        for name in functions:
            row = self._functions.get(name)
            if row is None or row[f"some_{what}"] != row[f"every_{what}"]:
                # It is not there yet, or in another schema; or the arguments would have to tell.
                likely = max(likely, Likely.MAY)
            elif row[f"every_{what}"]:
                likely = Likely.YES
        return likely


def _nullable(row: Row | None, index: str) -> Likely:
    """Return whether a column of a unique index may be NULL."""
    if row is None:
        return Likely.MAY
    # an index that is not there yet may be on any of the columns
    found = row["unique_indexes"].get(index)
    if found is False or not row["nullable"]:
        return Likely.NO
    return Likely.MAY if found is None or row["checked"] else Likely.YES


_OF_FUNCTIONS = ("default", "volatile", "returns set")
_OF_COLUMNS = ("type", "made anew", "not null", "stored")
_NULLS = {"yes": Likely.NO, "perhaps": Likely.MAY, "no": Likely.YES}


def _places(thing: Thing, path: Path) -> list[_Place]:
    """Return where a relation may be: in its schema, or else in those of the path."""
    if not thing.name:
        return []
    return [(thing.kind, schema, thing.name, thing.part) for schema in thing.schemas(path)]


def _domains(domain: Thing, path: Path) -> list[tuple[str, str]]:
    return [(schema, domain.name) for schema in domain.schemas(path)]


def _column(thing: Thing, doubt: Doubt) -> tuple[str, str, str]:
    """Return the column that a doubt is about, and its new type and collation."""
    match doubt.values:
        case (new_type, _, collation):
            return thing.part, new_type, collation
    return doubt.values[0], "", ""


def _arrays(places: Iterable[tuple[str, ...]], names: Sequence[str]) -> dict[str, Any]:
    """Return the places as the parameters of a query: an array for each of their parts."""
    arrays: dict[str, list[str]] = {name: [] for name in names}
    for place in places:
        for name, part in zip(names, place, strict=True):
            arrays[name].append(part)
    return arrays


# -- whether a new type takes the values as they are


# Types whose values need no rewrite if the modifier grows: their planner support functions
# (varchar_support, varbit_support, timestamp_support …) remove the cast. That of numeric does so
# only if the scale stays the same, see `_modified`.
_GROWING = {"varchar", "varbit", "timestamp", "timestamptz", "time", "timetz"}
_LARGEST_PRECISION = 6  # of a time: what it has without a modifier


def _retyped(column: Row | None, new_type: str, using: str) -> Likely:
    """Return whether ALTER COLUMN TYPE writes the table anew, as ATColumnChangeRequiresRewrite
    decides (src/backend/commands/tablecmds.c).
    """
    if column is None or column["new_base"] is None or using:
        return Likely.MAY
    if column["to_domain"]:  # without constraints it may be a name for the same
        return Likely.MAY
    old, new = (parse(f"NULL::{each}").typeName for each in (column["type"], new_type))
    if column["base"] == column["new_base"]:
        # a domain's own modifier does not show
        return Likely.MAY if column["of_domain"] else _modified(old, new)
    if column["cast_by"] == "b" and not new.typmods:
        return Likely.NO
    if {"timestamp", "timestamptz"} == {_name(old), _name(new)}:
        # With the session's time zone at UTC the values are the same; else they are not.
        return Likely.MAY
    return Likely.YES


def _modified(old: ast.TypeName, new: ast.TypeName) -> Likely:
    """Return the same for two types that differ in their modifiers alone: varchar(10) and
    varchar(20).
    """
    name, there, wanted = _name(old), _modifiers(old), _modifiers(new)
    if there == wanted or not wanted:
        return Likely.NO
    if name in _GROWING:
        largest = "time" in name and wanted[0] == _LARGEST_PRECISION
        if largest or (there and there[0] <= wanted[0]):
            return Likely.NO
        return Likely.YES
    if name == "numeric":
        # numeric(p) is numeric(p, 0)
        if there and _scale(there) == _scale(wanted) and there[0] <= wanted[0]:
            return Likely.NO
        return Likely.YES
    if name in ("bpchar", "bit"):
        return Likely.YES
    return Likely.MAY


def _scale(modifiers: Sequence[int]) -> int:
    return modifiers[1] if len(modifiers) > 1 else 0


def _name(node: ast.TypeName) -> str:
    return str(node.names[-1].sval)


def _modifiers(node: ast.TypeName) -> list[int]:
    return [each.val.ival for each in node.typmods or () if isinstance(each.val, ast.Integer)]
