"""Tells the terminal while a run is at work: of hazards, before its first block runs; and whom a
block waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from pgrunbook.controls import one_line
from pgrunbook.records import row_words
from pgrunbook.records.format import bundles
from pgrunbook.records.format.parts import Frame, Kind

_MOST = 200  # lines


def tell(content: Mapping[str, Any]) -> None:
    """Say what a message of the kernel shows of hazards, if the run is going to write, as a plan
    says them at its end; and whom a block waits for, at the attempts 1, 2, 4, 8 …

    Any cell can send such data: what cannot be read is not said, and is no error; neither is a
    closed terminal.
    """
    with suppress(*bundles.UNREADABLE, OSError):
        for frame in bundles.parts(content["data"], Frame):
            if frame.kind == Kind.HAZARDS and frame.mode in ("apply", "revert"):
                _say_hazards(frame)
            elif frame.kind == Kind.ATTEMPTS:
                _say_last_attempt(frame)


def _say_hazards(frame: Frame) -> None:
    for values in frame.rows[:_MOST]:
        row = dict(zip(frame.columns, values, strict=True))
        click.echo(f"hazard:   {one_line(row_words.hazard(row))}", err=True)


def _say_last_attempt(frame: Frame) -> None:
    rows = [dict(zip(frame.columns, values, strict=True)) for values in frame.rows]
    number = max(row["attempt"] for row in rows)
    if number.bit_count() != 1:
        return
    blockers = [row_words.blocker(row) for row in rows if row["attempt"] == number and row["pid"]]
    whom = "; ".join(blockers) or "somebody who was not seen"
    text = f"{frame.block}, attempt {number}, for {whom}"
    click.echo(f"waiting:  {one_line(text)}", err=True)
