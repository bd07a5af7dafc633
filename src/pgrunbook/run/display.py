"""How frames, SQL and blocks look in a notebook, on a page made of it, and as plain text."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Literal

import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle, Markdown, publish_display_data
from IPython.display import display as show

from pgrunbook import controls, durations
from pgrunbook.applying import lock_waits
from pgrunbook.applying.outcome import Outcome
from pgrunbook.applying.progress import Progress
from pgrunbook.applying.reporter import Reporter
from pgrunbook.errors import Problem, RunbookError
from pgrunbook.ledger.batches import History
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import locks
from pgrunbook.postgres.blockers import Attempt
from pgrunbook.postgres.catalog import Snapshot
from pgrunbook.records.card import inline
from pgrunbook.records.format import parts
from pgrunbook.records.format.bundles import bundle, packed
from pgrunbook.records.format.parts import Decided, Done, Kind, PlanShown, Problems
from pgrunbook.records.plan import Plan
from pgrunbook.records.words import counted
from pgrunbook.run import frames


def show_problems(problems: Sequence[Problem]) -> None:
    """Have the notebook hold the problems as data; people are shown them otherwise."""
    if problems:
        publish_display_data(bundle(Problems(problems=problems)))


RunbookError.show = show_problems


def install(shell: InteractiveShell) -> None:
    """Show every DataFrame in this notebook as `frames.table` does, and as plain text as
    `frames.lines` does; `display(frame)` and a cell's last value alike.
    """
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, _bundle)


class Named(pd.DataFrame):
    """A frame of ours. What is made of it, such as a part of it, is somebody else's: an ordinary
    frame again.
    """

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame


def named(frame: pd.DataFrame, kind: Kind, **about: Any) -> pd.DataFrame:
    """The frame, which a notebook will hold as data too: see `parts.Frame`."""
    # what the format does not know would be left out without a word
    assert about.keys() <= parts.Frame.model_fields.keys()
    ours = Named(frame)
    ours.attrs["pgrunbook"] = {"kind": kind, **about}
    return ours


def folded(frame: pd.DataFrame, summary: str) -> pd.DataFrame:
    """The frame, of which a reader sees a line until he opens it: for what is of use only when
    something is wrong. `text/plain` and data have all of it.
    """
    ours = Named(frame)
    ours.attrs |= {**frame.attrs, "folded": summary}
    return ours


def _bundle(frame: pd.DataFrame, **_: Any) -> dict[str, Any]:
    """A frame in every form. One of ours under its MIME type too; the card of the target says its
    facts by their keys there, in place of the rows that a person reads.
    """
    names, texts = frames.texts(frame)
    ours = frame.attrs if isinstance(frame, Named) else {}
    html = frames.html(names, texts, ours.get("folded", ""))
    shown = {"text/html": html, "text/plain": frames.lines(names, texts)}
    if "pgrunbook" not in ours:
        return shown
    said = ours["pgrunbook"]
    if "target" not in said:
        said = said | frames.plain(frame)
    return bundle(parts.Frame(**said)) | shown


_PARTS = {"columns": "column", "constraints": "constraint", "indexes": "index", "types": "type"}


def parts_folded(taken: Snapshot) -> Snapshot:
    """The snapshot with the frames of what belongs to tables folded."""
    changed = {
        name: folded(frame, counted(len(frame), _PARTS[name]))
        for name, frame in taken
        if name in _PARTS
    }
    return replace(taken, **changed)


def snapshot(taken: Snapshot, when: Literal["before", "after"]) -> None:
    """Say that the tables were looked at, and keep all that was seen."""
    tables, columns = counted(len(taken.tables), "table"), counted(len(taken.columns), "column")
    text = f"{tables}, {columns}, {moment(datetime.now(UTC))}"
    state = {name: parts.Rows(**frames.plain(frame)) for name, frame in taken}
    data = bundle(parts.Snapshot(when=when, frames=state))
    show(data | {"text/markdown": text, "text/plain": text}, raw=True)


def frame(shown: pd.DataFrame) -> None:
    """Show a frame now, and not as the value of its cell."""
    show(shown)


def text(said: str) -> None:
    """Say something, in Markdown."""
    show(Markdown(said))


def guide() -> Markdown:
    """What every runbook says alike: parameters, cells, decisions, verdicts."""
    return Markdown((files("pgrunbook") / "templates" / "guide.md").read_text(encoding="utf-8"))


def sql(text: str) -> Markdown:
    """SQL, highlighted wherever Markdown is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}sql\n{controls.visible(text).strip()}\n{fence}")


