"""What the pending blocks put at risk on this very target: how much of it, what depends on it, and
for how long. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from pgrunbook import durations
from pgrunbook.ledger import ledger
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.doubts import Catalog, Likely, Path
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Danger, Hazard


@dataclass(frozen=True, slots=True)
class Size:
    """How large a relation is; the planner does not know its rows before the first ANALYZE."""

    rows: int | None
    bytes: int

    def __str__(self) -> str:
        rows = "an unknown number of rows" if self.rows is None else f"about {self.rows:,} rows"
        return f"{rows}, {_megabytes(self.bytes)}"


@dataclass(frozen=True, slots=True)
class Risk:
    """A hazard of a block on a target. `certain` is False where not even the catalog tells.

    `place` is the file and the line of the statement. `accepted`: the block's header says so.
    """

    block: str
    place: str
    danger: Danger
    certain: bool
    accepted: bool
    size: Size | None = None
    dependents: tuple[str, ...] = ()
    takes: str = ""

    @property
    def hazard(self) -> Hazard:
        """Which one it is."""
        return self.danger.hazard

    @property
    def concerns(self) -> str:
        """What it is about: `column invoices.note`, `table invoices (every row)`."""
        detail = f" ({self.danger.detail})" if self.danger.detail else ""
        return f"{self.danger.thing}{detail}"

    @property
    def told(self) -> str:
        """The hazard, with a word if it is not certain."""
        return str(self.hazard) if self.certain else f"may: {self.hazard}"


_LISTED = 6  # dependents, of one thing


class Case(NamedTuple):
    """A danger, the block whose it is, and the schemas where that looks names up."""

    block: Block
    danger: Danger
    path: Path


def assess(conn: Session, schema: str, decisions: Sequence[Decision]) -> list[Risk]:
    """The hazards of what is to run. What is not there is at no risk: an earlier block makes it,
    or nothing does.
    """
    found = list(_cases(conn, decisions))
    if not found:
        return []
    asked = Catalog(conn, schema, [(case.danger, case.path) for case in found])
    likely: list[tuple[Case, Likely]] = []
    for case in found:
        answer = asked.answer(case.danger, case.path)
        if answer is not Likely.NO and _is_there(asked, case):
            likely.append((case, answer))
    context = _Context(conn, schema, asked, [case for case, _ in likely])
    return [context.risk(case, certain=answer is Likely.YES) for case, answer in likely]


def sized(risks: Sequence[Risk], by: Sequence[Risk]) -> list[Risk]:
    """The risks of decisions on a copy, each as large as the same one is on the target, if it is
    there.
    """
    known = {(each.block, each.place, each.danger): each for each in by}

    def as_there(each: Risk) -> Risk:
        there = known.get((each.block, each.place, each.danger))
        return replace(each, size=there.size if there else None, takes=there.takes if there else "")

    return [as_there(each) for each in risks]


def _cases(conn: Session, decisions: Sequence[Decision]) -> Iterator[Case]:
    paths = Paths(conn)
    for decision in decisions:
        for danger in of_block(decision) if decision.pending else ():
            yield Case(decision.block, danger, paths.of(decision.block))


class Paths:
    """Where blocks look names up; each path is asked about once."""

    def __init__(self, conn: Session) -> None:
        self._conn = conn
        self._known: dict[str, Path] = {}

    def of(self, block: Block) -> Path:
        """The schemas of the block's path that are there, in order."""
        if block.search_path not in self._known:
            path = block.search_path or search_path.of(self._conn)
            self._known[block.search_path] = tuple(search_path.schemas(self._conn, path))
        return self._known[block.search_path]


def of_block(decision: Decision) -> list[Danger]:
    """The hazards of the statements that a decision is to run."""
    block = decision.block
    chosen = [block.statements[n] for n in decision.statements]
    return dangers(
        [(statement.node, statement.line) for statement in chosen], transaction=block.transaction
    )


# What lies in pg_class, or belongs to something there.
_IN_RELATIONS = {
    *("table", "foreign table", "view", "materialized view", "index", "sequence"),
    *("column", "constraint", "trigger", "policy", "rule"),
}
_IN_OTHERS = {"type", "domain", "function", "procedure", "aggregate", "routine", "schema"}


def _is_there(asked: Catalog, case: Case) -> bool:
    """Whether what it concerns is there, as far as a relation is meant; of a column to be added,
    its table.
    """
    thing, hazard = case.danger.thing, case.danger.hazard
    if thing.kind not in _IN_RELATIONS:
        return True
    row = asked.relation(thing, case.path)
    if row is None:
        return thing.kind == "constraint" and hazard is Hazard.DROPS_OTHER  # of a domain
    taken_away = hazard in (Hazard.DROPS_COLUMN, Hazard.DROPS_OTHER)
    return bool(row["part_there"]) or not taken_away


class _Context:
    """What surrounds the dangers that are left: dependents, other objects, and how fast a table
    was rewritten here.
    """

    def __init__(self, conn: Session, schema: str, asked: Catalog, found: Sequence[Case]) -> None:
        self._asked = asked
        depended = [case for case in found if case.danger.hazard in _DEPENDED]
        self._dependents = _dependents(conn, schema, asked, depended)
        self._others = _others(conn, schema, depended)
        slow = any(case.danger.hazard in _SLOW for case in found)
        self._rate = _rate(conn, schema) if slow else None

    def risk(self, case: Case, *, certain: bool) -> Risk:
        """All that is known of one danger."""
        block, danger, path = case
        row = self._asked.relation(danger.thing, path)
        size = Size(row["rows"], row["bytes"]) if row and danger.hazard in _SIZED else None
        return Risk(
            block.name,
            f"{_file(block)}:{danger.line}",
            danger,
            certain,
            danger.hazard in block.accepts,
            size,
            self._depending(case, row),
            self._takes(danger, size),
        )

    def _depending(self, case: Case, row: Mapping[str, Any] | None) -> tuple[str, ...]:
        if case.danger.hazard not in _DEPENDED:
            return ()
        if row:
            return self._dependents.get((row["oid"], row["attnum"]), ())
        for place in _elsewhere(case):
            if place in self._others:
                return self._others[place]
        return ()

    def _takes(self, danger: Danger, size: Size | None) -> str:
        if danger.hazard not in _SLOW or size is None or size.bytes < _TELLING:
            return ""
        if self._rate is None:
            return "not known: the ledger has no large rewrite to go by"
        took_ms = size.bytes / self._rate.bytes_per_ms
        about = "about" if danger.hazard is Hazard.REWRITES_TABLE else "at most"
        return f"{about} {durations.words(took_ms)}, at {self._rate}"


