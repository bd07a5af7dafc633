"""The plans of what is prepared in a session: made anew as the catalog grows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

_FEW = 50  # objects: no plan is worse for them


@dataclass(slots=True)
class QueryPlans:
    """How many objects were `made`, and how many had been when the queries were last planned.

    The plan for a small catalog reads the whole of it, and would do so however large blocks make
    it: each of three thousand would take longer than the one before.
    """

    made: int = 0
    planned_for: int = _FEW

    def note_made(self, made: int, *sessions: psycopg.Connection[Any] | None) -> None:
        """Take account of more objects. Once there are twice as many, the queries of these sessions
        are planned anew when they are next asked.
        """
        self.made += made
        if self.made < 2 * self.planned_for:
            return
        self.planned_for = self.made
        for conn in sessions:
            if conn is not None and not conn.closed:
                with suppress(psycopg.Error):  # it is lost: the next one plans for itself
                    conn.execute("DISCARD PLANS")
