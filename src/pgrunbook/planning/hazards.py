"""Finds what the pending blocks put at risk on a target: how large that is, what depends on it, and
for how long it is blocked. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pgrunbook import durations
from pgrunbook.ledger import versions
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.dependents import Case, Dependents
from pgrunbook.planning.doubts import Catalog, Likely, Path
from pgrunbook.planning.paths import Paths
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.records.words import listed
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.dangers import dangers
from pgrunbook.sqltext.hazards import Danger, Hazard, Trait
from pgrunbook.sqltext.names import Names
from pgrunbook.sqltext.things import IN_RELATIONS


@dataclass(frozen=True, slots=True)
class Size:
    """How large a relation is; the planner does not know its rows before the first ANALYZE."""

    rows: int | None
    bytes: int

    def __str__(self) -> str:
        if not self.rows and not self.bytes:  # those of a foreign table are elsewhere
            return "0 bytes" if self.rows == 0 else "an unknown number of rows"
        rows = "an unknown number of rows" if self.rows is None else f"about {self.rows:,} rows"
        return f"{rows}, {_megabytes(self.bytes)}"


@dataclass(frozen=True, slots=True)
class Risk:
    """A hazard of a block on a target.

    - `place` is the file and the line of the statement.
    - `certain` is False if not even the catalog can tell.
    - `accepted`: the block's header accepts it.
    - `dependents` are the objects that depend on it, described as PostgreSQL does.
    - `takes` says for about how long the statement works; empty if that is short.
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
        """The kind of hazard."""
        return self.danger.hazard

    @property
    def concerns(self) -> str:
        """What it is about: `column invoices.note`, `table invoices (every row)`."""
        detail = f" ({self.danger.detail})" if self.danger.detail else ""
        return f"{self.danger.thing}{detail}"

    @property
    def name(self) -> str:
        """The hazard's name, with a word before it if it is not certain."""
        return str(self.hazard) if self.certain else f"may: {self.hazard}"


_LISTED = 6  # dependents, of one thing


def assess(conn: Session, schema: str, decisions: Sequence[Decision]) -> list[Risk]:
    """Return the risks of the statements that are to run. What does not exist is at no risk: an
    earlier block makes it, and then it holds no rows that anybody knows.
    """
    cases = list(_cases(conn, decisions))
    if not cases:
        return []
    # All dangers in one round trip; with each those that may happen while its lock is held.
    asked: list[tuple[Danger, Path]] = []
    for case in cases:
        asked += [(each.danger, each.path) for each in (case, *case.during)]
    answers = Catalog(conn, schema, asked)
    likely: list[tuple[Case, Likely]] = []
    for case in cases:
        answer = _likely(answers, case)
        if answer is not Likely.NO:
            likely.append((case, answer))
    context = _Context(conn, schema, answers, [case for case, _ in likely])
    return [context.risk(case, certain=answer is Likely.YES) for case, answer in likely]


def with_sizes_of(risks: Sequence[Risk], there: Sequence[Risk]) -> list[Risk]:
    """Return the risks that were found on a copy, with the sizes that the same risks have on the
    target (`there`): a copy has no rows. Those that are not there have no size.
    """
    known = {(each.block, each.place, each.danger): each for each in there}
    result = []
    for risk in risks:
        same = known.get((risk.block, risk.place, risk.danger))
        if same:
            result.append(replace(risk, size=same.size, takes=same.takes))
        else:
            result.append(replace(risk, size=None, takes=""))
    return result


def _cases(conn: Session, decisions: Sequence[Decision]) -> Iterator[Case]:
    paths = Paths(conn)
    names = Names()
    for decision in decisions:
        if not decision.pending:
            continue
        block = decision.block
        texts = [(each.node, each.line) for each in decision.pending_statements]
        names.begin(block.search_path)
        for danger in dangers(texts, transaction=block.transaction, names=names):
            yield _case(paths, block, danger)


def _case(paths: Paths, block: Block, danger: Danger) -> Case:
    during = tuple(_case(paths, block, each) for each in danger.during)
    return Case(block, danger, paths.of(block, danger.path), during)


def _likely(answers: Catalog, case: Case) -> Likely:
    if not _is_there(answers, case):
        return Likely.NO
    # A lock is a hazard only if one of the later statements takes long: the likeliest counts.
    during = Likely.NO if case.during else Likely.YES
    for each in case.during:
        during = max(during, _likely(answers, each))
        if during is Likely.YES:
            break
    return min(answers.answer(case.danger, case.path), during)


