"""Shows frames, SQL and blocks: in a notebook, on a page made of it, and as plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Literal

import pandas as pd
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import Markdown, publish_display_data
from IPython.display import display as show

from pgrunbook import controls
from pgrunbook.errors import Problem, RunbookError
from pgrunbook.postgres.catalog import TablesSnapshot
from pgrunbook.records.card import inline
from pgrunbook.records.format import parts
from pgrunbook.records.format.bundles import bundle
from pgrunbook.records.format.parts import Kind, PlanShown, Problems
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
    `frames.lines` does; `display(frame)` and a cell's last value alike. Markdown is its own plain
    text.
    """
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, _bundle)
    shell.display_formatter.formatters["text/plain"].for_type(Markdown, _plain)


def _plain(said: Markdown, printer: Any, _cycle: bool) -> None:
    """Print Markdown as it is written: IPython's own text says only that it is an object."""
    printer.text(said.data)


class RecordedFrame(pd.DataFrame):
    """A frame of ours, which a notebook holds as data. What a cell makes of it is not: an ordinary
    frame again.
    """

    @property
    def _constructor(self) -> Any:
        # pandas makes every slice and copy of a frame with this
        # https://pandas.pydata.org/docs/development/extending.html#override-constructor-properties
        return pd.DataFrame


def named(frame: pd.DataFrame, kind: Kind, **about: Any) -> pd.DataFrame:
    """Return the frame as one that a notebook will hold as data, too: see `parts.Frame`."""
    # what the format does not know would be left out without a word
    assert about.keys() <= parts.Frame.model_fields.keys()
    ours = RecordedFrame(frame)
    ours.attrs["pgrunbook"] = {"kind": kind, **about}
    return ours


def folded(frame: pd.DataFrame, summary: str) -> pd.DataFrame:
    """Return the frame folded below a line, `summary`, until a reader opens it: for what is of use
    only when something is wrong. `text/plain` and the data have all of it.
    """
    ours = RecordedFrame(frame)
    ours.attrs |= {**frame.attrs, "folded": summary}
    return ours


def _bundle(frame: pd.DataFrame, **_: Any) -> dict[str, Any]:
    """Return a frame in every form: HTML, plain text and, if it is one of ours, as data."""
    names, texts = frames.texts(frame)
    ours = {}
    if isinstance(frame, RecordedFrame):
        ours = frame.attrs
    html = frames.html(names, texts, ours.get("folded", ""))
    shown = {"text/html": html, "text/plain": frames.lines(names, texts)}
    if "pgrunbook" not in ours:
        return shown
    about = ours["pgrunbook"]
    # The card of the target has its facts by their keys, in place of the rows that people read.
    if "target" not in about:
        about = about | frames.plain(frame)
    return bundle(parts.Frame(**about)) | shown


_PARTS = {"columns": "column", "constraints": "constraint", "indexes": "index", "types": "type"}


def fold_parts(taken: TablesSnapshot) -> TablesSnapshot:
    """Return the snapshot with all frames folded but that of the tables themselves."""
    changed = {}
    for name, frame in taken:
        if name in _PARTS:
            changed[name] = folded(frame, counted(len(frame), _PARTS[name]))
    return replace(taken, **changed)


def snapshot(taken: TablesSnapshot, when: Literal["before", "after"]) -> None:
    """Say that the tables were looked at, and keep all that was seen as data."""
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
    """SQL, highlighted wherever Markdown is. Its fence is longer than any in the text: see
    https://spec.commonmark.org/0.31.2/#fenced-code-blocks
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}sql\n{controls.visible(text).strip()}\n{fence}")


def plan(made: Plan, rehearsals: Sequence[str] = (), *, sql_too: bool = False) -> None:
    """Show a plan by its digest, all of it as data, and its rehearsals; with `sql_too`, each
    block's SQL, for whoever is to approve it.
    """
    text = _digest(made, rehearsals)
    data = bundle(PlanShown(**made.data, digest=made.digest, rehearsals=rehearsals))
    show(data | {"text/markdown": text, "text/plain": text}, raw=True)
    if not sql_too:
        return
    for step in made.steps:
        show(Markdown(f"`{step.block}`: {step.action}"))
        if step.sql:
            show(sql(step.sql))


def digest(made: Plan, rehearsals: Sequence[str]) -> None:
    """Show a plan by its digest, and its rehearsals."""
    show(Markdown(_digest(made, rehearsals)))


def _digest(made: Plan, rehearsals: Sequence[str]) -> str:
    rehearsed = "".join(f"  \nrehearsed on {inline(text)}" for text in rehearsals)
    return f"**Plan** `{made.digest}` to {made.direction}: {made.summary}{rehearsed}"


def moment(when: datetime) -> str:
    """`2026-01-31 12:00:00 UTC`, of a time that is in UTC."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
