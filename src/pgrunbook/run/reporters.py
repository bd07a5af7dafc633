"""Shows blocks while they are applied: each by itself, or many together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd
from IPython.display import DisplayHandle, Markdown
from IPython.display import display as show

from pgrunbook import durations
from pgrunbook.applying import lock_waits
from pgrunbook.applying.effects import CHANGES
from pgrunbook.applying.outcome import TIMES, Outcome
from pgrunbook.applying.progress import StatementProgress
from pgrunbook.applying.reporter import Reporter
from pgrunbook.ledger.batches import History
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import locks
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.records.card import inline
from pgrunbook.records.format import parts
from pgrunbook.records.format.bundles import bundle, bundle_many
from pgrunbook.records.format.parts import Decided, Done, Kind
from pgrunbook.records.words import tally
from pgrunbook.run import backfills, frames
from pgrunbook.run.display import moment, named, sql


def show_decision(decision: Decision) -> None:
    """Show a block before anything is done: what will be, why, and exactly the SQL that is to run,
    if any.
    """
    block = decision.block
    action, reason = decision.action, inline(decision.reason)
    text = f"**{inline(block.title)}** (`{block.name}`): {action}, {reason}."
    makes = [[each.kind, each.parent, each.name, ""] for each in block.made]
    makes += [[*fact, value] for fact, value in block.facts.items()]
    data = bundle(_decided(decision, tree_sha256=block.tree_sha256, makes=makes))
    show(data | {"text/markdown": text, "text/plain": text}, raw=True)
    if decision.pending:
        show(sql(decision.sql))


def _decided(decision: Decision, **more: Any) -> Decided:
    sql_to_run = ""
    if decision.pending:
        sql_to_run = decision.sql
    return Decided(
        block=decision.block.name,
        title=decision.block.title,
        action=str(decision.action),
        reason=decision.reason,
        sql=sql_to_run,
        source_sha256=decision.block.source_sha256,
        in_transaction=decision.block.transaction,
        **more,
    )


def show_outcome(done: Outcome) -> None:
    """Show a block after it was dealt with: what happened, when, and how long it took."""
    text = f"**{done.event}** in {durations.words(done.elapsed_ms)}, {moment(done.started_at)}"
    show(bundle(_done(done)) | {"text/markdown": text, "text/plain": text}, raw=True)
    if done.event != "adopted":
        show(named(done.frame(), Kind.STATEMENTS, block=done.block))
    if done.effect and len(done.effect.differences):
        show(Markdown("What it has changed, as the catalog said before the commit:"))
        show(named(done.effect.frame(), Kind.EFFECT, block=done.block))
    if done.effect and done.effect.rows_written:
        show(Markdown("Rows that it has written, as the server counted them:"))
        show(named(done.effect.rows_frame(), Kind.ROWS, block=done.block))
    held = locks.frame(done.locks)
    if len(held):
        show(Markdown("Locks on what existed before, each held at most for so long:"))
        show(named(held, Kind.LOCKS, block=done.block))


def _done(outcome: Outcome) -> Done:
    return Done(
        block=outcome.block,
        event=outcome.event,
        started_at=outcome.started_at.isoformat(),
        elapsed_ms=round(outcome.elapsed_ms, 1),
    )


def _frames(done: Outcome) -> list[parts.Frame]:
    """Return the frames that `show_outcome` shows of a block."""
    # there may be thousands of blocks: rows that are plain already become no frame before
    block, effect, found = done.block, done.effect, []
    if done.event != "adopted":
        found.append(parts.Frame(kind=Kind.STATEMENTS, block=block, columns=TIMES, rows=done.times))
    if effect and effect.differences:
        rows = effect.changes
        found.append(parts.Frame(kind=Kind.EFFECT, block=block, columns=CHANGES, rows=rows))
    if effect and effect.rows_written:
        rows_written = frames.plain(effect.rows_frame())
        found.append(parts.Frame(kind=Kind.ROWS, block=block, **rows_written))
    if done.locks:
        held = frames.plain(locks.frame(done.locks))
        found.append(parts.Frame(kind=Kind.LOCKS, block=block, **held))
    return found


class _Live:
    """What is shown of a block while it is at work."""

    def attempts(self) -> Callable[[Attempt], None]:
        """See `Reporter.attempts`."""
        return LockWaitDisplay().report

    def progress(self) -> Callable[[StatementProgress], None]:
        """See `Reporter.progress`."""
        return StatementDisplay().report

    def backfill(self) -> Callable[[parts.Progress], None]:
        """See `Reporter.backfill`."""
        return backfills.BackfillDisplay().report

    def history(self, block: str, history: History) -> None:
        """See `Reporter.history`."""
        backfills.history(block, history)


class _Each(_Live):
    """Each block by itself, with its SQL, statements and locks."""

    decision = staticmethod(show_decision)
    outcome = staticmethod(show_outcome)


EACH: Reporter = _Each()
_TOGETHER_S = 2.0  # between two frames


class Together(_Live):
    """Many blocks in few frames, one every two seconds, so that it is seen how far the run is:
    index `block`; columns `title`, `decision`, `reason`, `event`, `ms`, `changed`, `locks`.

    The data of each block is what `show_decision` and `show_outcome` show of it, but for what the
    ledger has, too: what it makes, and the digest of its parse tree.
    """

    def __init__(self) -> None:
        self._decisions: list[Decision] = []
        self._outcomes: dict[str, Outcome] = {}
        self._shown_at = time.monotonic()

    def decision(self, decision: Decision) -> None:
        """Keep it until the next frame is shown."""
        if time.monotonic() - self._shown_at > _TOGETHER_S:
            self.show()
        self._decisions.append(decision)

    def outcome(self, done: Outcome) -> None:
        """Keep it until the next frame is shown."""
        self._outcomes[done.block] = done

    def show(self) -> None:
        """Show what was kept since the last time."""
        if self._decisions:
            shown: list[parts.Frame] = []
            for done in self._outcomes.values():
                shown += _frames(done)
            data = bundle_many([_decided(decision) for decision in self._decisions])
            data |= bundle_many([_done(done) for done in self._outcomes.values()])
            data |= bundle_many(shown)
            html = frames.table(self._frame()) + frames.folded_texts("SQL", self._sql())
            data |= {"text/html": html, "text/plain": self._summary()}
            show(data, raw=True)
        self._decisions, self._outcomes, self._shown_at = [], {}, time.monotonic()

    def _summary(self) -> str:
        # A line: whoever reads the record as text has the rows in its data.
        first, last = self._decisions[0].block.name, self._decisions[-1].block.name
        events = Counter(done.event for done in self._outcomes.values())
        return f"{first} to {last}: {tally(events) or 'nothing was done'}"

    def _frame(self) -> pd.DataFrame:
        rows = []
        for each in self._decisions:
            event, ms, changed, held = self._outcome_cells(each.block.name)
            about = each.block.name, each.block.title, str(each.action), each.reason
            rows.append((*about, event, ms, changed, held))
        columns = ["block", "title", "decision", "reason", "event", "ms", "changed", "locks"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    def _sql(self) -> dict[str, str]:
        """Return what is to run, or has run, by block."""
        return {each.block.name: each.sql for each in self._decisions if each.pending}

    def _outcome_cells(self, block: str) -> tuple[str, float | None, str, str]:
        done = self._outcomes.get(block)
        if done is None:
            return "", None, "", ""
        held = [f"{lock.mode} {lock.relation}" for lock in locks.strongest(done.locks)]
        changed = done.effect.summary() if done.effect else ""
        return done.event, round(done.elapsed_ms, 1), changed, ", ".join(held)


class LockWaitDisplay:
    """The attempts of a block that has to wait, in a frame that grows while it waits; nothing if it
    need not.
    """

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._shown: DisplayHandle | None = None

    def report(self, attempt: Attempt) -> None:
        """Add an attempt to the frame."""
        self._attempts.append(attempt)
        shown = named(lock_waits.frame(self._attempts), Kind.ATTEMPTS, block=attempt.block)
        if self._shown:
            self._shown.update(shown)
        else:
            show(Markdown(_WAITING))
            self._shown = show(shown, display_id=True)


_WAITING = "**waiting** for locks that others hold; between the attempts nobody waits for us"


class StatementDisplay:
    """How far a statement outside a transaction has come, in one line that changes; nothing if it
    is done at once.
    """

    def __init__(self) -> None:
        self._shown: DisplayHandle | None = None

    def report(self, progress: StatementProgress) -> None:
        """Show how far it has come now."""
        first = f"**{inline(progress.phase)}**"
        if progress.total:
            first += f", {progress.done:,} of {progress.total:,}"
        text = Markdown("  \n".join([first, *map(inline, progress.blockers)]))
        if self._shown:
            self._shown.update(text)
        else:
            self._shown = show(text, display_id=True)
