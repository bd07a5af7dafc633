"""Asks the ledger of a run's target about the record while it is sealed.

The answer is a part of the seal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg

from pgrunbook import signals
from pgrunbook.errors import Refused, RunbookError, first_line
from pgrunbook.ledger import heads, ledger
from pgrunbook.ledger.heads import Head
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.lockers import Locked
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target
from pgrunbook.records.contradictions import Comparison
from pgrunbook.records.how_it_ended import Ending, may_have_written
from pgrunbook.records.ledger_evidence import LedgerEvidence, LedgerNote
from pgrunbook.records.malformed_notebook import MALFORMED
from pgrunbook.records.record import Record
from pgrunbook.records.seal import BY_HAND, NOT_COMPARED
from pgrunbook.runbooks.parameters import Parameters, is_run_id

_WITHOUT_ROWS = "the ledger's rows are not in the record"


@dataclass(frozen=True)
class LedgerCheck:
    """Asks about one record, which is sealed `by_hand` or at the end of its run. Whatever cannot be
    read or written is added to `problems`, and does not prevent the seal.
    """

    record: Record
    ending: Ending
    chosen: Parameters | None
    by_hand: bool
    problems: list[str]
    secrets: Sequence[str] = ()

    @contextmanager
    def session(self, target: Target | None) -> Iterator[Session | None]:
        """Open a session on the target, if the run can have written there. By hand it is opened in
        any case: the notebook may say anything. Yields None if there is no session.
        """
        conn: Session | None = None
        if self.chosen and (self.by_hand or self._may_have_written()):
            try:
                if target is None:
                    raise Refused("the run's target cannot be had")
                with signals.waiting():  # a second signal breaks it off: the record is sealed
                    conn = connect(target, schema="pg_catalog", label="seal")
            except (RunbookError, signals.Hurried) as exc:
                self.problems.append(f"{_WITHOUT_ROWS}: {_why(exc)}")
        with closing(conn) if conn else nullcontext():
            yield conn

    def _may_have_written(self) -> bool:
        cells = self.record.notebook["cells"]
        return bool(self.record.run_id) and may_have_written(self.ending, cells)

    def compare(self, conn: Session | None) -> LedgerNote:
        """Return what the target's ledger says of the record. Raises Refused if it does not know
        the run, or contradicts the record.

        A record from before version 2 of the ledger, or of another database than the one that
        answers, is not compared, and the seal says so.
        """
        if conn is None or self.chosen is None:
            reason = self.problems[-1].partition(": ")[2] if self.problems else ""
            if not self.by_hand and not reason:
                return LedgerNote(None, "the run ended before its first block")
            return self._not_compared(reason or "its parameters cannot be read")
        try:
            with signals.waiting():
                evidence = LedgerEvidence.of(conn, self.record, self.chosen.schema_, self.secrets)
            comparison = Comparison(self.record, self.chosen, self.ending, evidence, self.by_hand)
            if comparison.elsewhere:
                return self._not_compared(comparison.elsewhere)
            problems = comparison.problems()
            if problems:
                raise Refused(
                    "The target's ledger does not say what the notebook says: it is not sealed.",
                    problems=problems,
                )
            return LedgerNote(True, comparison.says, comparison.remark)
        except Locked as exc:
            # By hand it can be done again; a run at its end has to be sealed all the same.
            if self.by_hand:
                what = "The target's ledger cannot be asked now: it is not sealed."
                raise Refused(what, problems=[exc.problem]) from exc
            return self._not_compared(_why(exc))
        except (psycopg.Error, signals.Hurried) as exc:
            return self._not_compared(_why(exc))
        except MALFORMED as exc:  # another version has written the record
            return self._not_compared(
                f"this version cannot read it, {type(exc).__name__}: {first_line(exc)}"
            )

    def _not_compared(self, reason: str) -> LedgerNote:
        if self.by_hand:
            self.problems.append(f"sealed {BY_HAND}, {NOT_COMPARED}: {reason}")
        return LedgerNote(False, reason)

    def rows(self, conn: Session | None) -> Any:
        """Return the ledger's rows on the run, by table; None if they cannot be had."""
        if conn is None or not is_run_id(self.record.run_id):
            return None
        try:
            with signals.waiting():
                return ledger.rows_of_run(conn, self.record.run_id)
        except (psycopg.Error, signals.Hurried) as exc:
            self.problems.append(f"{_WITHOUT_ROWS}: {_why(exc)}")
            return None

    def note(self, conn: Session, head: Head) -> None:
        """Write the head of the archive into the ledger."""
        try:
            with signals.waiting():
                remark = heads.note_head(conn, self.record.run_id, head)
        except (psycopg.Error, signals.Hurried) as exc:
            remark = f"may not be in the ledger: {_why(exc)}"
        if remark:
            self.problems.append(f"the head of the archive {remark}")


def _why(exc: BaseException) -> str:
    return first_line(exc) if isinstance(exc, Exception) else "a second signal came"