def plan(made: Plan, rehearsals: Sequence[str] = (), *, sql_too: bool = False) -> None:
    """A plan by its digest, all of it as data, and its rehearsals; with `sql_too`, each block's
    SQL, for whoever is to approve it.
    """
    text = _digest(made, rehearsals)
    data = bundle(PlanShown(**made.data, digest=made.digest, rehearsals=rehearsals))
    show(data | {"text/markdown": text, "text/plain": text}, raw=True)
    for step in made.steps if sql_too else ():
        show(Markdown(f"`{step.block}`: {step.action}"))
        if step.sql:
            show(sql(step.sql))


def digest(made: Plan, rehearsals: Sequence[str]) -> None:
    """A plan by its digest, and its rehearsals."""
    show(Markdown(_digest(made, rehearsals)))


def _digest(made: Plan, rehearsals: Sequence[str]) -> str:
    rehearsed = "".join(f"  \nrehearsed on {inline(text)}" for text in rehearsals)
    return f"**Plan** `{made.digest}` to {made.direction}: {made.summary}{rehearsed}"


def decision(chosen: Decision) -> None:
    """A block before anything is done: what will be, why, and exactly the SQL that is to run, if
    any.
    """
    block = chosen.block
    text = f"**{inline(block.title)}** (`{block.name}`): {chosen.action}, {inline(chosen.reason)}."
    makes = [[each.kind, each.parent, each.name, ""] for each in block.made]
    makes += [[*fact, value] for fact, value in block.facts.items()]
    data = bundle(_decided(chosen, tree_sha256=block.tree_sha256, makes=makes))
    show(data | {"text/markdown": text, "text/plain": text}, raw=True)
    if chosen.pending:
        show(sql(chosen.sql))


def _decided(chosen: Decision, **more: Any) -> Decided:
    return Decided(
        block=chosen.block.name,
        title=chosen.block.title,
        action=str(chosen.action),
        reason=chosen.reason,
        sql=chosen.sql if chosen.pending else "",
        source_sha256=chosen.block.source_sha256,
        in_transaction=chosen.block.transaction,
        **more,
    )


def outcome(done: Outcome) -> None:
    """A block after it was dealt with: what happened, when, and how long each statement took."""
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
    if len(held := locks.frame(done.locks)):
        show(Markdown("Locks on what existed before, each held at most for so long:"))
        show(named(held, Kind.LOCKS, block=done.block))


def _done(outcome: Outcome) -> Done:
    return Done(
        block=outcome.block,
        event=outcome.event,
        started_at=outcome.started_at.isoformat(),
        elapsed_ms=round(outcome.elapsed_ms, 1),
    )


def _effect(done: Outcome) -> list[parts.Frame]:
    """What a block has changed, as the frames that it has by itself."""
    if done.effect is None:
        return []
    told = {Kind.EFFECT: done.effect.frame(), Kind.ROWS: done.effect.rows_frame()}
    return [
        parts.Frame(kind=kind, block=done.block, **frames.plain(frame))
        for kind, frame in told.items()
        if len(frame)
    ]


