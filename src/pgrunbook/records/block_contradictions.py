"""Where a record tells otherwise than its target's ledger what was done: the blocks, their SQL and
times, and the plan and the files by which it was done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgrunbook.errors import Problem, Verdict
from pgrunbook.ledger import ledger
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.plan import Plan
from pgrunbook.records.record import Record
from pgrunbook.records.testimony import Row, Witness
from pgrunbook.secrets.patterns import MASK

# By how much the clock of whoever ran it may have been set meanwhile. All times that are compared
# are of that clock.
_SET = timedelta(minutes=5)

SHOW = "seal the notebook as it was executed; the ledger tells what was done: pgrunbook status"


def contradiction(what: str, expected: object, found: object) -> Problem:
    """What the ledger knows otherwise."""
    remedy = "seal the notebook as it was executed"
    return Problem("the ledger tells otherwise", what, str(expected), str(found), remedy)


@dataclass(frozen=True)
class BlockContradictions:
    """What a record shows that was done, beside the rows of the ledger. `ending` is how its cells
    say it ended; a rehearsal has worked on a copy, of which the ledger knows nothing.
    """

    record: Record
    ending: Ending
    witness: Witness
    rehearses: bool

    def problems(self) -> Iterator[Problem]:
        """Everything that the ledger does not know, or tells otherwise."""
        yield from self._blocks()
        yield from self._hidden()
        yield from self._times()
        yield from self._plans()

    def _blocks(self) -> Iterator[Problem]:
        """What the record says that was done, with the SQL that it shows for that."""
        rows = {(row["block"], row["event"]): row for row in self.witness.rows("blocks")}
        pending = [each for each in self.record.decided if each["action"] != "skip"]
        last = {each["block"]: each for each in pending}  # as it was last shown
        for done in () if self.rehearses else self.record.done:
            name, event = done["block"], done["event"]
            if (row := rows.get((name, event))) is None:
                there = ", ".join(known for block, known in rows if block == name)
                nothing = "nothing of it" if self.witness.runs else "no run of that id"
                yield Problem("the ledger does not know of it", name, there or nothing, event, SHOW)
                continue
            if _instant(row["started_at"]) != _instant(done["started_at"]):
                yield contradiction(f"{name}: started", row["started_at"], done["started_at"])
            decided = last.get(name, {})
            for digest in ("source_sha256", "tree_sha256"):
                said = decided.get(digest) or row[digest]
                if said != row[digest]:
                    yield contradiction(f"{name}: {digest}", row[digest], said)
            said = decided.get("sql", "")
            if not decided or said != row["sql"]:
                yield contradiction(f"{name}: SQL", _digested(row["sql"]), _digested(said))

    def _hidden(self) -> Iterator[Problem]:
        """What the ledger has and the record does not show: only a cell that was cut off may hide
        it.
        """
        states = {cell.state for cell in self.record.cells if cell.kind == "code"}
        if states & {"interrupted", "running"} or self.ending.verdict is Verdict.INTERRUPTED:
            return
        shown = {(done["block"], done["event"]) for done in self.record.done}
        for row in self.witness.rows("blocks"):
            block, event = row["block"], row["event"]
            if event in ledger.BROKEN_OFF or (block, event) in shown or self._is_told(row):
                continue
            yield Problem("the record does not show it", block, event, "nothing of it", SHOW)

    def _is_told(self, row: Row) -> bool:
        """Whether a later decision names what was done as its reason: the block's cell was run
        again.
        """
        begin, by = f"{row['event']} ", f"run {row['run_id'][:8]}"
        for each in self.record.decided:
            reason = each["reason"]
            if each["block"] == row["block"] and reason.startswith(begin) and by in reason:
                return True
        return False

    def _times(self) -> Iterator[Problem]:
        """The blocks were begun while the run was at work, and while papermill was."""
        for run, rows in self.witness.runs.items():
            begun = sorted(_instant(row["started_at"]) for row in rows["blocks"])
            if not begun:
                continue
            for first, last in self._spans(run):
                too_early = first and begun[0] < first - _SET
                too_late = last and begun[-1] > last + _SET
                if too_early or too_late:
                    known = f"blocks begun from {begun[0]} to {begun[-1]}"
                    yield contradiction("times", known, f"{_second(first)} to {_second(last)}")

    def _spans(self, run: str) -> Iterator[tuple[datetime | None, datetime | None]]:
        """From when to when it was at work: by its own cards, and by papermill's note."""
        yield (
            _moment(_last(self.record.identities, run, "started_at")),
            _moment(_last(self.record.cards, run, "ended_at")),
        )
        if self.record.started_at:
            first, seconds = _instant(self.record.started_at), self.record.seconds
            yield first, first + timedelta(seconds=seconds) if seconds else None

    def _plans(self) -> Iterator[Problem]:
        """The plan is what its digest says, and the one that the run worked by; and so are the
        files. One of which a part was masked can only be known by the digest that it says.
        """
        if not (plan := self.record.plan):
            return
        digest = plan["digest"]
        if MASK not in str(plan) and (found := Plan.read(plan).digest) != digest:
            yield Problem("is not what its digest says", "plan", digest, found, SHOW)
            digest = found
        known = [row["plan"] for row in self.witness.rows("runs") if row.get("plan")]
        if known and digest not in known:
            yield contradiction("plan", ", ".join(known), digest)
        for name, sha256 in self.record.sources.items():
            if not name.endswith(".ipynb") and plan["files"].get(name) != sha256:
                yield Problem(
                    "is not as planned", name, plan["files"].get(name) or "absent", sha256, SHOW
                )


def _digested(sql: str) -> str:
    """Not the SQL itself: what the ledger has of it was never searched for secrets."""
    if not sql:
        return "none"
    return f"SHA-256 {hashlib.sha256(sql.encode()).hexdigest()}, {len(sql.splitlines())} lines"


def _last(cards: Sequence[Row], run: str, name: str) -> str:
    """What the last card of a run says under a name; empty if it has none."""
    said = [card.get(name, "") for card in cards if card.get("run") == run]
    return said[-1] if said else ""


def _second(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment(text: str) -> datetime | None:
    """The time of a text; None if it has none."""
    return _instant(text) if text else None
