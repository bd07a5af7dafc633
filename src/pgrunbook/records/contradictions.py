"""Finds where a record contradicts its target's ledger, before it is sealed.

No seal is to vouch for a run that never was.

Compared is what programs read in the record: its runs with their parameters and verdicts, blocks,
SQL, times, plan and code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pgrunbook.errors import Problem, Verdict
from pgrunbook.ledger import ledger
from pgrunbook.records.block_contradictions import SHOW, BlockContradictions, contradiction
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.ledger_evidence import LedgerEvidence
from pgrunbook.records.record import Record
from pgrunbook.records.runbook_cells import RunbookCells
from pgrunbook.records.words import counted
from pgrunbook.runbooks.parameters import Parameters

Row = Mapping[str, Any]


def _numbers(value: Any) -> Any:
    """Return a JSON value with its numbers as jsonb has them. jsonb stores a numeric, so that 1e23
    comes back as a whole number, https://www.postgresql.org/docs/current/datatype-json.html.
    """
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


# A decision names the row that it rests on in this form: `ledger.Entry.when`.
_WHEN = re.compile(r"(\w+) (\d{4}-\d\d-\d\d \d\d:\d\d) UTC, run (\w{8})")

_NO_ROWS = {
    "plan": "a plan writes nothing",
    "rehearse": "a rehearsal writes to its copy alone",
    "verify": "to verify is only to look",
    "apply": "nothing was left to do",
    "revert": "nothing was left to do",
}


@dataclass(frozen=True)
class Comparison:
    """A record beside the ledger of its target.

    `chosen` are its parameters, `ending` is how it ended by its cells. `by_hand`: it is sealed
    later, and not by the process that has executed it.
    """

    record: Record
    chosen: Parameters
    ending: Ending
    evidence: LedgerEvidence
    by_hand: bool = False

    @property
    def elsewhere(self) -> str:
        """Why this ledger cannot know the record; empty if it can."""
        if self.evidence.runs:
            return ""
        if self.evidence.version == 1:
            return "the target's ledger is of version 1, which does not say enough"
        others = list(self._check_database())
        if others:
            found = ", ".join(f"{problem.where} {problem.found}" for problem in others)
            return (
                f"another database answers as target {self.chosen.target!r} than the record's: "
                f"{found}"
            )
        return ""

    @property
    def says(self) -> str:
        """What the ledger says of a record without `problems`, in a line for the seal."""
        if not self.evidence.runs:
            why = "it wrote nothing"
            if self._passed or self.chosen.mode == "plan":
                why = _NO_ROWS[self.chosen.mode]
            return f"the ledger has no run of that id, as {why}"
        events = [row["event"] for row in self.evidence.rows("blocks")]
        done = [event for event in events if event not in ledger.BROKEN_OFF]
        verdicts = dict.fromkeys(row["verdict"] for row in self.evidence.rows("verdicts"))
        how = ", ".join(verdicts) or "no verdict"
        return f"the ledger has the same: {counted(len(done), 'block')}, {how}"

    def problems(self) -> list[Problem]:
        """Return everything that the ledger does not know, or contradicts."""
        found: list[Problem] = []
        if self.evidence.runs:
            found += self._check_database()
        found += self._check_runs()
        found += self._check_verdicts()
        found += self._check_runs_without_rows()
        found += self._blocks.problems()
        if self.by_hand:
            found += self._blocks.times()
        found += self._check_shown()
        found += self._cells.problems()
        found += self._check_seals()
        return list(dict.fromkeys(found))  # several runs of a notebook may have the same problem

    @property
    def remark(self) -> str:
        """What is to be told of a record without `problems`: about its cells, and about its times
        if a clock was set during the run. Empty if there is nothing.
        """
        remarks = [self._cells.remark]
        if not self.by_hand:
            for each in self._blocks.times():
                remarks.append(f"a clock was set meanwhile: {each.expected}, its run {each.found}")
        return "; ".join(filter(None, remarks))

    @property
    def _blocks(self) -> BlockContradictions:
        return BlockContradictions(self.record, self.ending, self.evidence, self._rehearses)

    @property
    def _cells(self) -> RunbookCells:
        return RunbookCells(self.record, self._passed)

    @property
    def _verdict(self) -> str:
        return str(self.record.noted.get("verdict") or self.ending.verdict)

    @property
    def _passed(self) -> bool:
        return self._verdict == Verdict.PASSED

    @property
    def _rehearses(self) -> bool:
        return self.chosen.mode == "rehearse" and not self.evidence.runs

    def _check_database(self) -> Iterator[Problem]:
        there = {
            "database": self.evidence.identity.database,
            "system_identifier": self.evidence.identity.system_identifier,
        }
        for said in (*self.record.identities, *self.record.cards):
            for name, value in there.items():
                if said.get(name, value) != value:
                    yield contradiction(name.replace("_", " "), value, said[name])

    def _check_runs(self) -> Iterator[Problem]:
        """Compare the runs and their parameters."""
        parameters = self.chosen.record()
        for run, rows in self.evidence.runs.items():
            (row,) = rows["runs"]
            known = {
                "runbook": row["runbook"],
                "mode": row["mode"],
                "schema": row["schema_name"],
                "operator": row["operator"],
                "ticket": row["ticket"] or "",
                "server_version": row["server_version"],
                "target": row["parameters"].get("target"),
            }
            all_cards = [*self.record.identities, *self.record.cards]
            cards = [card for card in all_cards if card.get("run", run) == run]
            for said in [{"runbook": self.record.runbook}, *cards]:
                for name, value in known.items():
                    if said.get(name, value) != value:
                        yield contradiction(name.replace("_", " "), value, said[name])
            for name, value in row["parameters"].items():
                if name in parameters and _numbers(parameters[name]) != _numbers(value):
                    yield contradiction(f"parameter {name}", value, parameters[name])

    def _check_verdicts(self) -> Iterator[Problem]:
        """Check that a run which passed has passed in the ledger, too. If only the ledger says
        passed, the record has to show what came after.
        """
        noted = (self.record.noted.get("verdict", ""), self.record.noted.get("reason", ""))
        for card in self.record.cards:
            if (run := str(card.get("run", ""))) in self.evidence.runs:
                *before, last = _verdicts(self.evidence.runs[run]["verdicts"])
                said = (card["verdict"], card["reason"])
                # The last verdict in the ledger may be one that whoever executed it has added.
                if said != last and not (said in before and noted == last):
                    yield contradiction("verdict", ": ".join(last), ": ".join(said))
        ended = {_verdicts(rows["verdicts"])[-1][0] for rows in self.evidence.runs.values()}
        if not ended or (Verdict.PASSED in ended) is self._passed:
            return
        explained = self._has_idle_run if self._passed else self._broken_off
        if not explained:
            yield contradiction("verdict", ", ".join(sorted(ended)), self._verdict)

    @property
    def _broken_off(self) -> bool:
        """Whether a cell failed, or did not come to its end. Then a verdict that was written before
        does not count any more.
        """
        for cell in self.record.cells:
            if cell.state in ("failed", "interrupted", "running", "pending"):
                return True
        return bool(self.ending.error) or self.ending.verdict is Verdict.INTERRUPTED

    @property
    def _has_idle_run(self) -> bool:
        """Whether the notebook holds a later run without rows in the ledger, as it found nothing to
        do: see `_check_runs_without_rows`.
        """
        return any(card.get("run") not in self.evidence.runs for card in self.record.cards)

    def _check_runs_without_rows(self) -> Iterator[Problem]:
        """Check that a run which passed without a row in the ledger found everything done: each
        block is skipped, for a reason that the ledger has.
        """
        if self.chosen.mode in ("plan", "rehearse"):
            return  # they write nothing into the target
        cards = [card for card in self.record.cards if card.get("run") not in self.evidence.runs]
        runs = [card.get("run") for card in cards if card["verdict"] == Verdict.PASSED]
        if not cards and not self.evidence.runs and self._passed:
            runs = [*self.record.runs[:1]] or [""]
        if not runs:
            return
        run = str(runs[0] or "a run without an id")
        unknown = f"the ledger has no run {run}, and it cannot have passed without a row"
        last = {each["block"]: each for each in self.record.decided}
        if not last and self.chosen.mode != "revert":
            yield Problem(unknown, self.record.runbook, "a decision about each block", "none", SHOW)
        steps = self.record.plan.get("steps")
        if steps and not self.evidence.runs:
            yield Problem(
                unknown, "plan", "nothing to be done", f"{len(steps)} blocks to be done", SHOW
            )
        for name, said in last.items():
            if self._is_known(said):
                continue
            there = []
            for block, event, when, by in self.evidence.block_events:
                if block == name:
                    there.append(f"{event} {when} UTC, run {by}")
            expected = "; ".join(sorted(there)) or "nothing in the ledger"
            yield Problem(unknown, name, expected, f"{said['action']}, {said['reason']}", SHOW)

    def _is_known(self, said: Row) -> bool:
        """Return whether the ledger has what a decision rests on."""
        if said["action"] != "skip":
            return any(row["block"] == said["block"] for row in self.evidence.rows("blocks"))
        named = _WHEN.search(said["reason"])
        if not named:
            return self.chosen.mode == "revert"
        return (said["block"], *named.groups()) in self.evidence.block_events

    def _check_shown(self) -> Iterator[Problem]:
        """Check that a run which passed shows what every such run shows; and the plan, if it has
        done something.
        """
        if not self._passed:
            return
        wanted: list[str] = [Kind.IDENTITY, Kind.PRECONDITIONS]
        if self.chosen.mode not in ("plan", "revert"):
            wanted.append(Kind.VERIFICATION)
        missing = [kind for kind in wanted if not self.record.last(kind)]
        planned = any(row.get("plan") for row in self.evidence.rows("runs"))
        if planned and self.evidence.rows("blocks") and not self.record.plan:
            missing.append("plan")
        for kind in missing:
            yield Problem("the record does not show it", kind, "shown by its cell", "", SHOW)

    def _check_seals(self) -> Iterator[Problem]:
        for seal in self.evidence.seals:
            what = "its record is sealed already, as the ledger says"
            found = "another notebook of the same run"
            yield Problem(
                what, self.record.runs[0], f"{seal['seal']}, SHA-256 {seal['sha256']}", found
            )


def _verdicts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row["verdict"], row["reason"]) for row in rows] or [("no verdict", "")]
