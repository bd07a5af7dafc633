"""Tells the terminal of hazards while a run is at work, before its first block runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from pgrunbook.controls import one_line
from pgrunbook.records import hazard_rows
from pgrunbook.records.format import bundles
from pgrunbook.records.format.parts import Frame, Kind

_MOST = 200  # lines


def hazards(content: Mapping[str, Any]) -> None:
    """Say what a message of the kernel shows of hazards, if the run is going to write.

    A plan says it at its end. Any cell can send such data: what cannot be read is not said, and is
    no error; neither is a closed terminal.
    """
    with suppress(*bundles.UNREADABLE, OSError):
        for frame in bundles.parts(content["data"], Frame):
            if frame.kind == Kind.HAZARDS and frame.mode in ("apply", "revert"):
                _say(frame)


def _say(frame: Frame) -> None:
    for values in frame.rows[:_MOST]:
        row = dict(zip(frame.columns, values, strict=True))
        click.echo(f"hazard:   {one_line(hazard_rows.line(row))}", err=True)