def _is_there(answers: Catalog, case: Case) -> bool:
    """Whether the relation that a danger is about exists; and if a part of it is to be dropped,
    whether that does. True of anything that is not a relation: the server says so itself.
    """
    thing, hazard = case.danger.thing, case.danger.hazard
    if thing.kind not in IN_RELATIONS or answers.ambiguous(thing, case.path):
        return True
    row = answers.relation(thing, case.path)
    if row is None:
        return False
    drops_part = hazard in (Hazard.DROPS_COLUMN, Hazard.DROPS_OTHER)
    return bool(row["part_there"]) or not drops_part


class _Context:
    """What a plan shows beside a hazard: dependents, and how fast a table was rewritten here."""

    def __init__(self, conn: Session, schema: str, answers: Catalog, cases: Sequence[Case]) -> None:
        self._answers = answers
        self._dependents = Dependents(conn, schema, answers, cases)
        timed = any(Trait.TIMED in case.danger.hazard.traits for case in cases)
        self._rate = _rate(conn, schema) if timed else None

    def risk(self, case: Case, *, certain: bool) -> Risk:
        """Return the risk of one danger, with its size, dependents and duration."""
        block, danger, path, _ = case
        row = self._answers.relation(danger.thing, path)
        has_rows = danger.thing.kind != "view"
        sized = Trait.SIZED in danger.hazard.traits and not danger.along and has_rows
        size = Size(row["rows"], row["bytes"]) if row and sized else None
        # a block of variants consists of several files, and is called by its own name
        file = block.scripts[0].name if len(block.scripts) == 1 else block.name
        return Risk(
            block.name,
            f"{file}:{danger.line}",
            danger,
            certain,
            danger.hazard in block.accepts,
            size,
            self._dependents.of(case, row),
            self._duration(danger, size),
        )

    def _duration(self, danger: Danger, size: Size | None) -> str:
        if Trait.TIMED not in danger.hazard.traits or size is None or size.bytes < _LEAST_BYTES:
            return ""
        if self._rate is None:
            return "not known: the ledger has no large rewrite to go by"
        took_ms = size.bytes / self._rate.bytes_per_ms
        about = "about" if danger.hazard is Hazard.REWRITES_TABLE else "at most"
        return f"{about} {durations.words(took_ms)}, at {self._rate}"


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
# Of a smaller table most of the time goes elsewhere than into its bytes.
_LEAST_BYTES = 8 * _MB


def _rate(conn: Session, schema: str) -> Rate | None:
    """Return the rate at which the largest table was rewritten; None if no large one was. Its size
    is that of today: the ledger has none.
    """
    if versions.installed(conn) < versions.WITH_DETAILS:
        return None
    rows = catalog.rows(conn, "hazard_rates", printed_for=schema)
    largest = max(rows, key=lambda row: row["bytes"], default=None)
    if largest is None or largest["bytes"] < _LEAST_BYTES:
        return None
    return Rate(largest["bytes"] / largest["elapsed_ms"], largest["relation"], largest["run"])


def _megabytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 10_000:
            return f"{size:,} {unit}"
        size = round(size / 1024)
    return f"{size:,} TB"


def frame(risks: Sequence[Risk]) -> pd.DataFrame:
    """Return a row for what a statement does to one thing: index `block`; columns `line`,
    `hazards`, `concerns`, `size`, `dependents`, `takes`, `accepted` (by the block's header), all
    str.
    """
    columns = ["block", "line", "hazards", "concerns", "size", "dependents", "takes", "accepted"]
    groups: dict[tuple[str, int, str], list[Risk]] = {}
    for risk in risks:
        groups.setdefault((risk.block, risk.danger.line, risk.concerns), []).append(risk)
    rows = [_row(*key, group) for key, group in groups.items()]
    return pd.DataFrame(rows, columns=columns, dtype="str").set_index("block")


def _row(block: str, line: int, concerns: str, group: Sequence[Risk]) -> tuple[str, ...]:
    """Return the row of the hazards of one thing. They share its size and its duration."""
    size = takes = ""
    found: dict[str, None] = {}
    for risk in group:
        if risk.size and not size:
            size = str(risk.size)
        found |= dict.fromkeys(risk.dependents)
        takes = takes or risk.takes
    dependents = shorten([*found])
    names = ", ".join(risk.name for risk in group)
    accepted = ", ".join(risk.hazard for risk in group if risk.accepted)
    return block, str(line), names, concerns, size, dependents, takes, accepted


def shorten(dependents: Sequence[str]) -> str:
    """Return the first few, and how many more there are."""
    return listed(dependents, _LISTED)
