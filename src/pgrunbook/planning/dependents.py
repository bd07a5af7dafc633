"""Finds what depends on the things that the pending blocks put at risk, and what goes along with
them. Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pgrunbook.planning.doubts import Catalog, Path
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.hazards import ALONG, BESIDE, OF_DOMAIN, Danger, Hazard, Trait


class Case(NamedTuple):
    """A danger of a block, and the schemas where its name is looked up; `during`: see `Danger`."""

    block: Block
    danger: Danger
    path: Path
    during: tuple[Case, ...] = ()


class Dependents:
    """What depends on the things of dangers, described as PostgreSQL does."""

    def __init__(self, conn: Session, schema: str, answers: Catalog, cases: Sequence[Case]) -> None:
        """Ask about all cases."""
        self._answers = answers
        asked = [case for case in cases if Trait.DEPENDENTS in case.danger.hazard.traits]
        self._of_relations = _of_relations(conn, schema, answers, asked)
        self._of_others = _of_others(conn, schema, asked)
        self._truncated = _truncated(conn, schema, answers, asked)

    def of(self, case: Case, row: Mapping[str, Any] | None) -> tuple[str, ...]:
        """Return what depends on the thing of a danger, or goes along with it. `row` is that of the
        relation, if it is one.
        """
        if OF_DOMAIN in case.danger.doubts:
            return self._answers.of_domain(case.danger.thing, case.path)
        if BESIDE in case.danger.doubts:
            return self._answers.locked_beside(case.danger.thing, case.path)
        if case.danger.along:
            return self._answers.along(case.danger.thing, case.path, case.danger.along)
        if Trait.DEPENDENTS not in case.danger.hazard.traits:
            return ()
        direct = self._direct(case, row)
        if not case.danger.detail.startswith("CASCADE"):
            return direct
        if row and case.danger.hazard is Hazard.TRUNCATES:
            return (*self._truncated.get(row["oid"], ()), *direct)
        what = ALONG.get(case.danger.hazard, "")
        return (*self._answers.along(case.danger.thing, case.path, what), *direct)

    def _direct(self, case: Case, row: Mapping[str, Any] | None) -> tuple[str, ...]:
        if row:
            return self._of_relations.get(_key(row, case.danger), ())
        for place in _places_of_others(case):
            if place in self._of_others:
                return self._of_others[place]
        return ()


_IN_OTHERS = {"type", "domain", "function", "procedure", "aggregate", "routine", "schema"}


_Key = tuple[int, int, str, str]


def _key(row: Mapping[str, Any], danger: Danger) -> _Key:
    """Return what dependents are asked of: the relation's OID, the number of a column (0 for the
    whole relation), the name of a part that is dropped, such as a constraint, and the columns that
    are set, as JSON.
    """
    dropped = danger.thing.part if danger.hazard is Hazard.DROPS_OTHER else ""
    return row["oid"], row["attnum"], dropped, json.dumps(danger.columns)


def _of_relations(
    conn: Session, schema: str, answers: Catalog, cases: Sequence[Case]
) -> dict[_Key, tuple[str, ...]]:
    keys = set()
    for case in cases:
        row = answers.relation(case.danger.thing, case.path)
        if row:
            keys.add(_key(row, case.danger))
    if not keys:
        return {}
    names = ("oids", "attnums", "parts", "sets")
    lists = map(list, zip(*sorted(keys), strict=True))
    asked = dict(zip(names, lists, strict=True))
    dependents: dict[_Key, tuple[str, ...]] = {}
    for row in catalog.rows(conn, "hazard_dependents", **asked, printed_for=schema):
        key = row["oid"], row["attnum"], row["part"], row["sets"]
        dependents[key] = (*dependents.get(key, ()), row["dependent"])
    return dependents


def _places_of_others(case: Case) -> list[tuple[str, str, str]]:
    """Return where something that is not a relation may be: kind, schema and name."""
    thing = case.danger.thing
    if thing.kind not in _IN_OTHERS:
        return []
    return [(thing.kind, schema, thing.name) for schema in thing.schemas(case.path)]


def _of_others(
    conn: Session, schema: str, cases: Sequence[Case]
) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Return what depends on types and functions, or is in schemas: by kind, schema and name."""
    places: set[tuple[str, str, str]] = set()
    for case in cases:
        places.update(_places_of_others(case))
    if not places:
        return {}
    kinds, schemas, names = zip(*sorted(places), strict=True)
    asked = {"kinds": [*kinds], "schemas": [*schemas], "names": [*names], "printed_for": schema}
    rows = catalog.rows(conn, "hazard_others", **asked)
    return {(row["kind"], row["schema"], row["name"]): tuple(row["dependents"]) for row in rows}


def _truncated(
    conn: Session, schema: str, answers: Catalog, cases: Sequence[Case]
) -> dict[int, tuple[str, ...]]:
    """Return the tables that TRUNCATE … CASCADE truncates along with one, by the OID of that."""
    oids = []
    for case in cases:
        row = answers.relation(case.danger.thing, case.path)
        if row and case.danger.hazard is Hazard.TRUNCATES and case.danger.detail:
            oids.append(row["oid"])
    if not oids:
        return {}
    rows = catalog.rows(conn, "truncated_along", oids=oids, printed_for=schema)
    return {row["oid"]: tuple(row["tables"]) for row in rows}
