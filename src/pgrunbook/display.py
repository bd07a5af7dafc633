"""How frames, SQL and blocks look in a notebook, on a page made of it, and as plain text."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle, Markdown
from IPython.display import display as show

from pgrunbook import locks, waiting
from pgrunbook.apply import Outcome
from pgrunbook.card import BLOCK_MIME, DECISION_MIME, FRAME_MIME, PLAN_MIME, SNAPSHOT_MIME, STYLE, escape, packed
from pgrunbook.catalog import Snapshot
from pgrunbook.decisions import Decision
from pgrunbook.plan import Plan
from pgrunbook.stepwise import Progress
from pgrunbook.waiting import Attempt


def install(shell: InteractiveShell) -> None:
    """Show every DataFrame in this notebook as `table` does, and as plain text as `_lines` does; `display(frame)` and
    a cell's last value alike.
    """
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, _bundle)


class Named(pd.DataFrame):
    """A frame of ours. What is made of it, such as a part of it, is somebody else's: an ordinary frame again."""

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame


def named(frame: pd.DataFrame, kind: str, **about: Any) -> pd.DataFrame:
    """The frame, which a notebook will hold as data too: what kind it is, and what it is about."""
    ours = Named(frame)
    ours.attrs["pgrunbook"] = {"kind": kind, **about}
    return ours


def _bundle(frame: pd.DataFrame, **_: Any) -> dict[str, Any]:
    """A frame in every form. One of ours under its MIME type too: `kind`, what it is about, `columns` (the index first)
    and `rows`.
    """
    names, texts = _texts(frame)
    data = {FRAME_MIME: frame.attrs["pgrunbook"] | plain(frame)} if isinstance(frame, Named) else {}
    return data | {"text/html": _table(names, texts), "text/plain": _lines(names, texts)}


def plain(frame: pd.DataFrame) -> dict[str, Any]:
    """The frame as JSON values: `columns`, the index first, and `rows`; what is missing is null."""
    names, columns = _columns(frame)
    rows = zip(*([_plain(value) for value in column] for column in columns), strict=True)
    return {"columns": names, "rows": [list(row) for row in rows]}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value if isinstance(value, bool | int | float) else str(value)


def snapshot(taken: Snapshot, when: str) -> None:
    """Say that the tables were looked at, and keep all that was seen."""
    text = f"{len(taken.tables)} tables, {len(taken.columns)} columns, {moment(datetime.now(UTC))}"
    data = {"when": when, "frames": {name: plain(frame) for name, frame in taken}}
    show({SNAPSHOT_MIME: data, "text/markdown": text, "text/plain": text}, raw=True)


def table(frame: pd.DataFrame) -> str:
    """The frame as HTML: its index as the first columns, text to the left and escaped, missing values blank."""
    return _table(*_texts(frame))


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{_html(text)}</td>' for text in row)}</tr>" for row in rows)
    head = f'<thead><tr style="text-align: left">{head}</tr></thead>'
    made = f'<table border="0" class="dataframe">{head}<tbody>{body}</tbody></table>'
    return f'<div class="pgrunbook">{STYLE}{made}{"" if rows else "<p><em>none</em></p>"}</div>'


def _html(text: str) -> str:
    """Escaped; a long name may be broken after an underscore, so that frames fit the screen."""
    return re.sub(r"\w{20,}", lambda name: name[0].replace("_", "_<wbr>"), escape(text))


_WIDE = 24  # characters: to where plain text is aligned
_LONG = 200  # rows: of more, plain text has the first; who reads the record as text has all of them as HTML and as data
_SHOWN = 20


