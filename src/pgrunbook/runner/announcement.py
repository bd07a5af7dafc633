"""What the terminal says of a run while it is at work: the hazards, before the first block runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from pgrunbook.controls import one_line
from pgrunbook.mime_types import FRAME_MIME
from pgrunbook.records import hazard_rows

_MOST = 200  # lines


def hazards(content: Mapping[str, Any]) -> None:
    """Say what a message of the kernel shows of hazards, if the run is going to write.

    A plan says it at its end. The data are whoever's they claim to be: what cannot be read is
    nothing to say, and nobody need listen.
    """
    with suppress(LookupError, TypeError, AttributeError, ValueError, OSError):
        frame = content["data"][FRAME_MIME]
        if frame["kind"] != "hazards" or frame["mode"] not in ("apply", "revert"):
            return
        for values in frame["rows"][:_MOST]:
            row = dict(zip(frame["columns"], values, strict=True))
            click.echo(f"hazard:   {one_line(hazard_rows.line(row))}", err=True)
