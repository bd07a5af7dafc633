"""Finds where a record contradicts its target's ledger about blocks: what was done, with which SQL,
when, by which plan and from which files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgrunbook.errors import Problem, Verdict
from pgrunbook.ledger import ledger
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.ledger_evidence import LedgerEvidence, Row
from pgrunbook.records.plan import Plan
from pgrunbook.records.record import Record
from pgrunbook.secrets.patterns import MASK

# Times in the record and in the ledger are both of the runner's clock. It may have been set by so
# much while the run was at work.
_CLOCK_CHANGE = timedelta(minutes=5)

SHOW = "seal the notebook as it was executed; the ledger tells what was done: pgrunbook status"


def contradiction(what: str, expected: object, found: object) -> Problem:
    """Return a problem: the record says `found` where the ledger says `expected`."""
    remedy = "seal the notebook as it was executed"
    return Problem("the ledger tells otherwise", what, str(expected), str(found), remedy)


@dataclass(frozen=True)
class BlockContradictions:
    """Compares what a record shows of blocks with the rows of the ledger.

    `ending` is how the notebook ended, by its cells. `rehearses`: the run has worked on a copy, of
    which the ledger knows nothing.
    """

    record: Record
    ending: Ending
    evidence: LedgerEvidence
    rehearses: bool

    def problems(self) -> Iterator[Problem]:
        """Yield everything that the ledger does not know, or contradicts."""
        if not self.rehearses:
            yield from self._check_done()
        yield from self._check_all_shown()
        yield from self._check_plan()

    def _check_done(self) -> Iterator[Problem]:
        """Compare each block that the record shows as done, with the SQL that it shows for it."""
        rows = {(row["block"], row["event"]): row for row in self.evidence.rows("blocks")}
        pending = [each for each in self.record.decided if each["action"] != "skip"]
        last = {each["block"]: each for each in pending}  # as it was last shown
        for done in self.record.done:
            name, event = done["block"], done["event"]
            row = rows.get((name, event))
            if row is None:
                there = ", ".join(known for block, known in rows if block == name)
                nothing = "nothing of it" if self.evidence.runs else "no run of that id"
                remedy = SHOW
                if self.evidence.runs and not there:
                    remedy += (
                        ".\nIf an earlier run has done it, its cell still shows that one: run the "
                        f'cell of run.apply("{name}") once more, save, and seal'
                    )
                what = "the ledger does not know of it"
                yield Problem(what, name, there or nothing, event, remedy)
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
                yield contradiction(f"{name}: SQL", _digest_of(row["sql"]), _digest_of(said))

    def _check_all_shown(self) -> Iterator[Problem]:
        """Find blocks that the ledger has and the record does not show."""
        # a cell that was cut off may not show what it has done
        states = {cell.state for cell in self.record.cells if cell.kind == "code"}
        if states & {"interrupted", "running"} or self.ending.verdict is Verdict.INTERRUPTED:
            return
        shown = {(done["block"], done["event"]) for done in self.record.done}
        for row in self.evidence.rows("blocks"):
            block, event = row["block"], row["event"]
            if event in ledger.BROKEN_OFF or (block, event) in shown or self._is_reason(row):
                continue
            yield Problem("the record does not show it", block, event, "nothing of it", SHOW)

    def _is_reason(self, row: Row) -> bool:
        """Return whether a later decision names this row as its reason. Then the block's cell was
        run once more, and shows that it was skipped.
        """
        begin, by = f"{row['event']} ", f"run {row['run_id'][:8]}"
        for each in self.record.decided:
            reason = each["reason"]
            if each["block"] == row["block"] and reason.startswith(begin) and by in reason:
                return True
        return False

    def times(self) -> Iterator[Problem]:
        """Check that blocks were begun while the run was at work, and papermill too."""
        for run, rows in self.evidence.runs.items():
            begun = sorted(_instant(row["started_at"]) for row in rows["blocks"])
            if not begun:
                continue
            for first, last in self._spans(run):
                too_early = first and begun[0] < first - _CLOCK_CHANGE
                too_late = last and begun[-1] > last + _CLOCK_CHANGE
                if too_early or too_late:
                    known = f"blocks begun from {begun[0]} to {begun[-1]}"
                    yield contradiction("times", known, f"{_second(first)} to {_second(last)}")

    def _spans(self, run: str) -> Iterator[tuple[datetime | None, datetime | None]]:
        """Yield from when to when a run was at work: by its cards, and by papermill's metadata."""
        yield (
            _moment(_last(self.record.identities, run, "started_at")),
            _moment(_last(self.record.cards, run, "ended_at")),
        )
        if self.record.started_at:
            first = _instant(self.record.started_at)
            last = None
            if self.record.seconds:
                last = first + timedelta(seconds=self.record.seconds)
            yield first, last

    def _check_plan(self) -> Iterator[Problem]:
        """Check that the plan has the digest that it says, and that the ledger has; and that the
        files are those of the plan.
        """
        plan = self.record.plan
        if not plan:
            return
        digest = plan["digest"]
        # If a part of it was masked, its digest cannot be made again.
        if MASK not in str(plan):
            found = Plan.read(plan).digest
            if found != digest:
                yield Problem("is not what its digest says", "plan", digest, found, SHOW)
                digest = found
        known = [row["plan"] for row in self.evidence.rows("runs") if row.get("plan")]
        if known and digest not in known:
            yield contradiction("plan", ", ".join(known), digest)
        for name, sha256 in self.record.sources.items():
            planned = plan["files"].get(name)
            if not name.endswith(".ipynb") and planned != sha256:
                yield Problem("is not as planned", name, planned or "absent", sha256, SHOW)


def _digest_of(sql: str) -> str:
    # Not the SQL itself: the ledger's was never searched for secrets, and this text is shown.
    if not sql:
        return "none"
    return f"SHA-256 {hashlib.sha256(sql.encode()).hexdigest()}, {len(sql.splitlines())} lines"


def _last(cards: Sequence[Row], run: str, name: str) -> str:
    """Return what the last card of a run says under a name; empty if it has none."""
    said = [card.get(name, "") for card in cards if card.get("run") == run]
    return said[-1] if said else ""


def _second(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment(text: str) -> datetime | None:
    """Return the time that a text says; None if it is empty."""
    return _instant(text) if text else None