def _lines(names: list[str], texts: list[list[str]]) -> str:
    """As lines of text, however wide; what is longer than most is not waited for."""
    rows = [names, *(texts if len(texts) <= _LONG else texts[:_SHOWN])]
    widths = [min(max(map(len, column)), _WIDE) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    more = len(texts) - len(rows) + 1
    return "\n".join([*lines, *([] if texts else ["none"]), *([f"… and {more:,} rows more"] if more else [])])


def _texts(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The frame as it is read: the names of its columns, the index first, and each value as a text."""
    names, columns = _columns(frame)
    texts = [[_cell(value) for value in column] for column in columns]
    labels = frame.index.nlevels if len(names) > frame.shape[1] else 0
    texts[:labels] = _once(texts[:labels])
    return names, [list(row) for row in zip(*texts, strict=True)]


def _columns(frame: pd.DataFrame) -> tuple[list[str], list[Iterable[Any]]]:
    """The names of the columns, and the values of each; those of the index first, unless it only counts the rows."""
    names = [str(column) for column in frame.columns]
    values: list[Iterable[Any]] = [column.array for _, column in frame.items()]
    if isinstance(frame.index, pd.RangeIndex):
        return names, values
    levels = range(frame.index.nlevels)
    labels = [str(level if name is None else name) for level, name in enumerate(frame.index.names)]
    return [*labels, *names], [*(frame.index.get_level_values(level) for level in levels), *values]


def frame(shown: pd.DataFrame) -> None:
    """Show a frame now, and not as the value of its cell."""
    show(shown)


def _once(labels: Sequence[list[str]]) -> list[list[str]]:
    """The columns of an index; in all but the last of them a value that repeats the row above is left out."""
    rows = [*zip(*labels, strict=True)]
    shown = [list(row) for row in rows[:1]]
    for above, row in pairwise(rows):
        same = next((n for n, pair in enumerate(zip(above, row, strict=True)) if pair[0] != pair[1]), len(row))
        hidden = min(same, len(row) - 1)
        shown.append([*[""] * hidden, *row[hidden:]])
    return [list(column) for column in zip(*shown, strict=True)] or [*labels]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict | tuple | set):
        return str(value)
    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def sql(text: str) -> Markdown:
    """SQL, highlighted wherever Markdown is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}sql\n{text.strip()}\n{fence}")


def plan(made: Plan, rehearsals: Sequence[str] = (), *, sql_too: bool = False) -> None:
    """A plan by its digest, all of it as data, and its rehearsals; with `sql_too`, each block's SQL, for whoever is to
    approve it.
    """
    rehearsed = "".join(f"  \nrehearsed on {escape(text)}" for text in rehearsals)
    text = f"**Plan** `{made.digest}` to {made.direction}: {made.summary}{rehearsed}"
    data = {**made.data, "digest": made.digest, "rehearsals": list(rehearsals)}
    show({PLAN_MIME: data, "text/markdown": text, "text/plain": text}, raw=True)
    for step in made.steps if sql_too else ():
        show(Markdown(f"`{step.block}`: {step.action}"))
        if step.sql:
            show(sql(step.sql))


def decision(chosen: Decision) -> None:
    """A block before anything is done: what will be, why, and exactly the SQL that is to run, if any."""
    block = chosen.block
    text = f"**{escape(block.title)}** (`{block.name}`): {chosen.action}, {escape(chosen.reason)}."
    makes = [[*key, value] for key, value in block.facts.items()]
    data = _decided(chosen) | {"tree_sha256": block.tree_sha256, "makes": makes}
    show({DECISION_MIME: data, "text/markdown": text, "text/plain": text}, raw=True)
    if chosen.pending:
        show(sql(chosen.sql))


def _decided(chosen: Decision) -> dict[str, str]:
    return {
        "block": chosen.block.name,
        "title": chosen.block.title,
        "action": str(chosen.action),
        "reason": chosen.reason,
        "sql": chosen.sql if chosen.pending else "",
        "source_sha256": chosen.block.source_sha256,
    }


def outcome(done: Outcome) -> None:
    """A block after it was dealt with: what happened, when, and how long each statement took."""
    text = f"**{done.event}** in {milliseconds(done.elapsed_ms)}, {moment(done.started_at)}"
    show({BLOCK_MIME: _done(done), "text/markdown": text, "text/plain": text}, raw=True)
    if done.event != "adopted":
        show(named(done.frame(), "statements", block=done.block))
    if len(held := locks.frame(done.locks)):
        show(Markdown("Locks on what existed before, each held at most for so long:"))
        show(named(held, "locks", block=done.block))


def _done(outcome: Outcome) -> dict[str, Any]:
    return {
        "block": outcome.block,
        "event": outcome.event,
        "started_at": outcome.started_at.isoformat(),
        "elapsed_ms": round(outcome.elapsed_ms, 1),
    }


class Shows(Protocol):
    """How the blocks of a cell are shown."""

    def decision(self, chosen: Decision) -> None:
        """A block before anything is done."""

    def outcome(self, done: Outcome) -> None:
        """A block after it was dealt with."""


class _Each:
    """Each block by itself, with its SQL, statements and locks."""

    decision = staticmethod(decision)
    outcome = staticmethod(outcome)


EACH: Shows = _Each()
_TOGETHER_S = 2.0


class Together:
    """Many blocks in few frames, one every two seconds, so that it is seen how far the run is: index `block`; columns
    `title`, `decision`, `reason`, `event`, `ms`, `locks`. The data of each block is what it would be by itself, but for
    what the ledger has too: what it makes, and the checksum of its parse tree.
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
            data = {
                DECISION_MIME: packed([_decided(chosen) for chosen in self._chosen]),
                BLOCK_MIME: packed([_done(done) for done in self._outcomes.values()]),
            }
            show(data | {"text/html": table(frame), "text/plain": self._summary()}, raw=True)
        self._chosen, self._outcomes, self._shown_at = [], {}, time.monotonic()

    def _summary(self) -> str:
        """In a line: whoever reads the record as text has the rows in its data."""
        first, last = (self._chosen[place].block.name for place in (0, -1))
        events = Counter(done.event for done in self._outcomes.values())
        return f"{first} to {last}: {', '.join(f'{n} {event}' for event, n in events.items()) or 'nothing was done'}"

    def _frame(self) -> pd.DataFrame:
        rows = [
            (d.block.name, d.block.title, str(d.action), d.reason, *self._came_of(d.block.name)) for d in self._chosen
        ]
        columns = ["block", "title", "decision", "reason", "event", "ms", "locks"]
        return pd.DataFrame(rows, columns=columns).set_index("block")

    def _came_of(self, block: str) -> tuple[str, float | None, str]:
        if (done := self._outcomes.get(block)) is None:
            return "", None, ""
        held = [f"{lock.mode} {lock.relation}" for lock in locks.strongest(done.locks)]
        return done.event, round(done.elapsed_ms, 1), ", ".join(held)


class Waits:
    """The attempts of a block that has to wait, in a frame that grows while it waits; nothing if it need not."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._shown: DisplayHandle | None = None

    def report(self, attempt: Attempt) -> None:
        """Add an attempt to the frame."""
        self._attempts.append(attempt)
        shown = named(waiting.frame(self._attempts), "attempts", block=attempt.block)
        if self._shown:
            self._shown.update(shown)
        else:
            show(Markdown("**waiting** for locks that others hold; between the attempts nobody waits for us"))
            self._shown = show(shown, display_id=True)


class Progresses:
    """How far a statement outside a transaction has come, in one line that changes; nothing if it is done at once."""

    def __init__(self) -> None:
        self._shown: DisplayHandle | None = None

    def report(self, progress: Progress) -> None:
        """Show how far it has come now."""
        share = f", {progress.done:,} of {progress.total:,}" if progress.total else ""
        lines = [f"**{escape(progress.phase)}**{share}", *(escape(blocker) for blocker in progress.blockers)]
        text = Markdown("  \n".join(lines))
        if self._shown:
            self._shown.update(text)
        else:
            self._shown = show(text, display_id=True)


def milliseconds(value: float) -> str:
    """`12 ms`, `3.4 s` or `2 min 5 s`."""
    if value < 1000:
        return f"{value:.0f} ms"
    if value < 120_000:
        return f"{value / 1000:.1f} s"
    minutes, rest = divmod(round(value / 1000), 60)
    return f"{minutes} min {rest} s"


def moment(when: datetime) -> str:
    """`2026-01-31 12:00:00 UTC`, of a time that is in UTC."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
