"""What a run tells while nobody steps through it: `logging`, under the name `pgrunbook`."""

from __future__ import annotations

import logging
import os
from typing import TextIO

from pgrunbook import controls


class _Line(logging.Formatter):
    """A record in one line, whatever the servers and names in it hold."""

    def format(self, record: logging.LogRecord) -> str:
        return controls.one_line(super().format(record))


def enable(stream: TextIO | None) -> None:
    """Write it to this stream, if `PGRUNBOOK_LOG` names a level; otherwise it is for whoever has
    set up logging.
    """
    level = os.environ.get("PGRUNBOOK_LOG", "").upper()
    if stream is None or level not in logging.getLevelNamesMapping():
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger("pgrunbook")
    log.addHandler(handler)
    log.setLevel(level)
