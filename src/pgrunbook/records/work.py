"""Where a record tells otherwise than its target's ledger what was done: the blocks, their SQL and
times, and the plan and the files by which it was done.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgrunbook.errors import Problem, Verdict
from pgrunbook.ledger import ledger
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.plan import Plan
from pgrunbook.records.record import Record
from pgrunbook.records.testimony import Witness
from pgrunbook.secrets.patterns import MASK

# By how much the clock of whoever ran it may have been set meanwhile. All times that are compared
# are of that clock.
_SET = timedelta(minutes=5)

SHOW = "seal the notebook as it was executed; the ledger tells what was done: pgrunbook status"


def otherwise(what: str, expected: object, found: object) -> Problem:
    """What the ledger knows otherwise."""
    remedy = "seal the notebook as it was executed"
    return Problem("the ledger tells otherwise", what, str(expected), str(found), remedy)


@dataclass(frozen=True)
class Work:
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
        decided = {each["block"]: each for each in pending}  # the last one counts
        for done in () if self.rehearses else self.record.done:
            name, event = done["block"], done["event"]
            if (row := rows.get((name, event))) is None:
                there = [known for block, known in rows if block == name]
                found = ", ".join(there) or (
                    "nothing of it" if self.witness.runs else "no run of that id"
                )
                yield Problem("the ledger does not know of it", name, found, event, SHOW)
                continue
            if _instant(row["started_at"]) != _instant(done["started_at"]):
                yield otherwise(f"{name}: started", row["started_at"], done["started_at"])
            wanted = decided.get(name, {})
            for digest in ("source_sha256", "tree_sha256"):
                if (said := wanted.get(digest) or row[digest]) != row[digest]:
                    yield otherwise(f"{name}: {digest}", row[digest], said)
            if wanted.get("sql") != row["sql"]:
                said = wanted.get("sql", "")
                yield otherwise(f"{name}: SQL", _digested(row["sql"]), _digested(said))

    def _hidden(self) -> Iterator[Problem]:
        """What the ledger has and the record does not show: only a cell that was cut off may hide
        it.
        """
        states = {cell.state for cell in self.record.cells if cell.kind == "code"}
        if states & {"interrupted", "running"} or self.ending.verdict is Verdict.INTERRUPTED:
            return
        shown = {(done["block"], done["event"]) for done in self.record.done}
        reasons = defaultdict[str, list[str]](list)
        for each in self.record.decided:
            reasons[each["block"]].append(each["reason"])
        for row in self.witness.rows("blocks"):
            by = f"{row['event']} ", f"run {row['run_id'][:8]}"
            # its cell was run again
            told = any(said.startswith(by[0]) and by[1] in said for said in reasons[row["block"]])
            if (
                row["event"] not in ledger.BROKEN_OFF
                and (row["block"], row["event"]) not in shown
                and not told
            ):
                yield Problem(
                    "the record does not show it",
                    row["block"],
                    row["event"],
                    "nothing of it",
                    SHOW,
                )

    def _times(self) -> Iterator[Problem]:
        """The blocks were begun while the run was at work, and while papermill was."""
        for run, rows in self.witness.runs.items():
            begun = [_instant(row["started_at"]) for row in rows["blocks"]]
            for first, last in self._spans(run) if begun else ():
                if (first and min(begun) < first - _SET) or (last and max(begun) > last + _SET):
                    said = " to ".join(
                        f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "" for at in (first, last)
                    )
                    yield otherwise(
                        "times", f"blocks begun from {min(begun)} to {max(begun)}", said
                    )

    def _spans(self, run: str) -> Iterator[tuple[datetime | None, datetime | None]]:
        started = [
            each.get("started_at", "") for each in self.record.identities if each.get("run") == run
        ]
        ended = [each.get("ended_at", "") for each in self.record.cards if each.get("run") == run]
        yield _moment(started[-1] if started else ""), _moment(ended[-1] if ended else "")
        if self.record.started_at:
            first = _instant(self.record.started_at)
            yield (
                first,
                first + timedelta(seconds=self.record.seconds) if self.record.seconds else None,
            )

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
            yield otherwise("plan", ", ".join(known), digest)
        for name, sha256 in self.record.sources.items():
            if not name.endswith(".ipynb") and plan["files"].get(name) != sha256:
                yield Problem(
                    "is not as planned", name, plan["files"].get(name) or "absent", sha256, SHOW
                )


def _digested(sql: str) -> str:
    """Not the SQL itself: what the ledger has of it was never searched for secrets."""
    return (
        f"SHA-256 {hashlib.sha256(sql.encode()).hexdigest()}, {len(sql.splitlines())} lines"
        if sql
        else "none"
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment(text: str) -> datetime | None:
    """The time of a text; None if it has none."""
    return _instant(text) if text else None
