"""Where a record tells otherwise than its target's ledger: a seal vouches for no run that never
was.

What programs read in the record is compared: the runs that it names and their parameters, verdicts,
blocks, SQL, times, plan and code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgrunbook.errors import Problem, Verdict
from pgrunbook.ledger import ledger
from pgrunbook.records.block_contradictions import SHOW, BlockContradictions, contradiction
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.record import Record
from pgrunbook.records.runbook_cells import RunbookCells
from pgrunbook.records.testimony import Witness
from pgrunbook.runbooks.parameters import Parameters

Row = Mapping[str, Any]

# How a decision names what the ledger had: `ledger.Entry.when`.
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
    """A record beside the ledger of its target. `chosen` are its parameters, `ending` is how its
    cells say it ended.
    """

    record: Record
    chosen: Parameters
    ending: Ending
    witness: Witness

    @property
    def elsewhere(self) -> str:
        """Why it is not this ledger that knows about the record; empty if it is."""
        if self.witness.runs:
            return ""
        if self.witness.version == 1:
            return "the target's ledger is of version 1, which does not say enough"
        if others := list(self._identity()):
            found = ", ".join(f"{problem.where} {problem.found}" for problem in others)
            return (
                f"another database answers as target {self.chosen.target!r} than the record's: "
                f"{found}"
            )
        return ""

    @property
    def says(self) -> str:
        """What the ledger says of a record without `problems`, in a line."""
        if not self.witness.runs:
            passed = self._verdict == Verdict.PASSED
            why = "it wrote nothing"
            if passed or self.chosen.mode == "plan":
                why = _NO_ROWS[self.chosen.mode]
            return f"the ledger has no run of that id, as {why}"
        events = [
            row for row in self.witness.rows("blocks") if row["event"] not in ledger.BROKEN_OFF
        ]
        ended = [row["verdict"] for row in self.witness.rows("verdicts")]
        blocks = f"{len(events)} block{'s' * (len(events) != 1)}"
        return (
            f"the ledger has the same: {blocks}, {', '.join(dict.fromkeys(ended)) or 'no verdict'}"
        )

    def problems(self) -> list[Problem]:
        """Everything that the ledger does not know, or tells otherwise."""
        found = [
            *(self._identity() if self.witness.runs else ()),
            *self._runs(),
            *self._verdicts(),
            *self._unknown(),
            *BlockContradictions(
                self.record, self.ending, self.witness, self._rehearses
            ).problems(),
            *self._shown(),
            *self._cells.problems(),
            *self._seals(),
        ]
        return list(dict.fromkeys(found))

    @property
    def remark(self) -> str:
        """What is to be told of the cells of a record without `problems`; empty if nothing is."""
        return self._cells.remark

    @property
    def _cells(self) -> RunbookCells:
        return RunbookCells(self.record, self._verdict == Verdict.PASSED)

    @property
    def _verdict(self) -> str:
        return str(self.record.noted.get("verdict") or self.ending.verdict)

    @property
    def _rehearses(self) -> bool:
        return self.chosen.mode == "rehearse" and not self.witness.runs

    def _identity(self) -> Iterator[Problem]:
        there = {
            "database": self.witness.identity.database,
            "system_identifier": self.witness.identity.system_identifier,
        }
        for said in (*self.record.identities, *self.record.cards):
            for name, value in there.items():
                if said.get(name, value) != value:
                    yield contradiction(name.replace("_", " "), value, said[name])

    def _runs(self) -> Iterator[Problem]:
        """What the rows of the runs say of them."""
        parameters = self.chosen.record()
        for run, rows in self.witness.runs.items():
            (row,) = rows["runs"]
            known = {"runbook": row["runbook"], "mode": row["mode"], "schema": row["schema_name"]}
            known |= {"operator": row["operator"], "ticket": row["ticket"] or ""}
            known |= {"server_version": row["server_version"]}
            known |= {"target": row["parameters"].get("target")}
            cards = [
                each
                for each in (*self.record.identities, *self.record.cards)
                if each.get("run", run) == run
            ]
            for said in [{"runbook": self.record.runbook}, *cards]:
                for name, value in known.items():
                    if said.get(name, value) != value:
                        yield contradiction(name.replace("_", " "), value, said[name])
            for name, value in row["parameters"].items():
                if name in parameters and parameters[name] != value:
                    yield contradiction(f"parameter {name}", value, parameters[name])

    def _verdicts(self) -> Iterator[Problem]:
        """A run that passed has passed in the ledger; one that did not shows what came after, if it
        had passed.
        """
        noted = (self.record.noted.get("verdict", ""), self.record.noted.get("reason", ""))
        for card in self.record.cards:
            if (run := str(card.get("run", ""))) in self.witness.runs:
                *before, last = _verdicts(self.witness.runs[run]["verdicts"])
                said = (card["verdict"], card["reason"])
                # whoever executed it has added one
                if said != last and not (said in before and noted == last):
                    yield contradiction("verdict", ": ".join(last), ": ".join(said))
        ended = {_verdicts(rows["verdicts"])[-1][0] for rows in self.witness.runs.values()}
        passed = self._verdict == Verdict.PASSED
        if (
            ended
            and (Verdict.PASSED in ended) is not passed
            and not (self._broken_off if not passed else self._idle)
        ):
            yield contradiction("verdict", ", ".join(sorted(ended)), self._verdict)

    @property
    def _broken_off(self) -> bool:
        """Whether a cell failed, or did not come to its end: what the run had said before then
        counts no more.
        """
        cut = any(
            cell.state in ("failed", "interrupted", "running", "pending")
            for cell in self.record.cells
        )
        return cut or bool(self.ending.error) or self.ending.verdict is Verdict.INTERRUPTED

    @property
    def _idle(self) -> bool:
        """Whether a run passed that the ledger does not have: a later one of the same notebook, see
        `_unknown`.
        """
        return any(card.get("run") not in self.witness.runs for card in self.record.cards)

    def _unknown(self) -> Iterator[Problem]:
        """A run that passed and has no row found everything done, by runs that the ledger has;
        unless it only planned, or worked on a copy.
        """
        cards = [card for card in self.record.cards if card.get("run") not in self.witness.runs]
        passed = [card for card in cards if card["verdict"] == Verdict.PASSED]
        if not cards and not self.witness.runs and self._verdict == Verdict.PASSED:
            passed = [{"run": next(iter(self.record.runs), ""), "verdict": Verdict.PASSED}]
        if not passed or self.chosen.mode in ("plan", "rehearse"):
            return
        run = str(passed[0].get("run") or "a run without an id")
        unknown = f"the ledger has no run {run}, and it cannot have passed without a row"
        last = {each["block"]: each for each in self.record.decided}
        if not last and self.chosen.mode != "revert":
            yield Problem(unknown, self.record.runbook, "a decision about each block", "none", SHOW)
        if not self.witness.runs and (steps := self.record.plan.get("steps")):
            yield Problem(
                unknown, "plan", "nothing to be done", f"{len(steps)} blocks to be done", SHOW
            )
        for name, said in last.items():
            if self._is_known(said):
                continue
            there = sorted(
                f"{event} {when} UTC, run {by}"
                for block, event, when, by in self.witness.done
                if block == name
            )
            yield Problem(
                unknown,
                name,
                "; ".join(there) or "nothing in the ledger",
                f"{said['action']}, {said['reason']}",
                SHOW,
            )

    def _is_known(self, said: Row) -> bool:
        """Whether a block was skipped because of what the ledger has: nothing, or what some run
        did.
        """
        if said["action"] != "skip":
            return any(row["block"] == said["block"] for row in self.witness.rows("blocks"))
        named = _WHEN.search(said["reason"])
        if not named:
            return self.chosen.mode == "revert"
        return (said["block"], *named.groups()) in self.witness.done

    def _shown(self) -> Iterator[Problem]:
        """What every run shows that passed, and the plan by which it has done something."""
        if self._verdict != Verdict.PASSED:
            return
        wanted: list[str] = [Kind.IDENTITY, Kind.PRECONDITIONS]
        if self.chosen.mode not in ("plan", "revert"):
            wanted.append(Kind.VERIFICATION)
        missing = [kind for kind in wanted if not self.record.last(kind)]
        if any(row.get("plan") for row in self.witness.rows("runs")) and self.witness.rows(
            "blocks"
        ):
            missing += [] if self.record.plan else ["plan"]
        for kind in missing:
            yield Problem("the record does not show it", kind, "shown by its cell", "", SHOW)

    def _seals(self) -> Iterator[Problem]:
        for seal in self.witness.seals:
            what = "its record is sealed already, as the ledger says"
            found = "another notebook of the same run"
            yield Problem(
                what, self.record.runs[0], f"{seal['seal']}, SHA-256 {seal['sha256']}", found
            )


def _verdicts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row["verdict"], row["reason"]) for row in rows] or [("no verdict", "")]