class _Live:
    """What is shown of a block while it is at work."""

    def attempts(self) -> Callable[[Attempt], None]:
        """See `Reporter.attempts`."""
        return Waits().report

    def progress(self) -> Callable[[Progress], None]:
        """See `Reporter.progress`."""
        return Progresses().report

    def backfill(self) -> Callable[[parts.Progress], None]:
        """See `Reporter.backfill`."""
        from pgrunbook.run.backfills import Backfills  # which shows things by what is here

        return Backfills().report

    def history(self, block: str, history: History) -> None:
        """See `Reporter.history`."""
        from pgrunbook.run import backfills

        backfills.history(block, history)


class _Each(_Live):
    """Each block by itself, with its SQL, statements and locks."""

    decision = staticmethod(decision)
    outcome = staticmethod(outcome)


EACH: Reporter = _Each()
_TOGETHER_S = 2.0


class Together(_Live):
    """Many blocks in few frames, one every two seconds, so that it is seen how far the run is:
    index `block`; columns `title`, `decision`, `reason`, `event`, `ms`, `changed`, `locks`. The
    data of each block is what it would be by itself, but for what the ledger has too: what it
    makes, and the checksum of its parse tree.
    """

    def __init__(self) -> None:
        self._chosen: list[Decision] = []
        self._outcomes: dict[str, Outcome] = {}
        self._shown_at = time.monotonic()

    def decision(self, chosen: Decision) -> None:
        """Keep it."""
        if time.monotonic() - self._shown_at > _TOGETHER_S:
            self.show()
        self._chosen.append(chosen)

    def outcome(self, done: Outcome) -> None:
        """Keep it."""
        self._outcomes[done.block] = done

    def show(self) -> None:
        """Show what was kept since the last time."""
        if self._chosen:
            frame = self._frame()
            data = packed([_decided(chosen) for chosen in self._chosen])
            data |= packed([_done(done) for done in self._outcomes.values()])
            data |= packed([each for done in self._outcomes.values() for each in _effect(done)])
            show(data | {"text/html": frames.table(frame), "text/plain": self._summary()}, raw=True)
        self._chosen, self._outcomes, self._shown_at = [], {}, time.monotonic()

    def _summary(self) -> str:
        """In a line: whoever reads the record as text has the rows in its data."""
        first, last = (self._chosen[place].block.name for place in (0, -1))
        events = Counter(done.event for done in self._outcomes.values())
        return (
            f"{first} to {last}: "
            f"{', '.join(f'{n} {event}' for event, n in events.items()) or 'nothing was done'}"
        )

    def _frame(self) -> pd.DataFrame:
        rows = [
            (d.block.name, d.block.title, str(d.action), d.reason, *self._came_of(d.block.name))
            for d in self._chosen
        ]
        columns = ["block", "title", "decision", "reason", "event", "ms", "changed", "locks"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    def _came_of(self, block: str) -> tuple[str, float | None, str, str]:
        if (done := self._outcomes.get(block)) is None:
            return "", None, "", ""
        held = [f"{lock.mode} {lock.relation}" for lock in locks.strongest(done.locks)]
        changed = done.effect.summary() if done.effect else ""
        return done.event, round(done.elapsed_ms, 1), changed, ", ".join(held)


class Waits:
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
            show(
                Markdown(
                    "**waiting** for locks that others hold; between the attempts nobody waits "
                    "for us"
                )
            )
            self._shown = show(shown, display_id=True)


class Progresses:
    """How far a statement outside a transaction has come, in one line that changes; nothing if it
    is done at once.
    """

    def __init__(self) -> None:
        self._shown: DisplayHandle | None = None

    def report(self, progress: Progress) -> None:
        """Show how far it has come now."""
        share = f", {progress.done:,} of {progress.total:,}" if progress.total else ""
        lines = [
            f"**{inline(progress.phase)}**{share}",
            *(inline(blocker) for blocker in progress.blockers),
        ]
        text = Markdown("  \n".join(lines))
        if self._shown:
            self._shown.update(text)
        else:
            self._shown = show(text, display_id=True)


def moment(when: datetime) -> str:
    """`2026-01-31 12:00:00 UTC`, of a time that is in UTC."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