_SLOW = {Hazard.REWRITES_TABLE, Hazard.SCANS_UNDER_LOCK}
# Of a table that is renamed, or whose privileges change, the size says nothing.
_SIZED = {*Hazard} - {Hazard.RENAMES, Hazard.CHANGES_PRIVILEGES, Hazard.RUNS_CODE}
_DEPENDED = {
    *(Hazard.DROPS_TABLE, Hazard.DROPS_COLUMN, Hazard.DROPS_OTHER, Hazard.RENAMES),
    *(Hazard.TRUNCATES, Hazard.DELETES_ROWS, Hazard.UPDATES_ROWS, Hazard.REWRITES_TABLE),
    Hazard.SCANS_UNDER_LOCK,
}


def _file(block: Block) -> str:
    return block.scripts[0].name if len(block.scripts) == 1 else block.name


def _dependents(
    conn: Session, schema: str, asked: Catalog, found: Sequence[Case]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """By the number of a relation, and of a column or 0."""
    there = (asked.relation(case.danger.thing, case.path) for case in found)
    keys = sorted({(row["oid"], row["attnum"]) for row in there if row})
    if not keys:
        return {}
    about = {
        "oids": [oid for oid, _ in keys],
        "attnums": [attnum for _, attnum in keys],
        "printed_for": schema,
    }
    listed: dict[tuple[int, int], tuple[str, ...]] = {}
    for row in catalog.rows(conn, "hazard_dependents", **about):
        key = row["oid"], row["attnum"]
        listed[key] = (*listed.get(key, ()), row["dependent"])
    return listed


def _elsewhere(case: Case) -> list[tuple[str, str, str]]:
    """Where what is no relation may be: kind, schema and name."""
    thing = case.danger.thing
    schemas = (thing.schema,) if thing.schema else case.path
    return [(thing.kind, schema, thing.name) for schema in schemas if thing.kind in _IN_OTHERS]


def _others(
    conn: Session, schema: str, found: Sequence[Case]
) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """What depends on a type or a function, or is in a schema: by kind, schema and name."""
    places = sorted({place for case in found for place in _elsewhere(case)})
    if not places:
        return {}
    about = {
        "kinds": [kind for kind, _, _ in places],
        "schemas": [of for _, of, _ in places],
        "names": [name for _, _, name in places],
        "printed_for": schema,
    }
    rows = catalog.rows(conn, "hazard_others", **about)
    return {(row["kind"], row["schema"], row["name"]): tuple(row["dependents"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a table was rewritten on this target, by its ledger."""

    bytes_per_ms: float
    relation: str
    run: str

    def __str__(self) -> str:
        speed = self.bytes_per_ms * 1000 / _MB
        return f"{speed:,.0f} MB/s as {self.relation} was rewritten by run {self.run}"


_MB = 1024 * 1024
_TELLING = 8 * _MB  # of less, most of the time is not that of its bytes


def _rate(conn: Session, schema: str) -> Rate | None:
    """By the largest table that was rewritten: its size is that of today."""
    if ledger.installed(conn) < 2:  # which had no trace of locks
        return None
    rows = catalog.rows(conn, "hazard_rates", printed_for=schema)
    largest = max(rows, key=lambda row: row["bytes"], default=None)
    if largest is None or largest["bytes"] < _TELLING:
        return None
    return Rate(largest["bytes"] / largest["elapsed_ms"], largest["relation"], largest["run"])


def _megabytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 10_000:
            return f"{size:,} {unit}"
        size = round(size / 1024)
    return f"{size:,} TB"


def frame(risks: Sequence[Risk]) -> pd.DataFrame:
    """One row for what a statement does to one thing: index `block`; columns `line`, `hazards`,
    `concerns`, `size`, `dependents`, `takes`, `accepted` (by the block's header), all str.
    """
    columns = ["block", "line", "hazards", "concerns", "size", "dependents", "takes", "accepted"]
    together: dict[tuple[str, int, str], list[Risk]] = {}
    for risk in risks:
        together.setdefault((risk.block, risk.danger.line, risk.concerns), []).append(risk)
    rows = [_row(*key, group) for key, group in together.items()]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index("block")


def _row(block: str, line: int, concerns: str, group: Sequence[Risk]) -> tuple[str, ...]:
    """What is said of several hazards is said once: the first that knows says it."""
    size = dependents = takes = ""
    for risk in group:
        if risk.size and not size:
            size = str(risk.size)
        dependents = dependents or listed(risk.dependents)
        takes = takes or risk.takes
    told = ", ".join(risk.told for risk in group)
    accepted = ", ".join(risk.hazard for risk in group if risk.accepted)
    return block, str(line), told, concerns, size, dependents, takes, accepted


def listed(dependents: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(dependents) - _LISTED
    return ", ".join(dependents[:_LISTED]) + (f" and {more} more" if more > 0 else "")
