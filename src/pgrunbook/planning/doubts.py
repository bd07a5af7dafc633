"""What the catalog says where a statement's words leave open whether it is dangerous."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import pglast
from pglast import ast

from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.sqltext.hazards import Danger, Doubt, Thing

Row = Mapping[str, Any]


class Likely(enum.IntEnum):
    """Whether a hazard is there."""

    NO = 0
    MAY = 1
    YES = 2


class Catalog:
    """The catalog's answers about all of these dangers, asked in one round trip.

    `schema` is where a name without one is looked up.
    """

    def __init__(self, conn: Connection, schema: str, dangers: Iterable[Danger]) -> None:
        self._schema = schema
        asked = [(self.place(danger.thing), doubt) for danger in dangers for doubt in danger.doubts]
        things = {danger.thing: None for danger in dangers if danger.thing.name}
        functions = {f for _, doubt in asked if doubt.about in _OF_FUNCTIONS for f in doubt.values}
        columns = [
            (*place, *_asked_of(doubt)) for place, doubt in asked if doubt.about in _OF_COLUMNS
        ]
        # a column may be new: the others ask for one by the part of their thing
        answers = catalog.together(
            conn,
            {
                "hazard_relations": {
                    "schemas": [thing.schema or schema for thing in things],
                    "names": [thing.name for thing in things],
                    "kinds": [thing.kind for thing in things],
                    "parts": [thing.part for thing in things],
                },
                "hazard_columns": {
                    "schemas": [column[0] for column in columns],
                    "tables": [column[1] for column in columns],
                    "columns": [column[2] for column in columns],
                    "types": [column[3] for column in columns],
                    "printed_for": schema,
                },
                "hazard_functions": {"functions": sorted(functions), "schema": schema},
                "hazard_domains": {
                    "types": [doubt.values[0] for _, doubt in asked if doubt.about == "domain"],
                    "printed_for": schema,
                },
            },
        )
        self.relations: dict[tuple[str, ...], Row] = {
            (row["kind"], row["schema"], row["name"], row["part"]): row
            for row in answers["hazard_relations"]
        }
        self._columns = {
            (row["schema"], row["table"], row["column"], row["new_type"]): row
            for row in answers["hazard_columns"]
        }
        self._functions = {row["name"]: row for row in answers["hazard_functions"]}
        self._domains = {row["type"] for row in answers["hazard_domains"]}

    def place(self, thing: Thing) -> tuple[str, str]:
        """The schema and the name of a relation."""
        return thing.schema or self._schema, thing.name

    def relation(self, thing: Thing) -> Row | None:
        """What is there under a relation's name, and of the part that the thing is."""
        return self.relations.get((thing.kind, *self.place(thing), thing.part))

    def answer(self, danger: Danger) -> Likely:
        """Whether the hazard is there: the surest of what dispels it counts."""
        answers = [self._answer(danger.thing, doubt) for doubt in danger.doubts]
        return min(answers, default=Likely.YES)

    def _answer(self, thing: Thing, doubt: Doubt) -> Likely:
        row = self.relation(thing)
        match doubt.about, doubt.values:
            case "type", (new_type, using):
                column = self._columns.get((*self.place(thing), thing.part, new_type))
                return _retyped(column, new_type, using)
            case "default" | "volatile", functions:
                return self._volatile(functions)
            case "domain", (type_,):
                return Likely.YES if type_ in self._domains else Likely.NO
            case "not null", (column_name,):
                column = self._columns.get((*self.place(thing), column_name, ""))
                return _NULLS[column["is_not_null"]] if column else Likely.YES
            case "checks", _:
                return Likely.MAY if row and row["checked"] else Likely.YES
            case "default partition", _:
                return Likely.YES if row and row["has_default_partition"] else Likely.NO
            case "storage", (setting, value):
                same = row is not None and row[setting.replace(" ", "_")] == value
                return Likely.NO if same else Likely.YES
            case "absent", _:
                return Likely.NO if row and row["attnum"] else Likely.YES
            case "stored", (column_name,):
                column = self._columns.get((*self.place(thing), column_name, ""))
                return Likely.NO if column and column["generated"] == "v" else Likely.YES
        return Likely.MAY

    def _volatile(self, functions: tuple[str, ...]) -> Likely:
        """One that is not there, as a block before makes it or its schema is another, may be."""
        answers = [Likely.NO]
        for name in functions:
            row = self._functions.get(name)
            if row is None or row["some"] != row["every"]:
                answers.append(Likely.MAY)
            else:
                answers.append(Likely.YES if row["every"] else Likely.NO)
        return max(answers)


_OF_FUNCTIONS = ("default", "volatile")
_OF_COLUMNS = ("type", "not null", "stored")
_NULLS = {"yes": Likely.NO, "perhaps": Likely.MAY, "no": Likely.YES}


def _asked_of(doubt: Doubt) -> tuple[str, str]:
    """The column that a doubt is about, where it names one, and a new type."""
    return ("", doubt.values[0]) if doubt.about == "type" else (doubt.values[0], "")


# -- whether a new type takes the values as they are


# Types whose values stay as they are if a modifier grows, as their planner support functions know
# (varchar_support, varbit_support, timestamp_support …); numeric's scale must be the same.
_GROWING = {"varchar", "varbit", "timestamp", "timestamptz", "time", "timetz"}
_LARGEST_PRECISION = 6  # of a time: what it has without a modifier


def _retyped(column: Row | None, new_type: str, using: str) -> Likely:
    """Whether ALTER COLUMN TYPE writes the table anew, as ATColumnChangeRequiresRewrite decides
    (src/backend/commands/tablecmds.c).
    """
    if column is None or column["new_base"] is None or using:
        return Likely.MAY
    if column["to_domain"]:  # without constraints it may be a name for the same
        return Likely.MAY
    old, new = _parsed(column["type"]), _parsed(new_type)
    if column["base"] == column["new_base"]:
        # a domain's own modifier does not show
        return Likely.MAY if column["of_domain"] else _modified(old, new)
    if column["cast_by"] == "b" and not new.typmods:
        return Likely.NO
    if {"timestamp", "timestamptz"} == {_name(old), _name(new)}:  # in UTC they are the same
        return Likely.MAY
    return Likely.YES


def _modified(old: ast.TypeName, new: ast.TypeName) -> Likely:
    """The same for two types that differ in their modifiers alone."""
    name, there, wanted = _name(old), _modifiers(old), _modifiers(new)
    if there == wanted or not wanted:
        return Likely.NO
    if name in _GROWING:
        most = _LARGEST_PRECISION if "time" in name else None
        if wanted[0] == most or (there and there[0] <= wanted[0]):
            return Likely.NO
        return Likely.YES
    if name == "numeric":
        same_scale = [*there, 0][1:2] == [*wanted, 0][1:2]
        return Likely.NO if there and same_scale and there[0] <= wanted[0] else Likely.YES
    return Likely.YES if name in ("bpchar", "bit") else Likely.MAY


def _parsed(type_: str) -> ast.TypeName:
    (raw,) = pglast.parse_sql(f"SELECT NULL::{type_}")
    return raw.stmt.targetList[0].val.typeName


def _name(node: ast.TypeName) -> str:
    return str(node.names[-1].sval)


def _modifiers(node: ast.TypeName) -> list[int]:
    return [each.val.ival for each in node.typmods or () if isinstance(each.val, ast.Integer)]
